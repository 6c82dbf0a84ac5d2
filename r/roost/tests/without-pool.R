# What needs no pool.
library(roost)
stopifnot(is.logical(roost_available()))
old <- options(roost.bin = tempfile())
e <- tryCatch(pool_local(2), error = identity)
stopifnot(inherits(e, "roost_pool_error"), grepl("roost.bin", conditionMessage(e)))
options(old)
for (bad in list(0, NA, "x", 1:2)) stopifnot(inherits(tryCatch(suppressWarnings(pool_local(bad)), error = identity), "roost_error"))
stopifnot(inherits(tryCatch(lbapply(1, 1, identity), error = identity), "roost_error"))
stopifnot(inherits(tryCatch(lbapply(NULL, 1:3, identity, seed = "x"), error = identity), "roost_error"))
stopifnot(identical(lbapply(NULL, list(), identity), list()), identical(lbapply(NULL, 1:2, function(x) NULL), list(NULL, NULL)))

# Frames are cut whole, however they arrive.
stream <- roost:::stream
bytes <- c(roost:::frame(1, 2, list(ok = TRUE), list(as.raw(1:3), raw(), as.raw(4:5)))[[1]],
           roost:::frame(2, 0, list(note = "x"))[[1]])
listener <- serverSocket(port <- sample(20000:60000, 1L))
far <- socketConnection("127.0.0.1", port, open = "a+b", blocking = TRUE)
session <- new.env()
session$con <- socketAccept(listener, open = "a+b", blocking = TRUE, timeout = 10)
session$parts <- list(); session$got <- 0
for (byte in as.list(bytes)) writeBin(byte, far)
a <- roost:::read_frame(session); b <- roost:::read_frame(session)
stopifnot(a$seq == 1, a$reply == 2, identical(roost:::divide(a$blob, unserialize(a$control)$lengths)[2:3], list(raw(), as.raw(4:5))))
stopifnot(unserialize(b$control)$note == "x", length(session$parts) == 0L, session$got == 2, is.null(roost:::read_frame(session, 0)))
close(far); close(session$con); close(listener)

# X and common data in the control, if they are not large.
small <- roost:::frame(1, 0, list(op = "run", X = 1, common = list(2)))
large <- roost:::frame(1, 0, list(op = "run", X = 1, common = list(sqrt(1:200000))))
stopifnot(length(small) == 1L, length(large) == 3L, identical(unserialize(large[[2]]), 1))
control <- unserialize(large[[1]][-(1:32)])
stopifnot(identical(names(control), c("op", "lengths")), identical(control$lengths, as.double(lengths(large[2:3]))))

# Globals and packages
needs <- function(f, ...) roost:::find_needs(list(f), ...)
one <- 1; two <- function() one; three <- function(x) two() + x
stopifnot(setequal(names(needs(function(x) three(x))$globals), c("one", "two", "three")))
stopifnot(length(needs(function(one) one)$globals) == 0L, length(needs(stats::median)$globals) == 0L)
stopifnot(identical(needs(function(x) x, export = "one")$globals, list(one = 1)))
recursive <- function(n) if (n == 0) 0 else recursive(n - 1)
stopifnot(identical(names(needs(recursive)$globals), "recursive"))
