# A pool is a cluster of package parallel: a list of seats, all of one session.

pool_local <- function(workers = NULL, length = NULL, lib_paths = NULL, wd = NULL, tz = NULL, locale = NULL) {
  slots <- if (is.null(workers)) default_workers() else whole_number(workers, "workers", 1, 4096)
  start_pool(c("--slots", slots), length, list(lib_paths = lib_paths, wd = wd, tz = tz, locale = locale),
             environment = as_settings(library_variable()))
}

pool_connect <- function(host = NULL, port = NULL, length = NULL, lib_paths = NULL, wd = NULL, tz = NULL, locale = NULL) {
  url <- pool_url(host, port)
  start_pool(if (!is.null(url)) c("--pool", url), length,
             list(lib_paths = lib_paths, wd = wd, tz = tz, locale = locale), url, as_settings(token_variable(url, "token")))
}

# roost://HOST:PORT of what the user gave; NULL: ROOST_POOL or the configuration file, the program's defaults.
pool_url <- function(host, port) {
  if (is.null(host)) {
    if (!is.null(port)) host <- "127.0.0.1" else return(NULL)
  }
  if (!is.character(host) || base::length(host) != 1L || is.na(host) || !nzchar(host))
    fail("`host` must be one string: a host's name or roost://HOST:PORT.")
  if (grepl("://", host, fixed = TRUE)) return(host)
  paste0("roost://", host, if (!is.null(port)) paste0(":", whole_number(port, "port", 1, 65535)))
}

default_workers <- function() {
  cores <- getOption("mc.cores", parallel::detectCores())
  min(4096L, max(1L, as.integer(cores), na.rm = TRUE))
}

start_pool <- function(arguments, length, settings, url = NULL, environment = character()) {
  binary <- roost_binary()
  if (!is.null(length)) length <- whole_number(length, "length")
  arguments <- c("bridge", if (is.null(arguments)) character() else arguments, "--r", file.path(R.home("bin"), "R"),
                 "--parent", Sys.getpid())
  line <- run_roost(arguments, environment)
  line <- line[startsWith(line, "roost-bridge ")]
  if (!base::length(line)) pool_error("'", binary, " bridge' ended without saying where it listens.")
  session <- new_session(line[1L])
  session$url <- url
  facts <- request(session, list(op = "open", label = session_label()))$control
  session$facts <- facts[c("pool", "user", "slots", "nodes", "version", "r")]
  settings <- settings[!vapply(settings, is.null, NA)]
  if (base::length(settings)) set_up(session, c(list(kind = "session"), settings))
  size <- if (is.null(length)) max(1L, as.integer(facts$slots)) else length
  session$size <- size
  session$last_seat <- size
  latest$session <- session
  make_pool(session, seq_len(size))
}

latest <- new.env(parent = emptyenv())

session_label <- function() paste0(Sys.info()[["user"]], "@", Sys.info()[["nodename"]], ":", Sys.getpid())

make_pool <- function(session, seats) as_pool(lapply(seats, new_seat, session = session))

# Package future tells clusters of plan(cluster, workers = ) apart by the attribute `name`. A cluster without it is told apart by all
# that is in it, which in a pool changes from call to call.
as_pool <- function(seats) {
  numbers <- vapply(seats, function(seat) seat$seat, 0L, USE.NAMES = FALSE)
  if (length(seats)) attr(seats, "name") <- paste0("roost-", seats[[1L]]$session$port, "-", paste(numbers, collapse = ","))
  class(seats) <- c("roost_cluster", "cluster")
  seats
}

session_of <- function(pool) {
  if (is.null(pool)) {
    if (is.null(latest$session)) fail("There is no pool: make one with pool_local() or pool_connect().")
    if (!latest$session$open) fail("The pool that was made last is closed, and no other is named. ",
      "Remedy: give the pool that is meant, or make one with pool_local() or pool_connect().")
    return(latest$session)
  }
  if (inherits(pool, "roost_seat")) return(pool$session)
  check_pool_argument(pool)
  pool[[1L]]$session
}

# Is it a pool? lbapply() and its like ask this first: other packages give the pool last.
check_pool_argument <- function(pool) {
  if (inherits(pool, c("roost_cluster", "roost_seat")) && length(pool)) return(invisible())
  fail("`pool` must be a pool, made by pool_local() or pool_connect(), not ", describe(pool), ".",
       if (!inherits(pool, "roost_cluster")) " The pool comes first: lbapply(pool, X, FUN, ...).")
}

describe <- function(x) if (is.null(x)) "NULL" else paste0("an object of class \"", class(x)[1L], "\"")

print.roost_cluster <- function(x, ...) {
  if (!length(x)) {
    cat("Roost pool without seats\n")
    return(invisible(x))
  }
  session <- session_of(x)
  facts <- session$facts
  state <- if (is_copy(session)) "a copy, which cannot be used" else if (session$pid != Sys.getpid()) "of another process" else if (!session$open) "closed" else
    paste0(count(facts$nodes, "node"), ", ", count(facts$slots, "slot"), " when it was opened")
  cat("Roost pool (", facts$pool, "): ", count(length(x), "seat"), "; ", state, "\n", sep = "")
  invisible(x)
}

count <- function(n, noun) paste0(n, " ", noun, if (!identical(as.numeric(n), 1)) "s")

# Ends the session only; a server goes on.
close.roost_cluster <- function(con, ...) {
  end_session(session_of(con))
  invisible()
}

`[.roost_cluster` <- function(x, ...) {
  seats <- unclass(x)[...]
  if (!length(seats) || is.null(seats[[1L]]$session$plan)) return(as_pool(seats))
  # clusterApply() asks for the first seats again and again, and keeps none of these parts.
  class(seats) <- c("roost_cluster", "cluster")
  seats
}

c.roost_cluster <- function(...) {
  pools <- list(...)
  sessions <- lapply(pools, session_of)
  if (!all(vapply(sessions, identical, NA, sessions[[1L]])))
    fail("Only parts of one pool can be combined: each pool has its own session.")
  as_pool(unlist(lapply(pools, function(pool) lapply(seq_along(pool), function(i) pool[[i]])), recursive = FALSE))
}

# Ends the server, too, and all its nodes: one that run_pool() of this account has started on this machine, here or in another
# session. Of a node: ends it.
pool_halt <- function(pool) {
  if (inherits(pool, "run_node")) return(invisible(end_process(pool)))
  session <- session_of(pool)
  server <- if (is.null(session$server)) found_server(session$url) else session$server
  end_session(session)
  if (!is.null(server)) halt_server(server)
  else if (!is_embedded(session))
    message("roost: this session has ended; the server at ", session$facts$pool, " goes on, since run_pool() of this account ",
            "and machine has not started it. An administrator ends it: roost server stop --pool ", session$facts$pool)
  invisible()
}

# As with nodepool, the pool that this session has made ends; a server that others have started goes on.
stopCluster_roost_cluster <- function(cl = NULL) {
  if (!length(cl)) return(invisible())
  if (is.null(session_of(cl)$server)) end_session(session_of(cl)) else pool_halt(cl)
  invisible()
}

# ---- what a pool has ----

is_embedded <- function(session) identical(session$facts$pool, "embedded")

asks_for_more <- function(policy) !is.null(policy$cpus) || !is.null(policy$labels)

# A pool in this machine does not grow: what it cannot run now it never can.
check_possible <- function(session, policy) {
  if (!is_embedded(session)) return(invisible())
  slots <- session$facts$slots
  if (!is.null(policy$cpus) && policy$cpus > slots)
    fail("`cpus` is ", policy$cpus, ", and this pool has ", count(slots, "slot"), ". Remedy: make it with pool_local(workers = ",
         ceiling(policy$cpus), "), or ask for less.")
  missing <- setdiff(policy$labels, paste0("r=", session$facts$r))
  if (length(missing))
    fail("`labels` asks for ", paste(missing, collapse = ", "), ", and a pool made by pool_local() has no labels but ",
         paste0("r=", session$facts$r, collapse = ", "), ". Remedy: leave them out, or use a server's pool, whose nodes say ",
         "what they have: roost node start --label KEY=VALUE.")
}
