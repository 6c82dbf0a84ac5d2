# cv.glmnet(parallel = TRUE) on a pool: the folds' errors of the sequential run.
library(roost)
suppressPackageStartupMessages(library(glmnet))
pool <- pool_local(workers = 2)
registerDoRoost(pool)
set.seed(1)
x <- matrix(rnorm(100 * 8), 100)
y <- drop(x[, 1:2] %*% c(1, -2)) + rnorm(100)
folds <- rep(1:5, 20)
fits <- function(parallel) {
  gaussian <- cv.glmnet(x, y, foldid = folds, parallel = parallel)
  binomial <- cv.glmnet(x, y > 0, foldid = folds, family = "binomial", type.measure = "class", alpha = 0.5, parallel = parallel)
  relaxed <- cv.glmnet(x, y, foldid = folds, relax = TRUE, parallel = parallel)
  list(gaussian[c("lambda", "cvm", "cvsd", "lambda.min")], as.matrix(coef(gaussian)), binomial[c("lambda", "cvm", "lambda.1se")],
       relaxed$relaxed$lambda.min)
}
stopifnot(identical(fits(TRUE), fits(FALSE)))
close(pool)
