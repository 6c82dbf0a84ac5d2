library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# The generics of package snow, and doSNOW, which uses them.
if (!requireNamespace("snow", quietly = TRUE)) {
  cat("PACKAGE snow IS NOT INSTALLED: its generics are not tested\n")
  quit("no")
}
pool <- pool_local(workers = 2)
k <- 3
stopifnot(identical(snow::clusterApply(pool, 1:5, function(i) i + 1), lapply(1:5, function(i) i + 1)))
stopifnot(identical(snow::clusterApplyLB(pool, 1:5, sqrt), lapply(1:5, sqrt)), identical(snow::parLapply(pool, 1:5, sqrt), lapply(1:5, sqrt)))
snow::clusterExport(pool, "k")
stopifnot(identical(snow::clusterEvalQ(pool, k), list(3, 3)), identical(unlist(snow::clusterCall(pool, function(i) i + k, 1)), c(4, 4)))

if (requireNamespace("doSNOW", quietly = TRUE) && requireNamespace("foreach", quietly = TRUE)) {
  library(foreach)
  doSNOW::registerDoSNOW(pool)
  stopifnot(getDoParName() == "doSNOW", getDoParWorkers() == 2L)
  stopifnot(identical(foreach(i = 1:6, .combine = c) %dopar% (i * k), 1:6 * 3))
  stopifnot(identical(foreach(i = 1:6, .combine = c, .options.snow = list(preschedule = TRUE)) %dopar% (i * k), 1:6 * 3))
  error <- tryCatch(foreach(i = 1:6) %dopar% if (i == 4) stop("four") else i, error = conditionMessage)
  stopifnot(identical(error, "task 4 failed - \"four\""))
  stopifnot(identical(foreach(i = 1:50, .combine = "+") %dopar% i, 1275L))
} else cat("PACKAGE doSNOW IS NOT INSTALLED: it is not tested\n")
snow::stopCluster(pool)
stopifnot(!any(isNodeAlive(pool)))
