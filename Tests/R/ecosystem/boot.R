# boot and lme4's bootMer with a pool as their snow cluster: the numbers of a PSOCK cluster and of the sequential run.
library(roost)
library(parallel)
library(boot)
cluster <- makePSOCKcluster(2)
pool <- pool_local(workers = 2)
ratio <- function(d, i) sum(d$x[i]) / sum(d$u[i])
booted <- function(...) {
  set.seed(3)
  boot(city, ratio, R = 99, stype = "i", ...)$t
}
expected <- booted()
stopifnot(identical(booted(parallel = "snow", ncpus = 2, cl = cluster), expected),
          identical(booted(parallel = "snow", ncpus = 2, cl = pool), expected))

# Simulated on the workers: the streams that the cluster was given.
parametric <- function(cl) {
  clusterSetRNGStream(cl, 123)
  boot(city, function(d) mean(d$x), R = 20, sim = "parametric", ran.gen = function(d, p) d[sample(nrow(d), replace = TRUE), ],
       parallel = "snow", ncpus = 2, cl = cl)$t
}
stopifnot(identical(parametric(pool), parametric(cluster)))
set.seed(4)
expected <- censboot(aml <- boot::aml, function(d) mean(d$time), R = 19)$t
set.seed(4)
stopifnot(identical(censboot(aml, function(d) mean(d$time), R = 19, parallel = "snow", ncpus = 2, cl = pool)$t, expected))

suppressPackageStartupMessages(library(lme4))
model <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
merged <- function(...) bootMer(model, fixef, nsim = 6, seed = 1, ...)$t
clusterEvalQ(pool, library(lme4))
stopifnot(identical(merged(parallel = "snow", ncpus = 2, cl = pool), merged()))
close(pool)
stopCluster(cluster)
