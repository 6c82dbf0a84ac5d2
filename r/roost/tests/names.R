library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
has <- function(package) requireNamespace(package, quietly = TRUE)
pool <- pool_local(workers = 2)
there <- function(...) unlist(lbapply(pool, ...))
equal <- function(a, b) stopifnot(isTRUE(all.equal(a, b)))

# Situations of users' reports on other packages; the values are those of lapply().

# ---- Names in values ----

x1 <- 10; x2 <- 20; a_fit <- 1; b_fit <- 2; k <- 2
equal(there(1:2, function(i) get(paste0("x", i))), c(10, 20))
equal(there(1:2, function(i) get(sprintf("x%d", i)) + 1), c(11, 21))
equal(there(c("a", "b"), function(n) get(paste(n, "fit", sep = "_"))), c(1, 2))
equal(there(1:2, function(i) eval(parse(text = paste0("x", i, " * k")))), c(20, 40))
equal(there(c("x1", "x2"), get), c(10, 20))
equal(there(c("x1", "x2"), function(n) get(n)), c(10, 20))
equal(there(c("x1 + k", "x2"), function(code) eval(parse(text = code))), c(12, 20))
f_a <- function(x) x + k; f_b <- function(x) x * k
equal(there(c("f_a", "f_b"), function(n) match.fun(n)(3)), c(5, 6))
fs <- c("f_a", "f_b"); equal(there(1:2, function(i) do.call(fs[i], list(3))), c(5, 6))
equal(there(1, function(i) sapply(fs, match.fun)[[1]](3)), 5)
xs <- c("x1", "x2"); equal(there(1:2, function(i) sum(sapply(xs, get, envir = globalenv())) + i), c(31, 32))
settings <- list(list(fun = "f_a", arg = 2)); equal(there(settings, function(s) do.call(s$fun, list(s$arg))), 4)
equal(there("f_b", function(n, how) do.call(how, list(4)), how = "f_a"), 6)
table <- data.frame(name = c("f_a", "f_b"), stringsAsFactors = TRUE)
equal(there(1:2, function(i) match.fun(as.character(table$name[i]))(3)), c(5, 6))
equal(results(async(get(paste0("x", 1)), pool)), 10); equal(results(async(do.call(fs[2], list(3)), pool)), 6)
chosen <- function() { how <- "f_a"; there(1:2, function(i) do.call(how, list(i))) }; equal(chosen(), c(3, 4))

y <- c(1, 2, 4, 3); z <- c(1, 3, 2, 5)
slopes <- unname(c(coef(lm(y ~ z))[2], coef(lm(z ~ y))[2]))
texts <- c("y ~ z", "z ~ y")
equal(unname(sapply(lbapply(pool, texts, lm), function(fit) coef(fit)[2])), slopes)
equal(unname(there(texts, function(f) coef(lm(f))[2])), slopes)
equal(unname(there(texts, function(f) coef(lm(as.formula(f)))[2])), slopes)
equal(unname(there(1:2, function(i) coef(lm(texts[i]))[2])), slopes)
equal(unname(there("z", function(p) coef(lm(as.formula(paste("y ~", p))))[2])), slopes[1])
z1 <- z; equal(unname(there(1, function(i) coef(lm(as.formula(paste0("y ~ z", i))))[2])), slopes[1])
predictor <- "z"; equal(unname(there(1, function(i) coef(lm(reformulate(predictor, "y")))[2])), slopes[1])

`%+%` <- function(a, b) paste0(a, b, k); `second<-` <- function(x, value) { x[2] <- value * k; x }
equal(there(1, function(i) Reduce("%+%", c("a", "b"))), "ab2")
equal(there(1, function(i) do.call("%+%", list("a", i))), "a12")
equal(there(1, function(i) eval(parse(text = "'a' %+% i"))), "a12")
equal(there(1, function(i) do.call("second<-", list(1:2, value = 3))), c(1, 6))

# FUN sees lapply()'s frame as its caller: no name of the worker's own hides a variable, and calls in values are the same.
x <- 7; fun <- 8; n <- 9
equal(there(list(quote(x), quote(x + fun + n)), eval), c(7, 24))
equal(there(parse(text = "x"), eval), 7)
equal(there(c("x", "fun"), get), c(7, 8)); equal(there(rep("x", 6), get), rep(7, 6))
stopifnot(identical(lbapply(pool, list(1:9), t.test), lapply(list(1:9), t.test)),
          identical(there(1:6, function(a) deparse(substitute(a))), rep("X[[i]]", 6)),
          identical(lbapply(NULL, list(1:9), t.test), lapply(list(1:9), t.test)))

# A model's call names its data, wherever it is.
updated <- function() {
  big <- numeric(1e5)
  data <- data.frame(y = c(1, 3, 2, 5, 4), x = 1:5); w <- c(1, 2, 1, 2, 1)
  fit <- lm(y ~ x, data, weights = w)
  equal(there(1, function(i) coef(update(fit, . ~ . + I(x^2)))), coef(update(fit, . ~ . + I(x^2))))
  models <- list(a = list(fit = fit)); refit <- function(m) coef(update(m$fit, . ~ 1))
  equal(there(1, function(i) refit(models$a)), refit(models$a))
  stopifnot(length(serialize(roost:::find_needs(list(FUN = function(i) update(fit)))$values, NULL)) < 50000)
}
updated()

blanks <- alist(a = , b = 3); equal(there(1, function(i) length(blanks)), 2)

# Large variables and such as hold connections stay here, and texts that name nothing cost nothing.
x_big <- numeric(1e6); con <- file(tempfile(), "w"); x_con <- list(con)
equal(there(1, function(i) get(paste0("x", i))), 10)
stopifnot(!any(c("x_big", "x_con") %in% names(roost:::find_needs(list(FUN = function(i) get(paste0("x", i))))$globals)))
close(con); rm(x_big, x_con)
stopifnot(!length(roost:::find_needs(list(FUN = function(t) nchar(t), `...` = list(), X = c("k", "x1 is")))$globals))

# ---- Arguments that are code, or missing ----

count <- function(data, column) { column <- substitute(column); sum(eval(column, data, parent.frame())) }
d <- list(data.frame(v = 1:2, w = 5:6), data.frame(v = 3:4, w = 7:8))
equal(there(d, count, column = v * w), c(17, 53))
equal(there(d, count, v + k), c(7, 11))
equal(there(d, function(data, i, column) i, 3, column = no_such_column), c(3, 3))
equal(unlist(results(async_lapply(pool, d, count, column = v))), c(3, 7))
equal(unlist(lbapply(NULL, d, count, column = v * w)), c(17, 53))
tried <- 0; e <- tryCatch(there(1, function(i, b) i, b = { tried <- tried + 1; stop("mine") }), error = conditionMessage)
equal(e, "mine"); equal(tried, 1)
e <- tryCatch(there(1, function(i, b) i, b = stop("mine")), error = conditionMessage); equal(e, "mine")
e <- tryCatch(there(1, function(i, b) b, b = no_such_thing), error = conditionMessage); stopifnot(grepl("no_such_thing", e))
if (has("dplyr")) {
  by_quosure <- function(data, column) dplyr::summarise(data, s = sum({{ column }}) * k)$s
  equal(there(d, by_quosure, column = v), c(6, 14))
  around <- function(all, column) { big <- numeric(1e5); there(all, function(data) by_quosure(data, {{ column }})) }
  equal(around(d, v), c(6, 14))
  further <- function(all, ...) around(all, ...); equal(further(d, w), c(22, 30))
}

second <- function(x, y) if (missing(y)) x else x + y
by_async <- function(x, y) results(async(second(x = x, y = y), pool))
equal(by_async(1, 2), 3); equal(by_async(1), 1)
by_outer <- function(x, y) by_async(x, y); equal(by_outer(1, 2), 3); equal(by_outer(1), 1)
by_default <- function(x, y = k) by_async(x, y); equal(by_default(1), 3)
e <- tryCatch((function(y) there(1, function(i) y))(), error = conditionMessage); stopifnot(grepl("\"y\"", e))

# An argument that cannot be evaluated is tried in silence.
heard <- NULL
never <- function(a) there(1:2, function(i) if (i > 5) a else i)
withCallingHandlers(equal(never(stop("never")), 1:2), warning = function(w) heard <<- c(heard, conditionMessage(w)))
stopifnot(is.null(heard))

# ---- foreach: iterators without names, missing arguments ----

if (has("foreach")) {
  library(foreach)
  registerDoRoost(pool)
  equal(times(3) %dopar% k, c(2, 2, 2))
  equal(foreach(1:3, .combine = c) %dopar% k, c(2, 2, 2))
  equal(foreach(1:3, j = 4:6, .combine = c) %dopar% j, 4:6)
  by_foreach <- function(x, y) foreach(i = 1:2, .combine = c) %dopar% second(x = x + i, y = y)
  equal(by_foreach(1, 2), c(4, 5)); equal(by_foreach(1), c(2, 3))
  equal(foreach(i = 1:2, .combine = c) %dopar% get(paste0("x", i)), c(10, 20))
  equal(foreach(f = texts, .combine = c) %dopar% unname(coef(lm(f))[2]), slopes)
  equal(foreach(f = fs, .combine = c) %dopar% do.call(f, list(3)), c(5, 6))
}
close(pool)
