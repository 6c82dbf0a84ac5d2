# clusterApply and clusterApplyLB of many elements: the verb's whole work is handed over when it sends the first element, and what it
# asks for is answered from what has come: the same values in the same places. So its speed does not depend on a round trip an
# element, nor the part of the pool that it uses on the number of seats.
#
#   staticClusterApply    receives the elements in their order
#   dynamicClusterApply   receives whichever has come, with its tag
#
# Not so where an element belongs to its seat: with streams of random numbers, or, in static verbs, once something was left on a seat.

plan_elements <- 8L            # elements of a verb's work, at least

# TRUE: the verb's work is under way.
begin_plan <- function(session, verb, work) {
  if (is.null(verb) || !verb$name %in% spread_verbs || length(session$states)) return(FALSE)
  if (length(session$placed) && verb$name == "staticClusterApply") return(FALSE)
  frame <- verb$env
  n <- frame$n
  pieces <- pieces_of_chunks(session, frame, work)
  if (is.null(pieces) && n < plan_elements) return(FALSE)
  if (length(session$killed)) for (node in unclass(frame$cl)) tell_killed(node)
  # The element that is being sent was asked for already; a function may count its calls.
  argfun <- frame$argfun
  X <- c(list(work$args), lapply(seq_len(n)[-1L], argfun))
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
  plan$cursor <- 0
  plan$job <- start_plan(session, work$fun, X)
  session$plan <- plan
  TRUE
}

# Whether what is being sent is of the verb whose work is under way: sendData_roost_seat() is called by way of sendCall, postNode and
# the generic, in dynamicClusterApply also of a function of its own.
is_of_plan <- function(plan) {
  n <- sys.nframe() - 1L
  (n > 4L && identical(sys.frame(n - 4L), plan$frame)) || (n > 5L && identical(sys.frame(n - 5L), plan$frame))
}

plan_task <- function(x, fun, namespaces) {
  for (package in namespaces) requireNamespace(package, quietly = TRUE)
  do.call(fun, x, quote = TRUE)
}
environment(plan_task) <- baseenv()

start_plan <- function(session, fun, X) {
  common <- list(fun = plan_task, args = list(fun = fun, namespaces = namespaces_in(X)), keep = TRUE)
  control <- list(label = "parallel", live = TRUE)
  if (!is_bulky(X)) return(submit(session, X, common, control)$control$job)
  pieces <- pieces_of(X)
  id <- submit(session, X[pieces[[1L]]], common, control, open = TRUE)$control$job
  for (i in seq_along(pieces)[-1L]) request(session, list(op = "append", job = id), list(stream(X[pieces[[i]]])))
  request(session, list(op = "append", job = id, close = TRUE))
  id
}

# Takes what has come; waits for something.
receive_plan <- function(session, plan) {
  finished <- FALSE
  on.exit(if (!finished) abandon(session))
  answer <- request(session, list(op = "next", job = plan$job, cursor = plan$cursor, max = outcomes_max), more = watcher())
  finished <- TRUE
  index <- answer$control$index
  plan$cursor <- answer$control$cursor
  if (!length(index)) fail("The job of this call ended before its tasks did.")
  outcomes <- read_outcomes(answer)
  plan$values[index] <- outcomes$values
  if (!is.null(outcomes$details)) plan$details[index] <- outcomes$details
  if (!is.null(outcomes$state)) for (i in which(outcomes$state != 0L))
    plan$errors[[as.character(index[i])]] <- as_try_error(task_errors(outcomes, index, i)[[i]])
  plan$come[index] <- TRUE
  plan$order <- c(plan$order, index)
}

# The next element's answer, in order.
next_of_plan <- function(session) {
  plan <- session$plan
  i <- plan$given <- plan$given + 1L
  parts <- if (is.null(plan$parts)) i else which(plan$parts == i)
  while (!all(plan$come[parts])) receive_plan(session, plan)
  answer <- answer_of_plan(plan, parts)
  if (i == plan$n) end_plan(session)
  answer
}

# The answer of an element that has come, as recvOneData() gives it.
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
  session$garbage <- c(session$garbage, plan$job)
}

drop_plan <- function(session) {
  plan <- session$plan
  session$plan <- plan$outer
  cancel_quietly(session, plan$job)
}

# ---- chunks ----

# parLapply and its kin send a chunk a seat, lapply(chunk, fun, ...). Where the pool has more slots than the cluster has seats, a chunk
# is cut into so many pieces; NULL: it need not be.
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

slots_seconds <- 1             # how old the number of slots may be

# How many tasks the pool runs at once. A local pool stays as it is.
pool_slots <- function(session) {
  if (is.null(session$url) && identical(session$facts$pool, "embedded")) return(as.integer(session$facts$slots))
  now <- proc.time()[[3L]]
  if (is.null(session$slots) || now - session$slots_at > slots_seconds) {
    nodes <- request(session, list(op = "nodes"))$control
    session$slots <- max(1L, as.integer(sum(nodes$slots[nodes$state == "connected"])))
    session$slots_at <- now
  }
  session$slots
}
