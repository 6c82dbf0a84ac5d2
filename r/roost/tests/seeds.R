library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Same seed, same numbers.
pool <- pool_local(workers = 2)
draw <- function(i) c(runif(1), rnorm(2), sample(10, 1))
here <- lbapply(NULL, 1:40, draw, seed = 42)
stopifnot(identical(here, lbapply(pool, 1:40, draw, seed = 42)))
stopifnot(identical(here[1:7], lbapply(pool, 1:7, draw, seed = 42)))
stopifnot(!identical(here, lbapply(pool, 1:40, draw, seed = 43)))

# The i-th stream is that of clusterSetRNGStream.
RNGkind("L'Ecuyer-CMRG"); set.seed(42); first <- .Random.seed; second <- parallel::nextRNGStream(first)
assign(".Random.seed", second, globalenv())
stopifnot(identical(draw(2), here[[2]]))
RNGkind("default", "default", "default")

# Without `seed`, set.seed() governs, and the session's generator is left in order.
set.seed(1); a <- lbapply(pool, 1:3, draw); after <- runif(1)
set.seed(1); b <- lbapply(NULL, 1:3, draw)
stopifnot(identical(a, b), identical(after, runif(1)), RNGkind()[1] == "Mersenne-Twister")
set.seed(1); c <- lbapply(pool, 1:3, draw); d <- lbapply(pool, 1:3, draw)
stopifnot(identical(a, c), !identical(c, d))
set.seed(5); before <- .Random.seed; lbapply(pool, 1:3, identity, seed = 1); lbapply(pool, 1:3, identity, seed = FALSE)
stopifnot(identical(before, .Random.seed))

stopifnot(identical(results(async_lapply(pool, 1:40, draw, seed = 42)), here))
close(pool)

# What is no seed says so.
for (seed in list(1e10, -1e10, "1", 1:2, NA)) {
  error <- tryCatch(lbapply(NULL, 1:2, identity, seed = seed), error = identity)
  stopifnot(inherits(error, "roost_error"), grepl("`seed` must be", conditionMessage(error)))
}

# The state of a seed is R's own.
for (seed in c(0L, 1L, -1L, 42L, 2147483647L, -2147483647L, 5326L, sample.int(.Machine$integer.max, 200L))) {
  set.seed(seed, "L'Ecuyer-CMRG", "Inversion", "Rejection")
  stopifnot(identical(roost:::seed_state(seed), .Random.seed))
}
RNGkind("default", "default", "default")
