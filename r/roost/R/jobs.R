# A job in the hand: what it is doing, and ending it.

print.roost_job <- function(x, ...) {
  cat("Roost job ", if (is.null(x$slot)) x$id else call_id(x), if (!is.null(x$number)) paste0(" (number ", x$number, ")"), ": ", count(x$n, "task"),
      if (x$durable) ", durable", "; ", job_state(x), "\n", sep = "")
  invisible(x)
}

# In words; never an error, since it is printed.
job_state <- function(job) {
  if (isTRUE(job$forgotten)) return("forgotten")
  if (is.null(job$outcomes)) {
    if (is_copy(job$session)) return("of a session in another process")
    if (!is_usable(job$session)) return("its session has ended")
  }
  tryCatch({
    now <- unclass(progress(job))
    failed <- sum(now[intersect(c("failed", "held", "lost"), names(now))])
    paste0(status(job), ", ", now[["done"]], " of ", now[["tasks"]], " done", if (failed > 0) paste0(", ", failed, " failed"))
  }, roost_error = function(e) if (identical(e$code, "notFound")) "the pool no longer knows it" else "its state is not known")
}

cancel <- function(job, tasks = NULL, kill = FALSE) {
  if (inherits(job, "Future")) return(cancel_future(job))
  cancel_job(check_job(job), kill = isTRUE(kill), tasks = task_indices(tasks, job$n))
  invisible(job)
}

# Written out: of R's compact forms, such as 1:10000, the bridge reads short ones only.
task_indices <- function(tasks, n) {
  if (is.null(tasks)) return(NULL)
  if (!is.numeric(tasks) || anyNA(tasks) || any(tasks != trunc(tasks)) || any(tasks < 1 | tasks > n))
    fail("`tasks` must be whole numbers from 1 to ", n, ", the number of the job's tasks.")
  c(as.integer(tasks))
}
