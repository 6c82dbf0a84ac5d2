# nodepool's names. A server and its nodes are processes of the program `roost`. What run_pool() starts has a home of its own:
#
#   ~/.local/share/roost/pools/PORT/     certificates, tokens and durable jobs of the pool at this port; `lock` names its server
#     client/roost/                      url, token, admin-token, node-token, as the server writes them at its first start
#     node-1/, node-2/, …                the nodes that run_pool() starts
#     server.log, node-1.log, …          what they said, when it is not shown
#
# pool_connect() and run_node() of this account find the tokens by the port. Processes in the background end with this session.

server_seconds <- 30          # until a server in the background answers
node_seconds <- 60            # until its nodes have joined
halt_seconds <- 10            # until what was told to end has ended

run_pool <- function(port = NULL, background = FALSE, nodes = 0, verbose = TRUE, ..., listen = "0.0.0.0") {
  nodes <- whole_number(nodes, "nodes", 0)
  if (!isTRUE(background)) {
    if (...length()) fail("`...` goes to pool_connect(), so it needs background = TRUE.")
    if (is.null(port)) fail("run_pool() in the foreground needs a `port`, for example 7117.")
  }
  is_chosen <- is.null(port)
  port <- if (is_chosen) free_port() else whole_number(port, "port", 1, 65535)
  server <- start_server(port, listen, verbose, is_chosen)
  halts <- TRUE
  on.exit(if (halts) halt_server(server))
  server$nodes <- start_nodes(server, nodes, verbose)
  if (!isTRUE(background)) {
    while (process_lives(server$pid)) Sys.sleep(0.2)
    return(invisible())
  }
  pool <- pool_connect("127.0.0.1", port, ...)
  session <- session_of(pool)
  session$server <- server
  # Others may use it when this pool's session is over: it ends with R.
  started$servers <- c(started$servers, list(server))
  attr(pool, "host") <- "127.0.0.1"
  attr(pool, "port") <- port
  attr(pool, "pid") <- server$pid
  attr(pool, "nodepids") <- server$nodes
  halts <- FALSE
  pool
}

run_node <- function(host = NULL, port = NULL, background = FALSE, slots = 1L, verbose = TRUE) {
  slots <- whole_number(slots, "slots", 1)
  url <- pool_url(host, port)
  arguments <- node_arguments(url, slots)
  environment <- c(library_variable(), token_variable(url, "node-token"))
  if (!isTRUE(background)) return(invisible(foreground(arguments, environment, verbose)))
  structure(start_process(arguments, environment, if (isTRUE(verbose)) "" else "/dev/null"), class = "run_node")
}

print.run_node <- function(x, ...) {
  cat("Roost node, process ", unclass(x), if (!process_lives(x)) ", which has ended", "\n", sep = "")
  invisible(x)
}

# It finishes what it runs, and leaves.
close.run_node <- function(con, ...) {
  end_process(con)
  invisible()
}

node_arguments <- function(url, slots, ...)
  c("node", "start", if (!is.null(url)) c("--pool", url), "--slots", slots, "--r", file.path(R.home("bin"), "R"), ...)

# Workers find the packages of the session that starts their node.
library_variable <- function() c(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))

# ---- the server and its nodes ----

start_server <- function(port, listen, verbose, is_chosen) {
  server <- new.env(parent = emptyenv())
  server$owner <- Sys.getpid()
  server$port <- port
  server$home <- pool_home(port)
  server$is_chosen <- is_chosen        # nobody will ask for this port again
  dir.create(file.path(server$home, "client"), recursive = TRUE, showWarnings = FALSE, mode = "0700")
  ready <- fresh_file(server$home, "ready")
  log <- if (isTRUE(verbose)) "" else fresh_file(server$home, "server.log")
  server$pid <- start_process(
    c("server", "start", "--listen", paste0(listen, ":", port), "--data", server$home, "--ready-file", ready,
      if (!isTRUE(verbose)) c("--log-level", "warning")),
    c(XDG_CONFIG_HOME = file.path(server$home, "client")), log)
  reg.finalizer(server, halt_server, onexit = TRUE)
  answered <- FALSE
  on.exit(if (!answered) halt_server(server))
  await_processes("The server", server$pid, ready, server_seconds, log, "answered")
  answered <- TRUE
  server
}

started <- new.env(parent = emptyenv())

# The process ids of `n` nodes, which have joined.
start_nodes <- function(server, n, verbose) {
  if (n == 0L) return(integer())
  url <- pool_url("127.0.0.1", server$port)
  files <- lapply(seq_len(n), function(i) list(
    ready = fresh_file(server$home, paste0("node-", i, ".ready")), state = file.path(server$home, paste0("node-", i)),
    log = if (isTRUE(verbose)) "" else fresh_file(server$home, paste0("node-", i, ".log"))))
  environment <- c(library_variable(), token_variable(url, "node-token"))
  for (file in files) server$nodes <- c(server$nodes, start_process(
    node_arguments(url, 1L, "--state", file$state, "--ready-file", file$ready, if (!isTRUE(verbose)) c("--log-level", "warning")),
    environment, file$log))
  await_processes("Node", server$nodes, vapply(files, `[[`, "", "ready"), node_seconds, vapply(files, `[[`, "", "log"), "joined")
  server$nodes
}

fresh_file <- function(...) {
  path <- file.path(...)
  unlink(path)
  path
}

# Waits until each process has written its file; an error says who has not, and what it said.
await_processes <- function(what, pids, files, seconds, logs, verb) {
  end <- proc.time()[[3L]] + seconds
  repeat {
    here <- file.exists(files)
    if (all(here)) return(invisible())
    ended <- !here & !vapply(pids, process_lives, NA)
    if (any(ended) || proc.time()[[3L]] > end) break
    Sys.sleep(0.02)
  }
  first <- which(if (any(ended)) ended else !here)[1L]
  said <- if (nzchar(logs[first]) && file.exists(logs[first])) utils::tail(readLines(logs[first], warn = FALSE), 5L)
  pool_error(what, if (length(pids) > 1L) paste0(" ", first), if (any(ended)) " ended before it had " else " has not ", verb,
             if (!any(ended)) paste0(" within ", seconds, " s"),
             if (length(pids) > 1L) paste0("; ", sum(here), " of ", length(pids), " have ", verb),
             if (length(said)) paste0(".\nIt said:\n  ", paste(said, collapse = "\n  ")) else ".")
}

# Ends the nodes, also those of other machines, then the server; waits until that has ended, so that its port is free.
halt_server <- function(server) {
  if (is.null(server$pid) || server$owner != Sys.getpid()) return(invisible())
  if (process_lives(server$pid)) {
    end_all_nodes(server)
    end_process(server$pid)
  }
  end_process(server$nodes)
  # A node that is told twice no longer waits for its tasks.
  if (!await_end(c(server$pid, server$nodes), halt_seconds / 2)) {
    end_process(server$nodes)
    await_end(c(server$pid, server$nodes), halt_seconds / 2)
  }
  if (isTRUE(server$is_chosen)) unlink(server$home, recursive = TRUE)
  server$pid <- NULL
  started$servers <- Filter(function(other) !identical(other, server), started$servers)
  invisible()
}

# A server of this account on this machine that serves this URL, as if this session's run_pool() had started it; NULL: there is none.
found_server <- function(url) {
  port <- if (!is.null(url)) local_port(url)
  pid <- if (!is.null(port)) server_of(pool_home(port))
  if (!is.null(pid)) list2env(list(owner = Sys.getpid(), port = port, home = pool_home(port), pid = pid, nodes = integer()))
}

end_all_nodes <- function(server) {
  token <- token_variable(pool_url("127.0.0.1", server$port), "admin-token")
  if (length(token)) try(run_roost(c("node", "kill", "all", "--pool", pool_url("127.0.0.1", server$port)), as_settings(token)),
                         silent = TRUE)
}

await_end <- function(pids, seconds) {
  end <- proc.time()[[3L]] + seconds
  while (any(vapply(pids, process_lives, NA))) {
    if (proc.time()[[3L]] > end) return(FALSE)
    Sys.sleep(0.02)
  }
  TRUE
}

# ---- the pool's home ----

pool_home <- function(port) {
  data <- Sys.getenv("XDG_DATA_HOME")
  if (!nzchar(data)) data <- file.path(Sys.getenv("HOME", path.expand("~")), ".local", "share")
  file.path(data, "roost", "pools", port)
}

# The process that serves the pool of this home; NULL when none does.
server_of <- function(home) {
  pid <- tryCatch(suppressWarnings(as.integer(readLines(file.path(home, "lock"), n = 1L, warn = FALSE))), error = function(e) NULL)
  if (length(pid) && !is.na(pid) && process_lives(pid)) pid
}

# The port of a pool on this machine, from its URL; NULL when it is elsewhere.
local_port <- function(url) {
  parts <- regmatches(url, regexec("^roost://(localhost|127[.][0-9.]+|\\[::1\\]|[^:/]+):([0-9]+)/?$", url))[[1L]]
  if (length(parts) && (grepl("^(localhost|127[.]|\\[::1\\])", parts[2L]) || identical(parts[2L], Sys.info()[["nodename"]])))
    as.integer(parts[3L])
}

# ROOST_TOKEN for a pool of run_pool() on this machine, unless the user has given one.
token_variable <- function(url, file) {
  if (nzchar(Sys.getenv("ROOST_TOKEN")) || is.null(url)) return(character())
  port <- local_port(url)
  if (is.null(port)) return(character())
  home <- pool_home(port)
  path <- file.path(home, "client", "roost", file)
  if (is.null(server_of(home)) || !file.exists(path)) return(character())
  c(ROOST_TOKEN = paste0("@", path))
}

as_settings <- function(variables) if (length(variables)) paste0(names(variables), "=", shQuote(variables)) else character()

# ---- processes ----

foreground <- function(arguments, environment, verbose)
  system2(roost_binary(), shQuote(arguments), stdout = if (isTRUE(verbose)) "" else FALSE,
          stderr = if (isTRUE(verbose)) "" else FALSE, env = as_settings(environment))

# Starts the program in a session of its own, so that Ctrl-C does not reach it; its process id. It ends with this session: a
# watcher sees to that also if R is killed.
start_process <- function(arguments, environment = character(), log = "") {
  command <- paste(c("exec env", as_settings(environment), shQuote(c(roost_binary(), arguments))), collapse = " ")
  output <- if (nzchar(log)) paste0(">", shQuote(log), " 2>&1") else ""
  file <- tempfile("roost")
  on.exit(unlink(file))
  in_background(paste0("echo $$ >", shQuote(file), "; ", command, " </dev/null ", output))
  for (i in 1:250) {
    pid <- if (file.exists(file)) suppressWarnings(as.integer(readLines(file, warn = FALSE)))
    if (length(pid)) break
    Sys.sleep(0.02)
  }
  if (!length(pid)) pool_error("'roost ", paste(arguments[1:2], collapse = " "), "' could not be started.")
  in_background(sprintf(watcher_script, Sys.getpid(), pid), silent = TRUE)
  pid
}

# The watcher's program. Process %1$d is this session, %2$d is what ends with it. A zombie counts as ended. A node that is told twice
# does not wait for its tasks.
watcher_script <- "
lives() {
  kill -0 $1 || return 1
  read -r state 2>/dev/null </proc/$1/stat || return 0
  case $state in *') Z '* | *') X '*) return 1 ;; esac
}
while lives %1$d; do
  lives %2$d || exit
  sleep 2
done
kill %2$d
sleep 1
kill %2$d"

in_background <- function(script, silent = FALSE) {
  session <- if (nzchar(Sys.which("setsid"))) "setsid "
  system(paste0(session, "sh -c ", shQuote(script), if (silent) " </dev/null >/dev/null 2>&1", " &"))
}

# One that has ended, and is a zombie until somebody asks for its status, does not.
process_lives <- function(pid) {
  if (!isTRUE(tools::pskill(pid, 0L))) return(FALSE)
  stat <- tryCatch(suppressWarnings(readLines(file.path("/proc", pid, "stat"), n = 1L)), error = function(e) "")
  !any(grepl("^[0-9]+ \\(.*\\) [ZX] ", stat))
}

end_process <- function(pid) for (one in pid) tools::pskill(one, tools::SIGTERM)

free_port <- function() {
  for (i in 1:50) {
    port <- keep_generator({ set.seed(NULL); sample(20000:60000, 1L) })
    socket <- tryCatch(suppressWarnings(serverSocket(port)), error = function(e) NULL)
    if (!is.null(socket)) {
      close(socket)
      return(port)
    }
  }
  pool_error("No free port was found between 20000 and 60000.")
}
