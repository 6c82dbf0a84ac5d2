# caret::train on a pool: the same resamples, the same model, as without.
library(roost)
suppressPackageStartupMessages(library(caret))
pool <- pool_local(workers = 2)
trained <- function(parallel) {
  set.seed(1)
  seeds <- c(lapply(1:5, function(i) 1:2 + i), 99L)
  knn <- train(Species ~ ., iris, method = "knn", tuneGrid = data.frame(k = c(3, 7)),
               trControl = trainControl("cv", number = 5, seeds = seeds, allowParallel = parallel))
  set.seed(2)
  lm <- train(mpg ~ wt + hp, mtcars, method = "lm",
              trControl = trainControl("boot", number = 6, allowParallel = parallel, savePredictions = TRUE))
  set.seed(3)
  selected <- rfe(mtcars[, -1], mtcars$mpg, sizes = 2:3,
                  rfeControl = rfeControl(functions = lmFuncs, method = "cv", number = 3, allowParallel = parallel))
  list(knn$results, knn$bestTune, knn$resample, lm$results, lm$pred, predict(lm, mtcars[1:3, ]), selected$results, selected$optVariables)
}
foreach::registerDoSEQ()
expected <- trained(FALSE)
registerDoRoost(pool)
stopifnot(identical(trained(TRUE), expected))
close(pool)
