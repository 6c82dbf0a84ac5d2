# R streams as the bridge speaks them: native order, version 3.

stream <- function(x) serialize(x, NULL, xdr = FALSE, version = 3L)

# A frame: four doubles (seq, reply, bytes of control, bytes of blob), control (an R stream), blob.
header_bytes <- 32L
control_bytes <- 1048576L      # of a control with X and common data

# `blobs`: NULL, or a list of streams. X and common data in the control that turn out to be large become blobs.
frame <- function(seq, reply, control, blobs = NULL) {
  if (is.null(blobs)) {
    bytes <- stream(control)
    if (length(bytes) <= control_bytes || is.null(control$common))
      return(list(c(header(seq, reply, length(bytes), 0), bytes)))
    blobs <- list(stream(control$X), stream(control$common))
    control[c("X", "common")] <- NULL
  }
  control$lengths <- as.double(lengths(blobs))
  bytes <- sum(control$lengths)
  control <- stream(control)
  header <- header(seq, reply, length(control), bytes)
  if (bytes < 65536) list(c(header, control, unlist(blobs))) else c(list(c(header, control)), blobs)
}

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
