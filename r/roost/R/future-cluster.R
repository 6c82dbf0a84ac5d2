# plan(cluster, workers = pool). Package future asks a worker's socket whether something has come, and waits for
# workers that have none. A seat has none of its own: where its outcome is, the plan sees the session's connection, which is silent
# between two requests, or, once the outcome has come, one that the bridge has closed, which R reads as ready.
#
#   resolved() ── node[["con"]] ──▶ ask the bridge, 0 s ──▶ silent: FALSE    ready: recvData(seat) brings the outcome
#
# A future that is being made sees no connection: else package future would have conditions of class immediateCondition sent through
# the worker's own, and they would be lost.

as.cluster_roost_cluster <- function(x, ...) {
  if (isNamespaceLoaded("future")) for (node in x) show_connection(node)
  x
}

# The function has nothing of this package's in it, which copies of the seat would bring to workers.
show_connection <- function(node) {
  if ("con" %in% names(node)) return()
  make <- quote(function() asNamespace("roost")$connection_of_seat(node))
  makeActiveBinding("con", eval(make, list2env(list(node = node), parent = baseenv())), node)
}

connection_of_seat <- function(node) {
  session <- node$session
  if (!is_usable(session) || !is.null(session$plan) || is_making_expression()) return(NULL)
  has_arrived <- function() length(session$arrived[[seat_key(node$seat)]]) > 0L
  if (!has_arrived()) {
    if (!any(vapply(session$sent, function(task) task$seat == node$seat, NA))) return(NULL)
    receive_outcomes(session, node$seat, 0)
  }
  if (has_arrived()) ended_connection(session) else session$con
}

# Up to 1.39 package future looks at the first worker for all of them, and that one may be busy.
is_making_expression <- function() {
  if (is_modern()) return(FALSE)
  method <- get0("getExpression.ClusterFuture", envir = asNamespace("future"), mode = "function")
  for (i in seq_len(sys.nframe())) if (identical(sys.function(i), method)) return(TRUE)
  FALSE
}

# A first message that breaks the bridge's rules makes it close the connection.
ended_connection <- function(session) {
  if (is.null(session$ended) || !tryCatch(isOpen(session$ended), error = function(e) FALSE)) {
    session$ended <- open_socket(session$port)
    writeBin(raw(32L), session$ended)
    socketSelect(list(session$ended), FALSE, connect_seconds)
  }
  session$ended
}
