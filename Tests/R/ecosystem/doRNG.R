# doRNG on a pool: the numbers of every other backend.
library(roost)
suppressPackageStartupMessages(library(doRNG))
draw <- function() list(
  foreach(i = 1:6, .combine = c, .options.RNG = 42) %dorng% rnorm(1),
  {
    set.seed(7)
    foreach(i = 1:4) %dorng% c(runif(1), sample(10, 1))
  },
  foreach(i = 1:2, .combine = c, .options.RNG = 3) %:% foreach(j = 1:3, .combine = c) %dopar% i,
  {
    registerDoRNG(11)
    c(foreach(i = 1:3, .combine = c) %dopar% rexp(1), foreach(i = 1:3, .combine = c) %dopar% rexp(1))
  })

registerDoSEQ()
expected <- draw()
pool <- pool_local(workers = 2)
registerDoRoost(pool)
got <- draw()
stopifnot(identical(got, expected))
close(pool)
