library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Small calls are tasks of jobs that stay open; nobody notices.
pool <- pool_local(workers = 2)
k <- 3
jobs <- lapply(1:300, function(i) async(i * k))
k <- 100
stopifnot(identical(vapply(rev(jobs), results, 0), rev(3 * (1:300))), identical(results(jobs[[7]]), 21))

# Small and large ones, mixed: each has its own value.
jobs <- lapply(1:40, function(i) { x <- if (i %% 7) i else rep(i, 20000); async(sum(x)) })
stopifnot(identical(vapply(jobs, results, 0), vapply(1:40, function(i) if (i %% 7) i + 0 else i * 20000, 0)))

# The numbers of a seed.
stopifnot(identical(results(async(runif(3), seed = 5)), lbapply(NULL, 1, function(i) runif(3), seed = 5)[[1]]))
stopifnot(identical(lbapply(pool, 1:3, function(i) runif(2), seed = 5), lbapply(NULL, 1:3, function(i) runif(2), seed = 5)))
set.seed(2); a <- results(async(rnorm(1))); set.seed(2); b <- results(async(rnorm(1))); stopifnot(identical(a, b))
stopifnot(is.numeric(results(async(runif(1), seed = FALSE))), is.numeric(lbapply(pool, 1, function(i) runif(1), seed = FALSE)[[1]]))

# A handle is a job of one task.
job <- async({ message("said"); warning("warned"); 5 })
heard <- character()
value <- withCallingHandlers(results(job), message = function(m) { heard <<- c(heard, conditionMessage(m)); invokeRestart("muffleMessage") },
                             warning = function(w) { heard <<- c(heard, conditionMessage(w)); invokeRestart("muffleWarning") })
stopifnot(value == 5, identical(heard, c("said\n", "task 1: warned")))
job <- async(stop("wrong"))
e <- tryCatch(results(job), error = identity)
stopifnot(inherits(e, "roost_task_error"), e$task == 1, grepl("task 1 failed.*wrong", conditionMessage(e)), status(job) == "ended")
stopifnot(inherits(results(job, partial = TRUE), "roost_task_error"))
job <- async(6)
stopifnot(isTRUE(wait(job)), status(job) == "ended", progress(job)[["succeeded"]] == 1, grepl("1 task", capture.output(print(job))))
got <- list(); as_completed(async(7), function(outcome) got[[length(got) + 1]] <<- outcome)
stopifnot(length(got) == 1, got[[1]]$index == 1, got[[1]]$value == 7)
job <- async({ signalCondition(structure(class = c("immediateCondition", "condition"), list(message = "now", call = NULL))); 8 })
seen <- NULL; stopifnot(withCallingHandlers(results(job), immediateCondition = function(c) seen <<- c$task) == 8, seen == 1)

# Cancelling some costs the others nothing, whichever worker has them.
hold <- tempfile()
jobs <- lapply(1:60, function(i) async({ if (i <= 2) while (!file.exists(hold)) Sys.sleep(0.01); i }))
for (job in jobs[c(1, seq(11, 60, by = 2))]) cancel(job)
file.create(hold)
values <- lapply(jobs, function(job) tryCatch(results(job), error = function(e) e$state))
stopifnot(identical(values[c(2:10, seq(12, 60, by = 2))], as.list(c(2:10, seq(12L, 60L, by = 2L)))), identical(values[[1]], "cancelled"),
          all(vapply(values, function(v) is.numeric(v) || identical(v, "cancelled"), NA)))
unlink(hold)

# What nobody can ask for any more ends; a forgotten one, too.
for (i in 1:3) async(Sys.sleep(1000))
invisible(gc())
job <- async(Sys.sleep(1000)); forget(job)
stopifnot(identical(vapply(lapply(1:20, function(i) async(i)), results, 0L), 1:20))

# A worker that dies says so, with the number that the caller knows.
died <- lbapply(pool, 1:2, function(i) if (i == 2) quit("no", 3) else i, partial = TRUE)
stopifnot(died[[1]] == 1, grepl("^task 2 is held.*status 3", conditionMessage(died[[2]])))

# A call behind one that takes long is not kept waiting by it.
for (i in 1:50) results(async(i))
gate <- tempfile()
slow <- async({ while (!file.exists(gate)) Sys.sleep(0.01); "slow" })
quick <- lapply(1:30, function(i) async(i))
stopifnot(identical(vapply(quick, results, 0L), 1:30), status(slow) != "ended")
file.create(gate)
stopifnot(identical(results(slow), "slow"))
unlink(gate)

# A setup entry is in force for calls behind it.
parallel::clusterExport(pool, "k")
stopifnot(identical(results(async(get("k", globalenv()))), 100))
close(pool)
stopifnot(inherits(tryCatch(results(async(1, pool)), error = identity), "roost_pool_error"))
