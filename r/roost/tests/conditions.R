library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Conditions of tasks: the same from a pool and from the sequential reference.
pool <- pool_local(workers = 2)
task <- function(x) {
  if (x == 2) warning("careful")
  if (x == 3) stop("boom")
  if (x == 4) message("hello")
  if (x == 5) cat("printed\n")
  if (x == 6) stop(structure(class = c("mine", "error", "condition"), list(message = "rich", call = NULL, data = 1:3)))
  x
}
for (where in list(pool, NULL)) {
  seen <- character()
  note <- function(text) seen <<- c(seen, text)
  e <- NULL
  output <- capture.output(withCallingHandlers(
    e <- tryCatch(lbapply(where, 1:7, task), roost_task_error = identity),
    warning = function(w) { note(paste(class(w)[1], w$task, conditionMessage(w$condition))); invokeRestart("muffleWarning") },
    message = function(m) { note(conditionMessage(m)); invokeRestart("muffleMessage") }))
  stopifnot(identical(output, "printed"), identical(seen, c("roost_task_warning 2 careful", "hello\n")))
  stopifnot(inherits(e, "roost_task_error"), e$task == 3L, identical(e$tasks, c(3L, 6L)))
  stopifnot(conditionMessage(e$condition) == "boom", identical(e$calls[length(e$calls)], "stop(\"boom\")"))
  stopifnot(grepl("FUN(X[[i]]", e$calls[1], fixed = TRUE), identical(e$results[[7]], 7L), is.null(e$results[[3]]))
  some <- suppressMessages(suppressWarnings({ capture.output(r <- lbapply(where, 1:7, task, partial = TRUE)); r }))
  stopifnot(inherits(some[[3]], "roost_task_error"), inherits(some[[6]]$condition, "mine"))
  stopifnot(identical(some[[6]]$condition$data, 1:3), identical(some[c(1, 2, 4, 5, 7)], list(1L, 2L, 4L, 5L, 7L)))
}

# Live conditions arrive while tasks run.
live <- character()
withCallingHandlers(
  lbapply(pool, 1:2, function(i) message(structure(class = c("immediateCondition", "message", "condition"),
                                                   list(message = paste("live", i), call = NULL)))),
  message = function(m) { live <<- c(live, conditionMessage(m)); invokeRestart("muffleMessage") })
stopifnot(setequal(live, c("live 1", "live 2")))
bare <- 0
withCallingHandlers(lbapply(pool, 1, function(i) {
  signalCondition(structure(class = c("immediateCondition", "condition"), list(message = "nobody can muffle it", call = NULL)))
}), immediateCondition = function(c) bare <<- bare + 1)
stopifnot(bare == 1)

# Odd ends.
odd <- lbapply(pool, 1:6, function(i) switch(i,
  stop(structure(class = c("odd", "condition"), list(message = "no error", call = NULL))), invokeRestart("abort"),
  textConnection("x"), { f <- function(n) f(n + 1); f(1) }, { pkg <- "no.such.package"; library(pkg, character.only = TRUE) }, "fine"), partial = TRUE)
for (i in 1:5) stopifnot(inherits(odd[[i]], "roost_task_error"))
stopifnot(identical(odd[[6]], "fine"), grepl("connection", conditionMessage(odd[[3]])))
missing <- tryCatch(lbapply(pool, 1, identity, packages = "no.such.package"), error = identity)
stopifnot(inherits(missing, "roost_task_error"), grepl("no.such.package", conditionMessage(missing)))
stopifnot(inherits(tryCatch(async_lapply(pool, 1, identity, durable = TRUE), error = identity), "roost_pool_error"))

# What no node can run does not wait without a word; and in a pool that cannot grow it does not wait at all.
why <- tryCatch(lbapply(pool, 1, identity, memory = 1e14), roost_waiting = conditionMessage)
stopifnot(grepl("no node of the pool can run it: .*memory", why))
job <- async_lapply(pool, 1, identity, memory = 1e14)
stopifnot(grepl("memory", tryCatch(as_completed(job)(), roost_waiting = conditionMessage), ignore.case = TRUE))
cancel(job)
refused <- function(expr) tryCatch(expr, error = conditionMessage)
stopifnot(grepl("this pool has 2 slots.*workers = 3", refused(lbapply(pool, 1, identity, cpus = 3))))
stopifnot(grepl("no labels but r=", refused(lbapply(pool, 1, identity, labels = "zone=nowhere"))))
stopifnot(grepl("no labels but r=", refused(async_lapply(pool, 1, identity, labels = c(zone = "nowhere")))))
stopifnot(identical(lbapply(pool, 1, identity, labels = paste0("r=", getRversion())), list(1)))

# Whole numbers are whole.
for (wrong in list(1.5, 0, NA, "2", 1:2, -1)) {
  stopifnot(grepl("`workers` must be a whole number", refused(pool_local(workers = wrong))))
  stopifnot(grepl("`length` must be a whole number", refused(pool_local(workers = 1, length = wrong))))
}
stopifnot(grepl("`retries` must be a whole number", refused(lbapply(pool, 1, identity, retries = 0.5))))
stopifnot(grepl("`priority` must be a number", refused(async_lapply(pool, 1, identity, priority = "high"))))

# A copy of a pool says that it is one, and leaves the pool alone.
copy <- unserialize(serialize(pool, NULL))
stopifnot(grepl("copy of a pool", refused(lbapply(copy, 1, identity))), grepl("a copy", capture.output(print(copy))),
          !any(isNodeAlive(copy)))
close(copy); rm(copy); invisible(gc())
there <- tryCatch(lbapply(pool, 1, function(i) roost::lbapply(pool, 1, sqrt)), error = conditionMessage)
stopifnot(grepl("cannot be used on a worker|no package called", there))
stopifnot(identical(lbapply(pool, 1:2, identity), list(1L, 2L)))
close(pool)
