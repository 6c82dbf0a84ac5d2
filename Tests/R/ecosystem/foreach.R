# foreach on a pool: the values of %do%, in functions and in packages' functions, too.
library(roost)
library(foreach)
pool <- pool_local(workers = 2)
registerDoRoost(pool)
stopifnot(getDoParName() == "doRoost", getDoParWorkers() == 2)

# Combining, order, names, iterators, conditions, nesting.
stopifnot(
  identical(foreach(i = 1:10, .combine = c) %dopar% i^2, (1:10)^2),
  identical(foreach(i = 1:3, .combine = "rbind") %dopar% c(i, -i), foreach(i = 1:3, .combine = "rbind") %do% c(i, -i)),
  identical(foreach(x = list(a = 1, b = 2), .final = function(y) setNames(y, c("a", "b"))) %dopar% (x + 1), list(a = 2, b = 3)),
  identical(foreach(a = 1:3, b = 3:1, .combine = c) %dopar% (a * b), c(3L, 4L, 3L)),
  identical(foreach(row = iterators::iter(matrix(1:6, 2), by = "row"), .combine = c) %dopar% sum(row), c(9L, 12L)),
  identical(foreach(i = iterators::icount(5), .combine = c) %:% when(i %% 2 == 1) %dopar% i, c(1L, 3L, 5L)),
  identical(foreach(i = 1:3, .combine = c) %:% foreach(j = 1:2, .combine = c) %dopar% (10 * i + j),
            foreach(i = 1:3, .combine = c) %:% foreach(j = 1:2, .combine = c) %do% (10 * i + j)),
  setequal(foreach(i = 1:6, .combine = c, .inorder = FALSE) %dopar% i, 1:6),
  identical(foreach(i = 1:3, .combine = c, .errorhandling = "remove") %dopar% if (i == 2) stop("two") else i, c(1L, 3L)),
  inherits((foreach(i = 1:2, .errorhandling = "pass") %dopar% if (i == 2) stop("two") else i)[[2]], "simpleError"))
e <- tryCatch(foreach(i = 1:2) %dopar% if (i == 2) stop("two") else i, error = identity)
stopifnot(grepl("two", conditionMessage(e)))

# In a function: its arguments, its dots, its local functions.
f <- function(...) foreach(i = 1:2, .combine = c) %dopar% sum(i, ...)
stopifnot(identical(f(1), c(2, 3)), identical(f(1, 10), c(12, 13)))
named <- function(...) foreach(i = 1:2) %dopar% names(list(...))
stopifnot(identical(named(a = 1, b = 2), list(c("a", "b"), c("a", "b"))))
g <- function(n) {
  twice <- function(x) helper(x) * 2
  helper <- function(x) x + n
  foreach(i = 1:3, .combine = c) %dopar% twice(i)
}
stopifnot(identical(g(1), c(4, 6, 8)))
in_lapply <- lapply(1:2, function(k) foreach(i = 1:2, .combine = c) %dopar% (i * k))
stopifnot(identical(in_lapply, list(1:2, c(2L, 4L))))
functions <- list(function() "a", function() "b")
stopifnot(identical(foreach(h = functions, .combine = c) %dopar% h(), c("a", "b")))

# In a package: functions that it does not export, and what its caller names in .packages.
inside <- function(x) foreach(i = 1:2, .combine = c) %dopar% empty(x)       # empty() is plyr's own
environment(inside) <- new.env(parent = asNamespace("plyr"))
assign("foreach", foreach, environment(inside))
assign("%dopar%", `%dopar%`, environment(inside))
stopifnot(identical(inside(data.frame()), c(TRUE, TRUE)), identical(inside(iris), c(FALSE, FALSE)))
with_packages <- function() {
  needed <- "splines"
  foreach(i = 1:2, .combine = c, .packages = needed) %dopar% ncol(bs(1:10, df = 4))
}
stopifnot(identical(with_packages(), c(4L, 4L)))

# What is assigned in the loop, and exports.
total <- 0
sums <- foreach(i = 1:3, .combine = c) %dopar% { total <- total + i; total }
stopifnot(identical(sums, c(1, 2, 3)), total == 0)
hidden <- function(i) get("unseen")[i]
unseen <- c(5, 6)
stopifnot(identical(foreach(i = 1:2, .combine = c, .export = "unseen") %dopar% hidden(i), c(5, 6)),
          identical(foreach(i = 1:2, .combine = c, .noexport = "absent") %dopar% i, 1:2))
close(pool)
