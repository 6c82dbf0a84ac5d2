# 100 tasks, each of which receives and returns 1 MB of doubles: seconds.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

pool <- pool_local(2)
cluster <- makePSOCKcluster(2)
f <- function(x) x + 1
X <- lapply(1:100, function(i) runif(131072) + i)
Y <- lapply(X, f)
warm(lbapply(pool, X[1:4], f))
warm(parLapply(cluster, X[1:4], f))

checked <- function(values) stopifnot(identical(values, Y))
emit(in_turns(5, list(
  roost = function() {
    took <- seconds(values <- lbapply(pool, X, f, seed = 1))
    checked(values)
    took
  },
  parLapply = function() {
    took <- seconds(values <- parLapply(cluster, X, f))
    checked(values)
    took
  })))
close(pool)
stopCluster(cluster)
