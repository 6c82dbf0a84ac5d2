library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# What a task leaves in its worker is gone when the next one runs there, and one worker serves all of this.
pool <- pool_local(workers = 1)
on_worker <- function(f, ...) lbapply(pool, 1, f, ...)[[1]]
pid <- on_worker(function(i) Sys.getpid())
after <- function(leave, look) {
  environment(leave) <- environment(look) <- globalenv()
  on_worker(leave)
  on_worker(look)
}

# A job's globals do not outlive it; setup's variables come back.
d <- 1
parallel::clusterExport(pool, "d")
d <- 2
stopifnot(identical(on_worker(function(i) d), 2), identical(unlist(parallel::parLapply(pool, 1:6, function(i) d)), rep(1, 6)))
rm(d)   # else it would go along with what mentions it
stopifnot(!after(function(i) { assign("left", 1, globalenv()); NULL }, function(i) exists("left")))
stopifnot(after(function(i) { assign("d", 7, globalenv()); NULL }, function(i) get("d", globalenv())) == 1)
stopifnot(after(function(i) { rm("d", envir = globalenv()); NULL }, function(i) get("d", globalenv())) == 1)
stopifnot(!after(function(i) { makeActiveBinding("live", function() 1, globalenv()); NULL }, function(i) exists("live")))
stopifnot(!after(function(i) { setClass("Left", representation(x = "numeric")); new("Left", x = 1)@x }, function(i) isClass("Left")))

# What a task assigns is there for the rest of its batch at most, and never in the session's next job.
counter <- 0
counts <- unlist(lbapply(pool, 1:20, function(i) { counter <<- counter + 1; counter }))
stopifnot(on_worker(function(i) counter) == 0, counts[1] == 1)

# The search path.
stopifnot(!any(after(function(i) { attach(list(attached_by_task = 1)); library(stats4); NULL },
                     function(i) c(exists("attached_by_task"), "package:stats4" %in% search()))))
stopifnot(after(function(i) { detach("package:stats"); NULL }, function(i) "package:stats" %in% search()))
stopifnot(on_worker(function(i) "package:stats4" %in% search(), packages = "stats4"), !on_worker(function(i) "package:stats4" %in% search()))

on_worker(function(i) { Sys.setenv(ROOST_LEFT = 1); options(roost.left = 1); NULL }, packages = "splines")
stopifnot(!on_worker(function(i) nzchar(Sys.getenv("ROOST_LEFT")) || !is.null(getOption("roost.left"))))

# The process.
stopifnot(identical(after(function(i) { Sys.umask("077"); NULL }, function(i) format(Sys.umask(NA))), format(Sys.umask(NA))))
before <- on_worker(function(i) Sys.getlocale())
stopifnot(identical(after(function(i) { for (name in c("LC_COLLATE", "LC_TIME", "LC_CTYPE")) Sys.setlocale(name, "C"); NULL },
                          function(i) Sys.getlocale()), before))
stopifnot(after(function(i) { setTimeLimit(elapsed = 0.1); setSessionTimeLimit(elapsed = 0.1); NULL },
                function(i) { end <- proc.time()[[3]] + 0.3; while (proc.time()[[3]] < end) NULL; TRUE }))
stopifnot(after(function(i) { grDevices::pdf(NULL); grDevices::pdf(NULL); NULL }, function(i) is.null(grDevices::dev.list())))
stopifnot(identical(after(function(i) {
  con <- file(tempfile(), "w")
  sink(con)
  sink(con, type = "message")
  sink(tempfile())
  NULL
}, function(i) c(sink.number(), sink.number(type = "message"))), c(0L, 2L)))
stopifnot(!after(function(i) { setwd("/"); options(roost.left = 1, digits = 3); .libPaths("/"); NULL },
                 function(i) getwd() == "/" || !is.null(getOption("roost.left")) || getOption("digits") != 7 || "/" %in% .libPaths()))

# A library of its own, for install.packages() in a task.
stopifnot(on_worker(function(i) dirname(.libPaths()[1]) == normalizePath(tempdir()) && file.access(.libPaths()[1], 2) == 0))

# A setup of a job that fails is that task's error, in R's own words.
failure <- function(expr) conditionMessage(tryCatch(expr, roost_task_error = identity))
stopifnot(grepl("invalid 'digits' parameter", failure(on_worker(sqrt, options = list(digits = 100)))))
stopifnot(on_worker(function(i) getOption("digits"), options = list(digits = 5)) == 5, on_worker(function(i) getOption("digits")) == 7)
invisible(parallel::clusterEvalQ(pool, { locked <- 1; lockBinding("locked", globalenv()) }))
locked <- 2
stopifnot(grepl("cannot change value of locked binding for 'locked'", failure(on_worker(function(i) locked))))
rm(locked)
stopifnot(on_worker(function(i) get("locked", globalenv())) == 1)
# A package that was missing and is not any more.
stopifnot(grepl("no.such.package", failure(on_worker(function(i) 1, packages = "no.such.package"))))

# The worker's own connections: nobody finds them by guessing, and it lives on without them.
stopifnot(on_worker(function(i) { con <- rawConnection(raw()); on.exit(close(con)); as.integer(con) }) == 3)
stopifnot(on_worker(function(i) {
  for (k in 3:50) {
    try(writeBin(as.raw(1:100), getConnection(k)), silent = TRUE)
    try(close(getConnection(k)), silent = TRUE)
  }
  i
}) == 1)
stopifnot(on_worker(function(i) { closeAllConnections(); i }) == 1)
stopifnot(identical(unlist(lbapply(pool, 1:6, function(i) { if (i %% 2) closeAllConnections(); cat("printed\n"); i })), 1:6))

# References mean nothing elsewhere: the error says where they are.
refused <- function(f, at, ...) {
  text <- failure(on_worker(f, ...))
  if (!grepl(at, text, fixed = TRUE)) stop(text)
}
refused(function(i) textConnection("x"), "the task's value is a connection (class textConnection")
refused(function(i) list(a = 1, b = list(2, textConnection("x"))), "holds a connection (class textConnection, connection) at value$b[[2]]")
refused(function(i) { con <- rawConnection(raw()); function() con }, "at value's environment$con")
refused(function(i) { e <- new.env(); e$deep <- list(p = attr(rawConnection(raw()), "conn_id")); e }, "an external pointer (class externalptr) at value$deep$p")
refused(function(i) structure(1, handle = attr(rawConnection(raw()), "conn_id"), class = "database"), "at value@handle")
stopifnot(inherits(on_worker(function(i) lm(mpg ~ wt, mtcars)), "lm"), inherits(on_worker(function(i) data.frame(a = 1)), "data.frame"))
stopifnot(identical(on_worker(function(i) function(x) x + 1)(1), 2), length(on_worker(function(i) globalenv())) >= 0)
stopifnot(length(on_worker(function(i) structure(list(1), .internal.selfref = attr(rawConnection(raw()), "conn_id")))) == 1)
stopifnot(is.list(on_worker(function(i) list(attr(rawConnection(raw()), "conn_id")), options = list(roost.references = "allow"))))

# All that happened on the same worker.
stopifnot(on_worker(function(i) Sys.getpid()) == pid)

# Verbs of parallel leave what their tasks do, as on a PSOCK worker.
invisible(parallel::clusterCall(pool, function() { assign("stays", 5, globalenv()); library(stats4); NULL }))
stopifnot(identical(parallel::clusterCall(pool, function() c(get("stays", globalenv()), "package:stats4" %in% search())), list(c(5, 1))))
stopifnot(on_worker(function(i) get("stays", globalenv())) == 5)
close(pool)
