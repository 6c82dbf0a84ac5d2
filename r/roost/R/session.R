# One session with a bridge: an environment, since it changes.
#
#   request ─▶ write ─▶ wait for the answer (socketSelect, the one place where an interrupt costs nothing) ─▶ answer
#                 └── connection lost: connect again, say hello, both sides send again what the other lacks
#
# Interrupts are suspended, but R lets them through wherever it waits for a socket: an interrupted readBin has lost what it had
# read. So a connection on which something was begun and not ended is not `ready`: the next request makes a new one.

connect_tries <- 5L            # connections in a row that may fail, or break before a whole frame has come
connect_seconds <- 10          # wait for an answer to hello
read_bytes <- 67108864         # of a blob, between two chances to interrupt
write_bytes <- .Machine$integer.max  # the most that one writeBin() takes; more goes in slices
slice_bytes <- 67108864
stop_seconds <- 5              # wait for the answer to `stop`, `bye`

new_session <- function(line) {
  fields <- strsplit(line, " +")[[1L]]
  if (length(fields) < 4L || fields[1L] != "roost-bridge")
    pool_error("'roost bridge' printed something that is not understood: ", line)
  if (fields[2L] != "1") pool_error("This package speaks bridge protocol 1; the program 'roost' speaks ", fields[2L],
                                    ". Remedy: install the package and the program of the same release.")
  session <- new.env(parent = emptyenv())
  session$pid <- Sys.getpid()
  session$mark <- new_mark()
  session$port <- as.integer(fields[3L])
  session$secret <- fields[4L]
  session$bridge <- suppressWarnings(as.integer(fields[5L]))
  session$seq <- 0             # of the last request
  session$got <- 0             # the highest seq received whole
  session$unheard <- list()    # requests that the bridge may not have, to be sent again: list(seq, pieces)
  session$losses <- 0L         # connections that broke since the last whole frame
  session$con <- NULL
  session$ready <- FALSE       # whether both sides are between two frames, hello is said
  session$asking <- NULL       # the request that waits for its answer
  session$aside <- NULL        # answers to requests that wait while a handler's request does
  session$left <- NULL         # a request that an interrupt has left, and what takes its answer: list(seq, take)
  session$large <- FALSE       # whether the last jobs' common data were too large for a control
  session$head <- NULL         # of the frame that is being received, with a blob of more than one read
  session$parts <- list()      # what was received of that blob
  session$quiet <- 0L          # quiet requests since the last ping; their bytes
  session$quiet_bytes <- 0
  session$open <- TRUE
  session$garbage <- character()
  session$setup <- 0L
  session$calls <- list()      # the open jobs of small calls, by what they are for
  session$sent <- list()       # tasks that verbs of parallel wait for
  session$exported <- list()
  reg.finalizer(session, end_session, onexit = TRUE)
  session
}

end_session <- function(session) {
  if (!session$open) return(invisible())
  if (is_copy(session)) return(invisible())
  if (session$pid == Sys.getpid())
    try(suppressWarnings(request(session, list(op = "bye"), seconds = stop_seconds)), silent = TRUE)
  session$open <- FALSE
  disconnect(session)
  if (!is.null(session$ended)) try(close(session$ended), silent = TRUE)
  invisible()
}

check_session <- function(session) {
  if (is_copy(session)) fail_copied(session)
  if (session$pid != Sys.getpid()) pool_error(
    "This pool belongs to process ", session$pid, "; this is a forked child, ", Sys.getpid(),
    ", which would disturb it. Remedy: use the pool in the parent, or make a pool in the child.")
  if (!session$open) pool_error("This pool is closed. Make a new one with pool_local() or pool_connect().")
}

# ---- the connection ----

disconnect <- function(session) {
  if (!is.null(session$con)) try(close(session$con), silent = TRUE)
  session$con <- NULL
  session$ready <- FALSE
  session$head <- NULL
  session$parts <- list()
}

connect <- function(session) {
  for (try in seq_len(connect_tries)) {
    disconnect(session)
    if (try > 1L || session$losses > 1L) Sys.sleep(min(2, 0.05 * 2^(try - 1L + max(1L, session$losses))))
    session$con <- tryCatch(suppressWarnings(open_socket(session$port)), error = function(e) NULL)
    if (!is.null(session$con)) {
      if (say_hello(session)) return(invisible())
    } else if (bridge_gone(session)) break
  }
  give_up(session, ", and it does not answer: it was killed or has crashed")
}

# A connection that breaks again and again, before anything new has come whole, does so for a reason.
reconnect <- function(session, error) {
  session$losses <- session$losses + 1L
  if (session$losses > connect_tries) give_up(session, ": it broke ", session$losses, " times in a row (", conditionMessage(error), ")")
  connect(session)
}

# Says who we are, and sends again what the bridge has not got; TRUE when that is done.
say_hello <- function(session) tryCatch({
  write_frame(session, frame(0, session$got, list(op = "hello", protocol = 1L, secret = session$secret)))
  answer <- read_frame(session, connect_seconds)
  said <- if (!is.null(answer)) unserialize(answer$control)
  if (isTRUE(said$ok)) {
    heard(session, said$got)
    for (request in session$unheard) write_frame(session, request$pieces)
  }
  session$ready <- isTRUE(said$ok)
}, error = function(e) FALSE)

# The bridge has all requests up to this one.
heard <- function(session, seq)
  session$unheard <- if (seq >= session$seq) list() else Filter(function(request) request$seq > seq, session$unheard)

give_up <- function(session, ...) {
  disconnect(session)
  session$open <- FALSE
  pool_error("The connection to 'roost bridge' (127.0.0.1:", session$port, ", process ", session$bridge, ") is lost", ...,
             ". Its attached jobs are lost. Make a new pool.")
}

bridge_gone <- function(session) !is.na(session$bridge) && !isTRUE(tools::pskill(session$bridge, 0L))

open_socket <- function(port) {
  arguments <- list("127.0.0.1", port, blocking = TRUE, open = "a+b", timeout = connect_seconds)
  if ("options" %in% names(formals(socketConnection))) arguments$options <- "no-delay"
  do.call(socketConnection, arguments)
}

# R writes no more than write_bytes in one call.
write_frame <- function(session, pieces) {
  ready <- session$ready
  session$ready <- FALSE
  for (piece in pieces) {
    if (length(piece) <= write_bytes) writeBin(piece, session$con)
    else for (start in seq(1, length(piece), by = slice_bytes))
      writeBin(piece[seq(start, min(length(piece), start + slice_bytes - 1))], session$con)
  }
  session$ready <- ready
}

# The next frame; NULL when `seconds` are over. An error when the connection is lost.
#
# Its parts are read whole, each into the vector that it stays: joining raw vectors takes R longer than receiving them. A frame
# that has begun to come comes without a pause, or the connection is broken: a read ends after `connect_seconds` of silence.
# The control is still a stream: what is wrong with it is no fault of the connection.
read_frame <- function(session, seconds = Inf) {
  end <- if (is.finite(seconds)) proc.time()[[3L]] + seconds
  repeat {
    left <- if (is.null(end)) NULL else max(0, end - proc.time()[[3L]])
    if (!allowInterrupts(socketSelect(list(session$con), FALSE, left))) {
      if (!is.null(left) && left <= 0) return(NULL)
      next
    }
    ready <- session$ready
    session$ready <- FALSE
    head <- session$head
    if (is.null(head)) {
      sizes <- readBin(session$con, "double", 4L, endian = "little")
      if (length(sizes) < 4L) stop("the bridge closed the connection")
      head <- list(seq = sizes[1L], reply = sizes[2L], control = read_exactly(session, sizes[3L]),
                   missing = sizes[4L])
    }
    part <- if (head$missing > 0) read_exactly(session, min(head$missing, read_bytes))
    session$ready <- ready
    head$missing <- head$missing - length(part)
    if (head$missing == 0) {
      if (length(session$parts)) part <- do.call(c, c(session$parts, list(part)))
      session$head <- NULL
      session$parts <- list()
      if (head$seq > 0) {
        session$got <- head$seq
        session$losses <- 0L
      }
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

# Sends a request and waits for its final answer: list(seq, reply, control, blob). `more` gets the answers before it. Left by an
# interrupt (or an error in `more`), it tells the bridge to forget the question. NULL when `seconds` are over. An error that
# the bridge answers with is raised here, but for the code `expected`. A brief answer has the numbers of its control as `brief`.
request <- function(session, control, blobs = NULL, more = NULL, seconds = Inf, expected = NULL) {
  if (!is_usable(session)) check_session(session)
  mine <- session$seq + 1
  # What is wrong with the arguments shows here: a number that is taken must be sent.
  pieces <- frame(mine, session$got, control, blobs)
  if (is.null(blobs) && length(pieces) > 1L) session$large <- TRUE
  answer <- NULL
  suspendInterrupts({
    # A condition's handler may ask, while another request waits: that one's answers are put aside for it.
    outer <- session$asking
    on.exit({
      session$asking <- outer
      if (is.null(outer)) session$aside <- NULL
    })
    on.exit(if (is.null(answer) && session$open && (is.double(control) || control$op != "stop")) stop_request(session, mine),
            add = TRUE)
    session$seq <- mine
    session$asking <- mine
    session$unheard[[length(session$unheard) + 1L]] <- list(seq = mine, pieces = pieces)
    answer <- await_answer(session, mine, pieces, more, seconds, is_inner = !is.null(outer))
  })
  if (is.null(answer) || !is.null(answer$brief)) return(answer)
  if (!isTRUE(answer$control$ok) && !identical(answer$control$error$code, expected)) fail_by_bridge(answer$control$error)
  answer
}

# The final answer to the request, which is written first; NULL when nothing comes for `seconds`.
await_answer <- function(session, mine, unsent, more, seconds, is_inner) repeat {
  answer <- if (length(session$aside)) take_aside(session, mine)
  if (is.null(answer)) answer <- next_frame(session, unsent, seconds)
  if (is.null(answer)) return(NULL)
  unsent <- NULL
  if (answer$reply > 0) heard(session, answer$reply)
  if (answer$reply != mine) {
    if (is_inner && answer$reply > 0 && answer$reply < mine) session$aside <- c(session$aside, list(answer))
    else if (identical(answer$reply, session$left$seq)) session$left$take(read_control(answer))
    next
  }
  answer <- read_control(answer)
  if (!is.null(answer$brief)) return(answer)
  if (!isTRUE(answer$control$more)) return(answer)
  if (!is.null(more)) allowInterrupts(more(answer$control, answer$blob))
}

# request() in fewer steps, for a small call with a brief control. As soon as anything is unusual it takes request()'s way.
exchange <- function(session, control, blob, more = NULL) {
  if (!is_usable(session) || !session$ready || !is.null(session$asking))
    return(request(session, control, list(blob), more = more))
  mine <- session$seq + 1
  bytes <- c(writeBin(c(mine, session$got, 8 * length(control), length(blob), control), raw(), endian = "little"), blob)
  answer <- NULL
  suspendInterrupts({
    on.exit({
      session$asking <- NULL
      session$aside <- NULL
      if (is.null(answer) && session$open) stop_request(session, mine)
    })
    session$seq <- session$asking <- mine
    session$unheard[[length(session$unheard) + 1L]] <- list(seq = mine, pieces = list(bytes))
    answer <- tryCatch({
      con <- session$con
      session$ready <- FALSE
      writeBin(bytes, con)
      session$ready <- TRUE
      wait <- list(con)
      while (!allowInterrupts(socketSelect(wait, FALSE, NULL))) NULL
      session$ready <- FALSE
      sizes <- readBin(con, "double", 4L, endian = "little")
      if (length(sizes) < 4L) stop("the bridge closed the connection")
      read_small(session, con, sizes)
    }, error = identity)
    if (inherits(answer, "error")) {
      reconnect(session, answer)
      answer <- NULL
    }
    if (!is.null(answer) && answer$reply == mine) {
      session$unheard <- if (mine == session$seq) list() else heard(session, mine)
      answer <- read_control(answer)
      if (is.null(answer$brief) && isTRUE(answer$control$more)) {
        if (!is.null(more)) allowInterrupts(more(answer$control, answer$blob))
        answer <- NULL
      }
    } else {
      if (!is.null(answer) && identical(answer$reply, session$left$seq)) session$left$take(read_control(answer))
      answer <- NULL
    }
    if (is.null(answer)) answer <- await_answer(session, mine, NULL, more, Inf, is_inner = FALSE)
  })
  if (is.null(answer$brief) && !isTRUE(answer$control$ok)) fail_by_bridge(answer$control$error)
  answer
}

# The rest of a frame that has begun with these sizes; NULL when it is large: it is read later, in parts.
read_small <- function(session, con, sizes) {
  control <- if (sizes[3L] > 0) read_exactly(session, sizes[3L]) else raw()
  if (sizes[4L] > read_bytes) {
    session$head <- list(seq = sizes[1L], reply = sizes[2L], control = control, missing = sizes[4L])
    session$ready <- TRUE
    return(NULL)
  }
  blob <- if (sizes[4L] > 0) read_exactly(session, sizes[4L])
  session$ready <- TRUE
  if (sizes[1L] > 0) {
    session$got <- sizes[1L]
    session$losses <- 0L
  }
  list(seq = sizes[1L], reply = sizes[2L], control = control, blob = blob)
}

# What an answer's control says: a row of numbers, or a list.
read_control <- function(answer) {
  if (is_brief(answer$control)) {
    answer$brief <- if (length(answer$control)) readBin(answer$control, "double", length(answer$control) / 8, endian = "little") else numeric()
  } else answer$control <- withCallingHandlers(unserialize(answer$control), error = fail_unreadable)
  answer
}

# A stream of R begins with a letter; brief answers begin with a byte 0 or are empty.
is_brief <- function(control) !length(control) || control[1L] == as.raw(0L)

quiet_most <- 500L             # quiet requests in a row: then a ping is answered, and R need not keep them to send them again
quiet_bytes <- 1048576         # or so many bytes of them

# Sends a request that the bridge answers only when something is wrong: a brief one, or a list with `quiet = TRUE`. R does not read
# that answer. When tasks could not be appended, what is asked of their job later fails.
send_quietly <- function(session, control, blob = NULL) {
  if (!is_usable(session)) check_session(session)
  if (session$quiet >= quiet_most || session$quiet_bytes > quiet_bytes) {
    session$quiet <- 0L
    session$quiet_bytes <- 0
    request(session, ping)
  }
  seq <- session$seq + 1
  pieces <- frame(seq, session$got, control, if (!is.null(blob)) list(blob))
  suspendInterrupts({
    session$seq <- seq
    session$unheard[[length(session$unheard) + 1L]] <- list(seq = seq, pieces = pieces)
    # If the connection is lost, the next request that waits makes a new one, and sends again what the bridge has not had.
    if (session$ready) {
      session$ready <- FALSE
      tryCatch({
        writeBin(pieces[[1L]], session$con)
        session$ready <- TRUE
      }, error = identity)
    }
  })
  session$quiet <- session$quiet + 1L
  session$quiet_bytes <- session$quiet_bytes + length(pieces[[1L]])
}

ping <- list(op = "ping")

fail_unreadable <- function(e) pool_error("R cannot read what 'roost bridge' answered: ", conditionMessage(e))

# The next frame, over as many connections as it takes; a new one begins with what is unheard, `unsent` among it.
next_frame <- function(session, unsent, seconds) repeat {
  if (!session$ready) {
    connect(session)
    unsent <- NULL
  }
  frame <- tryCatch({
    if (!is.null(unsent)) write_frame(session, unsent)
    read_frame(session, seconds)
  }, error = identity)
  if (!inherits(frame, "error")) return(frame)
  unsent <- NULL
  reconnect(session, frame)
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
