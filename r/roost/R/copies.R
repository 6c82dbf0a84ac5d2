# A session that was serialized, and read elsewhere or here, is a copy: its connection's number means another connection there,
# or the original's here. R reads an external pointer as nil, so a session has one for a mark.

# Any external pointer will do: this one is the id of a connection that is closed again.
new_mark <- function() {
  con <- rawConnection(raw())
  on.exit(close(con))
  attr(con, "conn_id")
}

copies <- new.env(parent = emptyenv())

# Called when the package is loaded.
learn_mark_of_copies <- function() copies$mark <- unserialize(serialize(new_mark(), NULL))

is_copy <- function(session) identical(session$mark, copies$mark)

is_usable <- function(session) session$open && !is_copy(session) && session$pid == Sys.getpid()

fail_copied <- function(session) pool_error(
  "This is a copy of a pool, as serialize() or readRDS() make it or a task receives it; the pool itself belongs to process ",
  session$pid, ", and a pool cannot be used on a worker. ",
  "Remedy: have the session that made the pool submit the work, or make a pool here, with pool_connect() or pool_local().")
