# foreach: registerDoRoost(pool), then %dopar%. Each iteration is a task.

registerDoRoost <- function(pool = NULL) {
  if (!requireNamespace("foreach", quietly = TRUE))
    fail("registerDoRoost() needs package 'foreach'. Remedy: install.packages(\"foreach\").")
  session_of(pool)
  if (is.null(pool)) pool <- make_pool(latest$session, seq_len(latest$session$size))
  foreach::setDoPar(do_roost, list(pool = pool), do_roost_info)
  invisible()
}

# As many tasks as run at once: of a whole pool, what its nodes have now.
count_workers_of <- function(pool) {
  session <- session_of(pool)
  if (length(pool) < session$size || !is_usable(session)) length(pool) else pool_slots(session)
}

do_roost_info <- function(data, item) switch(item,
  workers = count_workers_of(data$pool), name = "doRoost", version = utils::packageVersion("roost"), NULL)

foreach_options <- c("seed", "retries", "timeout", "progress", "label", "export", "packages", "cpus", "memory",
                     "labels")

do_roost <- function(obj, expr, envir, data) {
  if (!inherits(obj, "foreach")) fail("%dopar% needs a foreach object, not ", describe(obj), ".")
  options <- obj$options$roost
  unknown <- setdiff(names(options), foreach_options)
  if (length(unknown)) fail(".options.roost has unknown ", paste(unknown, collapse = ", "), "; known are ",
                            paste(foreach_options, collapse = ", "), ".")
  it <- iterators::iter(obj)
  accumulate <- foreach::makeAccum(it)
  arguments <- as.list(it)
  session <- session_of(data$pool)
  outcomes <- run_iterations(session, obj, expr, envir, arguments, options)
  errors <- task_errors(outcomes)
  results <- with_errors(outcomes$values, lapply(errors, foreach_error))
  tryCatch(accumulate(results, seq_along(results)), error = function(e) {
    cat("error calling combine function:\n", file = stderr())
    print(e)
  })
  error <- foreach::getErrorValue(it)
  if (identical(obj$errorHandling, "stop") && !is.null(error)) {
    index <- foreach::getErrorIndex(it)
    raised <- simpleError(sprintf("task %d failed - \"%s\"", index, conditionMessage(error)), call = expr)
    raised$task_error <- errors[[index]]
    stop(raised)
  }
  foreach::getResult(it)
}

foreach_error <- function(error) if (is.null(error)) NULL else if (is.null(error$condition)) error else error$condition


run_iterations <- function(session, obj, expr, envir, arguments, options) {
  # The search sees the expression as a function of the arguments, made where foreach() was called.
  # Arguments without names only count: foreach(1:3), times(3).
  argnames <- unique(obj$argnames[nzchar(obj$argnames)])
  if (length(argnames) < length(obj$argnames)) arguments <- lapply(arguments, function(values) values[argnames])
  absent <- setdiff(absent_names(expr, envir), argnames)
  formals <- absent_list(argnames)
  probe <- eval(call("function", as.pairlist(formals), expr), envir)
  needs <- find_needs(list(expr = probe, X = unname(arguments)), c(obj$export, options$export), c(obj$packages, options$packages),
                      envir, setdiff(obj$noexport, obj$export))
  frame <- environment(needs$values[[1L]])
  if (isTRUE(obj$verbose)) say_exports(needs, frame, envir)
  fun <- iteration
  environment(fun) <- list2env(list(expr = expr, frame = frame, absent = absent_list(absent)), parent = baseenv())
  seed <- if (is.null(options$seed)) NULL else first_seed(options$seed)
  apply_there(session, needs$values[[2L]], fun, list(),
              policy(seed = seed, retries = or(options$retries, 0L), timeout = options$timeout,
                     label = or(options$label, "foreach"), cpus = or(options$cpus, 1), memory = options$memory,
                     labels = options$labels),
              needs, list(), isTRUE(options$progress))
}

# Runs on the worker. A %dopar% inside is sequential there, and need not warn that it is.
iteration <- function(arguments) {
  if (isNamespaceLoaded("foreach") && !foreach::getDoParRegistered()) foreach::registerDoSEQ()
  eval(expr, list2env(c(arguments, absent), parent = frame))
}
environment(iteration) <- list2env(list(expr = NULL, frame = globalenv(), absent = list()), parent = baseenv())

say_exports <- function(needs, frame, envir) {
  names <- c(if (!identical(frame, envir)) ls(frame, all.names = TRUE), names(needs$globals))
  cat("exporting ", if (length(names)) paste(unique(names), collapse = ", ") else "no variables",
      if (length(needs$packages)) c("; attaching ", paste(needs$packages, collapse = ", ")), "\n", sep = "")
}

or <- function(x, default) if (is.null(x)) default else x
