# R streams as the bridge speaks them: native order, version 3.

stream <- function(x) serialize(x, NULL, xdr = FALSE, version = 3L)

# A frame: four doubles (seq, reply, bytes of control, bytes of blob), control (an R stream), blob.
control_bytes <- 1048576L      # of a control with X and common data
control_most <- 67108864       # of any control: what the bridge takes
part_most <- 2148532224        # of a part of the blob, 2 GiB + 1 MiB: what the bridge takes

# `blobs`: NULL, or a list of streams. X and common data in the control that turn out to be large become blobs. A brief control is a
# row of doubles, and has one blob.
frame <- function(seq, reply, control, blobs = NULL) {
  if (is.double(control)) {
    blob <- blobs[[1L]]
    return(list(c(header(seq, reply, 8 * length(control), length(blob), control), blob)))
  }
  if (is.null(blobs)) {
    bytes <- stream(control)
    if (length(bytes) <= control_bytes || is.null(control$common)) {
      check_size("the request", length(bytes), control_most)
      return(list(c(header(seq, reply, length(bytes), 0), bytes)))
    }
    blobs <- list(X = stream(control$X), "the common data" = stream(control$common))
    control[c("X", "common")] <- NULL
  }
  control$lengths <- as.double(lengths(blobs))
  for (i in seq_along(blobs)) check_size(c(names(blobs)[i], "a part of the request")[1L], control$lengths[i], part_most)
  bytes <- sum(control$lengths)
  control <- stream(control)
  check_size("the request", length(control), control_most)
  header <- header(seq, reply, length(control), bytes)
  if (bytes < 65536) list(c(header, control, unlist(blobs, use.names = FALSE))) else c(list(c(header, control)), blobs)
}

# What is too large for the bridge would end the connection.
check_size <- function(what, bytes, most) if (bytes > most)
  fail("Too large to be sent: serialized, ", what, " takes ", format_bytes(bytes), "; at most ", format_bytes(most),
       " are possible.\nRemedy: send less in one call, or have the tasks read it from a file.", class = "roost_pool_error")

header <- function(...) writeBin(c(...), raw(), endian = "little")

# The blob's parts, as `lengths` divides them. The first is left uncut: unserialize() reads no further than its stream,
# and it may be large.
divide <- function(blob, lengths) {
  if (length(lengths) < 2L) return(list(blob))
  end <- cumsum(lengths)
  c(list(if (lengths[1L] > 0) blob else raw()), lapply(seq_along(lengths)[-1L], function(i) {
    if (lengths[i] == 0) raw() else blob[seq(end[i] - lengths[i] + 1, end[i])]
  }))
}

restore <- function(part) if (length(part)) unserialize(part)

# An item is a stream without its header; both come.
restore_item <- function(bytes) {
  if (identical(bytes[1:2], as.raw(c(0x42, 0x0a)))) return(unserialize(bytes))
  empty <- stream(NULL)
  unserialize(c(empty[seq_len(length(empty) - 4L)], bytes))
}
