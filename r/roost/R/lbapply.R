# lbapply: lapply on the pool, each element one task.

lbapply <- function(pool, X, FUN, ..., seed = NULL, simplify = FALSE, partial = FALSE, retries = 0L, timeout = NULL,
                    progress = interactive(), export = NULL, packages = NULL, label = "", options = list(), cpus = 1,
                    memory = NULL, labels = NULL) {
  FUN <- match.fun(FUN)
  args <- list(...)
  tasks <- as_tasks(X)
  state <- first_seed(seed)
  outcomes <- if (is.null(pool)) apply_here(tasks, FUN, args, state, packages, options)
  else apply_there(session_of(pool), tasks, FUN, args,
                   policy(seed = state, retries = retries, timeout = timeout, label = label, cpus = cpus, memory = memory,
                          labels = labels),
                   find_needs(functions_of(FUN, args, tasks), export, packages, parent.frame()), options, progress)
  values <- outcomes$values
  names(values) <- names(tasks)
  if (isTRUE(partial)) return(with_errors(values, task_errors(outcomes)))
  raise_task_errors(outcomes, values)
  if (isTRUE(simplify)) simplify2array(values) else values
}

apply_there <- function(session, X, fun, args, policy, needs, options, progress) {
  if (!length(X)) return(list(values = vector("list", 0L)))
  common <- make_common(session, fun, args, needs, options)
  bar <- progress_bar(progress, length(X))
  job <- NULL
  finished <- FALSE
  on.exit({
    if (!is.null(bar)) bar$end(finished)
    if (!finished && !is.null(job)) cancel_quietly(session, job)
  })
  started <- function(id) job <<- id
  outcomes <- if (is_bulky(X)) stream_job(session, X, common, policy, bar, started)
  else read_outcomes(run_job(session, X, common, policy, !is.null(bar), watcher(bar, started)))
  finished <- TRUE
  # What tasks said comes below the bar.
  if (!is.null(bar)) bar$end(TRUE)
  relay(outcomes$details)
  outcomes
}
