library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)

# Jobs.
pool <- pool_local(workers = 2)
job <- async_lapply(pool, c(a = 1, b = 2), function(x) { Sys.sleep(0.2); x * 2 }, label = "doubles")
stopifnot(status(job) %in% c("waiting", "running", "ended"), identical(wait(job, timeout = 30, progress = FALSE), TRUE))
stopifnot(status(job) == "ended", progress(job)[["done"]] == 2, identical(results(job), list(a = 2, b = 4)))
stopifnot(identical(results(job), list(a = 2, b = 4)))

slow <- async_lapply(pool, 1:200, function(i) Sys.sleep(0.2))
stopifnot(!wait(slow, timeout = 0.2, progress = FALSE), slow$id %in% pool_jobs(pool)$id)
again <- pool_attach(pool, slow$id)
stopifnot(identical(again$n, 200L), status(again) %in% c("waiting", "running"))
# The job lives as long as one of its handles.
stopifnot(again$number >= 1L, grepl("[(]number [0-9]+[)]", capture.output(print(again))))
rm(again); invisible(gc())
invisible(async(1, pool))      # tells the bridge what was collected
stopifnot(status(slow) %in% c("waiting", "running"))
cancel(slow, tasks = 3:100)
for (wrong in list(0, 201, 1.5, NA, "a")) stopifnot(grepl("from 1 to 200", tryCatch(cancel(slow, wrong), error = conditionMessage)))
stopifnot(grepl("200 tasks; (waiting|running), [0-9]+ of 200 done", capture.output(print(slow))))
cancel(slow)
stopifnot(wait(slow, timeout = 30, progress = FALSE))
ends <- results(slow, partial = TRUE)
stopifnot(inherits(ends[[200]], "roost_task_error"), ends[[200]]$state == "cancelled")
cancel(slow)   # once more, when it has ended
over <- async_lapply(pool, 1:2, identity)
wait(over, progress = FALSE)
stopifnot(identical(results(cancel(over)), list(1L, 2L)))

local({ n <- 4; stopifnot(identical(results(async(n + 1, pool)), 5)) })
failing <- async(stop("no"), pool)
stopifnot(inherits(tryCatch(results(failing), error = identity)$condition, "simpleError"))

got <- list()
as_completed(async_lapply(pool, 1:20, function(i) if (i == 3) stop("three") else i),
             function(outcome) got[[outcome$index]] <<- outcome)
stopifnot(length(got) == 20L, inherits(got[[3]]$error, "roost_task_error"), identical(got[[20]]$value, 20L))
following <- as_completed(async_lapply(pool, 1:2, identity))
stopifnot(setequal(c(following()$value, following()$value), 1:2), is.null(following()))
stopifnot(grepl("1 task; ended, 1 of 1 done, 1 failed$", capture.output(print(failing))))
copy <- unserialize(serialize(failing, NULL))
stopifnot(is.data.frame(pool_nodes(pool)), nrow(pool_nodes(pool)) >= 1)
close(pool)
