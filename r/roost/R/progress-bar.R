# A progress bar for interactive sessions, on stderr; made when the first progress arrives.

progress_bar <- function(show, n) {
  if (!show) return(NULL)
  bar <- NULL
  list(
    update = function(done) {
      if (is.null(bar)) bar <<- utils::txtProgressBar(0, max(1, n), style = 3, file = stderr())
      utils::setTxtProgressBar(bar, done)
    },
    end = function() if (!is.null(bar)) close(bar))
}

# What comes before the final answer: progress, and conditions that tasks signal while they run.
watcher <- function(bar = NULL, started = NULL) function(control, blob) {
  if (!is.null(control$job) && !is.null(started)) started(control$job)
  if (!is.null(control$progress) && !is.null(bar)) bar$update(control$progress[["done"]])
  if (!is.null(control$task) && length(blob)) signal_live(restore_item(blob), control$task)
}

signal_live <- function(condition, task) {
  condition$task <- task
  if (inherits(condition, "message")) message(condition)
  else if (inherits(condition, "warning")) warning(condition)
  else signalCondition(condition)
}
