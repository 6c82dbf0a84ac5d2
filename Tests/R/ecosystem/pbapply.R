# pbapply with a pool as its cluster: values of the run without, random numbers of a PSOCK cluster.
library(roost)
library(parallel)
library(pbapply)
pboptions(type = "none")
cluster <- makePSOCKcluster(2)
pool <- pool_local(workers = 2)
m <- matrix(1:6, 2)
runs <- function(cl) list(
  pblapply(1:20, function(i) i^2, cl = cl), pbsapply(c(a = 1, b = 2), sqrt, cl = cl), pbvapply(1:3, function(i) i / 2, 0, cl = cl),
  pbapply(m, 1, sum, cl = cl), pbapply(m, c(1, 2), function(x) x + 1, cl = cl), pblapply(mtcars, mean, cl = cl),
  pbsapply(1:3, function(x, y) x + y, y = 10, cl = cl))
expected <- runs(NULL)
stopifnot(identical(runs(pool), expected))
numbers <- function(cl) {
  clusterSetRNGStream(cl, 9)
  list(pbreplicate(10, rnorm(1), cl = cl), pblapply(1:6, function(i) runif(1), cl = cl))
}
stopifnot(identical(numbers(pool), numbers(cluster)))
pboptions(use_lb = TRUE)
stopifnot(identical(runs(pool), expected))
close(pool)
stopCluster(cluster)
