# async() without timeout, label and durable is a small call: a task of one of the session's open jobs (calls.R). Its handle looks like
# a job of one task. It has a slot, into which the outcome is put when it comes.

start_call <- function(session, fun, needs, seed) {
  task <- list(fun = fun)
  if (length(needs$globals)) task$globals <- needs$globals
  slot <- new.env(parent = emptyenv())
  slot$calls <- calls <- open_calls(session, if (is.null(seed)) "async, no seeds" else "async")
  slot$number <- append_call(session, calls, task, seed, slot)
  job <- new.env(parent = emptyenv())
  job$session <- session
  job$slot <- slot
  job$durable <- FALSE
  job$n <- 1L
  job$single <- TRUE
  reg.finalizer(job, abandon_call)
  class(job) <- "roost_job"
  job
}

# As people see it.
call_id <- function(job) paste0(job$slot$calls$id, "/", job$slot$number)

# R has collected the handle: nobody can ask for the outcome any more.
abandon_call <- function(job) if (is.null(job$slot$outcome)) job$session$lost <- c(job$session$lost, list(job$slot))

# Waits for the outcome; TRUE when it is there.
await_call <- function(job, timeout = Inf) {
  slot <- job$slot
  if (is.null(slot$outcome) && timeout == Inf) {
    while (is.null(slot$outcome)) receive_calls(job$session, slot$calls)
    return(TRUE)
  }
  end <- proc.time()[[3L]] + timeout
  repeat {
    if (!is.null(slot$outcome)) return(TRUE)
    left <- end - proc.time()[[3L]]
    receive_calls(job$session, slot$calls, max(0, left))
    if (left <= 0) return(!is.null(slot$outcome))
  }
}

# Answers ask() for a call as the bridge answers for a job of one task.
ask_call <- function(job, op, ..., timeout = Inf, kill = FALSE) switch(op,
  status = list(control = list(ended = await_call(job, 0), progress = call_progress(job))),
  wait = list(control = list(ended = await_call(job, timeout), progress = call_progress(job))),
  collect = , `next` = {
    if (await_call(job, timeout)) list(control = call_outcomes(job)) else list(control = list(cursor = 0, ended = FALSE))
  },
  cancel = request(job$session, list(op = "cancel", job = job$slot$calls$id, tasks = job$slot$number, kill = kill)),
  forget = if (is.null(job$slot$outcome)) cancel_call(job$session, job$slot$calls, job$slot$number),
  fail("A call of async() has no '", op, "'."))

call_outcomes <- function(job) {
  outcome <- job$slot$outcome
  list(values = list(outcome$value), state = outcome$state, index = 1L, cursor = 1, ended = TRUE,
       details = if (!is.null(outcome$detail)) list(index = 1L, values = list(outcome$detail)),
       post_mortems = if (!is.null(outcome$post_mortem)) c(list(index = 1L), outcome$post_mortem[names(outcome$post_mortem) != "index"]))
}

call_progress <- function(job) {
  done <- !is.null(job$slot$outcome)
  state <- if (done) c(job$slot$outcome$state, 0L)[1L]
  lane <- if (!done) unlist(request(job$session, list(op = "status", job = job$slot$calls$id))$control$progress)
  # Tasks begin in the order of their numbers.
  before <- if (!done) sum(!vapply(mget(as.character(seq_len(job$slot$number - 1L)), job$slot$calls$waiting, ifnotfound = list(NULL)),
                                   is.null, NA))
  progress <- c(tasks = 1, done = done, succeeded = done && state == 0L, failed = done && state == 1L,
                cancelled = done && state == 2L, held = done && state == 3L, running = !done && lane[["running"]] > before,
                lost = 0, retried = 0)
  progress
}
