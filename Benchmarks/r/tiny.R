# Tiny tasks, one outcome each: every 1,000th is an error, every 1,000th a warning, and every position is looked at.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

f <- function(i) {
  if (i %% 1000L == 0L) stop("error of ", i)
  if (i %% 1000L == 500L) warning("warning of ", i)
  i * 2
}
g <- function(i) tryCatch(f(i), error = identity)

tasks <- 100000L
fewer <- 4000L   # for the peers, which take long

check <- function(values, n) {
  failed <- vapply(values, inherits, NA, "error")
  stopifnot(length(values) == n, identical(which(failed), which(seq_len(n) %% 1000L == 0L)),
            identical(unlist(values[!failed]), which(!failed) * 2),
            all(mapply(grepl, paste0("error of ", which(failed), "$"), vapply(values[failed], conditionMessage, ""))))
}

pool <- pool_local(2)
cluster <- makePSOCKcluster(2)
clusterExport(cluster, "f")
warm(lbapply(pool, 1:200, g))
warm(clusterApply(cluster, 1:200, g))

roost <- function() {
  warned <- integer()
  took <- seconds(values <- withCallingHandlers(
    lbapply(pool, seq_len(tasks), f, seed = 1, partial = TRUE),
    warning = function(w) {
      warned <<- c(warned, w$task)
      invokeRestart("muffleWarning")
    }))
  check(values, tasks)
  stopifnot(identical(sort(warned), which(seq_len(tasks) %% 1000L == 500L)))
  tasks / took
}
cluster_apply <- function() {
  took <- seconds(values <- clusterApply(cluster, seq_len(fewer), g))
  check(values, fewer)
  fewer / took
}
measures <- list(roost = roost, clusterApply = cluster_apply)
if (here("mirai")) {
  mirai::daemons(2)
  measures$mirai <- function() {
    took <- seconds(values <- mirai::mirai_map(seq_len(fewer), g, .args = list(f = f))[])
    check(values, fewer)
    fewer / took
  }
}
emit(in_turns(3, measures))
close(pool)
stopCluster(cluster)
