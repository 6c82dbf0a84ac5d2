library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# A large list goes in pieces and comes back in pieces; nobody can tell.
pool <- pool_local(workers = 2)
X <- lapply(1:24, function(i) rep(as.double(i), 131072))
names(X) <- paste0("x", 1:24)
stopifnot(roost:::is_bulky(X), !roost:::is_bulky(X[1:4]), !roost:::is_bulky(as.list(1:1e5)), length(roost:::pieces_of(X)) > 3L)
draw <- function(x, y) list(x[1L] + y, length(x), runif(1), x[1:70000])
stopifnot(identical(lbapply(pool, X, draw, y = 2, seed = 3), lbapply(NULL, X, draw, y = 2, seed = 3)))

# Errors, warnings and what is printed stay with their tasks.
noisy <- function(x) {
  if (x[1L] == 20) stop("twenty")
  if (x[1L] == 5) warning("five")
  if (x[1L] == 7) cat("seven\n")
  if (x[1L] == 9) NULL else -x[1L]
}
warned <- character()
printed <- capture.output(values <- withCallingHandlers(lbapply(pool, X, noisy, partial = TRUE), warning = function(w) {
  warned <<- c(warned, conditionMessage(w))
  invokeRestart("muffleWarning")
}))
stopifnot(identical(warned, "task 5: five"), identical(printed, "seven"), identical(names(values), names(X)), is.null(values[[9]]))
stopifnot(inherits(values[[20]], "roost_task_error"), values[[20]]$task == 20L, identical(values[[24]], -24), length(values) == 24L)
several <- function(x) if (x[1L] %in% c(2, 23)) stop("number ", x[1L]) else if (x[1L] == 12) quit("no", 3) else x[1L]
e <- tryCatch(lbapply(pool, X, several), error = identity)
stopifnot(inherits(e, "roost_task_error"), identical(e$tasks, c(2L, 12L, 23L)), length(e$errors) == 3L)
stopifnot(e$errors[[2]]$state == "held", e$errors[[2]]$post_mortem$exit == 3L, identical(e$results[[24]], 24))

# A large function travels beside the control; small ones after it in it.
big <- local({ table <- sqrt(1:300000); function(i) table[i] })
for (k in 1:2) stopifnot(identical(lbapply(pool, 1:3, big), as.list(sqrt(1:3))))
stopifnot(pool[[1]]$session$large, identical(lbapply(pool, 1:3, identity), as.list(1:3)), !pool[[1]]$session$large)
stopifnot(identical(lbapply(pool, as.Date("2024-01-01") + 0:2, format), list("2024-01-01", "2024-01-02", "2024-01-03")))
stopifnot(identical(lbapply(pool, factor(c("a", "b")), as.character), list("a", "b")))

# A call that is wrong is an error, and the next one works.
for (k in 1:2) stopifnot(inherits(tryCatch(lbapply(pool, 1:3, identity, cpus = "two"), error = identity), "roost_error"))
stopifnot(identical(lbapply(pool, 1:3, identity), as.list(1:3)))

# An interrupt ends it at once; nothing late arrives.
if (.Platform$OS.type == "unix") {
  system(sprintf("(sleep 0.7; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid()))
  left <- tryCatch({ lbapply(pool, X, function(x) Sys.sleep(0.5)); FALSE }, interrupt = function(e) TRUE)
  stopifnot(left, identical(lbapply(pool, 1:3, identity), as.list(1:3)))
}
close(pool)

# Chunks above what may be on its way at a time, with more behind them: once a wait without an end.
pool <- pool_local(workers = 2)
large <- numeric(1.1e6)
for (k in 1:4) stopifnot(identical(lbapply(pool, list(large, large, large, large), length), rep(list(1100000L), 4)))
job <- async_lapply(pool, list(large, large, large), length)
stopifnot(identical(results(job), rep(list(1100000L), 3)))
close(pool)
