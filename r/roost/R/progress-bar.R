# Progress of a job: a bar on stderr for interactive sessions, and conditions of package progressr where it is loaded.
# Both are made when the first progress arrives: short calls pay nothing.

progress_bar <- function(show, n) {
  if (!isTRUE(show) && !isNamespaceLoaded("progressr")) return(NULL)
  bars <- c(if (isTRUE(show)) list(text_bar(n)), if (isNamespaceLoaded("progressr")) list(progressr_bar(n)))
  list(update = function(done) for (bar in bars) bar$update(done), end = function() for (bar in bars) bar$end())
}

text_bar <- function(n) {
  bar <- NULL
  list(
    update = function(done) {
      if (is.null(bar)) bar <<- utils::txtProgressBar(0, max(1, n), style = 3, file = stderr())
      utils::setTxtProgressBar(bar, done)
    },
    end = function() if (!is.null(bar)) close(bar))
}

# The last step comes with the end, as progressr closes its bar with it.
progressr_bar <- function(n) {
  step <- NULL
  last <- 0
  list(
    update = function(done) {
      if (is.null(step)) step <<- progressr::progressor(steps = n, on_exit = FALSE, auto_finish = FALSE)
      if (done > last) step(amount = done - last)
      last <<- max(last, done)
    },
    end = function() if (!is.null(step)) step(type = "finish", amount = 0))
}

# What comes before the final answer: progress, conditions that tasks signal while they run, and why nothing can run.
watcher <- function(bar = NULL, started = NULL) function(control, blob) {
  if (!is.null(control$job) && !is.null(started)) started(control$job)
  if (!is.null(control$progress) && !is.null(bar)) bar$update(control$progress[["done"]])
  if (!is.null(control$waiting)) tell_waiting(control$waiting)
  if (!is.null(control$task) && length(blob)) signal_live(restore_item(blob), control$task)
}

# Said once for each job, while it is waited for: it goes on as soon as a node that can run it joins.
tell_waiting <- function(why) message(structure(
  class = c("roost_waiting", "message", "condition"), list(message = paste0("roost: the job waits: ", why, "\n"), call = NULL)))

signal_live <- function(condition, task) {
  condition$task <- task
  if (inherits(condition, "message")) message(condition)
  else if (inherits(condition, "warning")) warning(condition)
  else signalCondition(condition)
}
