# Progress of a job: a bar on stderr for interactive sessions, and conditions of package progressr where it is loaded.
# Both are made when the first progress arrives: short calls pay nothing.

# update(done); aside(expr): what `expr` prints does not share the bar's line; end(well): the job ended, with all its tasks if `well`.
progress_bar <- function(show, n) {
  if (!isTRUE(show) && !isNamespaceLoaded("progressr")) return(NULL)
  text <- if (isTRUE(show)) text_bar(n)
  conditions <- if (isNamespaceLoaded("progressr")) progressr_bar(n)
  bars <- c(if (!is.null(text)) list(text), if (!is.null(conditions)) list(conditions))
  list(
    update = function(done) for (bar in bars) bar$update(done),
    aside = function(expr) if (is.null(text)) expr else text$aside(expr),
    end = function(well = FALSE) for (bar in bars) bar$end(well))
}

text_bar <- function(n) {
  width <- max(10L, getOption("width") - 10L)
  most <- max(1, n)
  drawn <- NULL                # percent, while the bar is shown
  ended <- FALSE
  draw <- function(percent) {
    filled <- as.integer(width * percent / 100)
    cat("\r  |", strrep("=", filled), strrep(" ", width - filled), "| ", sprintf("%3d%%", percent), sep = "", file = stderr())
    utils::flush.console()
    drawn <<- percent
  }
  list(
    update = function(done) {
      percent <- as.integer(100 * min(1, done / most))
      if (!ended && !identical(percent, drawn)) draw(percent)
    },
    aside = function(expr) {
      if (is.null(drawn) || ended) return(expr)
      cat("\r", strrep(" ", width + 10L), "\r", sep = "", file = stderr())
      on.exit(if (!ended) draw(drawn))
      expr
    },
    end = function(well) {
      if (ended || is.null(drawn)) return(invisible())
      if (well && drawn < 100L) draw(100L)
      ended <<- TRUE
      cat("\n", file = stderr())
    })
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
    end = function(well) {
      if (!is.null(step)) step(type = "finish", amount = if (well && last < n) n - last else 0)
      step <<- NULL
    })
}

# What comes before the final answer: progress, conditions that tasks signal while they run, and why nothing can run.
# `first`: the number that the caller's first task has in its job. NA: the caller's tasks are calls of their own, each its task 1.
watcher <- function(bar = NULL, started = NULL, first = 1) function(control, blob) {
  if (!is.null(control$job) && !is.null(started)) started(control$job)
  if (!is.null(control$progress) && !is.null(bar)) bar$update(control$progress[["done"]])
  if (!is.null(control$waiting)) beside(bar, tell_waiting(control$waiting))
  if (!is.null(control$task) && length(blob)) beside(bar, signal_live(restore_item(blob), if (is.na(first)) 1 else control$task - first + 1))
}

beside <- function(bar, expr) if (is.null(bar)) expr else bar$aside(expr)

# Said once for each job, while it is waited for: it goes on as soon as a node that can run it joins.
tell_waiting <- function(why) message(structure(
  class = c("roost_waiting", "message", "condition"), list(message = paste0("roost: the job waits: ", why, "\n"), call = NULL)))

signal_live <- function(condition, task) {
  condition$task <- task
  if (inherits(condition, "message")) message(condition)
  else if (inherits(condition, "warning")) warning(condition)
  else signalCondition(condition)
}
