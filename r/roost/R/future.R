# future: plan(roost, pool = pool). A future is a job of one task, which the pool queues.
#
#   future() ── launch_future ──▶ submit        the session's list of unresolved futures bounds the queue
#   resolved() ── has_ended ────▶ wait, 0 s     conditions that the task has signalled since are relayed
#   value() ──── fetch_result ──▶ collect       the FutureResult that the worker made, or a FutureError
#
# Small futures without rules of their own are tasks of one open job instead (see calls.R): append, and next, which brings the
# outcomes of whichever have ended.
#
# Two interfaces: a strategy function that makes futures with run(), up to future 1.39 (Debian's is 1.31), and a
# FutureBackend with launchFuture(), from 1.40 on. What differs is here and in future-payload.R; S3 methods are registered
# when package 'future' is loaded.

queue_min <- 100L              # unresolved futures that a pool takes, at least
queue_factor <- 4L             # and at least so many for each of its slots

# ---- the strategy ----

roost <- function(..., pool = NULL, workers = NULL, queue = NULL, timeout = NULL, crash_limit = 3L, priority = 0, cpus = 1,
                  memory = NULL, labels = NULL) {
  if (!is.element("future", loadedNamespaces())) fail("roost() is for plan() of package 'future': plan(roost, pool = pool).")
  # plan() tries a new strategy with this future. A pool may wait for its first node, so ask only whether it is there; and where
  # none is named, as by R_FUTURE_PLAN=roost::roost, it may be made later. On a worker, where that variable is inherited, none is.
  is_test <- identical(...elt_named("label", ...), "future-plan-test")
  if (no_pool_yet(pool) && (is_test || nzchar(Sys.getenv("ROOST_NODE")))) return(future::sequential(...))
  place <- future_place(pool, workers, queue, timeout, crash_limit, priority, cpus, memory, labels)
  if (is_test) return(future::sequential(...))
  future <- future::MultiprocessFuture(..., place = place)
  class(future) <- c("RoostFuture", class(future))
  if (!isTRUE(future$lazy)) future <- future::run(future)
  invisible(future)
}
class(roost) <- c("roost", "multiprocess", "future", "function")
attr(roost, "init") <- TRUE
attr(roost, "tweakable") <- c("pool", "workers", "queue", "timeout", "crash_limit", "priority", "cpus", "memory", "labels")

# One of the dots, without looking at the others: an expression may be among them.
...elt_named <- function(name, ...) {
  at <- match(name, names(substitute(list(...)))[-1L])
  if (!is.na(at)) ...elt(at)
}

no_pool_yet <- function(pool) is.null(pool) && (is.null(latest$session) || !latest$session$open)

# Where futures go, and under which rules.
future_place <- function(pool, workers, queue, timeout, crash_limit, priority, cpus, memory, labels) {
  session <- session_of(pool)
  check_session(session)
  whole <- function(value, name) {
    if (is.function(value)) value <- value()
    if (!is.null(value)) whole_number(value, name)
  }
  rules <- policy(timeout = timeout, crash_limit = crash_limit, priority = priority, cpus = cpus, memory = memory, labels = labels)
  if (asks_for_more(rules)) check_possible(session, rules)
  list(session = session, workers = whole(workers, "workers"), queue = whole(queue, "queue"), cpus = cpus, policy = rules)
}

RoostFutureBackend <- function(..., pool = NULL, workers = NULL, queue = NULL, timeout = NULL, crash_limit = 3L, priority = 0,
                               cpus = 1, memory = NULL, labels = NULL) {
  # On a worker, where R_FUTURE_PLAN=roost::roost is inherited, there is no pool.
  if (no_pool_yet(pool) && nzchar(Sys.getenv("ROOST_NODE"))) return(getExportedValue("future", "SequentialFutureBackend")(...))
  find <- function() future_place(pool, workers, queue, timeout, crash_limit, priority, cpus, memory, labels)
  place <- if (!no_pool_yet(pool)) find()
  make <- getExportedValue("future", "MultiprocessFutureBackend")
  backend <- make(..., place = place, workers = place$workers, reg = paste0("roost-", place$session$port))
  backend[["find_place"]] <- find
  backend[["futureClasses"]] <- c("RoostFuture", backend[["futureClasses"]])
  class(backend) <- c("RoostFutureBackend", class(backend))
  backend
}

# The place to which a backend's futures go. It is found when the first one is launched: a backend may be made before its pool.
place_of_backend <- function(backend) {
  if (is.null(backend[["place"]])) backend[["place"]] <- backend[["find_place"]]()
  backend[["place"]]
}

attr(roost, "factory") <- RoostFutureBackend

# ---- launching ----

run_roost_future <- function(future, ...) {
  if (future[["state"]] != "created")
    stop(future::FutureError(paste0("A future (", label_of(future), ") can only be launched once."), future = future))
  launch_future(future, future[["place"]])
}

launch_on_backend <- function(backend, future, ...) {
  future <- launch_future(future, place_of_backend(backend))
  add_count(backend, "launched")
  future
}

launch_future <- function(future, place) {
  session <- place$session
  future[["place"]] <- place
  payload <- future_payload(future)
  make_room(place)
  session$launched <- c(session$launched, 0)[1L] + 1
  future[["launched"]] <- format(session$launched, scientific = FALSE)
  future[["job"]] <- tell_as_future_error(future, if (is_small_future(future, place, payload)) call_future(future, session, payload)
                                                  else submit_future(future, place, payload))
  future[["state"]] <- "running"
  assign(future[["launched"]], future, envir = futures_of(session))
  invisible(future)
}

submit_future <- function(future, place, payload) {
  session <- place$session
  rules <- c(place$policy, list(live = relays_live(future)))
  rules$label <- if (is.null(future[["label"]])) "future" else as.character(future[["label"]])
  common <- make_common(session, run_future, list(shared = payload$shared))
  answer <- submit(session, list(payload$task), common, rules)$control
  new_job(session, answer$job, answer$n)
}

small_bytes <- 20000           # of a small future's globals, in memory

is_small_future <- function(future, place, payload)
  !(is.null(payload$task$template) && is.null(payload$task$data)) && !length(payload$shared) && is.null(future[["label"]]) &&
    length(unlist(place$policy)) == 0L && relays_live(future) && isTRUE(globals_bytes(future) <= small_bytes)

# From 1.70 on, package 'future' measures globals only where a limit is set.
globals_bytes <- function(future) {
  size <- attr(future[["globals"]], "total_size")
  if (!is_modern() || isTRUE(is.finite(size))) return(size)
  getExportedValue("parallelly", "serializedSize")(plain_list(future[["globals"]]))
}

# Such a future has this in place of a job.
call_future <- function(future, session, payload) {
  handle <- new.env(parent = emptyenv())
  handle$session <- session
  handle$ended <- FALSE
  handle$arrived <- function(outcome) {
    handle$ended <- TRUE
    strike_off(future)
  }
  handle$calls <- open_calls(session, "future", runner = run_future)
  handle$number <- append_call(session, handle$calls, payload$task, NaN, handle)
  handle
}

# Takes the outcomes that have come, for up to `timeout` seconds; TRUE when the future's is among them.
receive_future <- function(handle, timeout = Inf) {
  end <- proc.time()[[3L]] + timeout
  repeat {
    # A condition's handler may ask meanwhile and take the outcome: so wait for a while only, then look again.
    if (!handle$ended) receive_calls(handle$session, handle$calls, min(1, max(0, end - proc.time()[[3L]])))
    if (handle$ended || proc.time()[[3L]] >= end) return(handle$ended)
  }
}

# A pool has a queue, so that a node that joins later finds work and a slot that becomes free has its next task at hand:
# launching waits only so that the queue does not grow without end.
make_room <- function(place) {
  session <- place$session
  if (length(futures_of(session)) < queue_min && is.null(place$queue)) return()
  most <- if (is.null(place$queue)) max(queue_min, queue_factor * count_workers(place)) else place$queue
  pause <- 0.01
  while (length(futures_of(session)) >= most && length(unresolved(session, most)) >= most) {
    Sys.sleep(pause)
    pause <- min(0.5, pause * 1.5)
  }
}

# The session's futures that have not ended, as far as is known: an environment, by the numbers of their launches.
futures_of <- function(session) {
  if (!is.environment(session$futures)) session$futures <- new.env(parent = emptyenv())
  session$futures
}

# The session's futures that have not ended, in the order of their launches.
list_futures <- function(session) {
  keys <- ls(futures_of(session), sorted = FALSE)
  mget(keys[order(as.double(keys))], envir = session$futures)
}

# Asks the pool which futures have ended, the oldest first, since they most likely have. It stops when fewer than `most` are left.
unresolved <- function(session, most = 0) {
  for (future in list_futures(session)) {
    if (length(session$futures) < most) break
    tryCatch(has_ended(future), FutureError = function(e) strike_off(future))
  }
  session$futures
}

strike_off <- function(future) {
  futures <- futures_of(future[["job"]]$session)
  key <- future[["launched"]]
  if (exists(key, envir = futures, inherits = FALSE)) rm(list = key, envir = futures)
}

count_workers <- function(place) {
  if (!is.null(place$workers)) return(place$workers)
  max(1, floor(count_slots(place$session) / max(1, place$cpus)))
}

slots_seconds <- 0.5           # the number of a pool's slots is asked for anew after so long

count_slots <- function(session) {
  if (is_embedded(session)) return(session$facts$slots)
  now <- proc.time()[[3L]]
  if (is.null(session$slots) || now - session$slots$at > slots_seconds) {
    nodes <- request(session, list(op = "nodes"))$control
    session$slots <- list(n = sum(nodes$slots[nodes$state == "connected"]), at = now)
  }
  session$slots$n
}

count_free_workers <- function(place) max(0, count_workers(place) - length(unresolved(place$session)))

# ---- asking ----

resolved_roost_future <- function(x, run = TRUE, timeout = 0, ...) {
  if (x[["state"]] == "created") {
    if (!isFALSE(run)) future::run(x)
    return(FALSE)
  }
  if (is.null(x[["result"]]) && !x[["state"]] %in% over && !has_ended(x, if (is.null(timeout)) 0 else timeout)) return(FALSE)
  if (isTRUE(x[["earlySignal"]])) NextMethod()
  TRUE
}

over <- c("finished", "failed", "interrupted", "canceled")

# Has its job ended? Relays the conditions that its task signalled.
has_ended <- function(future, timeout = 0) {
  job <- future[["job"]]
  if (isTRUE(job$ended)) return(TRUE)
  if (!is.null(job$calls)) return(tell_as_future_error(future, receive_future(job, as.double(timeout))))
  answer <- tell_as_future_error(future, ask(job, "wait", timeout = as.double(timeout), more = watcher()))
  job$ended <- isTRUE(answer$control$ended)
  if (job$ended) strike_off(future)
  job$ended
}

result_roost_future <- function(future, ...) {
  if (future[["state"]] == "created") future <- future::run(future)
  if (is.null(future[["result"]])) fetch_result(future)
  result <- future[["result"]]
  if (inherits(result, "FutureError")) stop(result)
  result
}

fetch_result <- function(future) {
  if (future[["state"]] == "canceled") return(settle(future, future_error(future, "canceled", "was cancelled")))
  outcome <- tell_as_future_error(future, future_outcome(future[["job"]]))
  strike_off(future)
  add_count(future[["backend"]], "finished")
  if (!is.null(outcome$error)) return(settle(future, error_of_task(future, outcome$error)))
  result <- outcome$value
  if (inherits(result, "FutureResult")) {
    future[["result"]] <- result
    future[["state"]] <- "finished"
  } else if (inherits(result, "FutureError")) settle(future, result)
  else settle(future, future_error(future, "failed", paste0("gave ", describe(result), " instead of a FutureResult")))
}

# list(value, error), once there is one.
future_outcome <- function(job) {
  if (!is.null(job$calls)) {
    receive_future(job)
    outcome <- job$outcome
    failed <- !is.null(outcome$state) && outcome$state != 0L
    return(list(value = outcome$value, error = if (failed)
      task_error(job$number, state_names[outcome$state + 1L], outcome$detail, outcome$post_mortem)))
  }
  outcomes <- read_outcomes(ask(job, "collect", wait = TRUE, progress = FALSE, forget = TRUE, more = watcher()))
  job$forgotten <- TRUE
  job$ended <- TRUE
  list(value = outcomes$values[[1L]], error = task_errors(outcomes, 1L)[[1L]])
}

settle <- function(future, error) {
  future[["result"]] <- error
  if (!future[["state"]] %in% c("canceled", "interrupted")) future[["state"]] <- "failed"
  error
}

# ---- conditions ----

# Does the worker send conditions of class immediateCondition while the future runs? Package 'future' notes there what was
# signalled at once, and does not signal it again.
relays_live <- function(future) {
  classes <- future[["conditions"]]
  immediate <- if (is.null(attr(classes, "immediateConditionClasses"))) getOption("future.relay.immediate", "immediateCondition")
  else attr(classes, "immediateConditionClasses")
  length(classes) > 0L && "immediateCondition" %in% immediate && all(immediate %in% c("immediateCondition", "progression"))
}

# ---- errors ----

label_of <- function(future) if (is.null(future[["label"]])) "<none>" else sQuote(future[["label"]], FALSE)

# What went wrong with the pool, as users of futures expect it.
tell_as_future_error <- function(future, expr) tryCatch(expr, roost_error = function(e) {
  error <- future_error(future, "failed", paste0("is lost: ", conditionMessage(e)))
  error$task_error <- e
  stop(settle(future, error))
})

future_error <- function(future, state, text) {
  kind <- switch(state, canceled = "FutureCanceledError", interrupted = "FutureInterruptError", "FutureError")
  make <- if (kind %in% getNamespaceExports("future")) getExportedValue("future", kind) else future::FutureError
  future[["state"]] <- state
  make(paste0("The future (", label_of(future), ") ", text), future = future)
}

# The worker did not make a FutureResult: the post-mortem says why.
error_of_task <- function(future, error) {
  post <- error$post_mortem
  limit <- future[["place"]]$policy$timeout
  where <- if (known(post$node)) paste0(" on node ", post$node)
  made <- if (error$state == "cancelled") future_error(future, "canceled", "was cancelled")
  else if (is.null(error$condition)) future_error(future, "interrupted", paste0("has no result", where, ": ", death(post)))
  else if (inherits(error$condition, "roost_interrupted")) future_error(future, "interrupted", paste0(
    "was interrupted", where, if (!is.null(limit)) paste0(", where it may take ", limit, " s")))
  else future_error(future, "failed", paste0("could not be evaluated", where, ": ", first_words(error$condition)))
  made$task_error <- error
  made
}

# ---- the newer interface ----

list_on_backend <- function(backend, ...) {
  futures <- if (is.null(backend[["place"]])) list() else unname(list_futures(backend[["place"]]$session))
  table <- data.frame(
    counter = vapply(futures, function(future) suppressWarnings(as.integer(future[["uuid"]][2L])), 0L),
    start = vapply(futures, function(future) as.double(c(future[["start"]], NA)[1L]), 0),
    label = vapply(futures, function(future) as.character(c(future[["label"]], NA)[1L]), ""),
    resolved = vapply(futures, function(future) tryCatch(has_ended(future), FutureError = function(e) TRUE), NA))
  table$future <- lapply(futures, list)
  table
}

interrupt_on_backend <- function(backend, future, ...) {
  if (isTRUE(backend[["interrupts"]])) interrupt_future(future)
  future
}

# An interrupt first, which lets the worker live; the node kills it when the task does not heed.
interrupt_future <- function(future) {
  if (!future[["state"]] %in% "running" || !is.null(future[["result"]])) return(future)
  job <- future[["job"]]
  tell_as_future_error(future, if (is.null(job$calls)) cancel_job(job) else cancel_call(job$session, job$calls, job$number))
  strike_off(future)
  future[["state"]] <- "interrupted"
  future
}

# cancel() of this package, given a future.
cancel_future <- function(future, ...) {
  if ("cancel" %in% getNamespaceExports("future")) return(getExportedValue("future", "cancel")(future, ...))
  if (inherits(future, "RoostFuture") && interrupt_future(future)[["state"]] == "interrupted") future[["state"]] <- "canceled"
  invisible(future)
}

# The pool is the user's: it stays.
stop_on_backend <- function(backend, interrupt = TRUE, ...) {
  session <- backend[["place"]]$session
  if (is.null(session)) return(TRUE)
  if (interrupt && session$open) for (future in list_futures(session)) cancel_future(future)
  session$futures <- NULL
  TRUE
}

add_count <- function(backend, what) {
  counts <- backend[["counters"]]
  if (what %in% names(counts)) {
    counts[what] <- counts[what] + 1L
    backend[["counters"]] <- counts
  }
}

# ---- registering ----

loaded <- new.env(parent = emptyenv())

is_modern <- function() {
  if (is.null(loaded$is_modern)) loaded$is_modern <- numeric_version(getNamespaceVersion("future")) >= "1.40.0"
  loaded$is_modern
}

register_future <- function(...) {
  future <- asNamespace("future")
  method <- function(generic, class, fun)
    if (exists(generic, envir = future, mode = "function")) registerS3method(generic, class, fun, envir = future)
  method("resolved", "RoostFuture", resolved_roost_future)
  method("result", "RoostFuture", result_roost_future)
  method("cancel", "roost_job", function(x, ...) cancel(x, ...))
  if (is_modern()) {
    method("launchFuture", "RoostFutureBackend", launch_on_backend)
    method("listFutures", "RoostFutureBackend", list_on_backend)
    method("interruptFuture", "RoostFutureBackend", interrupt_on_backend)
    method("stopWorkers", "RoostFutureBackend", stop_on_backend)
    method("nbrOfWorkers", "RoostFutureBackend", function(evaluator) count_backend(evaluator, count_workers))
    method("nbrOfFreeWorkers", "RoostFutureBackend", function(evaluator, background = FALSE, ...)
      count_backend(evaluator, count_free_workers))
  } else {
    method("run", "RoostFuture", run_roost_future)
    method("getExpression", "RoostFuture", expression_of_future)
    method("nbrOfWorkers", "roost", function(evaluator) count_strategy(evaluator, count_workers))
    method("nbrOfFreeWorkers", "roost", function(evaluator, background = FALSE, ...)
      count_strategy(evaluator, count_free_workers))
  }
}

# One before there is a pool, so that plan() works.
count_backend <- function(backend, count)
  if (is.null(backend[["place"]]) && no_pool_yet(NULL)) 1L else count(place_of_backend(backend))

count_strategy <- function(strategy, count)
  if (no_pool_yet(formals(strategy)$pool)) 1L else count(place_of_strategy(strategy))

place_of_strategy <- function(strategy) {
  given <- formals(strategy)
  names <- setdiff(names(formals(future_place)), "")
  settings <- lapply(stats::setNames(nm = names), function(name) {
    value <- if (name %in% names(given)) given[[name]] else formals(roost)[[name]]
    if (is.call(value)) eval(value, baseenv()) else value
  })
  do.call(future_place, settings)
}
