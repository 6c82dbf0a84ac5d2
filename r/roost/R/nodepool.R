# nodepool's names. A server and its nodes are processes of the program `roost`; the first start of a server writes
# its tokens to ~/.config/roost, where pool_connect() and run_node() on this machine find them.

server_seconds <- 30          # until a server in the background answers

run_pool <- function(port = NULL, background = FALSE, nodes = 0, verbose = TRUE, ...) {
  if (!isTRUE(background)) {
    if (...length()) fail("`...` goes to pool_connect(), so it needs background = TRUE.")
    if (is.null(port)) fail("run_pool() in the foreground needs a `port`, for example 7117.")
  }
  if (is.null(port)) port <- free_port()
  helpers <- list()
  listen <- c("server", "start", "--listen", paste0("0.0.0.0:", as.integer(port)))
  if (!isTRUE(background)) {
    if (nodes > 0) helpers <- lapply(seq_len(nodes), function(i) run_node("127.0.0.1", port, background = TRUE))
    on.exit(for (node in helpers) end_process(node$pid))
    return(invisible(foreground(listen, verbose)))
  }
  server <- start_process(listen, verbose)
  ready <- FALSE
  on.exit(if (!ready) for (process in c(list(list(pid = server)), helpers)) end_process(process$pid))
  wait_for_port(port, server)
  if (nodes > 0) helpers <- lapply(seq_len(nodes), function(i) run_node("127.0.0.1", port, background = TRUE, verbose = verbose))
  pool <- pool_connect("127.0.0.1", port, ...)
  session <- session_of(pool)
  session$server <- list(pid = server, nodes = vapply(helpers, function(node) node$pid, 0L))
  attr(pool, "pid") <- server
  attr(pool, "nodepids") <- vapply(helpers, function(node) node$pid, 0L)
  ready <- TRUE
  pool
}

run_node <- function(host = NULL, port = NULL, background = FALSE, slots = 1L, verbose = TRUE) {
  url <- pool_url(host, port)
  arguments <- c("node", "start", if (!is.null(url)) c("--pool", url), "--slots", as.integer(slots))
  if (!isTRUE(background)) return(invisible(foreground(arguments, verbose)))
  structure(list(pid = start_process(arguments, verbose)), class = "run_node")
}

print.run_node <- function(x, ...) {
  cat("Roost node, process ", x$pid, "\n", sep = "")
  invisible(x)
}

foreground <- function(arguments, verbose)
  system2(roost_binary(), shQuote(arguments), stdout = if (isTRUE(verbose)) "" else FALSE,
          stderr = if (isTRUE(verbose)) "" else FALSE)

# Starts the program in a session of its own, so that Ctrl-C does not reach it; its process id.
start_process <- function(arguments, verbose = FALSE) {
  command <- paste(c(shQuote(roost_binary()), shQuote(arguments)), collapse = " ")
  log <- if (isTRUE(verbose)) "" else ">/dev/null 2>&1"
  session <- if (nzchar(Sys.which("setsid"))) "setsid "
  pid <- tempfile("roost")
  on.exit(unlink(pid))
  system(paste0(session, "sh -c ", shQuote(paste0("echo $$ >", shQuote(pid), "; exec ", command, " </dev/null ", log)), " &"))
  for (i in 1:100) {
    found <- if (file.exists(pid)) suppressWarnings(as.integer(readLines(pid, warn = FALSE)))
    if (length(found)) return(found[1L])
    Sys.sleep(0.02)
  }
  pool_error("'", command, "' could not be started.")
}

process_lives <- function(pid) isTRUE(tools::pskill(pid, 0L))

end_process <- function(pid) if (length(pid)) for (one in pid) tools::pskill(one, tools::SIGTERM)

halt_server <- function(server) {
  end_process(server$nodes)
  end_process(server$pid)
}

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

wait_for_port <- function(port, pid) {
  end <- proc.time()[[3L]] + server_seconds
  repeat {
    con <- tryCatch(suppressWarnings(socketConnection("127.0.0.1", port, blocking = TRUE, open = "r+b", timeout = 2)),
                    error = function(e) NULL)
    if (!is.null(con)) return(close(con))
    if (!process_lives(pid)) pool_error("'roost server start' ended before it listened on port ", port,
                                        ". Remedy: run 'roost server start --listen 0.0.0.0:", port, "' to see why.")
    if (proc.time()[[3L]] > end) pool_error("'roost server start' does not answer on port ", port, " after ",
                                            server_seconds, " s.")
    Sys.sleep(0.1)
  }
}
