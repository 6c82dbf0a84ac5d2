library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# A job that is cancelled while its worker attaches packages or reads data leaves nothing behind: the same call works next.
pool <- pool_local(workers = 1)
f <- function(i) sum(big) + i
environment(f) <- globalenv()
big <- rep(1, 2e5)
for (k in 1:12) {
  job <- async_lapply(pool, 1, f, packages = c("stats4", "splines"))
  Sys.sleep((k - 1) * 0.004)
  cancel(job)
  if (k %% 3 == 0) stopifnot(identical(lbapply(pool, 1:2, f, packages = c("stats4", "splines")), list(200001, 200002)))
}
stopifnot(identical(lbapply(pool, 1:2, f, packages = c("stats4", "splines")), list(200001, 200002)))

# Tasks of one batch: a sink that one leaves does not swallow what the next ones print, and one that is taken away comes back.
invisible(lbapply(pool, 1:200, identity))
output <- capture.output(invisible(lbapply(pool, 1:40, function(i) {
  cat("task", i, "\n")
  if (i %% 3 == 0) sink(tempfile())
  if (i %% 3 == 1) while (sink.number() > 0) sink()
  NULL
})))
stopifnot(identical(output, paste("task", 1:40, "")))

# Errors, jumps and interrupts in a batch stop nothing but their task.
values <- lbapply(pool, 1:30, function(i) {
  if (i == 3) stop("three")
  if (i == 5) invokeRestart("abort")
  if (i == 7) { tools::pskill(Sys.getpid(), tools::SIGINT); Sys.sleep(0.2) }
  if (i == 9) setTimeLimit(elapsed = 1e-6)
  if (i == 11) return(list(rawConnection(raw())))
  i
}, partial = TRUE)
bad <- vapply(values, inherits, NA, "roost_task_error")
stopifnot(all(bad[c(3, 5, 7, 11)]), !any(bad[-c(3, 5, 7, 9:11)]), identical(values[[30]], 30L))

# What is plain passes, however deep.
deep <- list(1)
for (k in 1:500) deep <- list(deep)
stopifnot(identical(lbapply(pool, 1, function(i, deep) deep, deep = deep), list(deep)))

# Jobs take turns: each has its own globals, options and packages.
jobs <- lapply(1:6, function(k) {
  own <- k
  async_lapply(pool, 1:3, function(i) { Sys.sleep(0.002); c(own, getOption("digits"), "package:stats4" %in% search()) },
               options = list(digits = k), packages = if (k %% 2) "stats4")
})
for (k in 1:6) for (seen in results(jobs[[k]], progress = FALSE)) stopifnot(all(seen == c(k, k, k %% 2)))
close(pool)
