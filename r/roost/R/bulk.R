# A large list goes to the pool in pieces, and its outcomes come back in pieces: the first tasks run while the next ones are
# serialized, and no stream is as large as all of X.

bulk_bytes <- 16777216         # X's size in memory, from which it goes in pieces
bulk_element <- 65536          # the mean size of an element of such an X, at least
piece_bytes <- 4194304         # of a piece, unless one element is larger

is_bulky <- function(X) {
  if (!is.list(X) || length(X) < 2L) return(FALSE)
  bytes <- as.double(utils::object.size(X))
  bytes >= bulk_bytes && bytes >= bulk_element * length(X)
}

# As run_job() and read_outcomes(): the outcomes of all tasks, in order; the job is forgotten.
stream_job <- function(session, X, common, policy, bar, started) {
  X <- unname(X)
  pieces <- pieces_of(X)
  id <- NULL
  for (i in seq_along(pieces)) {
    part <- X[pieces[[i]]]
    if (is.null(id)) {
      id <- submit(session, part, common, c(policy, list(live = TRUE)), open = TRUE)$control$job
      started(id)
    } else request(session, list(op = "append", job = id, close = i == length(pieces)), list(stream(part)))
  }
  if (length(pieces) == 1L) request(session, list(op = "append", job = id, close = TRUE))
  outcomes <- gather(session, id, length(X), length(pieces[[1L]]), bar)
  request(session, list(op = "forget", job = id))
  outcomes
}

# Runs of consecutive elements.
pieces_of <- function(X) {
  bytes <- vapply(X, function(x) as.double(utils::object.size(x)), 0)
  unname(split(seq_along(X), floor(pmax(0, cumsum(bytes) - 1) / piece_bytes)))
}

# The outcomes of a job's n tasks as they come, `most` at a time.
gather <- function(session, id, n, most, bar) {
  values <- details <- vector("list", n)
  state <- integer(n)
  post_mortems <- NULL
  cursor <- done <- 0
  more <- watcher(bar)
  repeat {
    answer <- request(session, list(op = "next", job = id, cursor = cursor, max = as.double(most)), more = more)
    index <- answer$control$index
    if (length(index)) {
      outcomes <- read_outcomes(answer)
      values[index] <- outcomes$values
      if (!is.null(outcomes$state)) state[index] <- outcomes$state
      if (!is.null(outcomes$details)) details[index] <- outcomes$details
      if (!is.null(outcomes$post_mortems)) post_mortems <- c(post_mortems, list(outcomes$post_mortems))
      done <- done + length(index)
      if (!is.null(bar)) bar$update(done)
    }
    cursor <- answer$control$cursor
    if (isTRUE(answer$control$ended)) break
  }
  noted <- !vapply(details, is.null, NA)
  list(values = values, state = if (any(state != 0L)) state, details = if (any(noted)) details,
       post_mortems = if (length(post_mortems)) do.call(Map, c(list(c), post_mortems)))
}
