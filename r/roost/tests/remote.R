library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
if (Sys.getenv("HOME") == "") quit("no")
options(warn = 1)

# A real server and nodes, in a home of their own: nothing of the user's is touched.
home <- tempfile("home")
dir.create(home)
Sys.setenv(HOME = home, XDG_CONFIG_HOME = file.path(home, "config"), XDG_DATA_HOME = file.path(home, "data"),
           XDG_STATE_HOME = file.path(home, "state"))
pool <- run_pool(background = TRUE, nodes = 1, verbose = FALSE, length = 2, listen = "127.0.0.1")
pids <- c(attr(pool, "pid"), attr(pool, "nodepids"))

stopifnot(identical(lbapply(pool, 1:20, function(i) rnorm(1), seed = 7), lbapply(NULL, 1:20, function(i) rnorm(1), seed = 7)))

# What is exported reaches a node that joins later.
exported <- 41
parallel::clusterExport(pool, "exported", environment())
late <- run_node(attr(pool, "host"), attr(pool, "port"), background = TRUE, verbose = FALSE)
pids <- c(pids, as.integer(late))
while (nrow(pool_nodes(pool)) < 2) Sys.sleep(0.1)
seen <- lbapply(pool, 1:40, function(i) { Sys.sleep(0.05); list(exported + 1, Sys.getenv("ROOST_NODE"), Sys.getpid()) })
stopifnot(all(vapply(seen, `[[`, 0, 1) == 42), length(unique(vapply(seen, `[[`, 0L, 3))) >= 2)

# A worker that dies under its task, and a node that dies with its task, lose nothing.
flag <- tempfile("flag")
killing <- function(i, flag) {
  if (i == 3 && !file.exists(flag)) { file.create(flag); tools::pskill(Sys.getpid(), 9); Sys.sleep(10) }
  i
}
stopifnot(identical(lbapply(pool, 1:10, killing, flag = flag), as.list(1:10)), file.exists(flag))
job <- async_lapply(pool, 1:30, function(i) { Sys.sleep(0.1); i })
tools::pskill(as.integer(late), 9)
stopifnot(identical(results(job), as.list(1:30)))

pool_halt(pool)
for (i in 1:200) if (any(alive <- vapply(pids, function(p) isTRUE(tools::pskill(p, 0)), NA))) Sys.sleep(0.1)
stopifnot(!any(alive))
