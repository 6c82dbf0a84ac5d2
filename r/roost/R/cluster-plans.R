# Plans. When clusterApply or clusterApplyLB sends the first of many elements, all of them are handed to the pool, as one job. When the
# verb then asks for an answer, it gets one that has come: the same values in the same places. So no element costs a round trip, and
# the number of seats does not bound how much of the pool the verb uses.
#
#   staticClusterApply    receives the elements in their order
#   dynamicClusterApply   receives whichever has come, with its tag
#
# In static verbs, where something was left on a seat, each seat has a job with its own elements. There is no plan when the seats have
# streams of random numbers.

plan_elements <- 8L            # elements of a verb's work, at least, where the cluster has as many seats as the pool has slots

# Hands over the verb's whole work, if it can; TRUE when it has.
begin_plan <- function(session, verb, work) {
  if (is.null(verb) || !verb$name %in% spread_verbs || length(session$states)) return(FALSE)
  frame <- verb$env
  n <- frame$n
  # What was left on a seat is for the elements that come there.
  bound <- length(session$placed) && verb$name == "staticClusterApply"
  if (bound && n < plan_elements) return(FALSE)
  pieces <- if (!bound) pieces_of_chunks(session, frame, work)
  if (is.null(pieces) && n < plan_elements && (n < 2L || pool_slots(session) <= length(frame$cl))) return(FALSE)
  if (length(session$killed)) for (node in unclass(frame$cl)) tell_killed(node)
  # The verb has called argfun(1) already. It must not be called twice, since it may count its calls.
  argfun <- frame$argfun
  X <- c(list(work$args), lapply(seq_len(n)[-1L], argfun))
  if (bound && is_bulky(X)) return(FALSE)
  plan <- new.env(parent = emptyenv())
  plan$frame <- frame
  plan$outer <- session$plan
  plan$n <- n
  plan$given <- 0L
  if (!is.null(pieces)) {
    X <- cut_chunks(X, pieces)
    plan$parts <- rep(seq_along(pieces), pieces)
  }
  plan$values <- plan$details <- vector("list", length(X))
  plan$errors <- list()
  plan$come <- logical(length(X))
  plan$order <- integer()
  plan$jobs <- start_plan(session, work$fun, X, if (bound) frame$cl)
  session$plan <- plan
  TRUE
}

# Is it the plan's verb that sends this? It calls sendData_roost_seat() through sendCall, postNode and the generic; dynamicClusterApply
# has a function of its own in between.
is_of_plan <- function(plan) {
  n <- sys.nframe() - 1L
  (n > 4L && identical(sys.frame(n - 4L), plan$frame)) || (n > 5L && identical(sys.frame(n - 5L), plan$frame))
}

plan_task <- function(x, fun, namespaces) {
  for (package in namespaces) requireNamespace(package, quietly = TRUE)
  do.call(fun, x, quote = TRUE)
}
environment(plan_task) <- baseenv()

# The jobs that run X: list(id, cursor, at), `at` being the elements of X that are the job's tasks. There is one for each seat, whose
# element i, i + seats, … it runs, or one for all.
start_plan <- function(session, fun, X, cl = NULL) {
  common <- list(fun = plan_task, args = list(fun = fun, namespaces = namespaces_in(X)), keep = TRUE)
  control <- list(label = "parallel", live = TRUE)
  if (!is.null(cl)) return(lapply(seq_len(min(length(cl), length(X))), function(k) {
    at <- seq(k, length(X), by = length(cl))
    seat <- cl[[k]]$seat
    session$served <- union(session$served, seat)
    plan_job(submit(session, X[at], common, c(control, seat = seat)), at)
  }))
  if (!is_bulky(X)) return(list(plan_job(submit(session, X, common, control), seq_along(X))))
  pieces <- pieces_of(X)
  job <- plan_job(submit(session, X[pieces[[1L]]], common, control, open = TRUE), seq_along(X))
  for (i in seq_along(pieces)[-1L]) request(session, list(op = "append", job = job$id), list(stream(X[pieces[[i]]])))
  request(session, list(op = "append", job = job$id, close = TRUE))
  list(job)
}

plan_job <- function(answer, at) list2env(list(id = answer$control$job, cursor = 0, at = at), parent = emptyenv())

# Takes the outcomes that have come of the job that runs this element; waits when there are none.
receive_plan <- function(session, plan, element = 1L) {
  job <- plan$jobs[[(element - 1L) %% length(plan$jobs) + 1L]]
  finished <- FALSE
  on.exit(if (!finished) abandon(session))
  answer <- request(session, list(op = "next", job = job$id, cursor = job$cursor, max = outcomes_max), more = watcher())
  finished <- TRUE
  index <- answer$control$index
  job$cursor <- answer$control$cursor
  if (!length(index)) fail("The job of this call ended before its tasks did.")
  outcomes <- read_outcomes(answer)
  tasks <- index
  index <- job$at[tasks]
  plan$values[index] <- outcomes$values
  if (!is.null(outcomes$details)) plan$details[index] <- outcomes$details
  if (!is.null(outcomes$state)) for (i in which(outcomes$state != 0L))
    plan$errors[[as.character(index[i])]] <- as_try_error(task_errors(outcomes, tasks, i)[[i]])
  plan$come[index] <- TRUE
  plan$order <- c(plan$order, index)
}

# The next element's answer, in order.
next_of_plan <- function(session) {
  plan <- session$plan
  i <- plan$given <- plan$given + 1L
  parts <- if (is.null(plan$parts)) i else which(plan$parts == i)
  while (!all(plan$come[parts])) receive_plan(session, plan, parts[1L])
  answer <- answer_of_plan(plan, parts)
  if (i == plan$n) end_plan(session)
  answer
}

# The answer of any element that has come, as recvOneData() gives it.
first_of_plan <- function(session) {
  plan <- session$plan
  k <- plan$given <- plan$given + 1L
  if (is.null(plan$parts)) {
    while (length(plan$order) < k) receive_plan(session, plan)
    i <- parts <- plan$order[k]
  } else {
    repeat {
      whole <- which(vapply(split(plan$come, plan$parts), all, NA))
      i <- setdiff(whole, plan$told)[1L]
      if (!is.na(i)) break
      receive_plan(session, plan)
    }
    plan$told <- c(plan$told, i)
    parts <- which(plan$parts == i)
  }
  answer <- answer_of_plan(plan, parts)
  answer$tag <- i
  seats <- max(1L, length(plan$frame$cl))
  if (k == plan$n) end_plan(session)
  list(node = (k - 1L) %% seats + 1L, value = answer)
}

# Conditions are relayed when their element is given: in the order of elements that the verb sees.
answer_of_plan <- function(plan, parts) {
  for (part in parts) if (!is.null(plan$details[[part]])) relay_quietly(plan$details[[part]])
  if (length(plan$errors)) for (part in parts) {
    error <- plan$errors[[as.character(part)]]
    if (!is.null(error)) return(answer_message(error, FALSE))
  }
  if (length(parts) == 1L) answer_message(plan$values[[parts]]) else answer_message(do.call(c, plan$values[parts]))
}

end_plan <- function(session) {
  plan <- session$plan
  session$plan <- plan$outer
  session$garbage <- c(session$garbage, vapply(plan$jobs, function(job) job$id, ""))
}

drop_plan <- function(session) {
  plan <- session$plan
  session$plan <- plan$outer
  for (job in plan$jobs) cancel_quietly(session, job$id)
}

# ---- chunks ----

# parLapply and its kin send a chunk a seat, lapply(chunk, fun, ...). Where the pool has more slots than the cluster has seats, a chunk
# is cut into pieces: how many, for each chunk. NULL: chunks stay whole.
pieces_of_chunks <- function(session, frame, work) {
  if (!identical(work$fun, lapply) || !is.null(work$args$X)) return(NULL)
  chunks <- frame$n
  seats <- max(1L, length(frame$cl))
  slots <- pool_slots(session)
  if (slots <= seats) return(NULL)
  lengths <- vapply(seq_len(chunks), function(i) length(frame$argfun(i)[[1L]]), 0L)
  pieces <- pmax(1L, pmin(lengths, ceiling(slots / seats)))
  if (any(pieces > 1L)) pieces
}

cut_chunks <- function(X, pieces) unlist(recursive = FALSE, lapply(seq_along(X), function(i) {
  args <- X[[i]]
  chunk <- args[[1L]]
  lapply(parallel::splitIndices(length(chunk), pieces[i]), function(at) {
    args[[1L]] <- chunk[at]
    args
  })
}))

# How many tasks the pool runs at once.
pool_slots <- function(session) max(1L, as.integer(count_slots(session)))
