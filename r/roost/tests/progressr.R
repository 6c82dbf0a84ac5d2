library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Slots, memory and labels that tasks need.
pool <- pool_local(workers = 2)
times <- lbapply(pool, 1:3, function(i) { start <- Sys.time(); Sys.sleep(0.2); c(start, Sys.time()) }, cpus = 2, progress = FALSE)
times <- times[order(vapply(times, function(t) as.numeric(t[1]), 0))]
stopifnot(times[[2]][1] >= times[[1]][2], times[[3]][1] >= times[[2]][2])
job <- async_lapply(pool, 1, identity, memory = 1e14)
stopifnot(!wait(job, timeout = 0.5, progress = FALSE), status(job) == "waiting")
cancel(job)
stopifnot(inherits(tryCatch(lbapply(pool, 1, identity, labels = "disk"), error = identity), "roost_error"))
stopifnot(inherits(tryCatch(lbapply(pool, 1, identity, cpus = "two"), error = identity), "roost_error"))

# The bar ends at 100 %, and what tasks say does not share its line.
text <- capture.output(type = "message", {
  gate <- tempfile()
  lbapply(pool, 1:4, progress = TRUE, FUN = function(i) {
    Sys.sleep(0.3)
    if (i == 3) message(structure(class = c("immediateCondition", "message", "condition"), list(message = "live\n", call = NULL)))
    if (i == 1) message("later")
  })
})
lines <- unlist(strsplit(text, "[\r\n]+"))
bars <- grep("%", lines, value = TRUE)
stopifnot(length(bars) >= 2L, grepl("100%$", bars[length(bars)]), all(c("live", "later") %in% lines), all(grepl("^  [|]=* *[|] +[0-9]+%$", bars)))

# progressr
if (!requireNamespace("progressr", quietly = TRUE)) {
  cat("PACKAGE progressr IS NOT INSTALLED: its conditions are not tested\n")
  quit("no")
}
steps <- function(expr) {
  said <- list()
  withCallingHandlers(progressr::with_progress(expr, handlers = progressr::handler_void(), enable = TRUE),
                      progression = function(p) said[[length(said) + 1L]] <<- p)
  list(types = vapply(said, function(p) p$type, ""), amount = sum(vapply(Filter(function(p) p$type == "update", said), function(p) p$amount, 0)),
       messages = vapply(said, function(p) paste(conditionMessage(p), collapse = ""), ""))
}

# A job's own.
own <- steps(lbapply(pool, 1:10, function(i) Sys.sleep(0.2), progress = FALSE))
stopifnot(own$types[1] == "initiate", own$types[length(own$types)] == "finish", "update" %in% own$types, own$amount <= 10)

# Those of a progressor that tasks use arrive, each once.
p <- NULL
tasks <- steps({ p <- progressr::progressor(steps = 4); lbapply(pool, 1:4, function(i) p(paste("did", i)), progress = FALSE) })
stopifnot(setequal(grep("did", tasks$messages, value = TRUE), paste("did", 1:4)), sum(grepl("did", tasks$messages)) == 4)
later <- steps({
  p <- progressr::progressor(steps = 2)
  job <- async_lapply(pool, 1:2, function(i) p(paste("did", i)))
  results(job, progress = FALSE)
})
stopifnot(sum(grepl("did", later$messages)) == 2)
close(pool)
