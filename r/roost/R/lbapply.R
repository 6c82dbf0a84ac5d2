# lbapply: lapply on the pool, each element one task.

lbapply <- function(pool, X, FUN, ..., seed = NULL, simplify = FALSE, partial = FALSE, retries = 0L, timeout = NULL,
                    progress = interactive(), export = NULL, packages = NULL, label = "", options = list(), cpus = 1,
                    memory = NULL, labels = NULL, .args = list()) {
  if (!inherits(pool, "roost_cluster") && !is.null(again <- protected_call(sys.call(), pool, parent.frame())))
    return(eval(again, parent.frame()))
  # nodepool's order: X, FUN, pool.
  if (is.function(X) && inherits(FUN, "cluster"))
    return(lbapply(FUN, pool, X, ..., seed = seed, simplify = simplify, partial = partial, retries = retries, timeout = timeout,
                   progress = progress, export = export, packages = packages, label = label, options = options, cpus = cpus,
                   memory = memory, labels = labels, .args = .args))
  FUN <- match.fun(FUN)
  args <- if (...length()) tryCatch(list(...), error = identity) else list()
  if (inherits(args, "error")) {
    bound <- bind_code(FUN, args, environment(), parent.frame())
    FUN <- bound$fun
    args <- bound$args
  }
  args <- further_args(args, .args)
  tasks <- as_tasks(X)
  state <- first_seed(seed)
  if (is.null(pool)) outcomes <- apply_here(tasks, FUN, args, state, packages, options)
  else {
    session <- session_of(pool)
    needs <- find_needs(list(FUN = FUN, `...` = args, X = tasks), export, packages, parent.frame())
    outcomes <- apply_there(session, needs$values[[3L]], needs$values[[1L]], needs$values[[2L]],
                            policy(seed = state, retries = retries, timeout = timeout, label = label, cpus = cpus,
                                   memory = memory, labels = labels),
                            needs, options, progress)
  }
  values <- outcomes$values
  names(values) <- names(tasks)
  if (isTRUE(partial)) return(with_errors(values, task_errors(outcomes)))
  raise_task_errors(outcomes, values)
  if (isTRUE(simplify)) simplify2array(values) else values
}

# Some of `...` cannot be evaluated. Code that mentions what does not exist here is meant for data's columns, as in
# lbapply(pool, files, count_by, group = species): FUN is called with the code. `frame` has the dots.
bind_code <- function(FUN, error, frame, envir) {
  code <- as.list(eval(quote(substitute(list(...))), frame))[-1L]
  known <- vapply(code, function(part) all(vapply(all.names(part, unique = TRUE), exists, NA, envir = envir)), NA)
  if (all(known)) stop(error)
  home <- new.env(parent = envir)
  home$.roost_fun <- FUN
  for (i in seq_along(code)) {
    value <- suppressWarnings(tryCatch(list(eval(call("...elt", i), frame)), error = identity))
    if (inherits(value, "error")) {
      if (known[i]) stop(value)
      next
    }
    name <- paste0(".roost_argument_", i)
    assign(name, value[[1L]], envir = home)
    code[[i]] <- as.name(name)
  }
  list(fun = eval(call("function", as.pairlist(alist(.roost_element = , ... = )),
                       as.call(c(list(quote(.roost_fun), quote(.roost_element)), code, quote(...)))), home),
       args = list())
}

# Arguments of FUN that have the names of ours come in `.args`.
further_args <- function(args, more) {
  if (length(names(args)) && any(hidden <- startsWith(names(args), hidden_prefix)))
    names(args)[hidden] <- substring(names(args)[hidden], nchar(hidden_prefix) + 1L)
  if (!length(more)) return(args)
  if (!is.list(more)) fail("`.args` must be a list of arguments of FUN, not ", describe(more), ".")
  c(args, more)
}

# R takes an argument `p` for `pool`, unless it stands behind `...`. Such arguments of FUN get a prefix on their way to `...`:
# the call to be made instead, or NULL. `value` is what `pool` got.
hidden_prefix <- "FUN argument "

protected_call <- function(call, value, envir) {
  for (i in seq_along(call)) if (identical(call[[i]], quote(...))) {
    inner <- names(eval(quote(substitute(list(...))), envir))[-1L]
    if (any(inner %in% prefixes_of_pool)) call <- spread_dots(call, i, inner)
    break
  }
  at <- match(prefixes_of_pool, names(call), 0L)
  at <- at[at > 0L]
  if (!length(at)) return(NULL)
  # It was evaluated already, and must not be once more.
  call[[at]] <- call("quote", value)
  names(call)[at] <- paste0(hidden_prefix, names(call)[at])
  call
}

prefixes_of_pool <- c("p", "po", "poo")

# `...` at place `at` becomes ..1, ..2 with their names.
spread_dots <- function(call, at, names) {
  parts <- as.list(call)
  each <- lapply(paste0("..", seq_along(names)), as.name)
  names(each) <- names
  as.call(c(parts[seq_len(at - 1L)], each, parts[-seq_len(at)]))
}

apply_there <- function(session, X, fun, args, policy, needs, options, progress) {
  if (!length(X)) return(list(values = vector("list", 0L)))
  bar <- progress_bar(progress, length(X))
  job <- NULL
  finished <- FALSE
  if (!is.null(bar)) on.exit(bar$end(finished))
  if (is_call(X, needs, policy, options) && !is.null(outcomes <- call_there(session, X, fun, args, needs, policy$seed, bar))) {
    finished <- TRUE
    if (!is.null(bar)) bar$end(TRUE)
    relay(outcomes$details)
    return(outcomes)
  }
  common <- make_common(session, fun, args, needs, options)
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
