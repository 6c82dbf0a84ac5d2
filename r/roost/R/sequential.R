# lbapply(NULL, …): the sequential reference. Same numbers, same conditions, in this process.

apply_here <- function(X, fun, args, seed, packages, options) {
  for (package in packages) library(package, character.only = TRUE)
  former_options <- base::options(options)
  former <- generator_state()
  kinds <- RNGkind()
  on.exit({
    base::options(former_options)
    if (!is.null(seed)) restore_generator(former, kinds)
  })
  seed <- full_seed(seed)
  n <- length(X)
  values <- vector("list", n)
  details <- vector("list", n)
  for (i in seq_len(n)) {
    if (!is.null(seed)) assign(".Random.seed", seed, envir = globalenv())
    done <- run_here(fun, X[[i]], args)
    if (!is.null(seed)) seed <- parallel::nextRNGStream(seed)
    values[i] <- list(done$value)
    details[[i]] <- done$detail
    relay_one(done$detail, i)
  }
  failed <- vapply(details, function(detail) !is.null(detail$error), NA)
  list(values = values, state = if (any(failed)) as.integer(failed), details = details)
}

run_here <- function(fun, x, args) {
  calls <- NULL
  depth <- 0L
  warnings <- messages <- list()
  value <- tryCatch(
    withCallingHandlers({
      depth <- (function() sys.nframe() + 2L)()
      call_task(fun, x, args)
    }, error = function(e) {
      all <- sys.calls()
      inner <- all[seq_along(all) > depth & seq_along(all) < length(all) - 1L]
      calls <<- vapply(inner, function(call) paste(deparse(call, nlines = 1L), collapse = ""), "")
    }, warning = function(w) {
      level <- getOption("warn")
      if (isTRUE(level >= 2)) return()
      if (!isTRUE(level < 0)) warnings[[length(warnings) + 1L]] <<- w
      invokeRestart("muffleWarning")
    }, message = function(m) {
      if (inherits(m, "immediateCondition")) return()
      messages[[length(messages) + 1L]] <<- m
      invokeRestart("muffleMessage")
    }),
    error = function(e) structure(list(e), class = "roost_failed"))
  failed <- inherits(value, "roost_failed")
  list(value = if (!failed) value, detail = list(error = if (failed) value[[1L]], calls = calls, warnings = warnings,
                                                 messages = messages))
}

# The call looks as on a worker, and in lapply(): FUN(X[[i]], ...).
call_task <- function(fun, x, args) {
  FUN <- fun
  X <- list(x)
  i <- 1L
  run <- function(...) forceAndCall(1, FUN, X[[i]], ...)
  environment(run) <- list2env(list(FUN = FUN, X = X, i = i), parent = globalenv())
  do.call(run, args, quote = TRUE)
}
