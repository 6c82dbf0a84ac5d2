# future and future.apply on a pool: values, random numbers and conditions of the sequential plan.
library(roost)
suppressPackageStartupMessages({
  library(future)
  library(future.apply)
})
pool <- pool_local(workers = 2)

runs <- function() {
  offset <- 10
  set.seed(5)
  fs <- lapply(1:6, function(i) future({ Sys.getpid(); i + offset }, seed = TRUE))
  local_values <- list(
    futures = value(fs),
    lapply = future_lapply(1:10, function(i) i + offset, future.seed = 1),
    numbers = future_sapply(1:10, function(i) rnorm(1), future.seed = 42),
    vapply = future_vapply(1:4, function(i) i / 2, 0),
    mapply = future_mapply(function(a, b) a * b, 1:4, 4:1),
    map = future_Map(function(a, b) a + b, 1:2, 3:4),
    apply = future_apply(matrix(1:6, 2), 1, sum),
    tapply = future_tapply(mtcars$mpg, mtcars$cyl, mean),
    by = unclass(future_by(warpbreaks[, 1:2], warpbreaks[, "tension"], function(d) mean(d$breaks)))[1:3],
    replicate = future_replicate(3, rnorm(2)),
    eapply = future_eapply(list2env(list(a = 1)), function(x) x + 1),
    seeded = value(future(rnorm(3), seed = 12L)))
  v %<-% { offset * 2 }
  c(local_values, v = v)
}
plan(sequential)
expected <- runs()
plan(roost, pool = pool)
got <- runs()
for (name in names(expected)) if (!identical(got[[name]], expected[[name]])) stop(name, " differs")

# Conditions: an error has its message and call, warnings, messages and output come in order.
f <- future({ cat("out\n"); message("note"); warning("careful"); log(-1) })
seen <- character()
printed <- capture.output(withCallingHandlers(v <- value(f),
  message = function(m) { seen <<- c(seen, conditionMessage(m)); invokeRestart("muffleMessage") },
  warning = function(w) { seen <<- c(seen, conditionMessage(w)); invokeRestart("muffleWarning") }))
stopifnot(is.nan(v), identical(printed, "out"), identical(seen, c("note\n", "careful", "NaNs produced")))
e <- tryCatch(value(future(stop("broken"))), error = identity)
stopifnot(identical(conditionMessage(e), "broken"))

# Sequential inside a worker, and resolved() does not block.
inner <- value(future(c(future::nbrOfWorkers(), unlist(future.apply::future_lapply(1:3, function(i) i * 2)))))
stopifnot(identical(unname(inner), c(1, 2, 4, 6)))
f <- future({ Sys.sleep(30); 1 })
stopifnot(!resolved(f))
plan(sequential)
close(pool)
