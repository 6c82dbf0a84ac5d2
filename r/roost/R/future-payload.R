# What of a future travels to the worker, and what the worker does with it. The worker needs package 'future', not this one.
#
#   task    list(expr, globals) up to future 1.39; list(data) from 1.40 on
#   shared  large plain globals: common data of the job, which futures that have the same ones share

shared_bytes <- 65536          # globals from this size on

future_payload <- function(future) {
  if (is_modern()) {
    data <- utils::getFromNamespace("getFutureData", "future")(future, mc.cores = 1L)
    split <- split_globals(data$core$globals)
    data$core$globals <- split$globals
    return(list(task = list(data = data), shared = split$shared))
  }
  globals <- future[["globals"]]
  split <- split_globals(stats::setNames(lapply(names(globals), function(name) globals[[name]]), names(globals)))
  list(task = list(expr = future::getExpression(future), globals = split$globals), shared = split$shared)
}

# Names of future.apply's chunks begin with "...": these differ from future to future.
split_globals <- function(globals) {
  is_shared <- vapply(seq_along(globals), function(i)
    !startsWith(names(globals)[i], "...") && is_plain(globals[[i]]) && utils::object.size(globals[[i]]) >= shared_bytes, NA)
  names <- names(globals)[is_shared]
  shared <- lapply(stats::setNames(nm = names), function(name) globals[[name]])
  for (name in names) globals[name] <- list(NULL)
  list(globals = globals, shared = shared)
}

# Without environments, which would be torn in two.
is_plain <- function(x) is.atomic(x) || (is.list(x) && all(vapply(unclass(x), is.atomic, NA)))

# Runs on the worker. Leaves its global environment as it was, whatever the future assigned there.
run_future <- function(task, shared) {
  home <- globalenv()
  restore_globals <- function(globals) { for (name in names(shared)) globals[name] <- shared[name]; globals }
  before <- ls(home, all.names = TRUE)
  globals <- if (is.null(task$data)) restore_globals(task$globals)
  former <- mget(intersect(as.character(names(globals)), before), envir = home)
  on.exit({
    rm(list = setdiff(ls(home, all.names = TRUE), c(before, ".Random.seed")), envir = home)
    for (name in names(former)) assign(name, former[[name]], envir = home)
  })
  if (is.null(task$data)) {
    for (name in names(globals)) assign(name, globals[[name]], envir = home)
    return(eval(task$expr, new.env(parent = home)))
  }
  data <- task$data
  data$core$globals <- restore_globals(data$core$globals)
  get("evalFuture", envir = asNamespace("future"), mode = "function")(data)
}
environment(run_future) <- globalenv()

# Up to 1.39: the future as an expression. The plan that it restores at its end is the worker's, not ours with the pool in it.
expression_of_future <- function(future, expr = future[["expr"]], immediateConditions = relays_live(future), mc.cores = 1L, ...) {
  made <- NextMethod(expr = expr, mc.cores = mc.cores, immediateConditions = immediateConditions)
  forget_plan(made)
}

forget_plan <- function(expr) {
  if (is.call(expr)) for (i in seq_along(expr)) {
    part <- expr[[i]]
    if (missing(part)) next
    if (inherits(part, "FutureStrategyList")) expr[[i]] <- quote(future::sequential)
    else if (is.call(part)) expr[[i]] <- forget_plan(part)
  }
  expr
}
