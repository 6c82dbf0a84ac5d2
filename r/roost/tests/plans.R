library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
library(parallel)

# A verb of parallel is handed over whole: its values are those of a cluster of parallel.
pool <- pool_local(workers = 2)
psock <- makePSOCKcluster(2)
same <- function(verb) stopifnot(identical(verb(pool), verb(psock)))
same(function(cl) clusterApply(cl, 1:50, function(i) if (i %% 7) i else NULL))
same(function(cl) clusterApply(cl, c(a = 1, b = 2, c = 3), function(x, by) x * by, by = 2))
same(function(cl) clusterApply(cl, list(), identity))
same(function(cl) clusterApplyLB(cl, letters, function(x, y) paste(x, y), "z"))
same(function(cl) clusterMap(cl, function(a, b, c) a + b * c, 1:20, 20:1, MoreArgs = list(c = 3)))
same(function(cl) clusterMap(cl, function(a, b) paste(a, b), c(u = "x", v = "y"), 1:10, .scheduling = "dynamic"))
same(function(cl) clusterMap(cl, rep, 1:12, 12:1, RECYCLE = FALSE))
same(function(cl) parLapply(cl, list(a = 1, b = NULL, c = 3), function(x) x))
same(function(cl) parSapply(cl, c(a = 1, b = 2), function(x) c(x, x^2)))
same(function(cl) tryCatch(clusterApply(cl, 1:20, function(i) if (i == 5) stop("five") else i), error = conditionMessage))
same(function(cl) clusterApplyLB(cl, 1:9, function(i) tryCatch(stop("no ", i), error = conditionMessage)))

# An error or an interrupt in the middle leaves nothing behind for the next call.
stopifnot(inherits(try(clusterApplyLB(pool, 1:100, function(i) if (i == 3) stop("three") else i), silent = TRUE), "try-error"))
same(function(cl) clusterApply(cl, 1:30, sqrt))
in_call <- withCallingHandlers(clusterApply(pool, 1:10, function(i) { if (i == 2) message("two"); i }), message = function(m) {
  stopifnot(identical(clusterApply(pool, 1:10, sqrt), lapply(1:10, sqrt)))   # a verb within a verb
  invokeRestart("muffleMessage")
})
stopifnot(identical(in_call, as.list(1:10)))
said <- character()
withCallingHandlers(clusterApply(pool, 1:40, function(i) { message("at ", i); i }),
                    message = function(m) { said <<- c(said, conditionMessage(m)); invokeRestart("muffleMessage") })
stopifnot(identical(said, paste0("at ", 1:40, "\n")))

# What was left on a seat is found by the tasks that come there.
clusterCall(pool[1], function() { mine <<- "first"; NULL })
clusterCall(pool[2], function() { mine <<- "second"; NULL })
stopifnot(identical(unlist(clusterApply(pool, 1:10, function(i) mine)), rep(c("first", "second"), 5)))
close(pool)
stopCluster(psock)

# The number of seats does not bound how much of the pool a verb uses: two tasks wait for each other.
pool <- pool_local(workers = 2, length = 1)
meet <- function(i, place) {
  file.create(file.path(place, paste0("here-", i)))
  end <- proc.time()[[3L]] + 60
  while (length(list.files(place)) < 2L && proc.time()[[3L]] < end) Sys.sleep(0.01)
  length(list.files(place)) == 2L
}
meets <- function(verb) {
  place <- tempfile("meet")
  dir.create(place)
  on.exit(unlink(place, recursive = TRUE))
  stopifnot(identical(unname(unlist(verb(1:2, meet, place))), c(TRUE, TRUE)))
}
meets(function(X, f, ...) parLapply(pool, X, f, ...))
meets(function(X, f, ...) parLapplyLB(pool, X, f, ...))
meets(function(X, f, ...) parSapply(pool, X, f, ...))
meets(function(X, f, ...) clusterApply(pool, X, f, ...))
meets(function(X, f, ...) clusterApplyLB(pool, X, f, ...))
stopifnot(identical(parLapply(pool, c(a = 1, b = 2, c = 3), function(x) x + 1), list(a = 2, b = 3, c = 4)))
if (requireNamespace("foreach", quietly = TRUE)) {
  registerDoRoost(pool)
  stopifnot(foreach::getDoParWorkers() == 2L)
}
close(pool)
