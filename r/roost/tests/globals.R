library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
has <- function(package) requireNamespace(package, quietly = TRUE)
pool <- pool_local(workers = 2)
there <- function(...) unlist(lbapply(pool, ...))
equal <- function(a, b) stopifnot(isTRUE(all.equal(a, b)))

# What a function needs, wherever it is mentioned: the values are those of lapply().

# Names that are also assigned
dat <- data.frame(a = 1:3); v <- c(1, 2, 3); x <- 5; k <- 1
equal(there(1:2, function(i) { dat$b <- dat$a * i; sum(dat$b) }), c(6, 12))
equal(there(1:2, function(i) { v[i] <- 10; sum(v) }), c(15, 14))
equal(there(1:2, function(i) { v[[i]] <- 10; attr(v, "u") <- 1; sum(v) }), c(15, 14))
equal(there(1:2, function(i) { names(v) <- c("a", "b", "c"); v[["b"]] }), c(2, 2))
equal(there(1:2, function(i) { x <- x + i; x }), c(6, 7))
equal(there(1:2, function(i) { if (i == 2) k <- 0; k }), c(1, 0))
equal(there(1:2, function(i) { for (j in 1:2) x <- x + j; x }), c(8, 8))
equal(there(1:2, function(i) local({ x <- x + i; x })), c(6, 7))
equal(there(1:2, function(i) sapply(1:2, function(j) { x <- x + j; x })), c(6, 7, 6, 7))
equal(there(1:2, function(i, by = k) i + by), c(2, 3))
equal(results(async({ dat$b <- dat$a * 2; sum(dat$b) }, pool)), 12)
equal(results(async(x + 1, pool)), 6)
equal(results(async(local({ x <- x + 1; x }), pool)), 6)
big <- numeric(5e5); equal(there(1:2, function(i) { if (i == 2) big <- 1; length(big) }), c(5e5, 1))

equal(there(1:2, function(i) { switch(i, { k <- 10 }, NULL); k }), c(10, 1))
equal(there(1, function(i) { while (k < 3) k <- k + 1; k }), 3)
equal(there(1, function(i) tryCatch({ k <- k + 1; k }, error = function(e) 0)), 2)
makeActiveBinding("active", function() 5, globalenv()); equal(there(1, function(i) active + i), 6)
`second<-` <- function(x, value) { x[2] <- value + k; x }
equal(there(1, function(i) { v <- 1:2; second(v) <- 5; v[2] }), 6)
`%plus%` <- function(a, b) a + b + k; equal(there(1, function(i) i %plus% 1), 3)

# Functions in lists, environments, objects, arguments, X
g <- function(x) x + k
L <- list(h = function(x) g(x)); deep <- list(list(list(h = function(x) g(x)), data.frame(a = 1)))
equal(there(1:2, function(i) L$h(i)), c(2, 3))
equal(there(1:2, function(i) deep[[1]][[1]]$h(i)), c(2, 3))
object <- function(h) { self <- environment(); self }; o <- object(g); equal(there(1:2, function(i) o$h(i)), c(2, 3))
E <- new.env(); E$h <- function(x) g(x); E$self <- E
equal(there(1:2, function(i) E$h(i)), c(2, 3))
tagged <- structure(1, how = function(x) g(x)); equal(there(1:2, function(i) attr(tagged, "how")(i)), c(2, 3))
a <- 7
equal(there(list(function() a, function() g(a)), function(f) f()), c(7, 8))
equal(there(1:2, function(i, f) f(i), f = g), c(2, 3))
equal(there(1:2, function(i, fs) fs[[1]](i), list(function(y) g(y))), c(2, 3))
vectorized <- Vectorize(function(x, y) g(x) + y); equal(there(1:2, function(i) vectorized(i, 1)), c(3, 4))
composed <- Reduce(function(f, h) function(x) h(f(x)), list(g, g)); equal(there(1:2, composed), c(3, 4))
if (has("R6")) {
  C <- R6::R6Class("C", public = list(n = 0, add = function(i) { self$n <- self$n + g(i); self$n }))
  o <- C$new()
  equal(there(1:2, function(i) { o <- o$clone(); o$add(i) }), c(2, 3))
  equal(there(1:2, function(i) C$new()$add(i)), c(2, 3))
  D <- R6::R6Class("D", inherit = C, public = list(add = function(i) super$add(i) * 10))
  equal(there(1:2, function(i) D$new()$add(i)), c(20, 30))
}
if (has("memoise")) { remembered <- memoise::memoise(function(x) g(x)); equal(there(1:2, function(i) remembered(i)), c(2, 3)) }

# Formulas and quoted code
w <- (1:32)^2; b <- 3
equal(lbapply(pool, 1, function(i) coef(lm(mpg ~ w, mtcars)))[[1]], coef(lm(mpg ~ w, mtcars)))
fm <- mpg ~ w; equal(lbapply(pool, 1, function(i) coef(lm(fm, mtcars)))[[1]], coef(lm(mpg ~ w, mtcars)))
equal(lbapply(pool, 1, function(i) coef(lm(as.formula("mpg ~ w"), mtcars)))[[1]], coef(lm(mpg ~ w, mtcars)))
equal(lbapply(pool, list(fm), function(f) coef(lm(f, mtcars)))[[1]], coef(lm(mpg ~ w, mtcars)))
equal(lbapply(pool, 1, function(i) coef(nls(mpg ~ p + q * w, mtcars, start = list(p = 1, q = 1))))[[1]],
      coef(nls(mpg ~ p + q * w, mtcars, start = list(p = 1, q = 1))))
equal(there(1, function(i) eval(bquote(a + .(b)))), 10)
equal(there(1, function(i) eval(quote(a + b))), 10)
q <- quote(a + b); equal(there(1, function(i) eval(q)), 10)
q <- expression(a + b); equal(there(1, function(i) eval(q[[1]])), 10)
in_frame <- function() { z <- (1:32)^3; f <- mpg ~ z; lbapply(pool, 1, function(i) coef(lm(f, mtcars)))[[1]] }
equal(unname(in_frame()), unname(coef(lm(mpg ~ I((1:32)^3), mtcars))))
by_async <- function() { z <- (1:32)^3; results(async(coef(lm(mpg ~ z, mtcars)), pool)) }
equal(by_async(), { z <- (1:32)^3; coef(lm(mpg ~ z, mtcars)) })
rm(z); by_async <- function() { z <- 2; results(async(eval(quote(z + b)), pool)) }; equal(by_async(), 5)
if (has("purrr")) equal(lbapply(pool, 1:2, function(i) purrr::map_dbl(1:2, ~ .x + k)), list(c(2, 3), c(2, 3)))
if (has("rlang")) {
  quosure <- rlang::quo(a + b); equal(there(1, function(i) rlang::eval_tidy(quosure)), 10)
  in_frame <- function() { z <- 4; quosure <- rlang::quo(z + b); there(1, function(i) rlang::eval_tidy(quosure)) }
  equal(in_frame(), 7)
}

library(splines); later <- quote(nrow(bs(1:10, df = 4))); equal(there(1, function(i) eval(later)), 10)
fm <- mpg ~ bs(w, df = 4); equal(lbapply(pool, 1, function(i) coef(lm(fm, mtcars)))[[1]], coef(lm(fm, mtcars)))

# Names in strings
equal(there(1:2, function(i) get("b") + i), c(4, 5))
equal(there(1:2, function(i) do.call("g", list(i))), c(2, 3))
equal(there(1:2, function(i) sapply(i, "g")), c(2, 3))
equal(there(1:2, "g"), c(2, 3))
equal(there(1:2, function(i) eval(parse(text = "a + b"))), c(10, 10))

# Dots of the function around, without a word from codetools
quietly <- function(expr) withCallingHandlers(expr, warning = function(w) stop(w))
with_dots <- function(...) there(1:2, function(i) sum(i, ...))
equal(quietly(with_dots(a, 1)), c(9, 10))
equal(with_dots(), c(1, 2))
with_dots <- function(...) there(1:2, function(i) i + ..1); equal(quietly(with_dots(a, 1)), c(8, 9))
with_dots <- function(...) there(1:2, function(i) i + ...length()); equal(quietly(with_dots(a, 1)), c(3, 4))
with_dots <- function(...) there(1:2, function(i) sapply(i, function(j) sum(j, ...))); equal(quietly(with_dots(a, 1)), c(9, 10))
with_dots <- function(f, ...) there(1:2, function(i) f(i, ...)); equal(with_dots(function(i, h) h(i), h = g), c(2, 3))
with_dots <- function(...) results(async(sum(1, ...), pool)); equal(quietly(with_dots(a, b)), 11)
equal(quietly(there(1:2, function(i) { f <- function(...) sum(...); f(i) })), c(1, 2))

# export and packages add to the search.
b1 <- 5; equal(there(1, function(i) k + get(paste0("b", i)), export = "b1"), 6)
library(splines); equal(there(1, function(i) nrow(bs(1:10, df = 4)), packages = "stats4"), 10)
stopifnot(inherits(tryCatch(lbapply(pool, 1, identity, export = "no such"), error = identity), "roost_error"))

# Values are those of the call, not of an earlier one, and not what was exported before.
d <- 1; parallel::clusterExport(pool, "d"); equal(there(1, function(i) d), 1)
d <- 2; equal(there(1:4, function(i) d), rep(2, 4))
E <- new.env(); E$v <- 1; parallel::clusterExport(pool, "E"); E$v <- 2; equal(there(1:4, function(i) E$v), rep(2, 4))
counter <- local({ n <- 1; list(n = function() n, add = function() n <<- n + 1) })
parallel::clusterExport(pool, "counter"); counter$add(); equal(there(1:4, function(i) counter$n()), rep(2, 4))
for (i in 1:3) { f <- eval(quote(function(x) x + d)); d <- i; equal(there(1, f), 1 + i) }

# ---- Frames: what is not mentioned stays here, those that share one share it there, too. ----

needs <- function(f) roost:::find_needs(list(FUN = f))
bytes <- function(x) length(serialize(x, NULL))
with_big <- function() { big <- numeric(1e5); small <- 1; function(i) i + small }
stopifnot(bytes(needs(with_big())$values) < 5000); equal(there(1:2, with_big()), c(2, 3))
with_big <- function(big) { force(big); small <- 1; function(i) i + small }
stopifnot(bytes(needs(with_big(numeric(1e5)))$values) < 5000)
with_big <- function(big) { f <- function(i) if (i > 9) big else small; small <- 1; f }
equal(there(1:2, with_big(stop("nobody asks for it"))), c(1, 1))
with_missing <- function(here, gone) there(1, function(i) if (i > 9) gone else here); equal(with_missing(4), 4)
shared <- function() {
  big <- numeric(1e5); n <- 0
  add <- function() n <<- n + 1
  h <- list(add = add, got = list(function() n))
  f <- function(i) { add(); h$add(); h$got[[1]]() + n }
  stopifnot(bytes(needs(f)$values) < 10000)
  there(1:2, f)
}
equal(shared(), c(4, 4))
make <- function() { big <- numeric(1e5); n <- 0; list(add = function() n <<- n + 1, got = function() n) }
both <- make(); add <- both$add; f <- function(i) { both$add(); add(); both$got() }
stopifnot(bytes(needs(f)$globals) < 10000); equal(there(1, f), 2)
nested <- function() {
  big <- numeric(1e5); a <- 1
  inner <- function() {
    big2 <- numeric(1e5); c <- 2
    h <- function(i) k(i); k <- function(i) a + c + i
    stopifnot(bytes(needs(h)$values) < 10000)
    there(1:2, h)
  }
  inner()
}
equal(nested(), c(4, 5))
with_dots <- function(...) {
  big <- numeric(1e5); f <- function(i) sum(i, ...)
  stopifnot(bytes(needs(f)$values) < 10000)
  there(1, f)
}
equal(with_dots(2), 3); equal(with_dots(), 1)
modelled <- function() {
  big <- numeric(1e5); d <- data.frame(x = 1:5, y = c(1, 3, 2, 5, 4)); fit <- lm(y ~ x, d)
  f <- function(i) unname(predict(fit, data.frame(x = i)))
  stopifnot(bytes(needs(f)$values) < 20000)
  equal(there(1:2, f), c(f(1), f(2)))
}
modelled()
# Elements of X are searched, too.
each <- lapply(1:3, function(j) { big <- numeric(1e5); function() j })
stopifnot(bytes(roost:::find_needs(list(FUN = identity, X = each))$values) < 20000); equal(there(each, function(f) f()), 1:3)
# A frame that can be told stays as it is.
held <- function() { big <- numeric(10); me <- environment(); there(1, function(i) length(me$big)) }; equal(held(), 10)
computed <- function() { v1 <- 1; v2 <- 2; there(1:2, function(i) get(paste0("v", i))) }; equal(computed(), c(1, 2))
quoted <- function() { u <- 1; code <- quote(u + 1); there(1, function(i) eval(code)) }; equal(quoted(), 2)

# ---- A pool is of no use in a task, says so, and does not carry the session with it. ----

run <- function(i, far) if (far) sum(there(i, run, far = FALSE)) else i + k
equal(run(1:2, TRUE), 5)
`%and%` <- function(a, b) paste0(a, b); `second<-` <- function(x, value) { x[2] <- value; x }
equal(there(1, function(i) Reduce("%and%", letters[1:3])), "abc")
equal(there(1, function(i) do.call("second<-", list(1:2, value = 5L))), c(1L, 5L))
e <- tryCatch(there(1, function(i) lbapply(pool, 1, identity)), error = identity)
stopifnot(inherits(e, "roost_task_error"), inherits(e$condition, "roost_pool_error"))
in_frame <- function(p) { big <- numeric(1e5); there(1, function(i) length(p)) }; equal(in_frame(pool), 2)
stopifnot(bytes(needs(function(i) lbapply(pool, 1, identity))$globals) < 5000)

# ---- The text of a function is looked at once. ----

text <- quote(function(i) i + k); f <- eval(text)
found <- roost:::code_names(f)
stopifnot(identical(roost:::code_names(eval(text)), found), identical(roost:::code_names(compiler::cmpfun(eval(text))), found),
          identical(roost:::code_names(local(eval(text))), found))
close(pool)
