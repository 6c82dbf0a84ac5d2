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

# What lapply() takes.
same <- function(X, f) stopifnot(identical(lbapply(pool, X, f), lapply(X, f)))
fit <- lm(mpg ~ wt, mtcars)
same(I(list(1, 2)), identity); same(fit, class); same(t.test(1:10), class); same(expression(a, b + c), class)
same(structure(list(1, b = 2), class = "own"), identity); same(structure(1:3, class = "own"), class)
same(as.Date(c("2020-01-01", "2021-01-01")), format); same(as.POSIXlt(c("2020-01-01", "2021-01-01"), tz = "UTC"), format)
same(numeric_version(c("1.2", "2.3")), format)
same(factor(c("u", "v")), identity)
same(matrix(1:4, 2), identity)
same(NULL, identity)
same(pairlist(a = 1, b = "x"), class)
same(quote(f(x, 1)), class)
same(list2env(list(q = 1)), identity)
same(as.name("x"), class)

# Arguments of FUN that have names like ours
stopifnot(identical(lbapply(pool, 1:2, function(x, p) x * p, p = 3), list(3, 6)))
stopifnot(identical(lbapply(FUN = function(x, po) x * po, pool = pool, X = 1:2, po = 3), list(3, 6)))
passed_on <- function(...) lbapply(pool, ...)
stopifnot(identical(passed_on(1:2, function(x, p, q) x * p + q, p = 3, q = 1), list(4, 7)))
stopifnot(identical(lbapply(NULL, 1:2, function(x, p) x * p, p = 3), list(3, 6)))
ours <- function(x, seed, label, options) x + seed + label + options
stopifnot(identical(lbapply(pool, 1:2, ours, .args = list(seed = 1, label = 2, options = 3)), list(7, 8)))
stopifnot(identical(lbapply(pool, 1:2, ours, 1, .args = list(label = 2, options = 3)), list(7, 8)))
job <- async_lapply(pool, 1:2, function(x, p, seed) x * p + seed, p = 3, .args = list(seed = 1))
stopifnot(identical(results(job), list(4, 7)))
stopifnot(inherits(tryCatch(lbapply(pool, 1, ours, .args = 1), error = identity), "roost_error"))
# nodepool's order
stopifnot(identical(lbapply(1:2, function(x, k) x + k, pool, k = 1), list(2, 3)))

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
