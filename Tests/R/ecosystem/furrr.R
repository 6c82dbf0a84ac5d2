# furrr and purrr on a pool: formulas with variables of the session, data frames, random numbers.
library(roost)
suppressPackageStartupMessages(library(furrr))
pool <- pool_local(workers = 2)
k <- 3
maps <- function() list(
  future_map(1:4, ~ .x + k), future_map_dbl(1:4, function(x) x * k), future_map2_chr(1:2, c("a", "b"), ~ paste(.y, .x, k)),
  future_pmap(list(1:2, 3:4, 5:6), function(a, b, c) a + b + c + k), future_imap(c(a = 1), ~ paste(.y, .x)),
  future_map_dfr(1:3, ~ data.frame(i = .x, y = .x * k)), future_map_if(list(1, "a"), is.numeric, ~ .x + k),
  future_map_dbl(1:4, ~ rnorm(1), .options = furrr_options(seed = 42)),
  future_map(1:2, purrr::partial(sum, k)))
plan(sequential)
expected <- maps()
plan(roost, pool = pool)
stopifnot(identical(maps(), expected))
plan(sequential)
stopifnot(identical(lbapply(pool, 1:2, function(i) purrr::map_dbl(1:2, ~ .x + k)), list(c(4, 5), c(4, 5))))
close(pool)
