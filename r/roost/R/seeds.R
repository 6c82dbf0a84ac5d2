# Random numbers: task i uses the i-th L'Ecuyer stream that clusterSetRNGStream(seed) would make, wherever it runs.

# The state whose stream is the first task's, or NULL. The session's generator moves on by one draw when `seed` is NULL.
first_seed <- function(seed) {
  if (identical(seed, FALSE)) return(NULL)
  if (is.null(seed)) seed <- sample.int(.Machine$integer.max, 1L)
  if (is.numeric(seed) && length(seed) == 7L && seed[1L] %% 100 == 7) return(c(10407L, as.integer(seed[-1L])))
  if (!is.numeric(seed) || length(seed) != 1L || is.na(seed))
    fail("`seed` must be NULL, FALSE, an integer, or a .Random.seed of kind \"L'Ecuyer-CMRG\".")
  keep_generator({
    set.seed(as.integer(seed), "L'Ecuyer-CMRG", "Inversion", "Rejection")
    get(".Random.seed", envir = globalenv(), inherits = FALSE)
  })
}

# Evaluates; the session's generator is afterwards as it was.
keep_generator <- function(expr) {
  former <- generator_state()
  kinds <- RNGkind()
  on.exit(restore_generator(former, kinds))
  expr
}

generator_state <- function() get0(".Random.seed", envir = globalenv(), inherits = FALSE)

restore_generator <- function(former, kinds) {
  if (is.null(former)) {
    suppressWarnings(RNGkind(kinds[1L], kinds[2L], kinds[3L]))
    rm(list = intersect(".Random.seed", ls(globalenv(), all.names = TRUE)), envir = globalenv())
  } else assign(".Random.seed", former, envir = globalenv())
}
