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
