# clusterSetRNGStream sends each seat eval(assign(".Random.seed", state)). The state stays here, travels with the seat's
# tasks of static verbs, and comes back as they left it: the numbers of makeCluster(length(cl)). Load-balanced verbs,
# whose tasks any seat may get, use a stream for each task, after those of the seats.

stream_assigned <- function(work) {
  if (!identical(work$fun, eval) || !length(work$args)) return(NULL)
  call <- work$args[[1L]]
  if (!is.call(call) || !identical(call[[1L]], quote(assign)) || !identical(call[[2L]], ".Random.seed")) return(NULL)
  if (is.integer(call[[3L]])) call[[3L]]
}

assign_stream <- function(session, seat, state, tag) {
  session$states[[seat_key(seat)]] <- state
  session$next_stream <- parallel::nextRNGStream(state)
  arrive(session, seat, state, TRUE, tag)
}

task_state <- function(session, seat, tag, verb) {
  if (!length(session$states)) return(NULL)
  if (!identical(verb$name, "dynamicClusterApply")) return(session$states[[seat_key(seat)]])
  state <- session$next_stream
  session$next_stream <- parallel::nextRNGStream(state)
  state
}
