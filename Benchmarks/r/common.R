# What the scripts of the R rows share. Each measures Roost and its peers in turns, in one process, and ends with one
# line of JSON for scripts/bench_r.py.
suppressPackageStartupMessages({
  library(parallel)
  library(roost)
})

now <- function() as.numeric(Sys.time())

seconds <- function(expr) {
  start <- now()
  force(expr)
  now() - start
}

# list(a = 1, b = c(1, 2)) as {"a": [1], "b": [1, 2]}: every figure is a vector.
emit <- function(figures) {
  text <- vapply(figures, function(x) paste0("[", paste(format(x, digits = 7, scientific = FALSE, trim = TRUE), collapse = ", "), "]"), "")
  cat("{", paste0("\"", names(figures), "\": ", text, collapse = ", "), "}\n", sep = "")
}

# What every pool and cluster has done once before it is measured.
warm <- function(expr) invisible(force(expr))

# Each element of `measures` is a function that measures once; they take turns.
in_turns <- function(rounds, measures) {
  found <- lapply(measures, function(measure) numeric())
  for (round in seq_len(rounds)) for (name in names(measures)) found[[name]] <- c(found[[name]], measures[[name]]())
  found
}

here <- function(name) requireNamespace(name, quietly = TRUE)
