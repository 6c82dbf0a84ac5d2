library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
pool <- pool_local(workers = 2)

# A task that asks for more memory than it may have gets R's error; the worker and its other tasks are safe.
pids <- function() sort(unique(unlist(lbapply(pool, 1:8, function(i) { Sys.sleep(0.05); Sys.getpid() }))))
before <- pids()
greedy <- lbapply(pool, 1:4, function(i) if (i == 2) length(numeric(2e8)) else i, memory = 400e6, partial = TRUE)
stopifnot(identical(greedy[-2], list(1L, 3L, 4L)), inherits(greedy[[2]], "roost_task_error"),
          grepl("cannot allocate.*memory limit is 381 MiB", conditionMessage(greedy[[2]])))
stopifnot(identical(pids(), before))
stopifnot(identical(lbapply(pool, 1:2, function(i) length(numeric(6e7))), list(60000000L, 60000000L)))   # no limit any more

# What a task does to the environment variables is undone.
invisible(lbapply(pool, 1:8, function(i) { Sys.setenv(ROOST_TEST_ADDED = i, HOME = "/elsewhere"); Sys.unsetenv("TMPDIR"); NULL }))
seen <- lbapply(pool, 1:8, function(i) { Sys.sleep(0.02); Sys.getenv(c("ROOST_TEST_ADDED", "HOME")) })
for (one in seen) stopifnot(identical(unname(one), c("", Sys.getenv("HOME"))))
parallel::clusterEvalQ(pool, Sys.setenv(ROOST_TEST_ADDED = "set up"))
stopifnot(all(unlist(lbapply(pool, 1:8, function(i) Sys.getenv("ROOST_TEST_ADDED"))) == "set up"))

# Of many warnings the first thousand are kept, and the rest counted.
warned <- character()
withCallingHandlers(lbapply(pool, 1:2, function(i) for (k in seq_len(if (i == 1) 3 else 2500)) warning("w", k)),
                    warning = function(w) { warned <<- c(warned, conditionMessage(w)); invokeRestart("muffleWarning") },
                    condition = function(c) if (inherits(c, "roost_task_warning") && !inherits(c, "warning")) warned <<- c(warned, conditionMessage(c)))
stopifnot(length(grep("^task 1: ", warned)) == 3, length(grep("^task 2: w", warned)) == 1000,
          sum(grepl("task 2: 1,500 more warnings of this task are left out", warned)) >= 1)

# The line that says what happened stays, however long R's traceback is.
deep <- function(n) if (n == 0) { tools::pskill(Sys.getpid(), 11L); Sys.sleep(10) } else 0 + deep(n - 1)
died <- lbapply(pool, 1, function(i) deep(300), partial = TRUE)[[1]]
stopifnot(grepl("caught segfault", conditionMessage(died)), nchar(died$post_mortem$output) <= 2100)

# Tasks that print much, again and again: none waits for a pipe that nobody reads.
printed <- tempfile()
con <- file(printed, "wb")
sink(con)
for (n in c(30000, 100, 30000, 30000)) {
  job <- async_lapply(pool, 1:2, function(i, n) for (k in seq_len(n)) cat("line", k, "\n"), n = n)
  if (!wait(job, timeout = 60)) stop("a task that prints ", n, " lines does not end")
  invisible(results(job))
}
sink()
close(con)
stopifnot(length(readLines(printed)) == 2 * 90100)

# A handler of a live condition may use the pool itself.
inner <- NULL
outer <- withCallingHandlers(
  lbapply(pool, 1:2, function(i) {
    if (i == 1) signalCondition(structure(class = c("immediateCondition", "condition"), list(message = "now", call = NULL)))
    i
  }),
  immediateCondition = function(c) { Sys.sleep(0.3); inner <<- lbapply(pool, 1:3, function(i) i * 10) })
stopifnot(identical(outer, list(1L, 2L)), identical(inner, list(10, 20, 30)))

# Nodes say since when they have been there.
stopifnot(abs(as.numeric(Sys.time()) - as.numeric(pool_nodes(pool)$connected)) < 600)
close(pool)
