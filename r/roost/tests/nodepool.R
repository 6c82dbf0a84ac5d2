library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
if (Sys.getenv("HOME") == "" || .Platform$OS.type != "unix") quit("no")
options(warn = 1)
caught <- function(expr) tryCatch(expr, error = conditionMessage)
alive <- function(pids) vapply(pids, roost:::process_lives, NA)
until <- function(condition, seconds = 60) {
  end <- Sys.time() + seconds
  while (!condition()) { if (Sys.time() > end) stop("it did not happen"); Sys.sleep(0.02) }
}

# nodepool's names, in a home of their own: nothing of the user's is touched. The R that calls is not in the PATH.
home <- tempfile("home")
dir.create(home)
Sys.setenv(HOME = home, XDG_CONFIG_HOME = file.path(home, "config"), XDG_DATA_HOME = file.path(home, "data"),
           XDG_STATE_HOME = file.path(home, "state"), ROOST_BIN = roost:::roost_binary())
bin <- file.path(home, "bin")
dir.create(bin)
for (tool in c("sh", "env", "sleep", "setsid", "rm", "sed", "uname")) file.symlink(Sys.which(tool), file.path(bin, tool))
path <- Sys.getenv("PATH")
Sys.setenv(PATH = bin)
start <- function(...) run_pool(background = TRUE, verbose = FALSE, ..., listen = "127.0.0.1")

# Its nodes are there, and a second pool beside it.
first <- start(nodes = 2)
stopifnot(nrow(pool_nodes(first)) == 2L, length(first) == 2L, attr(first, "host") == "127.0.0.1",
          is.integer(attr(first, "port")), length(attr(first, "nodepids")) == 2L, all(alive(attr(first, "nodepids"))))
second <- start(nodes = 1)
stopifnot(identical(lbapply(first, 1:3, function(i) i + 1), list(2, 3, 4)), identical(lbapply(second, 1:2, sqrt), lapply(1:2, sqrt)))
stopifnot(grepl("is using .* already", caught(start(port = attr(first, "port")))))
stopifnot(identical(lbapply(first, 1:2, sqrt), lapply(1:2, sqrt)))
stopifnot(!length(list.files(file.path(home, "config"))))

# A node in the background is a number, as with nodepool, and can be ended.
node <- run_node("127.0.0.1", attr(second, "port"), background = TRUE, verbose = FALSE)
stopifnot(inherits(node, "run_node"), is.numeric(node), alive(node))
until(function() nrow(pool_nodes(second)) == 2L)
stopifnot(grepl("process [0-9]+$", capture.output(print(node))))
pool_halt(node)
until(function() !alive(node))
stopifnot(grepl("has ended", capture.output(print(node))), identical(lbapply(second, 1, identity), list(1)))

# stopCluster() ends the pool that this session has made: server and nodes. So does pool_halt(), of a client, too.
pids <- c(attr(first, "pid"), attr(first, "nodepids"))
parallel::stopCluster(first)
stopifnot(!any(alive(pids)), !dir.exists(roost:::pool_home(attr(first, "port"))))
node <- run_node("127.0.0.1", attr(second, "port"), background = TRUE, verbose = FALSE)
client <- pool_connect("127.0.0.1", attr(second, "port"))
until(function() nrow(pool_nodes(client)) == 2L)
pids <- c(attr(second, "pid"), attr(second, "nodepids"), node)
close(second)
parallel::stopCluster(client)
stopifnot(all(alive(pids)))
pool_halt(pool_connect("127.0.0.1", attr(second, "port")))
until(function() !any(alive(pids)))
pool_halt(second)

# In the foreground, with nodes, by an R that is killed: nothing is left.
port <- roost:::free_port()
script <- tempfile(fileext = ".R")
writeLines(c("library(roost)", sprintf("run_pool(%d, nodes = 2, verbose = FALSE, listen = '127.0.0.1')", port)), script)
Sys.setenv(PATH = path)
pidfile <- tempfile("pid")
command <- paste("echo $$ >", shQuote(pidfile), "; exec", shQuote(file.path(R.home("bin"), "R")), "--no-echo --no-restore -f",
                 shQuote(script))
system(paste("sh -c", shQuote(command)), wait = FALSE)
until(function() file.exists(file.path(roost:::pool_home(port), "node-2.ready")) &&
                 file.exists(file.path(roost:::pool_home(port), "node-1.ready")))
pool <- pool_connect("127.0.0.1", port)
pids <- c(pool_nodes(pool)$pid, roost:::server_of(roost:::pool_home(port)))
stopifnot(length(pids) == 3L, identical(lbapply(pool, 1:4, function(i) i * 2), list(2, 4, 6, 8)))
close(pool)
tools::pskill(as.integer(readLines(pidfile)), tools::SIGKILL)
until(function() !any(alive(pids)))

# What is missing is said.
missing <- function(pid) caught(roost:::await_processes("Node", c(Sys.getpid(), pid), c(pidfile, tempfile()), 0.01, c("", ""), "joined"))
stopifnot(grepl("Node 2 has not joined within 0.01 s; 1 of 2 have joined.", missing(Sys.getpid()), fixed = TRUE),
          grepl("Node 2 ended before it had joined; 1 of 2 have joined.", missing(pids[1L]), fixed = TRUE))
stopifnot(grepl("whole number", caught(run_pool(1.5))), grepl("whole number", caught(run_pool(7117, nodes = -1))),
          grepl("needs a `port`", caught(run_pool())), grepl("pool comes first", caught(roost:::session_of(1:3))))
