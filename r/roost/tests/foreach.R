library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# foreach
if (!requireNamespace("foreach", quietly = TRUE)) quit("no")
suppressMessages(library(foreach))
pool <- pool_local(workers = 2)
registerDoRoost(pool)
stopifnot(getDoParName() == "doRoost", getDoParWorkers() == 2L)
stopifnot(identical(foreach(i = 1:4, .combine = c) %dopar% sqrt(i), sqrt(1:4)))
inside <- function(m) { g <- function(x) h(x); h <- function(x) x * m; foreach(i = 1:3, .combine = c) %dopar% g(i) }
stopifnot(identical(inside(3), c(3, 6, 9)))
k <- 2; uses <- function(x) x + k
stopifnot(identical(foreach(i = 1:2, .combine = c) %dopar% uses(i), c(3, 4)))
stopifnot(identical(foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:2, .combine = c) %dopar% (a * b),
                    foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:2, .combine = c) %do% (a * b)))
try_three <- function(...) foreach(i = 1:4, ...) %dopar% if (i == 3) stop("three") else i
e <- tryCatch(try_three(), error = identity)
stopifnot(grepl("task 3 failed - \"three\"", conditionMessage(e), fixed = TRUE), inherits(e$task_error, "roost_task_error"))
stopifnot(identical(unlist(try_three(.errorhandling = "remove")), c(1L, 2L, 4L)))
stopifnot(inherits(try_three(.errorhandling = "pass")[[3]], "simpleError"))
stopifnot(identical(foreach(i = 1:3, .options.roost = list(seed = 1)) %dopar% runif(1),
                    lbapply(NULL, 1:3, function(i) runif(1), seed = 1)))

# Dots, names that are also assigned, functions as arguments, what is exported and what is not
equal <- function(a, b) stopifnot(isTRUE(all.equal(a, b)))
quietly <- function(expr) withCallingHandlers(expr, warning = function(w) stop(w))
with_dots <- function(...) foreach(i = 1:2, .combine = c) %dopar% sum(i, ...)
equal(quietly(with_dots(1)), c(2, 3))
equal(with_dots(), c(1, 2))
with_dots <- function(...) foreach(i = 1:2, .combine = c) %dopar% (i + ..1); equal(quietly(with_dots(1)), c(2, 3))
a <- 5; equal(foreach(f = list(function() a), .combine = c) %dopar% f(), 5)
dat <- data.frame(a = 1:3); equal(foreach(i = 1:2, .combine = c) %dopar% { dat$b <- dat$a * i; sum(dat$b) }, c(6, 12))
stopifnot(inherits(tryCatch(foreach(i = 1:2, .noexport = "a") %dopar% (a + i), error = identity), "error"))
inside <- function() { hidden <- 4; foreach(i = 1:2, .combine = c, .export = "hidden") %dopar% (get(paste0("hid", "den")) + i) }
equal(inside(), c(5, 6))
equal(foreach(i = 1:2, .combine = c, .export = "dat") %dopar% (nrow(get(paste0("d", "at"))) + i), c(4, 5))
equal(quietly(foreach(i = 1:2, .combine = c) %dopar% sum(unlist(foreach(j = 1:2) %dopar% (i * j)))), c(3, 6))
said <- capture.output(foreach(i = 1:2, .verbose = TRUE) %dopar% (a + i)); stopifnot("exporting a" %in% said)

# In a package's function: its own functions, its variables, its dots
source_of <- tempfile()
dir.create(file.path(source_of, "inner", "R"), recursive = TRUE)
library_of <- tempfile()
dir.create(library_of)
writeLines(c("Package: inner", "Version: 1.0", "Title: Inner", "Description: Inner.", "Author: A",
             "Maintainer: A <a@example.org>", "License: GPL-2", "Imports: foreach"), file.path(source_of, "inner", "DESCRIPTION"))
writeLines(c("export(run)", "importFrom(foreach, foreach, '%dopar%')"), file.path(source_of, "inner", "NAMESPACE"))
writeLines(c("internal <- function(x) x * 10",
             "run <- function(n, ...) { k <- 2; foreach(i = seq_len(n), .combine = c) %dopar% sum(internal(i), k, ...) }"),
           file.path(source_of, "inner", "R", "run.R"))
installed <- system2(file.path(R.home("bin"), "R"), c("CMD", "INSTALL", "--no-docs", "--no-test-load", "-l", library_of,
                                                      file.path(source_of, "inner")), stdout = FALSE, stderr = FALSE)
stopifnot(installed == 0L)
other <- pool_local(workers = 1, lib_paths = c(library_of, .libPaths())); registerDoRoost(other)
made <- "inner"; equal(getExportedValue(loadNamespace(made, lib.loc = library_of), "run")(2, 1), c(13, 23))
close(other); registerDoRoost(pool)

# Packages that use foreach
has <- function(package) requireNamespace(package, quietly = TRUE)
if (has("plyr")) {
  equal(plyr::llply(1:3, function(x) x + a, .parallel = TRUE), list(6, 7, 8))
  equal(plyr::llply(1:3, function(x, y) x + y, y = 2, .parallel = TRUE), list(3, 4, 5))
  equal(plyr::ddply(data.frame(g = c(1, 1, 2), v = 1:3), "g", function(d) data.frame(m = mean(d$v) + a), .parallel = TRUE),
        data.frame(g = c(1, 2), m = c(6.5, 8)))
  equal(plyr::llply(1:2, function(x) get(paste0("d", "at"))$a[x], .parallel = TRUE, .paropts = list(.export = "dat")), list(1L, 2L))
}
if (has("glmnet")) {
  set.seed(1); x <- matrix(rnorm(1000), 100); y <- x[, 1] + rnorm(100); folds <- rep(1:5, 20)
  equal(glmnet::cv.glmnet(x, y, foldid = folds, parallel = TRUE)$cvm, glmnet::cv.glmnet(x, y, foldid = folds)$cvm)
}
if (has("caret")) {
  trained <- function(parallel) {
    set.seed(2)
    caret::train(mpg ~ wt + hp, mtcars, method = "lm",
                 trControl = caret::trainControl(method = "cv", number = 3, allowParallel = parallel))$results
  }
  equal(trained(TRUE), trained(FALSE))
}

if (requireNamespace("doRNG", quietly = TRUE)) {
  suppressMessages(library(doRNG))
  set.seed(3); a <- foreach(i = 1:4) %dorng% rnorm(2)
  registerDoSEQ()
  set.seed(3); b <- foreach(i = 1:4) %dorng% rnorm(2)
  stopifnot(identical(a, b))
}
close(pool)
