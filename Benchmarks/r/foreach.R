# For orientation: tiny tasks, one outcome each, through foreach and future.apply on 2 workers: tasks per second.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

f <- function(i) i * 2
rate <- function(tasks, run) function() {
  took <- seconds(values <- run(seq_len(tasks)))
  stopifnot(identical(unlist(values), seq_len(tasks) * 2))
  tasks / took
}
measures <- list()
if (here("foreach")) {
  `%dopar%` <- foreach::`%dopar%`
  loop <- function(X) foreach::foreach(i = X, .export = "f") %dopar% f(i)
  pool <- pool_local(2)
  measures$registerDoRoost <- rate(2000L, function(X) {
    registerDoRoost(pool)
    loop(X)
  })
  if (here("doParallel")) {
    cluster <- makePSOCKcluster(2)
    measures$doParallel <- rate(2000L, function(X) {
      doParallel::registerDoParallel(cluster)
      loop(X)
    })
  }
}
if (here("future.apply")) {
  future::plan(future::multisession, workers = 2)
  measures$future.apply <- rate(100L, function(X) future.apply::future_lapply(X, f, future.chunk.size = 1))
}
for (measure in measures) warm(measure())
emit(in_turns(2, measures))
