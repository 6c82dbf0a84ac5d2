library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# future
if (!requireNamespace("future", quietly = TRUE)) {
  cat("PACKAGE future IS NOT INSTALLED: plan(roost) IS NOT TESTED\n")
  quit("no")
}
suppressMessages(library(future))
cat("future", format(packageVersion("future")), "\n")
is_modern <- packageVersion("future") >= "1.40.0"
cancel <- roost::cancel
pool <- pool_local(workers = 2)
plan(roost, pool = pool)
stopifnot(nbrOfWorkers() == 2, nbrOfFreeWorkers() == 2)
caught <- function(expr) tryCatch(expr, error = identity)

# Values, globals, packages, visibility, lazy futures.
a <- 2; double <- function(x) x * a
f <- future(double(21))
stopifnot(inherits(f, "RoostFuture"), identical(value(f), 42), resolved(f), identical(value(f), 42))
x %<-% { b <- 4; b + a }
stopifnot(identical(x, 6), !exists("b"))
lazy <- future(a + 1, lazy = TRUE)
a <- 100
stopifnot(identical(value(lazy), 3))
a <- 2
stopifnot(identical(value(future(splines::bs(1:9)))[1, 1], splines::bs(1:9)[1, 1]))
large <- as.double(1:2e4)
stopifnot(identical(value(future(c(sum(large), a))), c(sum(large), 2)))
value(future(left_behind <<- 1))
stopifnot(!any(unlist(value(lapply(1:4, function(i) future(exists("left_behind")))))))

# Nothing blocks but value().
seconds <- system.time({
  slow <- lapply(1:6, function(i) future({ Sys.sleep(0.5); i }))
  done <- resolved(slow[[6]])
})[["elapsed"]]
stopifnot(!done, nbrOfFreeWorkers() == 0, identical(unlist(value(slow)), 1:6), nbrOfFreeWorkers() == 2)

# Output and conditions, in order, then the error.
f <- future({ cat("printed\n"); message("one"); warning("two"); message("three"); stop("four") })
seen <- character()
note <- function(c) seen <<- c(seen, trimws(conditionMessage(c)))
output <- capture.output(e <- tryCatch(withCallingHandlers(value(f),
  message = function(m) { note(m); invokeRestart("muffleMessage") },
  warning = function(w) { note(w); invokeRestart("muffleWarning") }), error = identity))
stopifnot(identical(output, "printed"), identical(seen, c("one", "two", "three")), inherits(e, "simpleError"),
          conditionMessage(e) == "four")
stopifnot(identical(capture.output(value(future({ print("no"); 1 }, stdout = FALSE)))[1], "[1] 1"))
stopifnot(identical(value(future({ message("no"); 1 }, conditions = NULL)), 1))

# Live: while it runs, once.
f <- future({
  message(structure(class = c("immediateCondition", "message", "condition"), list(message = "live", call = NULL)))
  Sys.sleep(2)
  Sys.time()
})
heard <- list()
withCallingHandlers({ end <- value(f); value(f) },
                    message = function(m) { heard[[length(heard) + 1L]] <<- Sys.time(); invokeRestart("muffleMessage") })
stopifnot(length(heard) == 1L, heard[[1]] < end)
f <- future({ signalCondition(structure(class = c("immediateCondition", "condition"), list(message = "bare", call = NULL))); 1 })
bare <- 0
withCallingHandlers({ while (!resolved(f)) Sys.sleep(0.05); value(f) }, immediateCondition = function(c) bare <<- bare + 1)
stopifnot(bare == 1)

# Random numbers: those of any other plan; the session's generator moves as future says.
draw <- function() { set.seed(1); c(unlist(value(lapply(1:3, function(i) future(rnorm(1), seed = TRUE)))), runif(1)) }
there <- draw()
plan(sequential); here <- draw(); plan(roost, pool = pool)
stopifnot(identical(there, here))
set.seed(2); before <- .Random.seed; value(future(1)); stopifnot(identical(.Random.seed, before))
stopifnot(inherits(tryCatch(value(future(rnorm(1))), warning = identity), "RngFutureWarning"))

# A worker that dies once is not noticed.
flag <- tempfile()
again <- future({
  if (!file.exists(flag)) { file.create(flag); tools::pskill(Sys.getpid(), 9L); Sys.sleep(5) }
  "again"
})
stopifnot(identical(value(again), "again"))

# What can go wrong.
e <- caught(value(future(tools::pskill(Sys.getpid(), 9L), label = "deadly")))
stopifnot(inherits(e, "FutureError"), grepl("deadly.*R process", conditionMessage(e)), e$task_error$state == "held",
          e$task_error$post_mortem$signal == 9L)
f <- future(Sys.sleep(60))
Sys.sleep(0.5)
cancel(f)
stopifnot(resolved(f), inherits(caught(value(f)), "FutureError"), grepl("cancelled", conditionMessage(caught(value(f)))))
stopifnot(identical(value(future(1)), 1))
if ("cancel" %in% getNamespaceExports("future")) {
  job <- async_lapply(pool, 1:2, function(i) Sys.sleep(60))
  future::cancel(job)
  stopifnot(wait(job, timeout = 30, progress = FALSE))
}
plan(roost, pool = pool, timeout = 1, workers = 5)
stopifnot(nbrOfWorkers() == 5, inherits(caught(value(future(Sys.sleep(60)))), "FutureError"))
plan(roost, pool = pool, queue = 2)
stopifnot(identical(unlist(value(lapply(1:5, function(i) future(i)))), 1:5))
stopifnot(inherits(caught(plan(roost, pool = pool, timeout = "soon")), "roost_error"))

# The pool's secret does not travel.
plan(roost, pool = pool)
f <- future(1)
travels <- rawToChar(serialize(roost:::future_payload(f), NULL, ascii = TRUE))
stopifnot(identical(value(f), 1), !grepl(pool[[1]]$session$secret, travels, fixed = TRUE))

# Of the futures that a session makes, only the expressions travel; kinds of futures differ in more than that.
session <- pool[[1]]$session
bytes <- length(serialize(roost:::future_payload(future(a + 1))$task, NULL))
stopifnot(if (is_modern) bytes < 6000 else bytes < 2000 && length(session$templates) >= 2L)
stopifnot(is.null(value(future(NULL))), identical(value(future(quote(x))), quote(x)), identical(value(future(a)), 2),
          !withVisible(value(future(invisible(7))))$visible, identical(value(future({ function(x) x + a }))(1), 3))
for (seed in 1:2) {
  there <- value(future(rnorm(2), seed = seed))
  plan(sequential); here <- value(future(rnorm(2), seed = seed)); plan(roost, pool = pool)
  stopifnot(identical(there, here))
}
options(width = 99L)
stopifnot(identical(value(future(getOption("width"))), 99L))
options(width = 80L)

# Small futures are tasks of one open job: what one of them waits for, or dies of, is no other's business.
gate <- tempfile("gate")
waiting <- lapply(1:2, function(i) future({ while (!file.exists(gate)) Sys.sleep(0.02); i }))
many <- lapply(1:30, function(i) if (i == 7) future(tools::pskill(Sys.getpid(), 9L)) else future(i))
stopifnot(session$calls$future$open == 32L, !resolved(waiting[[1]]), file.create(gate), identical(value(waiting), list(1L, 2L)))
results <- lapply(many, function(f) caught(value(f)))
stopifnot(identical(results[-7], as.list((1:30)[-7])), inherits(results[[7]], "FutureError"))
unlink(gate)
waiting <- lapply(1:5, function(i) future({ while (!file.exists(gate)) Sys.sleep(0.02); i }))
for (f in waiting) cancel(f)
stopifnot(all(vapply(waiting, resolved, NA)), identical(value(future(99)), 99), nbrOfFreeWorkers() == 2L)
older <- lapply(1:20, function(i) future(i))
parallel::clusterExport(pool, "a")
newer <- lapply(1:3, function(i) future(i))
stopifnot(identical(unlist(value(newer)), 1:3), identical(unlist(value(older)), 1:20))

# Futures that futures make: sequential, as the plan says, or by default.
nested <- function() value(future({ f <- future(Sys.getpid()); list(class(f)[1L], value(f) == Sys.getpid(), nbrOfWorkers()) }))
for (inner in list(roost, tweak(roost, pool = pool), sequential)) {
  plan(list(tweak(roost, pool = pool), inner))
  said <- nested()
  stopifnot(said[[2]], grepl("^(Sequential|Uniprocess)Future$", said[[1]]), said[[3]] == 1)
}
plan(list(sequential, tweak(roost, pool = pool)))
stopifnot(nested()[[1]] == "RoostFuture")
plan(list(roost, roost))         # the pool that was made last
stopifnot(nested()[[2]])

# Whole numbers of workers, as package parallelly has them.
for (wrong in list(1.5, 0, NA, "2", 1:2, -1)) stopifnot(inherits(caught(plan(roost, pool = pool, workers = wrong)), "roost_error"))
plan(roost, pool = pool, workers = I(3))
stopifnot(identical(as.vector(nbrOfWorkers()), 3L), !inherits(nbrOfWorkers(), "AsIs"))

# A pool as a cluster.
plan(cluster, workers = pool)
options(warn = 2)
stopifnot(nbrOfWorkers() == 2L, identical(unlist(value(lapply(1:6, function(i) future(i + a)))), 1:6 + a))
unlink(gate)
fs <- lapply(1:2, function(i) future({ while (i == 1 && !file.exists(gate)) Sys.sleep(0.02); i }))
while (!resolved(fs[[2]])) Sys.sleep(0.02)
stopifnot(!resolved(fs[[1]]), identical(value(fs[[2]]), 2L))
others <- value(lapply(1:3, function(i) future(i)))
f <- future({ message(structure(class = c("immediateCondition", "message", "condition"), list(message = "now", call = NULL))); 1 })
heard <- 0
withCallingHandlers(stopifnot(value(f) == 1), message = function(m) { heard <<- heard + 1; invokeRestart("muffleMessage") })
stopifnot(heard == 1, identical(others, list(1L, 2L, 3L)), !resolved(fs[[1]]), file.create(gate), identical(value(fs[[1]]), 1L))
stopifnot(identical(conditionMessage(caught(value(future(stop("as usual"))))), "as usual"))
stopifnot(identical(parallel::parSapply(pool, 1:4, sqrt), sqrt(1:4)))
stopifnot(identical(roost::lbapply(pool, 1, function(i) length(pool)), list(2L)))
plan(sequential)
options(warn = 1)

# R_FUTURE_PLAN=roost::roost: the pool is made later.
script <- tempfile(fileext = ".R")
writeLines(c("library(future)", "e <- tryCatch(value(future(1)), error = conditionMessage)", "stopifnot(grepl('There is no pool', e))",
             "pool <- roost::pool_local(1)", "stopifnot(value(future(Sys.getpid())) != Sys.getpid(), inherits(future(1), 'RoostFuture'))",
             "here <- roost::lbapply(pool, 1, function(i) future::value(future::future(Sys.getpid())) == Sys.getpid())",
             "stopifnot(here[[1]])", "cat('fine\n')"), script)
said <- system2(file.path(R.home("bin"), "R"), c("--no-echo", "--no-restore", "-f", shQuote(script)), stdout = TRUE, stderr = TRUE,
                env = "R_FUTURE_PLAN=roost::roost")
if (!"fine" %in% said) stop(paste(said, collapse = "\n"))
plan(roost, pool = pool)

# future.apply
if (requireNamespace("future.apply", quietly = TRUE)) {
  apply_there <- function() { set.seed(3); future.apply::future_sapply(1:7, function(i) c(i * a, rnorm(1)), future.seed = TRUE) }
  there <- apply_there()
  plan(sequential)
  stopifnot(identical(there, apply_there()))
}

# Another pool; a pool that is gone.
plan(sequential)
other <- pool_local(workers = 1)
plan(roost, pool = other)
stopifnot(nbrOfWorkers() == 1)
plan(roost, pool = pool)
stopifnot(nbrOfWorkers() == 2)
close(other)
close(pool)
e <- caught(value(future(1)))
stopifnot(inherits(e, c("FutureError", "roost_pool_error"), which = FALSE), grepl("closed", conditionMessage(e)))
plan(sequential)
