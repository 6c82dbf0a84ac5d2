# Outcomes of a job's tasks, as the bridge's answers give them:
#
#   list(values, state (int or NULL: all succeeded), details (list by position, or NULL), post_mortems)

state_names <- c("succeeded", "failed", "cancelled", "held", "pending")

read_outcomes <- function(answer) {
  control <- answer$control
  # Few and small ones are in the control.
  few <- is.null(control$lengths)
  parts <- if (!few) divide(answer$blob, control$lengths)
  values <- if (few) control$values else restore(parts[[1L]])
  positions <- control$details$index
  details <- NULL
  if (length(positions)) {
    details <- vector("list", length(values))
    details[positions] <- if (few) control$details$values else restore(parts[[2L]])
  }
  list(values = if (is.null(values)) list() else values, state = if (!is.null(control$state)) as.integer(control$state),
       details = details, post_mortems = control$post_mortems)
}

# Does again what tasks did: prints, messages, warnings, in the tasks' order.
relay <- function(details, index = seq_along(details)) for (i in seq_along(details)) {
  detail <- details[[i]]
  if (!is.null(detail)) relay_one(detail, index[i])
}

relay_one <- function(detail, task) {
  if (length(detail$output)) cat(detail$output)
  for (condition in detail$messages) message(condition)
  for (condition in detail$warnings) warning(task_warning(condition, task))
}

task_warning <- function(condition, task) {
  signalled <- condition
  signalled$message <- paste0("task ", task, ": ", conditionMessage(condition))
  signalled$task <- task
  signalled$condition <- condition
  class(signalled) <- c("roost_task_warning", class(condition))
  signalled
}

errors_max <- 1000L            # conditions in the error of one call: a condition costs 20 us to make

# The errors of tasks that did not succeed: a list by position, NULL where one did.
task_errors <- function(outcomes, index = seq_along(outcomes$values), at = which(outcomes$state != 0L)) {
  errors <- vector("list", length(outcomes$values))
  for (i in at) {
    detail <- if (is.null(outcomes$details)) NULL else outcomes$details[[i]]
    errors[[i]] <- task_error(index[i], state_names[outcomes$state[i] + 1L], detail,
                              post_mortem(outcomes$post_mortems, index[i]))
  }
  errors
}

post_mortem <- function(all, task) {
  row <- match(task, all$index)
  if (!is.na(row)) lapply(all, function(column) column[[row]])
}

# One task's error: the original condition, its call and traceback, the task's index, and where it ran.
task_error <- function(task, state, detail, post_mortem = NULL) {
  original <- detail$error
  # What the pool interrupted it explains itself.
  if (inherits(original, "roost_interrupted") && known(post_mortem$reason)) original <- NULL
  where <- if (known(post_mortem$node)) paste0(" on node ", post_mortem$node)
  text <- if (!is.null(original)) {
    paste0("task ", task, " failed", where, ": ", first_words(original), memory_limit(post_mortem$reason))
  } else if (state == "cancelled") {
    paste0("task ", task, " was cancelled")
  } else {
    paste0("task ", task, " ", if (state == "held") "is held" else state, where, ": ", death(post_mortem))
  }
  structure(class = c("roost_task_error", "roost_error", "error", "condition"), list(
    message = text, call = NULL, condition = original, calls = detail$calls, task = task, state = state,
    node = post_mortem$node, post_mortem = post_mortem))
}

# What the node adds to R's own words when a task asked for more than its limit.
memory_limit <- function(reason) {
  at <- if (known(reason)) regexpr("; the task's memory limit is", reason, fixed = TRUE) else -1L
  if (at > 0L) substring(reason, at)
}

known <- function(x) length(x) == 1L && !is.na(x) && nzchar(x)

first_words <- function(condition) {
  call <- conditionCall(condition)
  text <- tryCatch(conditionMessage(condition), error = function(e) "error without a message")
  if (is.null(call)) text
  else paste0("Error in ", paste(deparse(call, nlines = 1L), collapse = ""), " : ", text)
}

# A worker's death in words: what, how much memory, what it said last.
death <- function(post_mortem) {
  if (is.null(post_mortem)) return("no reason is known")
  reason <- if (known(post_mortem$reason)) post_mortem$reason else "its worker ended"
  last <- if (known(post_mortem$output)) paste0("\nIts last output:\n", paste0("  ", strsplit(post_mortem$output, "\n")[[1L]],
                                                                           collapse = "\n"))
  paste0(reason, if (known(post_mortem$memory) && post_mortem$memory >= 1) paste0(" (peak memory ", format_bytes(post_mortem$memory), ")"), last)
}

format_bytes <- function(bytes) format(structure(bytes, class = "object_size"), units = "auto", standard = "SI")

# The one error of a call some of whose tasks did not succeed.
raise_task_errors <- function(outcomes, results) {
  if (is.null(outcomes$state)) return(invisible())
  failed <- which(outcomes$state != 0L)
  if (!length(failed)) return(invisible())
  some <- utils::head(failed, errors_max)
  errors <- task_errors(outcomes, at = some)[some]
  n <- length(outcomes$values)
  first <- errors[[1L]]
  first$tasks <- failed
  first$errors <- errors
  first$results <- results
  if (n > 1L) first$message <- paste0(length(failed), " of ", n, " tasks did not succeed",
                                      if (length(failed) > 1L) "; the first: " else ": ", first$message)
  stop(first)
}

# Values with the errors in the places of the tasks that did not succeed.
with_errors <- function(values, errors) {
  failed <- which(!vapply(errors, is.null, NA))
  values[failed] <- errors[failed]
  values
}
