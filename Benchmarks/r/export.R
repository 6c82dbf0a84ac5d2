# 100 MB exported to all workers, then used by all: seconds. Other bytes each time. And how much the bridge, which is
# server and node of an embedded pool, has grown at the end, in MB.
source(file.path(Sys.getenv("BENCH_R"), "common.R"))

pool <- pool_local(2)
cluster <- makePSOCKcluster(2)
warm(clusterEvalQ(pool, 1))
warm(clusterEvalQ(cluster, 1))
big <- runif(12.5e6)
resident <- function() {
  status <- readLines(file.path("/proc", pool[[1L]]$session$bridge, "status"))
  as.numeric(gsub("[^0-9]", "", grep("^VmRSS", status, value = TRUE))) / 1024
}
export <- function(cl) {
  big[1L] <<- runif(1)
  took <- seconds({
    clusterExport(cl, "big")
    sums <- clusterEvalQ(cl, sum(big))
  })
  stopifnot(identical(sums, list(sum(big), sum(big))))
  took
}
before <- resident()
figures <- in_turns(3, list(roost = function() export(pool), clusterExport = function() export(cluster)))
emit(c(figures, list(megabytes = resident() - before)))
close(pool)
stopCluster(cluster)
