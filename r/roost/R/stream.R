# R streams as the bridge speaks them: native order, version 3.

stream <- function(x) serialize(x, NULL, xdr = FALSE, version = 3L)

# A frame: four doubles (seq, reply, bytes of control, bytes of blob), control (an R stream), blob.
header_bytes <- 32L

frame <- function(seq, reply, control, blobs) {
  control <- stream(control)
  bytes <- sum(vapply(blobs, length, 0))
  header <- writeBin(as.double(c(seq, reply, length(control), bytes)), raw(), endian = "little")
  if (bytes < 65536) list(c(header, control, unlist(blobs))) else c(list(c(header, control)), blobs)
}

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
