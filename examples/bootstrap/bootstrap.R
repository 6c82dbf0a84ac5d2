# Two jobs of everyday statistics, run here, on a pool in this machine, and on a pool of many. The numbers are the same.
#
#   Rscript examples/bootstrap/bootstrap.R                                    here, and on an embedded pool
#   ROOST_POOL=roost://head:7117 Rscript examples/bootstrap/bootstrap.R       and on that pool (token from ROOST_TOKEN)
#
# Writes workers.png: who did what, when. `make demo` runs this on a pool that loses a node half way.
library(roost)
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "watch.R"))

# ---- the work -------------------------------------------------------------------------------------------------------

# 1. How sure are we of the odds ratios of a logistic regression? Fit it again to thousands of resamples of the data.
#    infert (in every R): 83 women with secondary infertility, 165 controls.
model <- case ~ spontaneous + induced + age + parity

fit_resample <- function(i) {
  rows <- sample.int(nrow(infert), replace = TRUE)
  coef(glm(model, binomial, infert[rows, ]))
}

# 2. How does the mean of n normal draws spread? Sizes differ by a factor of hundreds, and so do the tasks' durations.
simulate_mean <- function(n) mean(rnorm(n))

resamples <- as.integer(Sys.getenv("BOOTSTRAP_FITS", "3000"))
set.seed(1)
sizes <- round(exp(runif(100, log(2e4), log(1e7))))

# All of it is two calls of lbapply(). NULL in place of the pool: here, one task after the other.
run <- function(pool) list(
  fits  = lbapply(pool, seq_len(resamples), watched(fit_resample, "fits"), seed = 1, progress = show_progress),
  means = lbapply(pool, sizes, watched(simulate_mean, "means"), seed = 2, progress = show_progress))

# ---- three times ----------------------------------------------------------------------------------------------------

chapter("1  Here, one after the other: lbapply(NULL, …)")
reference <- watch("here, one after the other", run(NULL))

chapter("2  On an embedded pool: pool <- pool_local()")
pool <- pool_local()
print(pool)
embedded <- watch("embedded pool", run(pool))
close(pool)
stopifnot("the embedded pool gave other numbers" = identical(embedded$values, reference$values))
remark("identical() to the sequential run")

runs <- list(reference, embedded)
if (nzchar(Sys.getenv("ROOST_POOL"))) {
  chapter("3  On a server with nodes that come and go: pool <- pool_connect()")
  pool <- pool_connect()
  print(pool)
  served <- watch("server and nodes", run(pool))
  close(pool)
  stopifnot("the pool gave other numbers" = identical(served$values, reference$values))
  remark("identical() to the sequential run")
  runs <- c(runs, list(served))
}

# ---- what came out --------------------------------------------------------------------------------------------------

chapter("Odds ratios, with the 95 % intervals of ", resamples, " resamples")
fits <- do.call(rbind, reference$values$fits)[, -1]
print(round(cbind("odds ratio" = exp(coef(glm(model, binomial, infert))[-1]),
                  t(apply(exp(fits), 2, quantile, c(0.025, 0.975)))), 2))

chapter("Means of n draws, times the root of n: mean 0 and standard deviation 1 are expected")
scaled <- unlist(reference$values$means) * sqrt(sizes)
print(round(c(n = length(sizes), mean = mean(scaled), sd = sd(scaled)), 2))

chapter("What became of the tasks")
print_runs(runs)
plot_workers(runs[-1], file = Sys.getenv("WORKERS_PNG", "workers.png"))
