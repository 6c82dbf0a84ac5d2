# Who works for the pool.

pool_nodes <- function(pool) {
  fields <- request(session_of(pool), list(op = "nodes"))$control
  table <- as_table(fields, c("node", "address", "platform", "r", "version", "slots", "busy", "state", "finished",
                              "connected", "silent", "pid"))
  table$connected <- as.POSIXct(as.numeric(table$connected), origin = "1970-01-01")
  table
}

pool_workers <- function(pool) {
  fields <- request(session_of(pool), list(op = "workers"))$control
  table <- as_table(fields, c("node", "pid", "session", "mine", "seat", "state", "job", "task", "since", "memory", "done"))
  table$since <- as.POSIXct(as.numeric(table$since), origin = "1970-01-01")
  table
}
