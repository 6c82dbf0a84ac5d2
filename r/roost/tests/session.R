library(roost)
options(warn = 1)
if (.Platform$OS.type != "unix") quit("no")

# The session against a bridge that misbehaves: a forked child plays it, by a script.
port <- roost:::free_port()
listener <- serverSocket(port)
accept <- function() socketAccept(listener, blocking = TRUE, open = "a+b", timeout = 30)
get_frame <- function(con) {
  sizes <- readBin(con, "double", 4L, endian = "little")
  if (length(sizes) < 4L) stop("nothing came")
  list(seq = sizes[1], reply = sizes[2], control = unserialize(readBin(con, "raw", sizes[3])))
}
put_frame <- function(con, seq, reply, control) {
  if (!is.raw(control)) control <- serialize(control, NULL, xdr = FALSE)
  writeBin(c(writeBin(as.double(c(seq, reply, length(control), 0)), raw(), endian = "little"), control), con)
}
welcome <- function(con, got) put_frame(con, 0, 0, list(ok = TRUE, got = got))
parent <- Sys.getpid()
play <- function(script) parallel::mcparallel(script())
verdict <- function(child) {
  said <- parallel::mccollect(child)[[1L]]
  if (inherits(said, "try-error")) stop(said)
  said
}
new_session <- function() roost:::new_session(paste("roost-bridge 1", port, strrep("0", 32), "NA"))
ask <- function(session, ...) roost:::request(session, list(...))
finish <- function(session) {
  session$open <- FALSE
  roost:::disconnect(session)
}

# It takes each request for a reason to hang up: that is an error, and not asked for ever.
child <- play(function() {
  count <- 0
  repeat {
    con <- accept()
    if (identical(get_frame(con)$control$secret, "enough")) return(count)
    count <- count + 1
    welcome(con, 0)
    try(get_frame(con), silent = TRUE)
    close(con)
  }
})
session <- new_session()
error <- tryCatch(ask(session, op = "nodes"), error = identity)
stopifnot(inherits(error, "roost_pool_error"), grepl("lost: it broke 6 times in a row", conditionMessage(error)), !session$open)
con <- roost:::open_socket(port)
for (piece in roost:::frame(0, 0, list(op = "hello", secret = "enough"))) writeBin(piece, con)
stopifnot(verdict(child) == 6)
close(con)

# An answer that R cannot read is the fault of its request alone.
child <- play(function() {
  con <- accept()
  get_frame(con)
  welcome(con, 0)
  first <- get_frame(con)
  put_frame(con, 1, first$seq, as.raw(rep(7, 40)))
  second <- get_frame(con)
  put_frame(con, 2, second$seq, list(ok = TRUE))
  third <- get_frame(con)
  put_frame(con, 3, third$seq, list(ok = TRUE, x = 7))
  list(first$control$op, second$control[c("op", "seq")], second$reply, third$reply)
})
session <- new_session()
error <- tryCatch(ask(session, op = "nodes"), error = identity)
stopifnot(inherits(error, "roost_pool_error"), grepl("cannot read", conditionMessage(error)), session$open)
stopifnot(identical(ask(session, op = "status")$control$x, 7))
stopifnot(identical(verdict(child), list("nodes", list(op = "stop", seq = 1), 1, 2)))
finish(session)

# An interrupt while a connection is made anew: the request that the old one swallowed comes first, then what stops it. And one
# in the middle of a frame, the rest of which is not taken for another.
child <- play(function() {
  con <- accept()
  get_frame(con)
  welcome(con, 0)
  close(con)
  con <- accept()
  get_frame(con)
  tools::pskill(parent, tools::SIGINT)
  con <- accept()
  get_frame(con)
  welcome(con, 0)
  first <- get_frame(con)
  second <- get_frame(con)
  put_frame(con, 1, second$seq, list(ok = TRUE))
  third <- get_frame(con)
  put_frame(con, 2, third$seq, list(ok = TRUE))
  fourth <- get_frame(con)
  writeBin(c(writeBin(c(3, fourth$seq, 1000, 0), raw(), endian = "little"), raw(500)), con)
  Sys.sleep(0.3)               # R most likely waits for the rest by then; if not, all of this holds as well, but takes longer
  tools::pskill(parent, tools::SIGINT)
  con <- accept()
  get_frame(con)
  welcome(con, fourth$seq)
  fifth <- get_frame(con)
  put_frame(con, 4, fifth$seq, list(ok = TRUE))
  c(first$seq, second$seq, second$control$seq, third$seq, fourth$seq, fifth$seq, fifth$control$seq)
})
session <- new_session()
how <- tryCatch({ ask(session, op = "wait"); "answered" }, interrupt = function(e) "interrupted")
stopifnot(how == "interrupted", session$open, isTRUE(ask(session, op = "nodes")$control$ok))
how <- tryCatch({ ask(session, op = "wait"); "answered" }, interrupt = function(e) "interrupted")
stopifnot(how == "interrupted", session$open, identical(verdict(child), c(1, 2, 1, 3, 4, 5, 4)), !length(session$unheard))
finish(session)
close(listener)

# What cannot be sent is said before it takes a number; what is large goes in slices.
constants <- asNamespace("roost")
with_constants <- function(values, expr) {
  former <- mget(names(values), envir = constants)
  set <- function(values) for (name in names(values)) {
    unlockBinding(name, constants)
    assign(name, values[[name]], envir = constants)
  }
  on.exit(set(former))
  set(values)
  expr
}
with_constants(list(part_most = 1000, control_most = 2000), {
  error <- tryCatch(roost:::frame(1, 0, list(op = "submit"), list(X = raw(1000), common = raw(1001))), error = identity)
  stopifnot(inherits(error, "roost_pool_error"), grepl("serialized, common takes 1 kB", conditionMessage(error)))
  stopifnot(length(roost:::frame(1, 0, list(op = "submit"), list(raw(1000), raw(1000)))) > 0)
  error <- tryCatch(roost:::frame(1, 0, list(op = "cancel", tasks = c(1:1000))), error = identity)
  stopifnot(inherits(error, "roost_pool_error"), grepl("the request takes", conditionMessage(error)))
})
piece <- as.raw(sample(0:255, 2500, replace = TRUE))
for (slice in c(1, 999, 1000, 2499)) with_constants(list(write_bytes = 1000L, slice_bytes = slice), {
  con <- rawConnection(raw(), "wb")
  roost:::write_frame(list2env(list(con = con, ready = TRUE)), list(piece, piece[1:1000], raw()))
  stopifnot(identical(rawConnectionValue(con), c(piece, piece[1:1000])))
  close(con)
})
