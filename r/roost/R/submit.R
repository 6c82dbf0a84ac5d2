# A job of runtime `r`: a vector, and the common data (function, further arguments, globals, packages, options).

# Only what is not as the bridge has it anyway.
policy <- function(seed = NULL, retries = 0L, timeout = NULL, label = "", priority = 0, max_parallel = NULL, cpus = 1,
                   memory = NULL, labels = NULL, crash_limit = 3L) {
  policy <- list(seed = seed)
  if (!identical(retries, 0L)) policy$retries <- as.double(whole_number(retries, "retries", 0))
  if (!identical(crash_limit, 3L)) policy$crash_limit <- as.double(whole_number(crash_limit, "crash_limit", 0))
  if (!identical(cpus, 1)) policy$cpus <- policy_number(cpus, "cpus", 0)
  if (!identical(priority, 0)) policy$priority <- policy_number(priority, "priority", -Inf)
  if (!identical(label, "")) policy$label <- as.character(label)
  if (!is.null(timeout) && !identical(timeout, Inf)) policy$timeout <- policy_number(timeout, "timeout", 0)
  if (!is.null(max_parallel)) policy$max_parallel <- as.double(whole_number(max_parallel, "max_parallel"))
  if (!is.null(memory)) policy$memory <- policy_number(memory, "memory", 0)
  if (!is.null(labels)) policy$labels <- label_texts(labels)
  policy
}

policy_number <- function(value, name, low) {
  if (is.null(value)) return(NULL)
  if (!is.numeric(value) || length(value) != 1L || is.na(value) || value < low)
    fail("`", name, "` must be a number", if (is.finite(low)) paste0(", ", low, " or more"), ".")
  as.double(value)
}

# c("disk=ssd") or c(disk = "ssd").
label_texts <- function(labels) {
  texts <- if (is.null(names(labels))) as.character(labels) else paste0(names(labels), "=", labels)
  if (!all(grepl("^[^=]+=", texts))) fail("`labels` must be texts \"key=value\", or values with names.")
  texts
}

# X as lapply() sees it: a vector or a list. as.list() may leave it a class that decides what X[[i]] is: so its elements are taken
# here.
as_tasks <- function(X) {
  if (is.vector(X) && !is.object(X) && !is.expression(X)) return(X)
  X <- as.list(X)
  if (is.object(X)) lapply(X, identity) else X
}

# Only what there is.
make_common <- function(session, fun, args, needs = list(), options = list(), return_seed = FALSE) {
  if (length(needs$globals) && length(session$exported)) {
    held <- vapply(names(needs$globals), function(name) is_exported(session, name, needs$globals[[name]]), NA)
    needs$globals <- needs$globals[!held]
  }
  common <- list(fun = fun)
  if (length(args)) common$args <- args
  if (length(needs$globals)) common$globals <- needs$globals
  if (length(needs$packages)) common$packages <- needs$packages
  if (length(needs$namespaces)) common$namespaces <- needs$namespaces
  if (isTRUE(needs$s4)) common$s4 <- TRUE
  # Workers look for references in tasks' values.
  if (identical(getOption("roost.references"), "allow") && is.null(options$roost.references))
    options$roost.references <- "allow"
  if (length(options)) common$options <- options
  if (return_seed) common$return_seed <- TRUE
  common
}

submit <- function(session, X, common, policy, open = FALSE) {
  if (asks_for_more(policy)) check_possible(session, policy)
  send_job(session, X, common, c(list(op = "submit", open = open), policy))
}

# Submits, waits for the end, collects and forgets: one round trip.
run_job <- function(session, X, common, policy, progress, more) {
  if (asks_for_more(policy)) check_possible(session, policy)
  send_job(session, X, common, c(list(op = "run", live = TRUE, progress = progress, forget = TRUE), policy), more)
}

inline_elements <- 256L        # of an X that travels in the control, at most
inline_bytes <- 65536          # its size in memory, and that of common data

# The bridge cuts X into tasks; a class that only R understands it sends back. Small ones travel in the control: one stream to
# write and to read instead of three.
send_job <- function(session, X, common, control, more = NULL) {
  if (!is_usable(session)) check_session(session)
  if (length(session$garbage)) drop_garbage(session)
  inline <- !session$large && is_small(X)
  if (!inline) {
    common <- stream(common)
    session$large <- length(common) > inline_bytes
  }
  send <- function(X) {
    if (inline) request(session, c(control, list(X = X, common = common)), more = more, expected = "needsAsList")
    else request(session, control, list(X = stream(X), "the common data" = common), more = more, expected = "needsAsList")
  }
  answer <- send(X)
  if (isTRUE(answer$control$ok)) return(answer)
  if (is.list(X)) fail_by_bridge(answer$control$error)
  X <- as.list(X)
  answer <- send(X)
  if (isTRUE(answer$control$ok)) answer else fail_by_bridge(answer$control$error)
}

is_small <- function(X)
  length(X) <= inline_elements && (typeof(X) %in% c("double", "integer") || utils::object.size(X) <= inline_bytes)

# Jobs whose handles are gone: the bridge need not keep them. Durable ones have as many entries as they had handles.
drop_garbage <- function(session) for (id in session$garbage) {
  session$garbage <- session$garbage[-match(id, session$garbage)]
  send_quietly(session, list(op = "leave", job = id, quiet = TRUE))
}

# Someone who stops waiting for lapply's results does not want the rest of them.
cancel_quietly <- function(session, id) if (session$open) tryCatch({
  request(session, list(op = "cancel", job = id), seconds = stop_seconds)
  request(session, list(op = "forget", job = id), seconds = stop_seconds)
}, error = function(e) NULL)
