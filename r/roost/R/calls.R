# Small calls. The session keeps jobs open and appends each call to one of them, as a task or a few: no job is made and ended for
# a call.
#
#   lbapply() of few elements  ── call ───▶ the answer has their outcomes
#   async(), verbs of parallel ── append ─▶ ·    next ─▶ outcomes of whichever tasks have ended
#
# All tasks of an open job are of one kind: with seeds or without, what they leave is kept or undone, on one seat or on any worker.

calls_most <- 20000L           # tasks of one open job: the bridge keeps some bytes for each
call_elements <- 4L            # elements of an X that is sent as a call, at most
call_bytes <- 32768L           # and bytes of each task

# The session's open job of this kind. A new one is made when there is none, when it has had many tasks, or when setup has changed: its
# workers run the setup that was in force when it was made.
open_calls <- function(session, kind, keep = FALSE, seat = NULL, runner = NULL, return_seed = FALSE) {
  job <- session$calls[[kind]]
  if (!is.null(job)) {
    if (job$setup == session$setup && job$sent < calls_most) return(job)
    retire_calls(session, job)
  }
  common <- if (is.null(runner)) list(calls = TRUE) else list(fun = runner)
  if (keep) common$keep <- TRUE
  if (return_seed) common$return_seed <- TRUE
  control <- list(transient = TRUE, live = TRUE, label = kind)
  if (!is.null(seat)) control$seat <- seat
  answer <- submit(session, list(), common, control, open = TRUE)$control
  job <- new.env(parent = emptyenv())
  job$id <- answer$job
  job$brief <- answer$brief
  job$setup <- session$setup
  job$sent <- 0L               # tasks so far
  job$cursor <- 0
  job$waiting <- new.env(parent = emptyenv())   # handles that wait for their outcomes, by the task's number; NULL when it has come
  job$open <- 0L               # how many handles wait
  session$calls[[kind]] <- job
  job
}

# Called when something is wrong with the job, or waiting for it was interrupted: later calls use another job.
leave_calls <- function(session, job) {
  for (kind in names(session$calls)) if (identical(session$calls[[kind]], job)) session$calls[[kind]] <- NULL
  job$retired <- TRUE
}

# The job takes no more tasks. It is forgotten when the last task that somebody waits for has its outcome.
retire_calls <- function(session, job) {
  if (job$open > 0L) job$retired <- TRUE else send_quietly(session, c(4, job$brief))
}

# Calls `fun` with each of a few elements and waits for the outcomes. NULL when it is too large for a small call.
# `needs$globals` travel with each task.
call_there <- function(session, X, fun, args, needs, seed, bar) {
  task <- list(fun = fun, x = NULL)
  if (length(args)) task$args <- args
  if (length(needs$globals)) task$globals <- needs$globals
  blob <- stream(lapply(X, function(x) {
    if (!is.null(x)) task$x <- x
    task
  }))
  if (length(blob) > call_bytes) return(NULL)
  job <- open_calls(session, if (is.null(seed)) "calls, no seeds" else "calls")
  if (is.null(seed)) seed <- NaN
  more <- watcher(bar, first = job$sent + 1)
  job$sent <- job$sent + length(X)
  answer <- if (is.null(bar) && length(seed) == 1L) exchange(session, c(1, job$brief, seed), blob, more)
  else request(session, list(op = "call", brief = job$brief, seed = if (!is.nan(seed[1L])) seed, progress = !is.null(bar)),
               list(blob), more = more)
  if (!is.null(answer$brief)) return(list(values = unserialize(answer$blob)))
  outcomes <- read_outcomes(answer)
  # The caller's tasks are numbered from 1.
  if (length(outcomes$post_mortems)) outcomes$post_mortems$index <- outcomes$post_mortems$index - answer$control$first + 1
  outcomes
}

# Can it be a small call? It has a few elements, a function and globals, and nothing else.
is_call <- function(X, needs, policy, options)
  length(X) <= call_elements && is_plain_call(needs) && !length(options) && identical(names(policy), "seed") && is_small(X)

is_plain_call <- function(needs) !length(needs$packages) && !length(needs$namespaces) && !isTRUE(needs$s4)

# Appends a handle's task. receive_calls() puts the outcome into the handle.
append_call <- function(session, job, task, seed, handle) {
  if (length(session$lost)) drop_lost(session)
  if (is.null(seed)) seed <- NaN
  control <- if (length(seed) == 1L) c(2, job$brief, seed) else list(op = "append", brief = job$brief, seed = seed, quiet = TRUE)
  blob <- stream(list(task))
  # An interrupt may leave a task that was sent and not counted: each one behind it would get its neighbour's outcome.
  counted <- FALSE
  on.exit(if (!counted) leave_calls(session, job))
  suspendInterrupts({
    # R waits until the bridge has appended a large task: none may overtake it, since tasks are numbered as they come.
    if (length(blob) <= call_bytes) send_quietly(session, control, blob)
    else request(session, list(op = "append", brief = job$brief, seed = if (!is.nan(seed[1L])) seed), list(blob))
    job$sent <- job$sent + 1L
    job$waiting[[as.character(job$sent)]] <- handle
    job$open <- job$open + 1L
    counted <- TRUE
  })
  job$sent
}

# Cancels a task that nobody waits for any more.
cancel_call <- function(session, job, number) {
  take_handle(job, number)
  if (session$open) tryCatch(request(session, list(op = "cancel", job = job$id, tasks = number), seconds = stop_seconds),
                             error = function(e) NULL)
}

# Hands out what has come of the job's tasks, waiting up to `timeout` seconds for something.
receive_calls <- function(session, job, timeout = Inf) {
  finished <- FALSE
  former <- session$left
  on.exit({
    session$left <- former
    if (!finished) leave_calls(session, job)
  })
  # The bridge gives outcomes away: an answer that is on its way when an interrupt comes is taken nevertheless, see await_answer().
  session$left <- list(seq = session$seq + 1, take = function(answer) take_outcomes(job, answer))
  answer <- exchange(session, c(3, job$brief, job$cursor, outcomes_max, timeout), NULL, watcher(first = NA))
  n <- take_outcomes(job, answer)
  finished <- TRUE
  if (job$open == 0L && isTRUE(job$retired)) send_quietly(session, c(4, job$brief))
  n > 0L
}

# Hands out the outcomes of an answer, all of them or none; their number.
take_outcomes <- function(job, answer) suspendInterrupts({
  if (is.null(answer$brief)) {
    if (!isTRUE(answer$control$ok)) return(0L)
    index <- answer$control$index
    job$cursor <- answer$control$cursor
    outcomes <- read_outcomes(answer)
    for (i in seq_along(index)) hand_out(job, index[i], list(
      value = outcomes$values[[i]], state = outcomes$state[i], detail = outcomes$details[[i]],
      post_mortem = post_mortem(outcomes$post_mortems, index[i])), FALSE)
  } else {
    job$cursor <- answer$brief[1L]
    index <- answer$brief[-(1:2)]
    values <- unserialize(answer$blob)
    for (i in seq_along(index)) hand_out(job, index[i], list(value = values[[i]]), TRUE)
  }
  length(index)
})

# `is_plain`: the task succeeded, printed nothing and signalled nothing.
hand_out <- function(job, index, outcome, is_plain) {
  handle <- take_handle(job, index)
  if (is.null(handle)) return()
  handle$outcome <- outcome
  handle$is_plain <- is_plain
  if (!is.null(handle$arrived)) handle$arrived(outcome)
}

# The handle that waits for a task's outcome, which waits no longer.
take_handle <- function(job, number) {
  key <- as.character(number)
  handle <- job$waiting[[key]]
  if (is.null(handle)) return()
  # rm() would take ten times as long.
  job$waiting[[key]] <- NULL
  job$open <- job$open - 1L
  handle
}

# Cancels calls whose handles R has collected.
drop_lost <- function(session) {
  lost <- session$lost
  session$lost <- NULL
  for (slot in lost) if (is.null(slot$outcome)) {
    take_handle(slot$calls, slot$number)
    send_quietly(session, list(op = "cancel", job = slot$calls$id, tasks = slot$number, quiet = TRUE))
  }
}
