# Outcomes in the order in which tasks end.

outcomes_max <- 1024L          # outcomes in one answer

as_completed <- function(job, FUN = NULL) {
  check_job(job)
  queue <- list()
  cursor <- 0
  ended <- FALSE
  next_outcome <- function() {
    while (!length(queue)) {
      if (ended) return(NULL)
      answer <- ask(job, "next", cursor = cursor, max = outcomes_max, timeout = Inf, more = watcher())
      cursor <<- answer$control$cursor
      ended <<- isTRUE(answer$control$ended)
      queue <<- split_outcomes(answer, job$names)
    }
    first <- queue[[1L]]
    queue <<- queue[-1L]
    relay_one(first$detail, first$index)
    first$detail <- NULL
    first
  }
  if (is.null(FUN)) return(next_outcome)
  FUN <- match.fun(FUN)
  while (!is.null(outcome <- next_outcome())) FUN(outcome)
  invisible(job)
}

split_outcomes <- function(answer, names = NULL) {
  index <- answer$control$index
  if (!length(index)) return(list())
  outcomes <- read_outcomes(answer)
  errors <- task_errors(outcomes, index)
  lapply(seq_along(index), function(i) list(
    index = index[i], name = if (!is.null(names)) names[index[i]], value = outcomes$values[[i]], error = errors[[i]],
    detail = if (is.null(outcomes$details)) NULL else outcomes$details[[i]]))
}
