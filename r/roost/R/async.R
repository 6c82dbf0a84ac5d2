# Jobs that run while the session goes on. A job is an environment: its results are fetched once.
#
#   attached   ends with its session; the bridge forgets it when R has collected its handle
#   durable    is on the server's disk when async_lapply() returns; any session attaches to it, until somebody forgets it

async_lapply <- function(pool, X, FUN, ..., seed = NULL, retries = 0L, timeout = NULL, export = NULL, packages = NULL,
                         label = "", options = list(), priority = 0, cpus = 1, memory = NULL, labels = NULL,
                         durable = FALSE, .args = list()) {
  if (!inherits(pool, "roost_cluster") && !is.null(again <- protected_call(sys.call(), pool, parent.frame())))
    return(eval(again, parent.frame()))
  session <- session_of(pool)
  FUN <- match.fun(FUN)
  args <- if (...length()) tryCatch(list(...), error = identity) else list()
  if (inherits(args, "error")) {
    bound <- bind_code(FUN, args, environment(), parent.frame())
    FUN <- bound$fun
    args <- bound$args
  }
  needs <- find_needs(list(FUN = FUN, `...` = further_args(args, .args), X = as_tasks(X)), export, packages, parent.frame())
  start_job(session, needs$values[[3L]], needs$values[[1L]], needs$values[[2L]], needs, options,
            policy(seed = first_seed(seed), retries = retries, timeout = timeout, label = label, priority = priority,
                   cpus = cpus, memory = memory, labels = labels), durable)
}

async <- function(expr, pool = NULL, seed = NULL, export = NULL, packages = NULL, timeout = NULL, label = "",
                  envir = parent.frame(), durable = FALSE) {
  code <- substitute(expr)
  formals <- async_formals
  if (length(absent <- absent_names(code, envir))) formals <- as.pairlist(c(formals, absent_list(absent)))
  fun <- eval(call("function", formals, code), envir)
  session <- session_of(pool)
  needs <- find_needs(list(expr = fun), export, packages, envir)
  if (isFALSE(durable) && is.null(timeout) && identical(label, "") && is_plain_call(needs))
    return(start_call(session, needs$values[[1L]], needs, first_seed(seed)))
  start_job(session, list(NULL), needs$values[[1L]], list(), needs, list(),
            policy(seed = first_seed(seed), timeout = timeout, label = label), durable, single = TRUE)
}

# The function's argument is the task's one element, NULL. The name is one that no expression uses.
async_formals <- as.pairlist(alist(.roost_element = ))

start_job <- function(session, X, fun, args, needs, options, policy, durable = FALSE, single = FALSE) {
  if (!isTRUE(durable) && !isFALSE(durable)) fail("`durable` must be TRUE or FALSE.")
  control <- c(policy, live = TRUE, if (durable) list(durable = TRUE, single = single))
  answer <- submit(session, X, make_common(session, fun, args, needs, options), control)$control
  job <- new_job(session, answer$job, answer$n, names(X), durable = durable, number = answer$number)
  job$single <- single
  job
}

new_job <- function(session, id, n, names = NULL, durable = FALSE, number = NULL) {
  job <- new.env(parent = emptyenv())
  job$session <- session
  job$id <- id
  job$number <- if (!is.null(number)) as.integer(number)
  job$durable <- durable
  job$n <- as.integer(n)
  job$names <- names
  job$single <- FALSE
  job$outcomes <- NULL
  reg.finalizer(job, function(job) if (!isTRUE(job$forgotten)) session$garbage <- c(session$garbage, id))
  structure(job, class = "roost_job")
}

check_job <- function(job) {
  if (!inherits(job, "roost_job")) fail("`job` must be a job, made by async_lapply() or pool_attach(), not ", describe(job), ".")
  job
}

ask <- function(job, op, ..., more = NULL) {
  if (!is.null(check_job(job)$slot)) ask_call(job, op, ...)
  else request(job$session, list(op = op, job = job$id, ...), more = more)
}

forget <- function(job) {
  ask(job, "forget")
  job$forgotten <- TRUE
  invisible(NULL)
}

progress <- function(job) {
  if (!is.null(check_job(job)$outcomes)) return(structure(job$progress, class = "roost_progress"))
  structure(unlist(ask(job, "status")$control$progress), class = "roost_progress")
}

status <- function(job) {
  if (!is.null(check_job(job)$outcomes)) return("ended")
  answer <- ask(job, "status")$control
  if (isTRUE(answer$ended)) return("ended")
  now <- unlist(answer$progress)
  if (isTRUE(now[["done"]] > 0) || isTRUE(now[["running"]] > 0)) "running" else "waiting"
}

wait <- function(job, timeout = Inf, progress = interactive()) {
  if (!is.null(check_job(job)$outcomes)) return(invisible(TRUE))
  bar <- progress_bar(progress, job$n)
  ended <- FALSE
  if (!is.null(bar)) on.exit(bar$end(ended))
  answer <- ask(job, "wait", timeout = as.double(timeout), progress = !is.null(bar), more = watcher(bar))
  ended <- isTRUE(answer$control$ended)
  invisible(ended)
}

results <- function(job, partial = FALSE, simplify = FALSE, progress = interactive()) {
  if (is.null(check_job(job)$outcomes)) {
    # The quickest way to the value of a call that went well and said nothing.
    if (!is.null(slot <- job$slot) && (!is.null(slot$outcome) || await_call(job)) && slot$is_plain && isFALSE(partial))
      return(slot$outcome$value)
    fetch(job, progress)
  }
  values <- job$outcomes$values
  # Of a job whose submission broke off there are more names than tasks.
  if (length(job$names) == length(values)) names(values) <- job$names
  if (isTRUE(partial)) values <- with_errors(values, task_errors(job$outcomes)) else raise_task_errors(job$outcomes, values)
  if (job$single) return(values[[1L]])
  if (isTRUE(simplify)) simplify2array(values) else values
}

fetch <- function(job, progress) {
  bar <- progress_bar(progress, job$n)
  if (!is.null(bar)) on.exit(bar$end())
  answer <- ask(job, "collect", wait = TRUE, progress = !is.null(bar), forget = FALSE, more = watcher(bar))
  job$progress <- unlist(ask(job, "status")$control$progress)
  outcomes <- read_outcomes(answer)
  job$outcomes <- outcomes
  if (!is.null(bar)) bar$end(TRUE)
  relay(outcomes$details)
}

# The server no longer knows a job that has ended: there is nothing to cancel.
cancel_job <- function(job, ...) tryCatch(ask(job, "cancel", ...), roost_pool_error = function(e) {
  if (!identical(e$code, "notFound")) stop(e)
})

print.roost_progress <- function(x, ...) {
  cat(x[["done"]], " of ", x[["tasks"]], " tasks done", sep = "")
  rest <- unclass(x)[setdiff(names(x), c("tasks", "done", "succeeded", "nodes", "slots"))]
  rest <- rest[rest > 0]
  if (length(rest)) cat("; ", paste(rest, names(rest), collapse = ", "), sep = "")
  cat("\n")
  invisible(x)
}

pool_attach <- function(pool, id) {
  session <- session_of(pool)
  if (inherits(id, "roost_job")) {
    if (!is.null(id$slot)) return(id)
    id <- id$id
  }
  if (length(id) != 1L || is.na(id) || !(is.character(id) || is.numeric(id)))
    fail("`id` must be one job's id or number, as pool_jobs() shows them.")
  name <- if (is.character(id) && grepl("^[0-9A-Fa-f]{16}$", id)) list(job = id)
          else list(number = suppressWarnings(as.double(id)))
  if (isTRUE(is.na(name$number))) fail("'", id, "' is no job's id, 16 hexadecimal digits, and no number.")
  answer <- request(session, c(list(op = "attach"), name))$control
  job <- new_job(session, answer$job, answer$n, answer$names, durable = isTRUE(answer$durable),
                 number = answer$number)
  job$single <- isTRUE(answer$single)
  job
}

pool_jobs <- function(pool) {
  jobs <- request(session_of(pool), list(op = "jobs"))$control
  columns <- c("id", "number", "label", "durable", "state", "tasks", "succeeded", "failed", "held", "cancelled", "submitted")
  table <- as_table(jobs, columns)
  table$submitted <- as.POSIXct(as.numeric(table$submitted), origin = "1970-01-01")
  table
}

# Parallel vectors, some of which may be missing or empty.
as_table <- function(fields, columns) {
  n <- length(fields[[columns[1L]]])
  columns <- lapply(stats::setNames(nm = columns), function(name) {
    values <- fields[[name]]
    if (length(values) == n) values else rep_len(if (length(values)) values else NA, n)
  })
  as.data.frame(columns, stringsAsFactors = FALSE)
}
