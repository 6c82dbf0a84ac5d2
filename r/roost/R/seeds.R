# Random numbers: task i uses the i-th L'Ecuyer stream that clusterSetRNGStream(seed) would make, wherever it runs.

# The first task's stream: its state, or the number that set.seed() would make it from, which the bridge does, too; NULL: no streams.
# The session's generator moves on by one draw when `seed` is NULL.
first_seed <- function(seed) {
  if (identical(seed, FALSE)) return(NULL)
  if (is.null(seed)) return(as.integer(stats::runif(1L) * .Machine$integer.max))
  if (is.numeric(seed) && length(seed) == 7L && seed[1L] %% 100 == 7) return(c(10407L, as.integer(seed[-1L])))
  if (!is.numeric(seed) || length(seed) != 1L || is.na(seed) || abs(seed) > .Machine$integer.max)
    fail("`seed` must be NULL, FALSE, an integer of at most ", .Machine$integer.max, " in size, or a .Random.seed of kind \"L'Ecuyer-CMRG\".")
  as.integer(seed)
}

# The state as a whole .Random.seed, also of a seed that is one number.
full_seed <- function(seed) {
  if (length(seed) != 1L) return(seed)
  if (!identical(seed, seed_cache$seed)) {
    seed_cache$state <- seed_state(seed)
    seed_cache$seed <- seed
  }
  seed_cache$state
}

# The last seed and its state: scripts use one for call after call.
seed_cache <- new.env(parent = emptyenv())

# What set.seed(seed, "L'Ecuyer-CMRG", "Inversion", "Rejection") would leave in .Random.seed, by R's own congruence: setting the
# session's generator and putting it back takes ten times as long.
seed_state <- function(seed) {
  state <- integer(6L)
  x <- seed %% 4294967296
  for (i in 1:50) x <- (69069 * x + 1) %% 4294967296
  for (i in 1:6) {
    repeat {
      x <- (69069 * x + 1) %% 4294967296
      if (x < 4294944443) break
    }
    state[i] <- if (x == 2147483648) NA_integer_ else as.integer(if (x > 2147483648) x - 4294967296 else x)
  }
  c(10407L, state)
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
