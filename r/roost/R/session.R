# One session with a bridge: an environment, since it changes.
#
#   request ─▶ write ─▶ wait for the answer (socketSelect, the only place that an interrupt can leave) ─▶ answer
#                 └── connection lost: connect again, say hello, both sides send again what the other lacks
#
# Bytes are read and written with interrupts suspended: an interrupted readBin loses what it had read.

connect_tries <- 5L            # connections in a row that may fail
connect_seconds <- 10          # wait for an answer to hello
read_bytes <- 67108864         # of a blob, between two chances to interrupt
stop_seconds <- 5              # wait for the answer to `stop`, `bye`

new_session <- function(line) {
  fields <- strsplit(line, " +")[[1L]]
  if (length(fields) < 4L || fields[1L] != "roost-bridge")
    pool_error("'roost bridge' printed something that is not understood: ", line)
  if (fields[2L] != "1") pool_error("This package speaks bridge protocol 1; the program 'roost' speaks ", fields[2L],
                                    ". Remedy: install the package and the program of the same release.")
  session <- new.env(parent = emptyenv())
  session$pid <- Sys.getpid()
  session$port <- as.integer(fields[3L])
  session$secret <- fields[4L]
  session$bridge <- suppressWarnings(as.integer(fields[5L]))
  session$seq <- 0             # of the last request
  session$got <- 0             # the highest seq received whole
  session$request <- NULL      # the last request, to be sent again
  session$con <- NULL
  session$asking <- NULL       # the request that waits for its answer
  session$aside <- NULL        # answers to requests that wait while a handler's request does
  session$large <- FALSE       # whether the last jobs' common data were too large for a control
  session$head <- NULL         # of the frame that is being received, with a blob of more than one read
  session$parts <- list()      # what was received of that blob
  session$open <- TRUE
  session$garbage <- character()
  session$setup <- 0L
  session$exported <- list()
  session$futures <- list()    # that have not ended, as far as is known
  reg.finalizer(session, end_session, onexit = TRUE)
  session
}

end_session <- function(session) {
  if (!session$open) return(invisible())
  if (session$pid == Sys.getpid())
    try(suppressWarnings(request(session, list(op = "bye"), seconds = stop_seconds)), silent = TRUE)
  session$open <- FALSE
  disconnect(session)
  invisible()
}

check_session <- function(session) {
  if (session$pid != Sys.getpid()) pool_error(
    "This pool belongs to process ", session$pid, "; this is a forked child, ", Sys.getpid(),
    ", which would disturb it. Remedy: use the pool in the parent, or make a pool in the child.")
  if (!session$open) pool_error("This pool is closed. Make a new one with pool_local() or pool_connect().")
}

# ---- the connection ----

disconnect <- function(session) {
  if (!is.null(session$con)) try(close(session$con), silent = TRUE)
  session$con <- NULL
  session$head <- NULL
  session$parts <- list()
}

connect <- function(session) {
  for (try in seq_len(connect_tries)) {
    disconnect(session)
    if (try > 1L) Sys.sleep(0.05 * 2^try)
    session$con <- tryCatch(suppressWarnings(open_socket(session$port)), error = function(e) NULL)
    if (is.null(session$con)) if (bridge_gone(session)) break else next
    said <- tryCatch({
      write_frame(session, frame(0, session$got, list(op = "hello", protocol = 1L, secret = session$secret)))
      read_frame(session, connect_seconds)
    }, error = function(e) NULL)
    if (isTRUE(said$control$ok)) {
      last <- session$request
      if (is.null(last) || said$control$got >= session$seq) return(invisible())
      if (tryCatch({ write_frame(session, last); TRUE }, error = function(e) FALSE)) return(invisible())
    }
  }
  disconnect(session)
  session$open <- FALSE
  pool_error("The connection to 'roost bridge' (127.0.0.1:", session$port, ", process ", session$bridge,
             ") is lost, and it does not answer: it was killed or has crashed. Its attached jobs are lost. Make a new pool.")
}

bridge_gone <- function(session) !is.na(session$bridge) && !isTRUE(tools::pskill(session$bridge, 0L))

open_socket <- function(port) {
  arguments <- list("127.0.0.1", port, blocking = TRUE, open = "a+b", timeout = connect_seconds)
  if ("options" %in% names(formals(socketConnection))) arguments$options <- "no-delay"
  do.call(socketConnection, arguments)
}

write_frame <- function(session, pieces) for (piece in pieces) writeBin(piece, session$con)

# The next frame; NULL when `seconds` are over. An error when the connection is lost.
#
# Its parts are read whole, each into the vector that it stays: joining raw vectors takes R longer than receiving them. A frame
# that has begun to come comes without a pause, or the connection is broken: a read ends after `connect_seconds` of silence.
read_frame <- function(session, seconds = Inf) {
  end <- if (is.finite(seconds)) proc.time()[[3L]] + seconds
  repeat {
    left <- if (is.null(end)) NULL else max(0, end - proc.time()[[3L]])
    ready <- allowInterrupts(socketSelect(list(session$con), FALSE, left))
    if (!ready) {
      if (!is.null(left) && left <= 0) return(NULL)
      next
    }
    head <- session$head
    if (is.null(head)) {
      sizes <- readBin(session$con, "double", 4L, endian = "little")
      if (length(sizes) < 4L) stop("the bridge closed the connection")
      head <- list(seq = sizes[1L], reply = sizes[2L], control = unserialize(read_exactly(session, sizes[3L])),
                   missing = sizes[4L])
    }
    part <- if (head$missing > 0) read_exactly(session, min(head$missing, read_bytes))
    head$missing <- head$missing - length(part)
    if (head$missing == 0) {
      if (length(session$parts)) part <- do.call(c, c(session$parts, list(part)))
      session$head <- NULL
      session$parts <- list()
      if (head$seq > 0) session$got <- head$seq
      return(list(seq = head$seq, reply = head$reply, control = head$control, blob = part))
    }
    session$head <- head
    session$parts[[length(session$parts) + 1L]] <- part
  }
}

read_exactly <- function(session, bytes) {
  data <- readBin(session$con, "raw", bytes)
  if (length(data) < bytes) stop("the bridge closed the connection")
  data
}

# ---- requests ----

# Sends a request and waits for its final answer: list(control, parts). `more` gets the answers before it. Left by an
# interrupt (or an error in `more`), it tells the bridge to forget the question. NULL when `seconds` are over. An error that
# the bridge answers with is raised here, but for the code `expected`.
request <- function(session, control, blobs = NULL, more = NULL, seconds = Inf, expected = NULL) {
  check_session(session)
  mine <- session$seq + 1
  # What is wrong with the arguments shows here: a number that is taken must be sent.
  pieces <- frame(mine, session$got, control, blobs)
  if (is.null(blobs) && length(pieces) > 1L) session$large <- TRUE
  suspendInterrupts({
    session$seq <- mine
    session$request <- pieces
    answered <- FALSE
    # A condition's handler may ask, while another request waits: that one's answers are put aside for it.
    outer <- session$asking
    session$asking <- mine
    on.exit({
      session$asking <- outer
      if (is.null(outer)) session$aside <- NULL
    })
    on.exit(if (!answered && session$open && control$op != "stop") stop_request(session, mine), add = TRUE)
    unsent <- !is.null(session$con)
    if (!unsent) connect(session)
    repeat {
      answer <- if (length(session$aside)) take_aside(session, mine)
      if (is.null(answer)) answer <- tryCatch({
        if (unsent) write_frame(session, pieces)
        unsent <- FALSE
        read_frame(session, seconds)
      }, error = identity)
      if (inherits(answer, "error")) {
        unsent <- FALSE
        connect(session)
        next
      }
      if (is.null(answer)) return(NULL)
      if (answer$reply == 0) {
        if (!is.null(answer$control$note)) message("roost: ", answer$control$note)
        next
      }
      if (answer$reply != mine) {
        if (!is.null(outer) && answer$reply < mine) session$aside <- c(session$aside, list(answer))
        next
      }
      if (isTRUE(answer$control$more)) {
        if (!is.null(more)) allowInterrupts(more(answer$control, answer$blob))
        next
      }
      answered <- TRUE
      session$request <- NULL
      break
    }
  })
  if (!isTRUE(answer$control$ok) && !identical(answer$control$error$code, expected)) fail_by_bridge(answer$control$error)
  answer
}

# What came for a request while another one, made by a handler of its conditions, waited; NULL when nothing did.
take_aside <- function(session, seq) {
  i <- match(seq, vapply(session$aside, function(answer) answer$reply, 0))
  if (is.na(i)) return(NULL)
  answer <- session$aside[[i]]
  session$aside[i] <- NULL
  answer
}

stop_request <- function(session, seq)
  tryCatch(suspendInterrupts(request(session, list(op = "stop", seq = seq), seconds = stop_seconds)),
           error = function(e) NULL)
