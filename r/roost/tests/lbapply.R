library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# lbapply is lapply, load-balanced.
pool <- pool_local(workers = 2)
stopifnot(inherits(pool, "cluster"), length(pool) == 2L)

stopifnot(identical(lbapply(pool, 1:5, function(x) x^2), lapply(1:5, function(x) x^2)))
stopifnot(identical(lbapply(pool, c(a = 1, b = 2), function(x, by) x * by, by = 3), list(a = 3, b = 6)))
stopifnot(identical(lbapply(pool, list(), identity), list()))
stopifnot(identical(lbapply(pool, list(1, NULL, "a"), identity), list(1, NULL, "a")))
stopifnot(identical(lbapply(pool, factor(c("u", "v")), as.character), lapply(factor(c("u", "v")), as.character)))
stopifnot(identical(lbapply(pool, 1:3, function(x) x, simplify = TRUE), 1:3))
stopifnot(identical(lbapply(pool, list(quote(a + b), as.name("z")), function(x) x), list(quote(a + b), as.name("z"))))
stopifnot(identical(lbapply(pool, mtcars, mean), lapply(mtcars, mean)))
many <- lbapply(pool, 1:3000, function(i) if (i %% 2) i else NULL)
stopifnot(length(many) == 3000L, identical(many[[2999]], 2999L), is.null(many[[3000]]))

# A function's needs are found.
offset <- 10
helper <- function(x) x + offset
stopifnot(identical(lbapply(pool, 1:2, function(x) helper(x)), list(11, 12)))
inside <- function() { own <- 5; f <- function(x) g(x) + own; g <- function(x) x * offset; lbapply(pool, 1:2, f) }
stopifnot(identical(inside(), list(15, 25)))
library(splines)
stopifnot(identical(dim(lbapply(pool, 1, function(i) bs(1:10, df = 4))[[1]]), c(10L, 4L)))
stopifnot(identical(lbapply(pool, 1, function(i) get(paste0("off", "set")), export = "offset"), list(10)))
stopifnot(inherits(tryCatch(lbapply(pool, 1, identity, export = "no such"), error = identity), "roost_error"))

# The state of a worker is the same for the next task.
lbapply(pool, 1:4, function(i) { options(digits = 3, warn = 2); setwd("/"); sink(tempfile()); RNGkind("Wichmann-Hill"); 1 })
state <- lbapply(pool, 1:4, function(i) list(getOption("digits"), getOption("warn"), getwd(), RNGkind()[1]), seed = FALSE)
for (one in state) stopifnot(one[[1]] == 7, one[[2]] == 0, one[[3]] != "/", one[[4]] == "Mersenne-Twister")
close(pool)
stopifnot(inherits(tryCatch(lbapply(pool, 1, identity), error = identity), "roost_pool_error"))
