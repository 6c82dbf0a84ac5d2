library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
has <- function(package) requireNamespace(package, quietly = TRUE)
pool <- pool_local(workers = 2)
there <- function(...) unlist(lbapply(pool, ...))

# S3: the session's methods are found, whatever calls the generic.
format.tag <- function(x, ...) "TAG"; print.tag <- function(x, ...) cat("a tag\n")
stopifnot(there(1, function(i) format(structure("raw", class = "tag"))) == "TAG")
stopifnot(there(1, function(i) capture.output(print(list(structure("raw", class = "tag"))))[2] == "a tag"))
area <- function(s) UseMethod("area"); factor2 <- 2; area.sq <- function(s) s$w^2 * factor2
stopifnot(there(1, function(i) area(structure(list(w = 3), class = "sq"))) == 18)
`+.money` <- function(e1, e2) "sum"; `[.money` <- function(x, i) "sub"; Summary.money <- function(..., na.rm) "Summary"
length.money <- function(x) 42L
stopifnot(identical(there(1, function(i) { m <- structure(1, class = "money"); list(m + 1, m[1], max(m), length(m)) }),
                    c("sum", "sub", "Summary", "42")))
local(registerS3method("format", "registered", function(x, ...) "REGISTERED"))
stopifnot(there(1, function(i) format(structure("raw", class = "registered"))) == "REGISTERED")
inside <- function() {
  big <- numeric(1e5); format.local <- function(x, ...) "LOCAL"
  there(1, function(i) format(structure("raw", class = "local")))
}
stopifnot(inside() == "LOCAL")

# S4 and reference classes
library(methods)
factor3 <- 3
setClass("P", representation(x = "numeric"))
setGeneric("scaled", function(o, ...) standardGeneric("scaled"))
setMethod("scaled", "P", function(o, ...) o@x * factor3)
stopifnot(identical(there(1:2, function(i) scaled(new("P", x = i))), c(3, 6)))
p <- new("P", x = 5)
stopifnot(identical(there(1:2, function(i) scaled(p)), c(15, 15)), identical(there(list(p), function(o) scaled(o)), 15))
setMethod("+", signature("P", "P"), function(e1, e2) new("P", x = e1@x + e2@x))
setMethod("show", "P", function(object) cat("P!\n"))
setMethod("length", "P", function(x) 42L)
setMethod("summary", "P", function(object, ...) "S!")
setClass("Q", contains = "P")
setValidity("Q", function(object) if (length(object@x) > 1) "too long" else TRUE)
stopifnot(there(list(p), function(o) (o + o)@x) == 10, there(list(p), function(o) capture.output(print(o))) == "P!",
          there(list(p), function(o) length(o)) == 42L, there(list(p), function(o) summary(o)) == "S!",
          identical(there(1:2, function(i) scaled(new("Q", x = i))), c(3, 6)), there(1, function(i) isVirtualClass("P")) == FALSE)
stopifnot(grepl("too long", tryCatch(there(1, function(i) new("Q", x = c(1, 2))@x), error = conditionMessage)))
setClassUnion("Either", c("numeric", "character")); setClass("U", representation(v = "Either"))
stopifnot(there(1, function(i) new("U", v = "a")@v) == "a")
g <- function(x) x + 1
Account <- setRefClass("Account", fields = list(b = "numeric"),
                       methods = list(deposit = function(x) { b <<- b + g(x); invisible(.self) }))
stopifnot(identical(there(1:2, function(i) { a <- Account$new(b = i); a$deposit(1); a$b }), c(3, 4)))
account <- Account$new(b = 1)
stopifnot(there(1, function(i) { account$deposit(1); account$b }) == 3, account$b == 1)

# Generics and methods of a function's own
local_generic <- function() {
  big <- numeric(1e5); k <- 1
  area <- function(s) UseMethod("area"); area.default <- function(s) 0; area.square <- function(s) s$w^2 + k + NextMethod()
  .S3method("area", "square", area.square)
  f <- function(s) area(s)
  s <- structure(list(w = 2), class = "square")
  stopifnot(identical(there(list(s), f), f(s)), f(s) == 5,
            length(serialize(roost:::find_needs(list(FUN = f))$values, NULL)) < 50000)
}
local_generic()

# Packages behind objects: it does not matter which worker has loaded what before.
if (has("data.table")) {
  dt <- data.table::data.table(g = 1:2, v = 3:4)
  stopifnot(identical(there(list(dt, dt), function(d) nrow(d[d$g == 1])), c(1L, 1L)),
            there(1, function(i) nrow(dt[dt$g == i])) == 1L,
            there(1, function(i, all) nrow(all$d[all$d$g == i]), list(d = dt)) == 1L)
  library(data.table)
  stopifnot(identical(there(list(dt, dt), function(d) d[g == 1, v]), c(3L, 3L)))
  detach("package:data.table")
}
if (has("tibble")) {
  tb <- tibble::tibble(a = 1:2, b = 3:4)
  stopifnot(there(list(tb), function(d) class(d[, 1])[1]) == "tbl_df")
}
if (has("Matrix")) {
  m <- Matrix::Matrix(c(1, 0, 0, 2), 2, sparse = TRUE)
  stopifnot(there(list(m), function(m) (m %*% m)[2, 2]) == 4)
}
if (has("lubridate")) {
  p <- lubridate::period(1, "day")
  stopifnot(identical(lbapply(pool, list(p), function(p) p * 2)[[1]], p * 2))
}
# The same for parallel's verbs, on each worker.
if (has("tibble")) {
  fresh <- pool_local(workers = 2)
  is_tibble <- function(d) class(d[, 1])[1] == "tbl_df"
  stopifnot(all(unlist(parallel::parLapply(fresh, list(tb, tb), is_tibble))), all(unlist(parallel::clusterApply(fresh, rep(list(tb), 12), is_tibble))))
  close(fresh)
  fresh <- pool_local(workers = 2)
  parallel::clusterExport(fresh, "tb")
  stopifnot(all(unlist(parallel::clusterEvalQ(fresh, class(tb[, 1])[1] == "tbl_df"))))
  close(fresh)
}
close(pool)
