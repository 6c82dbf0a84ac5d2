# Data and functions of packages that tasks do not name: which worker ran what before must not matter, so each is tried on workers that
# have loaded nothing, and once more.
library(roost)
packages <- c("data.table", "tibble", "Matrix", "lubridate", "R6", "memoise", "purrr", "rlang")
for (package in packages) loadNamespace(package)
in_turn <- function(X, FUN, ..., on = NULL) {
  expected <- lapply(X, FUN, ...)
  pool <- if (is.null(on)) pool_local(workers = 2) else on
  if (is.null(on)) on.exit(close(pool))
  for (round in 1:2) {
    got <- lbapply(pool, X, FUN, ...)
    if (!isTRUE(all.equal(got, expected))) stop(deparse(substitute(FUN))[1L], ": ", all.equal(got, expected))
    if (!identical(lapply(got, class), lapply(expected, class))) stop(deparse(substitute(FUN))[1L], ": other classes")
  }
}

# In the elements.
suppressPackageStartupMessages(library(data.table))
dt <- data.table(g = 1:2, v = 3:4)
in_turn(list(dt, dt), function(d) d[g == 1, v])
in_turn(list(dt, dt), function(d) as.list(d[, .(total = sum(v)), by = g]))
tb <- tibble::tibble(a = 1:2, b = 3:4)
in_turn(list(tb, tb), function(d) d[, 1])
sparse <- Matrix::Matrix(c(0, 1, 0, 2), 2, sparse = TRUE)
in_turn(list(sparse, sparse), function(s) as.vector(s %*% c(1, 2)))
dates <- lubridate::ymd("2026-01-31") + 0:1
in_turn(list(lubridate::interval(dates[1], dates[2])), function(i) lubridate::int_length(i))
in_turn(list(lubridate::period(1, "month")), function(p) format(p + p))

# In a variable of the session.
in_turn(1:2, function(i) tb[, i])
in_turn(1:2, function(i) dt[g == i, v])
in_turn(1:2, function(i) sum(sparse[, i]))

# Objects with methods of their own, and formulas of the session's variables: on the same workers, one after the other.
pool <- pool_local(workers = 2)
Counter <- R6::R6Class("Counter", public = list(n = 0, add = function(k = 1) { self$n <- self$n + k; invisible(self) }))
counter <- Counter$new()
counter$add(5)
in_turn(1:2, function(i) counter$n + i, on = pool)
in_turn(1:2, function(i) Counter$new()$add(i)$n, on = pool)
counter$add(1)
in_turn(1:2, function(i) counter$n + i, on = pool)
k <- 1
g <- function(x) x + k
Base <- R6::R6Class("Base", public = list(n = 0, add = function(i) { self$n <- self$n + g(i); self$n }))
Derived <- R6::R6Class("Derived", inherit = Base, public = list(add = function(i) super$add(i) * 10))
object <- Base$new()
in_turn(1:2, function(i) Derived$new()$add(i), on = pool)
in_turn(1:2, function(i) { object <- object$clone(); object$add(i) }, on = pool)
in_turn(1:2, function(i) purrr::map_dbl(1:2, ~ .x + k), on = pool)
remembered <- memoise::memoise(function(x) g(x))
in_turn(1:2, function(i) remembered(i), on = pool)
quosure <- rlang::quo(g(k) + 3)
in_turn(1, function(i) rlang::eval_tidy(quosure), on = pool)
(function() {
  z <- 4
  quosure <- rlang::quo(z + k)
  in_turn(1, function(i) rlang::eval_tidy(quosure), on = pool)
})()
close(pool)
