# A seat is an element of a pool: a place that is bound to one worker by its first task, and to no other ever after.
#
#   new ──first task──▶ has a worker ──killNode(), a crash, the node lost──▶ dead: its tasks fail, and say why
#                                                                             cloneNode() makes a new seat
#
# An environment: it learns where its worker is.

seen_seconds <- 2              # until a worker that has just begun to serve a seat is in the pool's list
bind_seconds <- 30             # until a worker has run the first task of a seat that is to be retired

new_seat <- function(seat, session) {
  node <- new.env(parent = emptyenv())
  node$session <- session
  node$seat <- as.integer(seat)
  structure(node, class = "roost_seat")
}

# The row of the seat's worker in pool_workers(); NULL when there is none.
seat_row <- function(node, table) {
  row <- which(table$mine & table$seat %in% node$seat & table$state != "ending")
  if (!length(row)) return(NULL)
  row <- table[row[1L], ]
  node$node <- row$node
  node$pid <- row$pid
  row
}

# The row of the seat's worker, as soon as there is one; NULL when there is none, or none any more.
seat_worker <- function(node) {
  end <- proc.time()[[3L]] + seen_seconds
  repeat {
    row <- seat_row(node, pool_workers(node))
    if (!is.null(row)) return(row)
    # One that was seen before has ended; one that has served the seat, and was not, is about to be.
    if (!is.null(node$pid) || !has_served(node) || proc.time()[[3L]] > end) return(NULL)
    Sys.sleep(0.02)
  }
}

has_served <- function(node) node$seat %in% node$session$served

print.roost_seat <- function(x, ...) {
  cat("Seat ", x$seat, " of a Roost pool (", x$session$facts$pool, ")", sep = "")
  if (is_usable(x$session)) {
    worker <- seat_worker(x)
    if (!is.null(worker)) cat(": worker ", worker$pid, " on node ", worker$node, ", ", worker$state, sep = "")
    else if (has_served(x)) cat(": its worker", if (!is.null(x$pid)) paste0(" (", x$pid, " on node ", x$node, ")"),
                                " has ended; cloneNode() makes a new seat", sep = "")
    else cat(": no worker yet", sep = "")
  }
  cat("\n")
  invisible(x)
}

isNodeAlive <- function(x, ...) UseMethod("isNodeAlive")
killNode <- function(x, signal = tools::SIGTERM, ...) UseMethod("killNode")
cloneNode <- function(x, ...) UseMethod("cloneNode")

# TRUE: it works, or can be given work; NA: its node is out of contact.
isNodeAlive.roost_seat <- function(x, ...) {
  if (!is_usable(x$session)) return(FALSE)
  if (!has_served(x) || !is.null(seat_worker(x))) return(TRUE)
  nodes <- pool_nodes(x)
  if (any(nodes$node %in% x$node & nodes$state == "suspect")) NA else FALSE
}

isNodeAlive.roost_cluster <- function(x, ...) {
  if (!length(x) || !is_usable(session_of(x))) return(rep(FALSE, length(x)))
  table <- pool_workers(x)
  vapply(x, function(node) !is.null(seat_row(node, table)) || isNodeAlive.roost_seat(node), NA)
}

# TRUE when the signal was sent.
killNode.roost_seat <- function(x, signal = tools::SIGTERM, timeout = 5, ...) {
  check_session(x$session)
  # A seat is retired even if nothing was ever run on it.
  if (!has_served(x) && !bind_seat(x)) return(FALSE)
  worker <- seat_worker(x)
  if (is.null(worker) || !signal_worker(x$session, worker, signal)) return(FALSE)
  end <- proc.time()[[3L]] + timeout
  while (proc.time()[[3L]] < end && !is.null(seat_worker(x))) Sys.sleep(0.02)
  x$session$killed <- union(x$session$killed, x$seat)
  TRUE
}

# When killNode() has ended a seat's worker, verbs of parallel whose tasks any worker may run go on without it, where other clusters
# fail. A message says so, once for each seat.
tell_killed <- function(node) {
  session <- node$session
  if (!node$seat %in% session$killed) return(invisible())
  session$killed <- setdiff(session$killed, node$seat)
  message(structure(class = c("roost_killed", "message", "condition"), call = NULL, list(message = paste0(
    "roost: killNode() has ended the worker of seat ", node$seat, "; its tasks run on other workers of the pool. ",
    "cloneNode() makes a new seat.\n"))))
}

# The text of an error, for users of parallel. It leaves out the task's number: that counts all tasks of the open job, and none of
# theirs has it.
cluster_error_text <- function(error) {
  original <- error$condition
  if (is.null(original)) sub("^task [0-9]+ (failed |is )?(on node [^:]+: )?", "", conditionMessage(error)) else conditionMessage(original)
}

# FALSE when the worker has ended meanwhile.
signal_worker <- function(session, worker, signal) tryCatch({
  request(session, list(op = "kill_worker", node = worker$node, pid = worker$pid, signal = as.double(signal)))
  TRUE
}, roost_pool_error = function(e) if (identical(e$code, "notFound")) FALSE else stop(e))

killNode.roost_cluster <- function(x, signal = tools::SIGTERM, ...) vapply(x, killNode.roost_seat, NA, signal = signal, ...)

# A new seat of the same session, in place of this one.
cloneNode.roost_seat <- function(x, ...) {
  check_session(x$session)
  x$session$last_seat <- x$session$last_seat + 1L
  clone <- new_seat(x$session$last_seat, x$session)
  if ("con" %in% names(x)) show_connection(clone)
  clone
}

cloneNode.roost_cluster <- function(x, ...) as_pool(lapply(x, cloneNode.roost_seat))

# Nodes of other clusters are parallelly's, if it is there.
isNodeAlive.default <- function(x, ...) by_parallelly("isNodeAlive")(x, ...)
killNode.default <- function(x, signal = tools::SIGTERM, ...) by_parallelly("killNode")(x, signal = signal, ...)
cloneNode.default <- function(x, ...) by_parallelly("cloneNode")(x, ...)

by_parallelly <- function(name) {
  if (requireNamespace("parallelly", quietly = TRUE) && name %in% getNamespaceExports("parallelly"))
    return(getExportedValue("parallelly", name))
  fail(name, "() is for pools of Roost and their seats; for other clusters install package parallelly.")
}

register_parallelly <- function(...) {
  parallelly <- asNamespace("parallelly")
  for (generic in c("isNodeAlive", "killNode", "cloneNode")) for (class in c("roost_seat", "roost_cluster"))
    if (exists(generic, envir = parallelly, mode = "function"))
      registerS3method(generic, class, get(paste0(generic, ".", class)), envir = parallelly)
  if (exists("as.cluster", envir = parallelly, mode = "function"))
    registerS3method("as.cluster", "roost_cluster", as.cluster_roost_cluster, envir = parallelly)
}

# Gives a seat its worker; FALSE when the pool has none for it.
bind_seat <- function(node) {
  session <- node$session
  send_task(session, node$seat, list(fun = Sys.getpid, args = list()), NULL, bound = TRUE)
  task <- session$sent[[length(session$sent)]]
  # The first outcome may be that of an earlier task, which was cancelled because the seat got no worker.
  end <- proc.time()[[3L]] + bind_seconds
  repeat {
    receive_outcomes(session, node$seat, max(0, end - proc.time()[[3L]]))
    if (length(session$arrived[[seat_key(node$seat)]]) || proc.time()[[3L]] >= end) break
  }
  if (length(session$arrived[[seat_key(node$seat)]])) {
    take_arrived(session, node$seat)
    return(TRUE)
  }
  cancel_call(session, task$job, task$number)
  session$sent <- Filter(function(other) !identical(other, task), session$sent)
  session$served <- setdiff(session$served, node$seat)
  FALSE
}
