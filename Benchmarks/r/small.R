# Small calls: what one costs, and how many pass in a second, beside the ways that people come from. The lone calls use a function that
# is made anew each time and reads one changing variable; each value is checked. BENCH_SHARE (1) makes all counts smaller, to try the
# script.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

share <- as.numeric(Sys.getenv("BENCH_SHARE", "1"))
n <- function(count) as.integer(max(2, count * share))
found <- list()
measure <- function(name, rounds, measures) {
  figures <- in_turns(rounds, measures)
  names(figures) <- paste(name, names(figures), sep = "_")
  found <<- c(found, figures)
}
rate <- function(count, run, expected) {
  took <- seconds(values <- run(count))
  stopifnot(identical(as.numeric(unlist(values)), as.numeric(expected(seq_len(count)))))
  count / took
}
twice <- function(i) i * 2

# From nothing to the first result.
started <- function(make, end) {
  took <- seconds({
    cl <- make(2)
    values <- clusterApply(cl, 1:2, twice)
  })
  end(cl)
  stopifnot(identical(values, list(2, 4)))
  took
}
measure("cold", 3, list(
  roost = function() {
    took <- seconds({
      pool <- pool_local(2)
      values <- lbapply(pool, 1:2, twice)
    })
    close(pool)
    stopifnot(identical(values, list(2, 4)))
    took
  },
  psock = function() started(makePSOCKcluster, stopCluster)))

pool <- pool_local(2)
cluster <- makePSOCKcluster(2)
with_mirai <- here("mirai")
if (with_mirai) mirai::daemons(2)

# One call after the other. A PSOCK worker has none of the session's variables: its function brings the variable along, and so does
# that of clusterCall() on a pool, which is parallel's. `k` is a global variable of this session.
k <- 0
anew <- function() {
  f <- function(x) x + k
  environment(f) <- globalenv()
  f
}
with_own <- function() {
  k <- k
  f <- function(x) x + k
  environment(f) <- list2env(list(k = k), parent = globalenv())
  f
}
p50 <- function(make, call) {
  for (i in 1:20) call(make())
  times <- numeric(n(200))
  for (i in seq_along(times)) {
    k <<- k + 1
    f <- make()
    times[i] <- seconds(value <- call(f))
    stopifnot(identical(value, 1 + k))
  }
  median(times) * 1e6
}
lone <- list(
  lbapply = function() p50(anew, function(f) lbapply(pool, 1L, f)[[1L]]),
  psock = function() p50(with_own, function(f) clusterCall(cluster[1L], f, 1)[[1L]]),
  clusterCall = function() p50(with_own, function(f) clusterCall(pool[1L], f, 1)[[1L]]),
  async = function() p50(anew, function(f) results(async(f(1), pool))))
if (with_mirai) lone$mirai <- function() p50(anew, function(f) mirai::mirai(f(1), f = f, k = k)[])
measure("lone", 4, lone)

# Many in flight, then all results.
flight <- list(roost = function() rate(n(5000), function(count) {
  jobs <- lapply(seq_len(count), function(i) async(i + k, pool))
  lapply(jobs, results)
}, function(i) i + k))
if (with_mirai) flight$mirai <- function() rate(n(5000), function(count) {
  jobs <- lapply(seq_len(count), function(i) mirai::mirai(i + k, i = i, k = k))
  lapply(jobs, function(m) m[])
}, function(i) i + k)
measure("flight", 2, flight)

# parallel's verbs, and the bulk.
verbs <- list(clusterApply = function(cl, X) clusterApply(cl, X, twice), clusterApplyLB = function(cl, X) clusterApplyLB(cl, X, twice),
              clusterMap = function(cl, X) clusterMap(cl, twice, X))
for (verb in names(verbs)) {
  run <- verbs[[verb]]
  warm(run(pool, 1:100))
  warm(run(cluster, 1:100))
  measure(verb, 2, list(roost = function() rate(n(5000), function(count) run(pool, seq_len(count)), twice),
                        psock = function() rate(n(5000), function(count) run(cluster, seq_len(count)), twice)))
}
measure("bulk", 2, list(
  roost = function() rate(n(100000), function(count) lbapply(pool, seq_len(count), twice), twice),
  psock = function() rate(n(5000), function(count) clusterApply(cluster, seq_len(count), twice), twice)))

# foreach, and futures: one after the other, and future_lapply.
if (here("foreach") && here("doParallel")) {
  `%dopar%` <- foreach::`%dopar%`
  loop <- function(register) function() {
    register()
    rate(n(20000), function(count) foreach::foreach(i = seq_len(count)) %dopar% (i * 2), twice)
  }
  measure("foreach", 2, list(roost = loop(function() registerDoRoost(pool)),
                             doParallel = loop(function() doParallel::registerDoParallel(cluster))))
}
if (here("future.apply")) {
  planned <- function(plan, run) function() {
    plan()
    on.exit(future::plan(future::sequential))
    warm(future::value(future::future(1)))
    run()
  }
  ours <- function() future::plan(roost, pool = pool)
  theirs <- function() future::plan(future::cluster, workers = cluster)
  one <- function(i) future::value(future::future(i + k))
  one_by_one <- function(count) function() rate(count, function(count) lapply(seq_len(count), one), function(i) i + k)
  measure("future", 2, list(roost = planned(ours, one_by_one(n(300))), cluster = planned(theirs, one_by_one(n(100)))))
  bulk <- function() rate(n(100000), function(count) future.apply::future_lapply(seq_len(count), twice), twice)
  measure("future_lapply", 3, list(roost = planned(ours, bulk), cluster = planned(theirs, bulk)))
}
emit(found)
close(pool)
stopCluster(cluster)
if (with_mirai) mirai::daemons(0)
