# Uneven durations: 200 log-normal sleeps on 4 workers. Wall time over the makespan of greedy list scheduling, which
# gives each task in turn to the worker that is free first and knows no overhead. Five seeds.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

workers <- 4L
greedy <- function(durations) {
  free <- numeric(workers)
  for (duration in durations) {
    first <- which.min(free)
    free[first] <- free[first] + duration
  }
  max(free)
}
pool <- pool_local(workers)
cluster <- makePSOCKcluster(workers)
warm(lbapply(pool, rep(0.05, 4L * workers), Sys.sleep))
warm(clusterApplyLB(cluster, rep(0.01, workers), Sys.sleep))

roost <- cluster_apply <- numeric()
for (seed in 1:5) {
  set.seed(seed)
  durations <- rlnorm(200, log(0.05), 1)
  least <- greedy(durations)
  roost[seed] <- seconds(lbapply(pool, durations, Sys.sleep, seed = 1)) / least
  cluster_apply[seed] <- seconds(clusterApplyLB(cluster, durations, Sys.sleep)) / least
}
emit(list(roost = roost, clusterApplyLB = cluster_apply))
close(pool)
stopCluster(cluster)
