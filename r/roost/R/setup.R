# Setup: what every worker that serves the session, present or future, has run before its next task.

set_up <- function(session, entry) {
  answer <- request(session, list(op = "setup"), list(stream(entry)))
  session$setup <- answer$control$number
  if (entry$kind == "assign") session$exported[entry$names] <- lapply(entry$values, list)
  else if (entry$kind == "eval") session$exported <- list()
  invisible()
}

# Is `value` what setup has assigned to `name`? Then a job need not carry it.
is_exported <- function(session, name, value) {
  held <- session$exported[[name]]
  !is.null(held) && identical(held[[1L]], value)
}
