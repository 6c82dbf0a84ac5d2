# The backends of others, registered with a pool in a cluster's place: doParallel, doSNOW.
library(roost)
suppressPackageStartupMessages({
  library(doParallel)
  library(doSNOW)
})
pool <- pool_local(workers = 2)
loops <- function() {
  offset <- 10
  list(foreach(i = 1:20, .combine = c) %dopar% (i + offset),
       foreach(i = 1:2, .combine = rbind, .packages = "splines") %dopar% dim(bs(1:10, df = 3 + i)))
}
registerDoSEQ()
expected <- loops()
registerDoParallel(pool)
stopifnot(getDoParName() == "doParallelSNOW", getDoParWorkers() == 2, identical(loops(), expected))
registerDoSNOW(pool)
ticks <- 0L
stopifnot(getDoParName() == "doSNOW", identical(loops(), expected))
foreach(i = 1:5, .options.snow = list(progress = function(n) ticks <<- ticks + 1L)) %dopar% i
stopifnot(ticks == 5L)
close(pool)
