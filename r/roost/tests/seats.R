library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

library(parallel)
pool <- pool_local(workers = 2)
stopifnot(all(isNodeAlive(pool)))
fresh <- cloneNode(pool[[1]])
stopifnot(killNode(fresh), !isNodeAlive(fresh))
print(pool[[1]])

# One value per seat, on its own worker.
pids <- unlist(clusterCall(pool, Sys.getpid))
stopifnot(!anyDuplicated(pids), identical(unlist(clusterEvalQ(pool, Sys.getpid())), pids))
stopifnot(identical(clusterCall(pool[2], Sys.getpid), list(pids[2])))
invisible(clusterCall(pool[1], function() assign("left", "here", globalenv())))
stopifnot(identical(clusterCall(pool[1], function() left), list("here")))
stopifnot(all(unlist(clusterApply(pool, 1:10, function(i) Sys.getpid())) %in% pool_workers(pool)$pid))

workers <- pool_workers(pool)
stopifnot(identical(workers$pid[match(1:2, workers$seat)], pids), all(workers$mine[workers$pid %in% pids]),
          inherits(workers$since, "POSIXct"))
stopifnot(grepl(paste0("worker ", pids[1], " on node "), capture.output(print(pool[[1]]))))

# Alive is also who is busy.
job <- async_lapply(pool, 1:2, function(i) Sys.sleep(0.5))
stopifnot(identical(isNodeAlive(pool), c(TRUE, TRUE)))
invisible(results(job))

# A seat that is killed is dead, and says so; the others go on, and so do the verbs.
stopifnot(isTRUE(killNode(pool[[1]])), identical(isNodeAlive(pool), c(FALSE, TRUE)), !killNode(pool[[1]]))
stopifnot(grepl("has ended", capture.output(print(pool[[1]]))))
error <- tryCatch(clusterCall(pool, Sys.getpid), error = conditionMessage)
stopifnot(grepl(paste0("seat 1 .pid ", pids[1], " on node .* has ended: killed by signal 15"), error), grepl("cloneNode", error))
# What goes on without it says so, once.
said <- list()
for (i in 1:2) withCallingHandlers(stopifnot(identical(parLapplyLB(pool, 1:4, identity), as.list(1:4))),
                                   roost_killed = function(m) { said <<- c(said, list(m)); invokeRestart("muffleMessage") })
stopifnot(length(said) == 1L, grepl("seat 1.*cloneNode", conditionMessage(said[[1]])))
stopifnot(identical(clusterCall(pool[2], Sys.getpid), list(pids[2])))
pool[[1]] <- cloneNode(pool[[1]])
again <- unlist(clusterCall(pool, Sys.getpid))
stopifnot(again[2] == pids[2], again[1] != pids[1], all(isNodeAlive(pool)), length(pool) == 2L)

# Whose outcome is first is received first.
sendCall <- getFromNamespace("sendCall", "parallel")
slow <- tempfile("gate")
wait_for <- function(i, gate) { while (i == 1 && !file.exists(gate)) Sys.sleep(0.02); i }
for (i in 1:2) sendCall(pool[[i]], wait_for, list(i, slow))
first <- getFromNamespace("recvOneResult", "parallel")(pool)
stopifnot(first$node == 2L, first$value == 2L, file.create(slow))
stopifnot(getFromNamespace("recvResult", "parallel")(pool[[1]]) == 1)

# A worker that ends between the look and the signal was not killed by us.
gone <- list(node = pool_workers(pool)$node[1], pid = Sys.getpid())
stopifnot(identical(roost:::signal_worker(pool[[1]]$session, gone, 15L), FALSE))

# The numbers of makeCluster(2), from seats' own workers.
other <- makePSOCKcluster(2)
clusterSetRNGStream(other, 5); clusterSetRNGStream(pool, 5)
for (i in 1:2) stopifnot(identical(clusterCall(other, rnorm, 2), clusterCall(pool, rnorm, 2)))
stopCluster(other)

if (requireNamespace("parallelly", quietly = TRUE)) {
  stopifnot(identical(parallelly::isNodeAlive(pool), c(TRUE, TRUE)), parallelly::killNode(pool[[2]]), !isNodeAlive(pool[[2]]))
}
stopCluster(pool)
stopifnot(!isNodeAlive(pool[[1]]), identical(isNodeAlive(pool), rep(FALSE, length(pool))))

# A seat that nothing was run on, in a pool that has no worker for it: killNode() does not wait for ever.
pool <- pool_local(workers = 1)
set <- function(seconds) {
  unlockBinding("bind_seconds", asNamespace("roost"))
  assign("bind_seconds", seconds, envir = asNamespace("roost"))
}
former <- roost:::bind_seconds
gate <- tempfile("gate")
job <- async_lapply(pool, 1, function(i, gate) while (!file.exists(gate)) Sys.sleep(0.02), gate = gate)
while (status(job) != "running") Sys.sleep(0.02)
set(0.2)
stopifnot(!killNode(pool[[1]]), isNodeAlive(pool[[1]]))
set(former)
stopifnot(file.create(gate), length(results(job)) == 1L)
stopifnot(killNode(pool[[1]]), !isNodeAlive(pool[[1]]))

# A task's number counts all calls; parallel's errors have none.
error <- tryCatch(clusterApply(pool, 1, function(i) tools::pskill(Sys.getpid(), 9L)), error = conditionMessage)
stopifnot(grepl("produced (an )?errors?.*: the R process was killed by signal 9", error), !grepl("task [0-9]", error))
close(pool)
