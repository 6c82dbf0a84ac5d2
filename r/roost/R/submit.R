# A job of runtime `r`: a vector, and the common data (function, further arguments, globals, packages, options).

policy <- function(seed = NULL, retries = 0L, timeout = NULL, label = "", priority = 0, max_parallel = NULL, cpus = 1,
                   memory = NULL, labels = NULL, crash_limit = 3L) {
  number <- function(value, name, low) {
    if (is.null(value)) return(NULL)
    if (!is.numeric(value) || length(value) != 1L || is.na(value) || value < low)
      fail("`", name, "` must be a number, ", low, " or more.")
    as.double(value)
  }
  list(seed = seed, label = as.character(label), retries = number(retries, "retries", 0),
       crash_limit = number(crash_limit, "crash_limit", 0),
       timeout = if (identical(timeout, Inf)) NULL else number(timeout, "timeout", 0), priority = as.double(priority),
       max_parallel = number(max_parallel, "max_parallel", 1), cpus = number(cpus, "cpus", 0),
       memory = number(memory, "memory", 0), labels = label_texts(labels))
}

# c("disk=ssd") or c(disk = "ssd").
label_texts <- function(labels) {
  if (is.null(labels)) return(NULL)
  texts <- if (is.null(names(labels))) as.character(labels) else paste0(names(labels), "=", labels)
  if (!all(grepl("^[^=]+=", texts))) fail("`labels` must be texts \"key=value\", or values with names.")
  texts
}

# As lapply() sees X.
as_tasks <- function(X) if (!is.vector(X) || is.object(X) || is.expression(X)) as.list(X) else X

make_common <- function(session, fun, args, needs, options = list(), return_seed = FALSE) {
  if (length(needs$globals)) {
    held <- vapply(names(needs$globals), function(name) is_exported(session, name, needs$globals[[name]]), NA)
    needs$globals <- needs$globals[!held]
  }
  list(fun = fun, args = args, globals = needs$globals, packages = needs$packages, options = options,
       return_seed = return_seed)
}

# Functions among the arguments and the tasks need their globals, too.
functions_of <- function(fun, args, X) {
  among <- function(list) Filter(is.function, list)
  c(list(fun), among(args), if (is.list(X) && length(X) <= 1000L) among(unname(X)))
}

submit <- function(session, X, common, policy, open = FALSE)
  send_job(session, X, common, c(list(op = "submit", open = open), policy))

# Submits, waits for the end, collects and forgets: one round trip.
run_job <- function(session, X, common, policy, progress, more)
  send_job(session, X, common, c(list(op = "run", live = TRUE, wait = TRUE, progress = progress, forget = TRUE), policy), more)

# The bridge cuts X into tasks; a class that only R understands it sends back.
send_job <- function(session, X, common, control, more = NULL) {
  drop_garbage(session)
  control <- control[!vapply(control, is.null, NA)]
  common <- stream(common)
  tryCatch(request(session, control, list(stream(X), common), more = more), roost_pool_error = function(e) {
    if (!identical(e$code, "needsAsList") || is.list(X)) stop(e)
    request(session, control, list(stream(as.list(X)), common), more = more)
  })
}

# Jobs whose handles are gone: the bridge need not keep them.
drop_garbage <- function(session) for (id in session$garbage) {
  session$garbage <- setdiff(session$garbage, id)
  tryCatch(request(session, list(op = "forget", job = id)), roost_pool_error = function(e) NULL)
}

# Someone who stops waiting for lapply's results does not want the rest of them.
cancel_quietly <- function(session, id) if (session$open) tryCatch({
  request(session, list(op = "cancel", job = id), seconds = stop_seconds)
  request(session, list(op = "forget", job = id), seconds = stop_seconds)
}, error = function(e) NULL)
