# One task alone, from R to R and back: the median of 500 in a row, in microseconds.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

pool <- pool_local(2)
cluster <- makePSOCKcluster(2)
f <- function(x) x

p50 <- function(once) {
  for (i in 1:100) once()
  times <- numeric(500)
  for (i in seq_along(times)) times[i] <- seconds(once())
  median(times) * 1e6
}
direct <- function() {
  parallel:::sendCall(cluster[[1L]], f, list(1))
  parallel:::recvResult(cluster[[1L]])
}
measures <- list(
  roost = function() p50(function() lbapply(pool, 1, f, seed = 1)),
  psock = function() p50(direct))
if (here("mirai")) {
  mirai::daemons(1)
  measures$mirai <- function() p50(function() mirai::mirai(f(1), f = f)[])
}
emit(in_turns(3, measures))
close(pool)
stopCluster(cluster)
