library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# foreach
if (!requireNamespace("foreach", quietly = TRUE)) quit("no")
suppressMessages(library(foreach))
pool <- pool_local(workers = 2)
registerDoRoost(pool)
stopifnot(getDoParName() == "doRoost", getDoParWorkers() == 2L)
stopifnot(identical(foreach(i = 1:4, .combine = c) %dopar% sqrt(i), sqrt(1:4)))
inside <- function(m) { g <- function(x) h(x); h <- function(x) x * m; foreach(i = 1:3, .combine = c) %dopar% g(i) }
stopifnot(identical(inside(3), c(3, 6, 9)))
k <- 2; uses <- function(x) x + k
stopifnot(identical(foreach(i = 1:2, .combine = c) %dopar% uses(i), c(3, 4)))
stopifnot(identical(foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:2, .combine = c) %dopar% (a * b),
                    foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:2, .combine = c) %do% (a * b)))
try_three <- function(...) foreach(i = 1:4, ...) %dopar% if (i == 3) stop("three") else i
e <- tryCatch(try_three(), error = identity)
stopifnot(grepl("task 3 failed - \"three\"", conditionMessage(e), fixed = TRUE), inherits(e$task_error, "roost_task_error"))
stopifnot(identical(unlist(try_three(.errorhandling = "remove")), c(1L, 2L, 4L)))
stopifnot(inherits(try_three(.errorhandling = "pass")[[3]], "simpleError"))
stopifnot(identical(foreach(i = 1:3, .options.roost = list(seed = 1)) %dopar% runif(1), lbapply(NULL, 1:3, function(i) runif(1), seed = 1)))

if (requireNamespace("doRNG", quietly = TRUE)) {
  suppressMessages(library(doRNG))
  set.seed(3); a <- foreach(i = 1:4) %dorng% rnorm(2)
  registerDoSEQ()
  set.seed(3); b <- foreach(i = 1:4) %dorng% rnorm(2)
  stopifnot(identical(a, b))
}
close(pool)
