# The pool as a cluster of package parallel: what its verbs send to a seat becomes tasks of open jobs.
#
#   clusterApply, parLapply, … ─ sendData(seat) ─▶ append a task     recvData(seat), recvOneData(cluster) ◀─ next outcome
#   … with many elements ──────── the first send ▶ all of them at once, see cluster-plans.R
#   clusterExport, clusterEvalQ, clusterCall ────▶ a setup entry, then (but for exports) a task per seat, on its own worker
#   clusterSetRNGStream ─────────────────────────▶ the seat's state, kept here; it goes with the seat's tasks and comes back

sendData_roost_seat <- function(node, data) {
  session <- node$session
  if (!is.null(session$plan) && is_of_plan(session$plan)) return(invisible())
  check_session(session)
  if (!identical(data$type, "EXEC")) return(invisible())
  verb <- calling_verb()
  abandon_dead_calls(session)
  work <- data$data
  leaves <- is_for_seats(session, verb, work)
  if (!leaves && begin_plan(session, verb, work)) return(invisible())
  state <- stream_assigned(work)
  if (!is.null(state)) assign_stream(session, node$seat, state, work$tag)
  else if (identical(verb$name, "clusterCall") && length(verb$env$cl) == session$size) broadcast(session, node$seat, work, verb)
  else {
    bound <- leaves || is_bound(session, node$seat, verb)
    if (bound) session$placed <- union(session$placed, node$seat)
    else if (length(session$killed)) tell_killed(node)
    send_task(session, node$seat, work, verb, bound = bound)
  }
  invisible()
}

# Any worker may run the tasks of these verbs. What others send to a seat runs on the seat's own worker; so do tasks of
# clusterApply, for a seat on which something was left.
spread_verbs <- c("staticClusterApply", "dynamicClusterApply")

is_bound <- function(session, seat, verb)
  !isTRUE(verb$name %in% spread_verbs) || (identical(verb$name, "staticClusterApply") && seat %in% session$placed)

# clusterApply(pool, seq_along(pool), function(i) id <<- i), clusterApply(pool, seeds, set.seed): an element for each seat, and a
# function that leaves something there.
is_for_seats <- function(session, verb, work) {
  if (!identical(verb$name, "staticClusterApply") || verb$env$n > length(verb$env$cl) || identical(work$fun, lapply)) return(FALSE)
  leaves_something(work$fun)
}

# Attached packages are no reason: they stay attached wherever it ran.
leaving <- c("assign", "set.seed", "RNGkind", ".Random.seed", "source", "sys.source", "attach", "options", "Sys.setenv", "setwd",
             ".libPaths", "Sys.setlocale")

leaves_something <- function(f) {
  if (typeof(f) != "closure") return(FALSE)
  if (identical(f, assign) || identical(f, set.seed)) return(TRUE)
  # A package's function does its own work.
  if (is_fixed(environment(f))) return(FALSE)
  if (any(all.names(body(f)) %in% leaving)) return(TRUE)
  own <- names(formals(f))
  outer <- character()
  walk <- function(code) {
    if (!is.call(code)) return()
    head <- if (is.symbol(code[[1L]])) as.character(code[[1L]]) else ""
    if (head == "function") own <<- c(own, names(code[[2L]]))
    else if (head %in% c("<-", "=", "<<-")) {
      target <- all.vars(code[[2L]])[1L]
      if (head == "<<-") outer <<- c(outer, target) else own <<- c(own, target)
    }
    for (i in seq_along(code)) if (is.call(code[[i]])) walk(code[[i]])
  }
  walk(body(f))
  !all(outer %in% own)
}

recvData_roost_seat <- function(node) {
  session <- node$session
  if (!is.null(session$plan)) return(next_of_plan(session))
  check_session(session)
  while (!length(session$arrived[[seat_key(node$seat)]])) receive_outcomes(session, node$seat)
  if (!is.null(session$broadcast)) end_broadcast(session)
  take_arrived(session, node$seat)
}

recvOneData_roost_cluster <- function(cl) {
  session <- session_of(cl)
  if (!is.null(session$plan)) return(first_of_plan(session))
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
  session$arrived[[key]] <- c(session$arrived[[key]], list(answer_message(value, success, tag)))
}

# What a worker of parallel answers.
answer_message <- function(value, success = TRUE, tag = NULL)
  list(type = "VALUE", value = value, success = success, time = no_time, tag = tag)

no_time <- structure(c(0, 0, 0, 0, 0), names = c("user.self", "sys.self", "elapsed", "user.child", "sys.child"),
                     class = "proc_time")

# ---- open jobs ----

# What a worker runs for a seat: list(fun, args, seed, namespaces, id). `id`: of a broadcast, which setup need not run here again.
seat_task <- function(x) {
  if (!is.null(x$id)) options(roost.broadcasts = c(getOption("roost.broadcasts"), x$id))
  for (package in x$namespaces) requireNamespace(package, quietly = TRUE)
  if (!is.null(x$seed)) assign(".Random.seed", x$seed, envir = globalenv())
  do.call(x$fun, x$args, quote = TRUE)
}
environment(seat_task) <- baseenv()

send_task <- function(session, seat, work, verb, broadcast = NULL, bound = FALSE) {
  state <- task_state(session, seat, work$tag, verb)
  kind <- if (bound) paste("seat", seat) else if (is.null(state)) "parallel" else "seeded"
  if (bound && !is.null(state)) kind <- paste(kind, "seeded")
  if (bound) session$served <- union(session$served, seat)
  job <- open_calls(session, kind, keep = TRUE, seat = if (bound) seat, runner = seat_task, return_seed = !is.null(state))
  task <- new.env(parent = emptyenv())
  task$seat <- seat
  task$tag <- work$tag
  task$verb <- verb$env
  task$keep <- !is.null(state) && is.null(work$tag)
  task$job <- job
  task$broadcast <- broadcast
  task$arrived <- function(outcome) deliver(session, task, outcome)
  session$sent[[length(session$sent) + 1L]] <- task
  task$number <- append_call(session, job, list(fun = work$fun, args = work$args, seed = state, id = broadcast$id,
                                                         namespaces = namespaces_in(work$args)), NaN, task)
}

# Waits up to `timeout` seconds for outcomes of these seats' tasks, whichever come first.
receive_outcomes <- function(session, seats, timeout = Inf) {
  waiting <- Filter(function(task) task$seat %in% seats, session$sent)
  if (!length(waiting)) fail("Nothing was sent to seat ", paste(seats, collapse = ", "), ", so nothing can be received.")
  jobs <- unique(lapply(waiting, function(task) task$job))
  finished <- FALSE
  on.exit(if (!finished) abandon(session))
  if (length(jobs) == 1L) receive_calls(session, jobs[[1L]], timeout) else receive_first(session, jobs, timeout)
  finished <- TRUE
}

first_pause <- 0.01            # between two looks at several jobs, at first
last_pause <- 0.1              # and at last

receive_first <- function(session, jobs, timeout) {
  end <- proc.time()[[3L]] + timeout
  pause <- first_pause
  repeat {
    received <- vapply(jobs, function(job) receive_calls(session, job, 0), NA)
    if (any(received) || receive_calls(session, jobs[[1L]], pause) || proc.time()[[3L]] >= end) return(invisible())
    pause <- min(last_pause, pause * 1.5)
  }
}

deliver <- function(session, task, outcome) {
  session$sent <- Filter(function(other) !identical(other, task), session$sent)
  if (!is.null(task$broadcast)) task$broadcast$left <- task$broadcast$left - 1L
  detail <- outcome$detail
  if (task$keep && length(detail$seed)) session$states[[seat_key(task$seat)]] <- detail$seed
  if (!is.null(detail)) relay_quietly(detail)
  if (!isTRUE(outcome$state > 0L)) return(arrive(session, task$seat, outcome$value, TRUE, task$tag))
  error <- task_error(task$number, state_names[outcome$state + 1L], detail, outcome$post_mortem)
  arrive(session, task$seat, as_try_error(error), FALSE, task$tag)
}

# As a worker of parallel answers.
as_try_error <- function(error) structure(
  cluster_error_text(error), class = c("snow-try-error", "try-error"),
  condition = if (is.null(error$condition)) error else error$condition)

# A cluster of parallel drops what workers print and signal; ours shows it.
relay_quietly <- function(detail) {
  if (length(detail$output)) cat(detail$output)
  for (condition in detail$messages) message(condition)
  for (condition in detail$warnings) warning(condition)
}

# ---- calls that were left ----

abandon <- function(session) {
  for (task in session$sent) {
    cancel_call(session, task$job, task$number)
  }
  session$sent <- list()
  session$arrived <- list()
  session$broadcast <- NULL
  while (!is.null(session$plan)) drop_plan(session)
}

# Tasks of a verb that is no longer running were left by an error or an interrupt: no later call may get their outcomes.
abandon_dead_calls <- function(session) {
  verbs <- c(lapply(session$sent, function(task) task$verb), if (!is.null(session$plan)) list(session$plan$frame))
  verbs <- verbs[!vapply(verbs, is.null, NA)]
  if (!length(verbs)) return(invisible())
  frames <- sys.frames()
  lives <- function(verb) any(vapply(frames, identical, NA, verb))
  if (!all(vapply(unique(verbs), lives, NA))) abandon(session)
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
