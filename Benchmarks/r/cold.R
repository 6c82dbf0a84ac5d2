# From nothing to the first results of two R workers: seconds.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

f <- function(i) i
emit(in_turns(5, list(
  roost = function() {
    took <- seconds({
      pool <- pool_local(2)
      values <- lbapply(pool, 1:2, f)
    })
    close(pool)
    stopifnot(identical(values, list(1L, 2L)))
    took
  },
  psock = function() {
    took <- seconds({
      cluster <- makePSOCKcluster(2)
      values <- clusterApply(cluster, 1:2, f)
    })
    stopCluster(cluster)
    stopifnot(identical(values, list(1L, 2L)))
    took
  })))
