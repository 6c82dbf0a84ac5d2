# BiocParallel on a pool, by way of foreach: the values of its SerialParam, and the random numbers of other backends of foreach.
library(roost)
suppressPackageStartupMessages(library(BiocParallel))
offset <- 10
runs <- function(param) list(
  bplapply(1:6, function(i) i + offset, BPPARAM = param), bpmapply(function(a, b) a * b, 1:4, 4:1, BPPARAM = param),
  bpvec(1:6, function(v) v * 2, BPPARAM = param), bpaggregate(mpg ~ cyl, mtcars, mean, BPPARAM = param))
draw <- function() bplapply(1:4, function(i) rnorm(1), BPPARAM = DoparParam(RNGseed = 42))

foreach::registerDoSEQ()
numbers <- draw()
pool <- pool_local(workers = 2)
registerDoRoost(pool)
stopifnot(identical(runs(DoparParam()), runs(SerialParam())), identical(draw(), numbers))
close(pool)
