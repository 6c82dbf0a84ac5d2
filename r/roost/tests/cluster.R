library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# A pool is a cluster of package parallel.
library(parallel)
pool <- pool_local(workers = 2)
f <- function(x) x^2
X <- 1:7
stopifnot(identical(parLapply(pool, X, f), lapply(X, f)), identical(parLapplyLB(pool, X, f), lapply(X, f)))
stopifnot(identical(clusterApply(pool, X, f), lapply(X, f)), identical(clusterApplyLB(pool, X, f), lapply(X, f)))
stopifnot(identical(parSapply(pool, X, f), sapply(X, f)), identical(parSapplyLB(pool, X, f), sapply(X, f)))
m <- matrix(1:6, 2)
stopifnot(identical(parApply(pool, m, 1, sum), apply(m, 1, sum)), identical(parRapply(pool, m, sum), apply(m, 1, sum)))
add <- function(a, b) a + b
stopifnot(identical(clusterMap(pool, add, 1:3, 4:6), Map(add, 1:3, 4:6)))
stopifnot(identical(clusterMap(pool, add, 1:3, 4:6, .scheduling = "dynamic"), Map(add, 1:3, 4:6)))
stopifnot(length(clusterSplit(pool, X)) == 2L, identical(c(pool[1], pool[2]), pool), length(pool[2]) == 1L)

# Setup
base <- 10
clusterExport(pool, "base")
rm(base)
stopifnot(identical(clusterEvalQ(pool, base + 1), list(11, 11)), identical(clusterCall(pool, function(a) a + base, 2), list(12, 12)))
stopifnot(identical(parLapply(pool, 1:3, function(x) x + base), list(11, 12, 13)))
clusterEvalQ(pool, { library(splines); kept <- 3 })
stopifnot(all(unlist(clusterApply(pool, 1:4, function(i) "package:splines" %in% search() && kept == 3))))
big <- runif(1e5)
clusterExport(pool, "big")
stopifnot(identical(lbapply(pool, 1, function(i) sum(big)), list(sum(big))))

# Errors
bad <- tryCatch(clusterApply(pool, 1:3, function(x) if (x == 2) stop("two") else x), error = conditionMessage)
stopifnot(grepl("two", bad))
stopifnot(inherits(try(clusterEvalQ(pool, stop("setup")), silent = TRUE), "try-error"))
stopifnot(inherits(try(clusterApplyLB(pool, 1:4, f, stop("argument")), silent = TRUE), "try-error"))
stopifnot(identical(clusterApplyLB(pool, X, f), lapply(X, f)))

# The numbers of makeCluster(2), also in later calls
other <- makePSOCKcluster(2)
verbs <- list(function(cl) parLapply(cl, 1:5, rnorm), function(cl) clusterApply(cl, 1:5, function(i) runif(1)),
              function(cl) clusterCall(cl, rnorm, 2), function(cl) clusterEvalQ(cl, sample(10)),
              function(cl) parSapply(cl, 1:4, function(i) rexp(1)))
clusterSetRNGStream(other, 123); clusterSetRNGStream(pool, 123)
for (verb in verbs) stopifnot(identical(verb(other), verb(pool)))
stopCluster(other)
clusterSetRNGStream(pool, 7); a <- parLapplyLB(pool, 1:9, rnorm)
clusterSetRNGStream(pool, 7); b <- parLapplyLB(pool, 1:9, rnorm)
stopifnot(identical(a, b))
stopCluster(pool)

# An element for each seat, and a function that leaves something there: each on its own, and so is what follows.
same <- function(use) {
  other <- makePSOCKcluster(2)
  pool <- pool_local(workers = 2)
  stopifnot(identical(use(other), use(pool)))
  stopCluster(other)
  stopCluster(pool)
}
same(function(cl) { clusterApply(cl, seq_along(cl), function(i) me <<- i); list(clusterEvalQ(cl, me), parLapply(cl, 1:6, function(i) me)) })
same(function(cl) { clusterApply(cl, c(5, 6), set.seed); parSapply(cl, 1:6, function(i) runif(1)) })
# A generator that was set everywhere: each seat's numbers go on from there.
same(function(cl) { clusterEvalQ(cl, set.seed(7)); parSapply(cl, 1:6, function(i) runif(1)) })
same(function(cl) { clusterCall(cl, set.seed, 7); unlist(clusterApply(cl, 1:12, function(i) runif(1))) })
# What is a function's own is not left.
leaves <- roost:::leaves_something
stopifnot(!leaves(function(i) { w <- 0; tryCatch(i, warning = function(e) w <<- 1); w }), leaves(function(i) { x[, i] <<- 1 }),
          leaves(set.seed), !leaves(sqrt), !leaves(stats::sd), !leaves(function(x) x[, 1]))
pool <- pool_local(workers = 2)
clusterApply(pool, 1:2, function(i) i + 1)
stopifnot(!length(pool[[1]]$session$placed))
stopCluster(pool)
