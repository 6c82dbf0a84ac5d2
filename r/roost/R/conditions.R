# Errors are conditions with a class: c(class, "roost_error", "error", "condition").
#
# roost_error            anything of this package
#   roost_task_error     tasks failed, or (with partial = TRUE) this one did
#   roost_pool_error     the pool cannot be reached, is closed, or refuses

roost_error <- function(..., class = NULL, call = NULL)
  structure(class = c(class, "roost_error", "error", "condition"), list(message = paste0(...), call = call))

fail <- function(..., class = NULL) stop(roost_error(..., class = class))

pool_error <- function(...) fail(..., class = "roost_pool_error")

# What the bridge says: list(code, message, cause, remedy).
fail_by_bridge <- function(error) {
  said <- function(text) length(text) == 1L && !is.na(text) && nzchar(text)
  text <- c(error$message, if (said(error$cause)) paste("Cause:", error$cause),
            if (said(error$remedy)) paste("Remedy:", error$remedy))
  condition <- roost_error(paste(text, collapse = "\n"), class = "roost_pool_error")
  condition$code <- error$code
  stop(condition)
}

# ---- arguments ----

# A whole number as an integer: 2, 2L, I(2); an error otherwise.
whole_number <- function(value, name, low = 1, high = .Machine$integer.max) {
  if (!is.numeric(value) || length(value) != 1L || is.na(value) || value != trunc(value) || value < low || value > high)
    fail("`", name, "` must be a whole number, ", if (high < .Machine$integer.max) paste("from", low, "to", high)
         else paste(low, "or more"), ", not ", show_value(value), ".")
  as.integer(value)
}

# An argument in an error's text.
show_value <- function(value)
  if (!is.atomic(value)) describe(value) else if (length(value) == 1L) deparse(unclass(value))[1L] else paste(length(value), "values")
