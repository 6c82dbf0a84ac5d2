# plyr with .parallel = TRUE on a pool: the values of the run without.
library(roost)
library(plyr)
pool <- pool_local(workers = 2)
registerDoRoost(pool)
base <- 100
added <- function(x, more = 0) x + base + more
both <- function(run) {
  expected <- run(FALSE)
  got <- run(TRUE)
  if (!identical(got, expected)) stop(deparse(body(run)), " differs: ", all.equal(got, expected))
}
both(function(parallel) llply(1:10, added, .parallel = parallel))
both(function(parallel) llply(1:10, added, more = 5, .parallel = parallel))
both(function(parallel) laply(1:4, added, .parallel = parallel))
both(function(parallel) ldply(1:4, function(i) data.frame(i = i, y = base + i), .parallel = parallel))
both(function(parallel) ddply(mtcars, .(cyl), summarise, mpg = mean(mpg), .parallel = parallel))
both(function(parallel) ddply(mtcars, "gear", function(d, digits) data.frame(w = round(mean(d$wt), digits)), digits = 2, .parallel = parallel))
both(function(parallel) dlply(iris, .(Species), function(d) coef(lm(Sepal.Length ~ Petal.Length, d)), .parallel = parallel))
both(function(parallel) daply(warpbreaks, .(tension), function(d) mean(d$breaks), .parallel = parallel))
both(function(parallel) aaply(matrix(1:6, 2), 1, sum, .parallel = parallel))
both(function(parallel) mlply(data.frame(a = 1:2, b = 3:4), function(a, b) a * b, .parallel = parallel))
dat <- 1:2
both(function(parallel) llply(1:2, function(x) get(paste0("d", "at"))[x], .parallel = parallel, .paropts = list(.export = "dat")))
close(pool)
