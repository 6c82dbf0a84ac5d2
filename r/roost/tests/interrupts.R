library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Interrupts: calls end at once, the pool goes on, nothing late arrives.
if (.Platform$OS.type != "unix") quit("no")
pool <- pool_local(workers = 2)
interrupt_after <- function(seconds) system(sprintf("(sleep %g; kill -INT %d) >/dev/null 2>&1 &", seconds, Sys.getpid()))
interrupted <- function(expr) { interrupt_after(0.5); tryCatch({ expr; FALSE }, interrupt = function(e) TRUE) }
slow <- function(i) { Sys.sleep(0.3); i }
for (k in 1:2) {
  stopifnot(interrupted(lbapply(pool, 1:100, slow)))
  stopifnot(identical(lbapply(pool, 1:3, identity), list(1L, 2L, 3L)))
}
job <- async_lapply(pool, 1:6, slow)
stopifnot(interrupted(wait(job, progress = FALSE)))
stopifnot(length(results(job, progress = FALSE)) == 6L)
library(parallel)
stopifnot(interrupted(parLapplyLB(pool, 1:100, slow, chunk.size = 1)))
stopifnot(identical(clusterApply(pool, 1:3, function(x) -x), list(-1L, -2L, -3L)))
stopifnot(interrupted(clusterApply(pool, 1:100, slow)))
stopifnot(identical(clusterApplyLB(pool, 1:3, function(x) -x), list(-1L, -2L, -3L)))

# An interrupt among many async() calls: each later one has its own value.
for (k in 1:6) {
  system(sprintf("(sleep %g; kill -INT %d) >/dev/null 2>&1 &", 0.2 + k * 0.013, Sys.getpid()))
  stopifnot(tryCatch({ repeat lapply(1:500, function(i) async(i, pool)) }, interrupt = function(e) TRUE))
  stopifnot(identical(results(async(k, pool)), k))
}

# An interrupt while outcomes arrive: none is lost.
for (k in 1:6) {
  jobs <- lapply(1:1000, function(i) async(i, pool))
  system(sprintf("(sleep %g; kill -INT %d) >/dev/null 2>&1 &", 0.02 + k * 0.005, Sys.getpid()))
  tryCatch({ for (job in jobs) results(job); Sys.sleep(1) }, interrupt = function(e) NULL)
  stopifnot(identical(vapply(jobs, results, 0L), 1:1000))
}

# What was interrupted in a call of all seats is not run by anybody later.
for (k in 1:2) {
  system(sprintf("(sleep 0.7; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid()))
  left <- tryCatch({ clusterCall(pool, function() repeat Sys.sleep(0.1)); FALSE }, interrupt = function(e) TRUE)
  stopifnot(left, identical(lbapply(pool, 1:4, identity), list(1L, 2L, 3L, 4L)), identical(clusterEvalQ(pool, 1 + 1), list(2, 2)))
}

# A forked child cannot harm the pool.
child <- mclapply(1:2, function(i) tryCatch(lbapply(pool, 1, identity), error = class), mc.cores = 2)
stopifnot("roost_pool_error" %in% child[[1]], identical(lbapply(pool, 1:2, identity), list(1L, 2L)))

# The connection may break at any time.
session <- pool[[1]]$session
for (k in 1:3) { try(close(session$con), silent = TRUE); stopifnot(identical(lbapply(pool, 1:2, identity), list(1L, 2L))) }

# A killed bridge is an error that says so, at once.
tools::pskill(session$bridge, 9L)
Sys.sleep(0.5)
e <- tryCatch(lbapply(pool, 1, identity), error = identity)
stopifnot(inherits(e, "roost_pool_error"), grepl("lost", conditionMessage(e)))
