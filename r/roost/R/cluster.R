# The pool as a cluster of package parallel: what its verbs send to a seat becomes a task of an open job.
#
#   clusterApply, parLapply, … ─ sendData(seat) ─▶ append a task     recvData(seat), recvOneData(cluster) ◀─ next outcome
#   clusterExport, clusterEvalQ, clusterCall ────▶ a setup entry, then (but for exports) a task per seat, on its own worker
#   clusterSetRNGStream ─────────────────────────▶ the seat's state, kept here; it goes with the seat's tasks and comes back

sendData_roost_seat <- function(node, data) {
  session <- node$session
  check_session(session)
  if (!identical(data$type, "EXEC")) return(invisible())
  verb <- calling_verb()
  abandon_dead_calls(session)
  work <- data$data
  state <- stream_assigned(work)
  if (!is.null(state)) assign_stream(session, node$seat, state, work$tag)
  else if (identical(verb$name, "clusterCall") && length(verb$env$cl) == session$size) broadcast(session, node$seat, work, verb)
  else {
    is_spread <- isTRUE(verb$name %in% spread_verbs)
    if (is_spread && length(session$killed)) tell_killed(node)
    send_task(session, node$seat, work, verb, bound = !is_spread)
  }
  invisible()
}

# Verbs whose tasks any worker may run; what others send to a seat runs on its own.
spread_verbs <- c("staticClusterApply", "dynamicClusterApply")

recvData_roost_seat <- function(node) {
  session <- node$session
  check_session(session)
  while (!length(session$arrived[[seat_key(node$seat)]])) receive_outcomes(session, node$seat)
  take_arrived(session, node$seat)
}

recvOneData_roost_cluster <- function(cl) {
  session <- session_of(cl)
  check_session(session)
  seats <- vapply(cl, function(node) node$seat, 0L)
  repeat {
    ready <- which(vapply(seats, function(seat) length(session$arrived[[seat_key(seat)]]) > 0L, NA))
    if (length(ready)) break
    receive_outcomes(session, seats)
  }
  list(node = ready[1L], value = take_arrived(session, seats[ready[1L]]))
}

closeNode_roost_seat <- function(node) invisible()

seat_key <- function(seat) as.character(seat)

take_arrived <- function(session, seat) {
  key <- seat_key(seat)
  message <- session$arrived[[key]][[1L]]
  session$arrived[[key]] <- session$arrived[[key]][-1L]
  message
}

arrive <- function(session, seat, value, success = TRUE, tag = NULL) {
  key <- seat_key(seat)
  time <- structure(c(0, 0, 0, 0, 0), names = c("user.self", "sys.self", "elapsed", "user.child", "sys.child"),
                    class = "proc_time")
  message <- list(type = "VALUE", value = value, success = success, time = time, tag = tag)
  session$arrived[[key]] <- c(session$arrived[[key]], list(message))
}

# ---- the open job ----

# What a worker runs for a seat: list(fun, args, seed, id). `id`: the value of a broadcast is wanted, which setup has
# computed; with a seed it is computed anew if it drew random numbers.
seat_task <- function(x) {
  if (!is.null(x$id)) {
    held <- getOption("roost.broadcast")
    if (identical(held$id, x$id) && (is.null(x$seed) || !held$drew)) {
      if (inherits(held$error, "condition")) stop(held$error)
      return(held$value)
    }
  }
  if (!is.null(x$seed)) assign(".Random.seed", x$seed, envir = globalenv())
  do.call(x$fun, x$args, quote = TRUE)
}

send_task <- function(session, seat, work, verb, id = NULL, bound = FALSE) {
  seed <- task_state(session, seat, work$tag, verb)
  x <- list(list(fun = work$fun, args = work$args, seed = seed, id = id))
  if (bound) {
    job <- new_cluster_job(session, seeded = !is.null(seed), x, seat)
    session$served <- union(session$served, seat)
  } else {
    job <- open_job(session, seeded = !is.null(seed))
    request(session, list(op = "append", job = job$id), list(stream(x)))
  }
  job$sent <- job$sent + 1L
  job$outstanding[[as.character(job$sent)]] <- list(seat = seat, tag = work$tag, verb = verb$env,
                                                    keep = !is.null(seed) && is.null(work$tag))
}

# One open job serves call after call, until setup or seeds change: a job carries the number of setup in force.
open_job <- function(session, seeded) {
  for (job in session$open_jobs)
    if (!job$bound && job$setup == session$setup && job$seeded == seeded) return(job)
  close_idle_jobs(session)
  new_cluster_job(session, seeded)
}

# A job that takes more tasks; or, of a seat, one task that runs on its worker.
new_cluster_job <- function(session, seeded, X = list(), seat = NULL) {
  task <- seat_task
  environment(task) <- baseenv()
  common <- make_common(session, task, list(), return_seed = seeded)
  answer <- submit(session, X, common, c(policy(label = "parallel"), list(seat = seat)), open = is.null(seat))
  job <- new.env(parent = emptyenv())
  job$id <- answer$control$job
  job$bound <- !is.null(seat)
  job$setup <- session$setup
  job$seeded <- seeded
  job$sent <- 0L
  job$cursor <- 0
  job$outstanding <- list()
  session$open_jobs <- c(session$open_jobs, list(job))
  job
}

close_idle_jobs <- function(session) {
  idle <- vapply(session$open_jobs, function(job) !length(job$outstanding), NA)
  for (job in session$open_jobs[idle]) cancel_quietly(session, job$id)
  session$open_jobs <- session$open_jobs[!idle]
}

# Waits up to `timeout` seconds for outcomes of these seats' tasks, whichever come first.
receive_outcomes <- function(session, seats, timeout = Inf) {
  waiting <- Filter(function(job) any(vapply(job$outstanding, function(task) task$seat %in% seats, NA)), session$open_jobs)
  if (!length(waiting)) fail("Nothing was sent to seat ", paste(seats, collapse = ", "), ", so nothing can be received.")
  finished <- FALSE
  on.exit(if (!finished) abandon(session))
  if (length(waiting) == 1L) receive_from(session, waiting[[1L]], timeout) else receive_first(session, waiting, timeout)
  finished <- TRUE
}

first_pause <- 0.01            # between two looks at several jobs, at first
last_pause <- 0.1              # and at last

receive_first <- function(session, jobs, timeout) {
  end <- proc.time()[[3L]] + timeout
  pause <- first_pause
  repeat {
    received <- vapply(jobs, function(job) receive_from(session, job, 0), NA)
    if (any(received) || receive_from(session, jobs[[1L]], pause) || proc.time()[[3L]] >= end) return(invisible())
    pause <- min(last_pause, pause * 1.5)
  }
}

# TRUE when something came.
receive_from <- function(session, job, timeout) {
  answer <- request(session, list(op = "next", job = job$id, cursor = job$cursor, max = outcomes_max, timeout = timeout),
                    more = watcher())
  job$cursor <- answer$control$cursor
  outcomes <- split_outcomes(answer)
  for (outcome in outcomes) deliver(session, job, outcome)
  if (job$bound && !length(job$outstanding)) {
    session$open_jobs <- Filter(function(other) !identical(other, job), session$open_jobs)
    session$garbage <- c(session$garbage, job$id)
  }
  length(outcomes) > 0L
}

deliver <- function(session, job, outcome) {
  key <- as.character(outcome$index)
  task <- job$outstanding[[key]]
  if (is.null(task)) return()
  job$outstanding[[key]] <- NULL
  detail <- outcome$detail
  if (task$keep && length(detail$seed)) session$states[[seat_key(task$seat)]] <- detail$seed
  if (!is.null(detail)) relay_quietly(detail)
  if (is.null(outcome$error)) return(arrive(session, task$seat, outcome$value, TRUE, task$tag))
  original <- outcome$error$condition
  text <- cluster_error_text(outcome$error)
  arrive(session, task$seat, structure(text, class = c("snow-try-error", "try-error"),
                                       condition = if (is.null(original)) outcome$error else original), FALSE, task$tag)
}

# A cluster of parallel drops what workers print and signal; ours shows it.
relay_quietly <- function(detail) {
  if (length(detail$output)) cat(detail$output)
  for (condition in detail$messages) message(condition)
  for (condition in detail$warnings) warning(condition)
}

# ---- calls that were left ----

abandon <- function(session) {
  for (job in session$open_jobs) cancel_quietly(session, job$id)
  session$open_jobs <- list()
  session$arrived <- list()
  session$broadcast <- NULL
}

# Tasks of a verb that is no longer running were left by an error or an interrupt: no later call may get their outcomes.
abandon_dead_calls <- function(session) {
  frames <- NULL
  for (job in session$open_jobs) for (task in job$outstanding) {
    if (is.null(task$verb)) next
    if (is.null(frames)) frames <- sys.frames()
    if (!any(vapply(frames, identical, NA, task$verb))) return(abandon(session))
  }
}

# The verb of parallel that is sending, with its frame; NULL when someone else does.
calling_verb <- function() {
  verbs <- known_verbs()
  n <- sys.nframe()
  for (i in seq(n - 1L, max(1L, n - 9L))) {
    f <- sys.function(i)
    for (name in names(verbs)) if (identical(f, verbs[[name]])) return(list(name = name, env = sys.frame(i)))
  }
}

known_verbs <- function() {
  if (is.null(latest$verbs)) latest$verbs <- mget(c("clusterCall", "staticClusterApply", "dynamicClusterApply"),
                                                  envir = asNamespace("parallel"), ifnotfound = list(NULL))
  latest$verbs
}
