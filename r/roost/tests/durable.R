library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
if (Sys.getenv("HOME") == "") quit("no")
options(warn = 1)

# An embedded pool has no disk: it says so.
here <- pool_local(workers = 1)
refused <- tryCatch(async_lapply(here, 1:2, identity, durable = TRUE), error = identity)
stopifnot(inherits(refused, "roost_pool_error"), grepl("no disk", conditionMessage(refused)))
stopifnot(inherits(tryCatch(async_lapply(here, 1, identity, durable = NA), error = identity), "error"))
stopifnot(identical(results(async_lapply(here, 1:2, identity)), list(1L, 2L)))
close(here)

# A real server and a node, in a home of their own.
home <- tempfile("home")
dir.create(home)
Sys.setenv(HOME = home, XDG_CONFIG_HOME = file.path(home, "config"), XDG_DATA_HOME = file.path(home, "data"),
           XDG_STATE_HOME = file.path(home, "state"))
port <- roost:::free_port()
start_server <- function() {
  ready <- tempfile("ready")
  pid <- roost:::start_process(c("server", "start", "--listen", paste0("127.0.0.1:", port), "--data", file.path(home, "pool"),
                                 "--ready-file", ready), log = "/dev/null")
  roost:::await_processes("The server", pid, ready, 30, "", "answered")
  pid
}
until <- function(what, condition, seconds = 60) {
  end <- Sys.time() + seconds
  while (!isTRUE(condition())) { if (Sys.time() > end) stop("not within ", seconds, " s: ", what); Sys.sleep(0.05) }
}
server <- start_server()
until("tokens are there", function() file.exists(file.path(home, "config", "roost", "url")))
node <- run_node("127.0.0.1", port, background = TRUE, slots = 2, verbose = FALSE)

# One session submits, and is killed. What it exported is part of the job.
gate <- file.path(home, "gate")
ids <- file.path(home, "ids")
script <- file.path(home, "first.R")
writeLines(c(
  "library(roost)",
  sprintf("gate <- %s; ids <- %s", deparse(gate), deparse(ids)),
  sprintf("pool <- pool_connect('127.0.0.1', %d)", port),
  "offset <- 100",
  "parallel::clusterExport(pool, 'offset')",
  "X <- stats::setNames(1:30, paste0('x', 1:30))",
  "f <- function(i, gate) { if (i > 3) while (!file.exists(gate)) Sys.sleep(0.02); if (i == 7) stop('seven'); offset + rnorm(1) }",
  "job <- async_lapply(pool, X, f, gate = gate, seed = 42, label = 'survivor', durable = TRUE)",
  "one <- async({ while (!file.exists(gate)) Sys.sleep(0.02); 6 * 7 }, pool, durable = TRUE)",
  "endless <- async_lapply(pool, 1:3, function(i) Sys.sleep(1e6), durable = TRUE)",
  "print(job)",
  "writeLines(c(job$id, job$number, one$id, endless$id), paste0(ids, '.new'))",
  "file.rename(paste0(ids, '.new'), ids)",
  "Sys.sleep(1e6)"), script)
first <- local({
  pid <- file.path(home, "first.pid")
  system(paste("sh -c", shQuote(paste("echo $$ >", pid, "; exec", file.path(R.home("bin"), "Rscript"), script, ">", file.path(home, "first.log"), "2>&1")), "&"))
  until("the first session is there", function() file.exists(pid) && length(readLines(pid, warn = FALSE)) == 1L)
  as.integer(readLines(pid))
})
until("the jobs are submitted", function() {
  if (!roost:::process_lives(first)) stop(paste(readLines(file.path(home, "first.log")), collapse = "\n"))
  file.exists(ids)
}, 120)
stopifnot(any(grepl("durable", readLines(file.path(home, "first.log")))))
names <- readLines(ids)
tools::pskill(first, tools::SIGKILL)
until("the first session is gone", function() !roost:::process_lives(first))

# The server is killed, too.
tools::pskill(server, tools::SIGKILL)
until("the server is gone", function() !roost:::process_lives(server))
server <- start_server()

# Another session has it all.
pool <- pool_connect("127.0.0.1", port)
listed <- pool_jobs(pool)
stopifnot(is.data.frame(listed), names[1] %in% listed$id, all(listed$durable), "survivor" %in% listed$label)
job <- pool_attach(pool, names[1])
stopifnot(identical(job$n, 30L), identical(job$number, as.integer(names[2])), identical(job$names, paste0("x", 1:30)))
stopifnot(status(job) %in% c("waiting", "running"), progress(job)[["tasks"]] == 30, !wait(job, timeout = 0.1, progress = FALSE))
invisible(file.create(gate))
offset <- 100
X <- stats::setNames(1:30, paste0("x", 1:30))
expected <- lbapply(NULL, X, function(i) offset + rnorm(1), seed = 42)
got <- results(job, partial = TRUE)
stopifnot(identical(names(got), names(X)), inherits(got[[7]], "roost_task_error"), grepl("seven", conditionMessage(got[[7]])))
stopifnot(identical(got[-7], expected[-7]), status(job) == "ended", progress(job)[["done"]] == 30)

# Again, by its number, as they completed; and by whoever held it before.
again <- pool_attach(pool, as.integer(names[2]))
seen <- list()
as_completed(again, function(outcome) seen[[outcome$name]] <<- outcome$value)
stopifnot(length(seen) == 29L, identical(seen[names(expected[-7])], expected[-7]))
rm(job); invisible(gc())
stopifnot(identical(results(again, partial = TRUE)[-7], expected[-7]))
rm(again); invisible(gc())
other <- pool_connect("127.0.0.1", port)
stopifnot(identical(results(pool_attach(other, names[2]), partial = TRUE)[-7], expected[-7]))
stopifnot(identical(results(pool_attach(other, names[3])), 42))

# Cancelled and forgotten by another session than the one that submitted it.
endless <- pool_attach(other, names[4])
cancel(endless, tasks = 2L)
forget(endless)
stopifnot(!names[4] %in% pool_jobs(pool)$id)
gone <- tryCatch(pool_attach(pool, names[4]), error = identity)
stopifnot(inherits(gone, "roost_pool_error"), grepl("no such job", conditionMessage(gone)))
stopifnot(inherits(tryCatch(pool_attach(pool, "none"), error = identity), "error"))

# A job of a session that lives: its end leaves the job alone, whatever R collects before.
later <- file.path(home, "later")
kept <- async_lapply(other, 1:4, function(i, gate) { while (!file.exists(gate)) Sys.sleep(0.02); i^2 }, gate = later, durable = TRUE)
id <- kept$id
rm(kept); invisible(gc())
invisible(async_lapply(other, 1, identity))    # tells the bridge what was collected
close(other)
kept <- pool_attach(pool, id)
stopifnot(status(kept) != "ended")
invisible(file.create(later))
stopifnot(identical(results(kept), list(1, 4, 9, 16)))
# Names that R holds in a compact form, and none at all.
many <- stats::setNames(1:20000, 1:20000)
many <- list(named = many, bare = 1:3)
for (X in many) {
  id[2] <- async_lapply(pool, X, identity, durable = TRUE)$id
  elsewhere <- pool_connect("127.0.0.1", port)
  stopifnot(identical(results(pool_attach(elsewhere, id[2]), simplify = TRUE), X))
  forget(pool_attach(elsewhere, id[2]))
  close(elsewhere)
}
third <- file.path(home, "third")
attached <- async_lapply(pool, 1:2, function(i, gate) { while (!file.exists(gate)) Sys.sleep(0.02); i }, gate = third)
elsewhere <- pool_connect("127.0.0.1", port)
stopifnot(grepl("belongs to the session", conditionMessage(tryCatch(pool_attach(elsewhere, attached$id), error = identity))))
invisible(file.create(third))
stopifnot(identical(results(attached), list(1L, 2L)))
close(elsewhere)
for (name in c(names[c(1, 3)], id[1])) forget(pool_attach(pool, name))
stopifnot(!any(pool_jobs(pool)$durable))

# Who leaves a submission before he has read its answer leaves nothing on the server's disk, though the job has ended.
elsewhere <- pool_connect("127.0.0.1", port)
local({
  session <- elsewhere[[1]]$session
  seq <- session$seq + 1
  control <- list(op = "submit", open = FALSE, durable = TRUE, X = 1:2, common = roost:::make_common(session, identity, list()))
  roost:::write_frame(session, roost:::frame(seq, session$got, control))
  session$seq <- seq
  until("it has ended", function() any(with(pool_jobs(pool), durable & state == "done")))
  roost:::request(session, list(op = "stop", seq = seq))
  until("it is gone", function() !any(pool_jobs(pool)$durable))
})
close(elsewhere)

# A submission that breaks off: what came of it can be read, though there are more names than tasks.
told <- file.path(home, "bridge")
child <- parallel::mcparallel({
  own <- pool_connect("127.0.0.1", port)
  writeLines(as.character(own[[1]]$session$bridge), paste0(told, ".new"))
  file.rename(paste0(told, ".new"), told)
  X <- stats::setNames(lapply(1:60, function(i) raw(2e6)), paste0("x", 1:60))
  try(async_lapply(own, X, length, durable = TRUE), silent = TRUE)
})
until("it is being submitted", function() file.exists(told) && any(with(pool_jobs(pool), durable & tasks > 0)))
tools::pskill(as.integer(readLines(told)), tools::SIGKILL)
invisible(parallel::mccollect(child))
torn <- with(pool_jobs(pool), id[durable])
torn <- pool_attach(pool, torn)
cancel(torn)                   # the server waits for its client to come back
got <- results(torn, partial = TRUE)
cat(length(got), "of 60 tasks came\n")
stopifnot(length(got) <= 60L, all(vapply(got, function(x) identical(x, 2000000L) || inherits(x, "roost_task_error"), NA)))
forget(torn)
stopifnot(!any(pool_jobs(pool)$durable))

close(pool)
for (pid in c(as.integer(node), server)) {
  tools::pskill(pid, tools::SIGTERM)
  until("it is gone", function() !roost:::process_lives(pid), 30)
}
