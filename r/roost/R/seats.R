# A seat is an element of a pool: a place that is bound to one worker at its first task, and to none ever after.
#
#   new ──first task──▶ has a worker ──killNode(), a crash, the node lost──▶ dead: its tasks fail, and say why
#                                                                             cloneNode() makes a new seat
#
# An environment: it learns where its worker is.

seen_seconds <- 2              # until a worker that has just begun to serve a seat is in the pool's list

new_seat <- function(seat, session) {
  node <- new.env(parent = emptyenv())
  node$session <- session
  node$seat <- as.integer(seat)
  structure(node, class = "roost_seat")
}

# The worker's row of pool_workers(); NULL when there is none, or none any more.
seat_worker <- function(node) {
  end <- proc.time()[[3L]] + seen_seconds
  repeat {
    table <- pool_workers(node)
    row <- which(table$mine & table$seat %in% node$seat & table$state != "ending")
    if (length(row)) {
      row <- table[row[1L], ]
      node$node <- row$node
      node$pid <- row$pid
      return(row)
    }
    # One that was seen before has ended; one that has served the seat, and was not, is about to be.
    if (!is.null(node$pid) || !has_served(node) || proc.time()[[3L]] > end) return(NULL)
    Sys.sleep(0.02)
  }
}

has_served <- function(node) node$seat %in% node$session$served

print.roost_seat <- function(x, ...) {
  cat("Seat ", x$seat, " of a Roost pool (", x$session$facts$pool, ")", sep = "")
  if (x$session$open && x$session$pid == Sys.getpid()) {
    worker <- seat_worker(x)
    if (!is.null(worker)) cat(": worker ", worker$pid, " on node ", worker$node, ", ", worker$state, sep = "")
    else if (has_served(x)) cat(": its worker", if (!is.null(x$pid)) paste0(" (", x$pid, " on node ", x$node, ")"),
                                " has ended; cloneNode() gives the seat another", sep = "")
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
  if (!x$session$open || x$session$pid != Sys.getpid()) return(FALSE)
  if (!is.null(seat_worker(x)) || !has_served(x)) return(TRUE)
  nodes <- pool_nodes(x)
  if (any(nodes$node %in% x$node & nodes$state == "suspect")) NA else FALSE
}

isNodeAlive.roost_cluster <- function(x, ...) vapply(x, isNodeAlive.roost_seat, NA)

# TRUE when the signal was sent.
killNode.roost_seat <- function(x, signal = tools::SIGTERM, timeout = 5, ...) {
  check_session(x$session)
  # A seat is retired even if nothing was ever run on it.
  if (!has_served(x)) seat_call(x, Sys.getpid)
  worker <- seat_worker(x)
  if (is.null(worker)) return(FALSE)
  request(x$session, list(op = "kill_worker", node = worker$node, pid = worker$pid, signal = as.double(signal)))
  end <- proc.time()[[3L]] + timeout
  while (proc.time()[[3L]] < end && !is.null(seat_worker(x))) Sys.sleep(0.02)
  TRUE
}

killNode.roost_cluster <- function(x, signal = tools::SIGTERM, ...) vapply(x, killNode.roost_seat, NA, signal = signal, ...)

# A new seat of the same session, in place of this one.
cloneNode.roost_seat <- function(x, ...) {
  check_session(x$session)
  x$session$last_seat <- x$session$last_seat + 1L
  new_seat(x$session$last_seat, x$session)
}

cloneNode.roost_cluster <- function(x, ...) structure(lapply(x, cloneNode.roost_seat), class = class(x))

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
}

# Runs a function on the seat's worker.
seat_call <- function(node, fun) {
  sendData_roost_seat(node, list(type = "EXEC", data = list(fun = fun, args = list(), return = TRUE, tag = NULL)))
  recvData_roost_seat(node)$value
}
