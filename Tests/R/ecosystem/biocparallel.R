# BiocParallel on a pool, by way of foreach: the values and random numbers of its SerialParam.
library(roost)
suppressPackageStartupMessages(library(BiocParallel))
pool <- pool_local(workers = 2)
registerDoRoost(pool)
offset <- 10
runs <- function(param) list(
  bplapply(1:6, function(i) i + offset, BPPARAM = param), bpmapply(function(a, b) a * b, 1:4, 4:1, BPPARAM = param),
  bpvec(1:6, function(v) v * 2, BPPARAM = param), bpaggregate(mpg ~ cyl, mtcars, mean, BPPARAM = param),
  bplapply(1:4, function(i) rnorm(1), BPPARAM = param))
serial <- SerialParam(RNGseed = 42)
dopar <- DoparParam(RNGseed = 42)
stopifnot(identical(runs(dopar), runs(serial)))
close(pool)
