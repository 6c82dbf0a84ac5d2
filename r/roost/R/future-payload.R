# What of a future travels to the worker, and what the worker does with it. The worker needs package 'future', not this one.
#
#   task      up to future 1.39: list(template, expr, seed, globals); from 1.40 on: list(data)
#   template  up to 1.39, package 'future' makes an expression of some 30 kB of each future's own. All but the latter is the same
#             from future to future: it goes to each worker once, as setup, and there takes the expression and the seed
#   shared    large plain globals: common data of the job, which futures that have the same ones share

shared_bytes <- 65536          # globals from this size on
templates_max <- 16L           # of a session; further kinds of futures travel as whole expressions

future_payload <- function(future) {
  if (is_modern()) {
    data <- utils::getFromNamespace("getFutureData", "future")(future, mc.cores = 1L)
    split <- split_globals(data$core$globals)
    data$core$globals <- split$globals
    data$context$strategiesR <- worker_plans(data$context$strategiesR)
    data$context$backendPackages <- setdiff(data$context$backendPackages, "roost")
    return(list(task = list(data = data), shared = split$shared))
  }
  split <- split_globals(plain_list(future[["globals"]]))
  task <- template_task(future, future[["place"]]$session)
  if (is.null(task)) task <- list(expr = future::getExpression(future))
  task$globals <- split$globals
  list(task = task, shared = split$shared)
}

# Without class and attributes but names.
plain_list <- function(globals) {
  names <- names(globals)
  attributes(globals) <- NULL
  names(globals) <- names
  globals
}

# Names of future.apply's chunks begin with "...": these differ from future to future.
split_globals <- function(globals) {
  is_shared <- vapply(globals, is_large, NA, USE.NAMES = FALSE) & !startsWith(as.character(names(globals)), "...")
  names <- names(globals)[is_shared]
  shared <- lapply(stats::setNames(nm = names), function(name) globals[[name]])
  for (name in names) globals[name] <- list(NULL)
  list(globals = globals, shared = shared)
}

is_large <- function(x) {
  if (is.function(x) || (is.atomic(x) && !is.character(x) && length(x) < shared_bytes / 16)) return(FALSE)
  is_plain(x) && utils::object.size(x) >= shared_bytes
}

# Without environments, which would be torn in two.
is_plain <- function(x) is.atomic(x) || (is.list(x) && all(vapply(unclass(x), is.atomic, NA)))

# ---- on the worker ----

# Leaves its global environment as it was, whatever the future assigned there.
run_future <- function(task, shared = list()) {
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
    expr <- task$expr
    if (!is.null(task$template)) {
      held <- getOption("roost.futures")[[task$template]]
      expr <- held$expr
      expr[[held$at]] <- task$expr
      if (!is.null(task$seed)) expr[[held$seed_at]] <- task$seed
    }
    return(eval(expr, new.env(parent = home)))
  }
  data <- task$data
  data$core$globals <- restore_globals(data$core$globals)
  get("evalFuture", envir = asNamespace("future"), mode = "function")(data)
}
environment(run_future) <- globalenv()

# ---- templates ----

# The task of a future whose template the session's workers have, or get now; NULL when it has to travel whole.
template_task <- function(future, session) {
  id <- template_id(future, session)
  if (is.null(id)) return(NULL)
  expr <- future[["expr"]]
  list(template = id, expr = if (is.null(expr)) quote((NULL)) else expr, seed = if (is.numeric(future[["seed"]])) future[["seed"]])
}

# What getExpression() looks at, but for the expression and the seed.
template_key <- function(future) {
  all <- .Options
  list(future[["stdout"]], future[["conditions"]], future[["split"]], future[["packages"]], future[["local"]], future[["version"]],
       is.numeric(future[["seed"]]), class(future), future::plan("list"), all[startsWith(names(all), "future.")], getOption("width"))
}

template_id <- function(future, session) {
  key <- template_key(future)
  for (held in session$templates) if (identical(held$key, key)) return(held$id)
  if (length(session$templates) >= templates_max) return(NULL)
  template <- make_template(future)
  id <- if (!is.null(template)) paste0("t", length(session$templates) + 1L)
  if (!is.null(id)) {
    exported <- session$exported
    set_up(session, list(kind = "eval", expr = hold_template(id, template)))
    session$exported <- exported     # setup of ours changes no variable
  }
  session$templates <- c(list(list(key = key, id = id)), session$templates)
  id
}

hold_template <- function(id, template) as.call(list(function(id, template) {
  held <- as.list(getOption("roost.futures"))
  held[[id]] <- template
  options(roost.futures = held)
}, id, as.call(list(quote(quote), template))))

# list(expr, at, seed_at); NULL when the places are not found.
make_template <- function(future) {
  model <- structure(list2env(as.list(future, all.names = TRUE)), class = class(future))
  model[["expr"]] <- place_of_expr <- quote(.roost_future_expression)
  if (is.numeric(model[["seed"]])) model[["seed"]] <- place_of_seed <- c(10407L, -(1:6)) else place_of_seed <- NULL
  expr <- future::getExpression(model)
  at <- places_in(expr, place_of_expr)
  seed_at <- if (!is.null(place_of_seed)) places_in(expr, place_of_seed)
  if (length(at) != 1L || length(seed_at) != length(model[["seed"]]) %/% 7L) return(NULL)
  list(expr = expr, at = at[[1L]], seed_at = if (length(seed_at)) seed_at[[1L]])
}

# Paths for [[, to all parts that are identical with `what`.
places_in <- function(expr, what, path = integer()) {
  if (identical(expr, what)) return(list(path))
  if (!is.call(expr)) return(list())
  unlist(lapply(seq_along(expr), function(i) if (is_missing_part(expr, i)) list() else places_in(expr[[i]], what, c(path, i))),
         recursive = FALSE)
}

is_missing_part <- function(expr, i) identical(expr[[i]], quote(expr = ))

# Up to 1.39: the future as an expression. The plan that it restores at its end is the worker's, not ours with the pool in it.
expression_of_future <- function(future, expr = future[["expr"]], immediateConditions = relays_live(future), mc.cores = 1L, ...) {
  made <- NextMethod(expr = expr, mc.cores = mc.cores, immediateConditions = immediateConditions)
  forget_plan(made)
}

forget_plan <- function(expr) {
  if (is.call(expr)) for (i in seq_along(expr)) {
    if (is_missing_part(expr, i)) next
    part <- expr[[i]]
    if (inherits(part, "FutureStrategyList")) expr[[i]] <- quote(future::sequential)
    else if (is_version_check(part)) expr[i] <- list(NULL)
    else if (is.list(part) && length(part) && all(vapply(part, inherits, NA, "future"))) expr[[i]] <- worker_plans(part)
    else if (is.call(part)) expr[[i]] <- forget_plan(part)
  }
  expr
}

# base::local({ has_future <- …; … }): whether package 'future' is there, which the next line needs anyway. It takes a worker
# a fifth of what it does for a small future.
is_version_check <- function(part)
  is.call(part) && identical(part[[1L]], quote(base::local)) && length(part) == 2L && is.call(part[[2L]]) &&
  length(part[[2L]]) > 1L && identical(part[[2L]][[2L]][1:2], quote(has_future <- 1)[1:2])

# Plans for futures that a future makes: a list, or, where none is left, one function. A pool cannot be used on a worker: there
# they are sequential.
worker_plans <- function(plans) {
  if (!is.list(plans)) return(if (inherits(plans, "roost")) sequential_plan() else plans)
  for (i in seq_along(plans)) if (inherits(plans[[i]], "roost")) plans[[i]] <- sequential_plan()
  plans
}

sequential_plan <- function() {
  plan <- getExportedValue("future", "sequential")
  if (!inherits(plan, "FutureStrategy")) class(plan) <- c("FutureStrategy", class(plan))
  plan
}
