# Setup: what every worker that serves the session, present or future, has run before its next task.

# `changes`: an expression may change what was exported.
set_up <- function(session, entry, changes = TRUE) {
  answer <- request(session, list(op = "setup"), list(stream(entry)))
  session$setup <- answer$control$number
  if (entry$kind == "assign") session$exported[entry$names] <- lapply(entry$values, list)
  else if (entry$kind == "eval" && changes) session$exported <- list()
  invisible()
}

# Is `value` what setup has assigned to `name`? Then a job need not carry it. What holds environments it carries nevertheless:
# they may have changed since, here or on the worker.
is_exported <- function(session, name, value) {
  held <- session$exported[[name]]
  !is.null(held) && identical(held[[1L]], value) && !has_environment(value)
}

# Functions of the global environment and of namespaces hold none.
has_environment <- function(x, depth = 0L) {
  type <- typeof(x)
  if (type == "environment") return(!identical(x, globalenv()) && !is_fixed(x))
  if (type == "closure" && has_environment(environment(x))) return(TRUE)
  if (depth > search_depth || type == "S4") return(TRUE)
  if (type == "list") {
    if (length(x) > search_values) return(TRUE)
    x <- unclass(x)
    for (part in x) if (!is.atomic(part) || is.object(part)) if (has_environment(part, depth + 1L)) return(TRUE)
  }
  extra <- attributes(x)
  extra$srcref <- NULL
  for (part in extra) if (!is.atomic(part)) if (has_environment(part, depth + 1L)) return(TRUE)
  FALSE
}
