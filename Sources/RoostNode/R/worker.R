# The R worker: runs a node agent's tasks, one batch at a time.
#
#   agent ── descriptor 3 ──▶ receive ─▶ perform ─▶ answer ─▶ tidy ─┐
#         ◀── descriptor 4 ──────────────────────────┘              └─▶ receive …
#
# Base R only, R >= 4.0. A frame is three doubles (kind, bytes, bytes), then two R streams of those lengths.
# Guarding a call costs R 10 us and a task may cost 1 us, so the guards stand once around everything (`guard`), and
# `phase` says what a condition interrupted. After a task that failed, the guards are set up anew and the batch goes
# on with the next. R compiles tasks' code and `task_loop` at their second call, the rest of this file only when a
# hundred batches have shown that it pays: it costs 0.3 s.
# R parses an expression anew at each of its lines, hence many small ones. The last never returns, and nothing may stand
# behind it: browser() would read it.
.roost <- new.env(parent = baseenv())
local({
g <- globalenv()
jit <- .Internal(enableJIT(0L))        # of the tasks' code
pid <- Sys.getpid()
connect <- function() {
  from <<- file("/dev/fd/3", "rb", raw = TRUE)
  to <<- file("/dev/fd/4", "wb", raw = TRUE)
}
from <- to <- NULL
connect()

max_conditions <- 1000L             # warnings, and messages, kept of one task
max_output <- c(1048576, 65536)     # bytes of output kept of one task: its first, its last
max_value <- 2147483648             # bytes of one value
max_calls <- 200L                   # lines of a traceback
chunk <- 1073741824                 # bytes of one readBin or writeBin
warm_batches <- 100L                # batches after which R may compile this file, too
spool_bytes <- 16777216             # size at which the file behind the sink is made anew

jobs <- new.env(parent = emptyenv())   # by handle: a job's common data, or what is wrong with it
current <- ""                          # handle of the job whose globals and options are in force
phase <- "idle"                        # idle, ready (an old interrupt is still let go), run, pack
careful <- FALSE                       # pack: some value could not be serialized, so take them one by one
spool <- NULL                          # file that catches what tasks of a batch of several print
spooled <- 0                           # bytes in it
over <- c(warnings = 0, messages = 0)  # conditions beyond max_conditions of task `over_at`; 0: of none
over_at <- 0L
custom <- NULL                         # the last condition that is no error, warning or message

}, .roost)
# ---- frames ----

local({
leave <- function() quit("no", 0L, FALSE)

# readBin(from, "double", 3L, endian = "little"), and its like, without the checks.
swap <- .Platform$endian != "little"
numbers <- function() .Internal(readBin(from, "double", 3L, NA_integer_, TRUE, swap))

read <- function(bytes) {
  if (bytes <= chunk) {
    data <- .Internal(readBin(from, "raw", bytes, NA_integer_, TRUE, FALSE))
    if (length(data) < bytes) leave()
    return(data)
  }
  data <- raw(bytes)
  at <- 0
  while (at < bytes) {
    part <- readBin(from, "raw", min(chunk, bytes - at))
    if (!length(part)) leave()
    data[at + seq_along(part)] <- part
    at <- at + length(part)
  }
  data
}

write <- function(bytes) {
  if (length(bytes) <= chunk) return(.Internal(writeBin(bytes, to, NA_integer_, FALSE, FALSE)))
  for (at in seq(0, length(bytes) - 1, by = chunk))
    writeBin(bytes[seq(at + 1, min(length(bytes), at + chunk))], to)
}

stream <- function(x) .Internal(serialize(x, NULL, 3L, 3L, NULL))   # serialize(x, NULL, xdr = FALSE, version = 3L)

send <- function(kind, first, second = raw()) {
  .Internal(writeBin(as.double(c(kind, length(first), length(second))), to, NA_integer_, swap, FALSE))
  write(first)
  if (length(second)) write(second)
  .Internal(flush(to))
}
}, .roost)
local({
receive <- function() {
  header <- numbers()
  if (length(header) < 3L) leave()
  data <- unserialize(read(header[2L]))
  second <- if (header[3L] > 0) read(header[3L])
  switch(header[1L],
    done(data[[1L]], attempt(add_job(data[[1L]], unserialize(second)))),
    take(data, unserialize(second)),
    forget(data[[1L]]),
    done(data[[1L]], attempt(set_up(unserialize(second)))),
    done(data[[1L]], attempt(set_up(from_file(data[[2L]])))),
    stop("frame of unknown kind ", header[1L]))
}

done <- function(id, error) send(4, stream(list(id, error)))

from_file <- function(path) {
  con <- file(path, "rb", raw = TRUE)
  on.exit(close(con))
  unserialize(con)
}

# Evaluates; NULL, or the error in words.
attempt <- function(expr) tryCatch({
  allowInterrupts(expr)
  NULL
}, error = reason, interrupt = function(e) "interrupted")

reason <- function(e) {
  text <- tryCatch(conditionMessage(e), error = function(e2) "error without a message")
  text <- if (is.character(text) && length(text)) paste(text, collapse = "\n") else "error without a message"
  call <- tryCatch(conditionCall(e), error = function(e2) NULL)
  if (identical(call, quote(eval(entry$expr, g)))) call <- NULL
  where <- if (!is.null(call)) paste0(" (in ", line(call), ")")
  substr(enc2utf8(paste0(text, where)), 1L, 8192L)
}

line <- function(call) tryCatch(substr(paste(deparse(call, 120L, nlines = 1L), collapse = ""), 1L, 200L),
                                error = function(e) "?")

}, .roost)
# ---- jobs and setup ----

local({
# Globals and options come into force when the job has its turn: jobs of one session may take turns.
add_job <- function(handle, job) {
  handle <- as.character(handle)
  assign(handle, simpleError("the job's data could not be read"), envir = jobs)
  if (seeded) restore_generator()
  fault <- tryCatch({ attach_packages(job$packages); NULL }, error = identity)
  tidy()
  assign(handle, if (is.null(fault)) job else fault, envir = jobs)
  look()
  if (!is.null(fault)) stop(fault)
}
}, .roost)
local({
attach_packages <- function(packages) for (package in packages) {
  if (paste0("package:", package) %in% search()) next
  fault <- tryCatch({ suppressPackageStartupMessages(library(package, character.only = TRUE)); NULL }, error = identity)
  if (is.null(fault)) next
  there <- nzchar(system.file(package = package))
  stop(simpleError(paste0(
    "package '", package, "' ", if (there) "cannot be attached" else "is not installed", " on node ",
    Sys.info()[["nodename"]], ", R ", getRversion(), " (library paths: ", paste(.libPaths(), collapse = ", "), "): ",
    if (there) conditionMessage(fault) else "install it there, or name the library that has it as lib_paths")))
}

forget <- function(handle) {
  handle <- as.character(handle)
  if (handle == current) retire()
  rm(list = intersect(handle, ls(jobs)), envir = jobs)
}

retire <- function() {
  current <<- ""
  expected <<- plain
}

switch_to <- function(handle) {
  job <- jobs[[handle]]
  if (current != "") { retire(); tidy() }
  for (name in names(job$globals)) assign(name, job$globals[[name]], envir = g)
  plain <<- expected
  if (length(job$options)) { options(job$options); look() }
  current <<- handle
}
}, .roost)
local({
set_up <- function(entry) {
  if (seeded) restore_generator()
  if (current != "") { retire(); tidy() }
  on.exit(look())
  switch(entry$kind,
    assign = for (i in seq_along(entry$names)) assign(entry$names[i], entry$values[[i]], envir = g),
    eval = eval(entry$expr, g),
    session = {
      if (length(entry$lib_paths)) .libPaths(entry$lib_paths)
      if (length(entry$wd)) setwd(entry$wd)
      if (length(entry$tz)) Sys.setenv(TZ = entry$tz)
      for (name in names(entry$locale)) Sys.setlocale(name, entry$locale[[name]])
      if (is.null(names(entry$locale)) && length(entry$locale)) Sys.setlocale("LC_ALL", entry$locale)
    },
    stop("setup entry of unknown kind '", entry$kind, "'"))
}

}, .roost)
# ---- a batch ----

local({
take <- function(data, elements) {
  handle <- as.character(data[[1L]])
  X <<- elements
  n <<- length(X)
  values <<- vector("list", n)
  details <<- NULL
  live <<- isTRUE(data[[3L]])
  start <<- 1L
  job <<- jobs[[handle]]
  if (is.null(job)) job <<- simpleError("this worker does not know the task's job")
  if (inherits(job, "error")) {
    for (i in seq_len(n)) note(i, error = job)
    phase <<- "pack"
    return()
  }
  if (current != handle) switch_to(handle)
  given <- data[[2L]]
  seeds <<- if (length(given)) if (n == 1L) array(c(10407L, given), c(7L, 1L)) else rbind(10407L, matrix(given, 6L))
  if (is.null(seeds)) {
    if (seeded) restore_generator()
  } else if (!seeded) {
    seeded <<- TRUE
    former_seed <<- g$.Random.seed
  }
  return_seed <<- isTRUE(job$return_seed)
  if (n > 1L) catch_output()
  phase <<- "ready"
}
}, .roost)
local({
catch_output <- function() {
  if (is.null(spool) || spooled > spool_bytes) {
    if (!is.null(spool)) close(spool)
    spool <<- file("", "w+b")
    spooled <<- 0
    connections <<- union(connections, as.integer(spool))
  }
  sink(spool)
}
}, .roost)
local({
# Runs tasks start..n. Its frame is what a task's function sees as its caller, so it has only `fun`, `x` and dotted
# names, and the global environment behind it. `forceAndCall` makes lazy arguments keep this element.
task_loop <- function(..., .w) {
  .w$frame <- environment()
  .w$depth <- sys.nframe()
  fun <- .w$job$fun
  .X <- .w$X
  .g <- .w$g
  .seeds <- .w$seeds
  .seeded <- !is.null(.seeds)
  .return_seed <- .w$return_seed
  .several <- .w$n > 1L
  .spool <- .w$spool
  .spooled <- .w$spooled
  .values <- .w$values
  .w$values <- NULL
  for (.i in .w$start:.w$n) {
    if (.seeded) .g[[".Random.seed"]] <- .seeds[, .i]
    x <- .X[[.i]]
    .value <- forceAndCall(1, fun, x, ...)
    if (is.object(.value) || typeof(.value) == "externalptr") .w$check(.value)
    if (!is.null(.value)) .values[[.i]] <- .value
    if (.return_seed) .w$note(.i, seed = .g[[".Random.seed"]])
    if (.several && .Internal(seek(.spool, NA_real_, 1L, 2L)) != .spooled) .spooled <- .w$printed(.i)
  }
  .w$values <- .values
  .w$start <- .w$n + 1L
  .w$phase <- "pack"
}
environment(task_loop) <- new.env(parent = g)   # R compiles big functions of the global environment at once
}, .roost)
local({
rest_compiler <- function() {
  batches <<- batches + 1L
  if (batches < warm_batches) .Internal(enableJIT(0L)) else warm <<- TRUE
}

perform <- function() {
  if (start > n) return(phase <<- "pack")
  frame <<- NULL
  .Internal(interruptsSuspended(FALSE))
  .Internal(Sys.sleep(0))   # an interrupt that came too late for the last task fires here
  phase <<- "run"
  if (!warm) .Internal(enableJIT(jit))
  if (length(job$args)) do.call(task_loop, c(job$args, list(.w = w)), quote = TRUE) else task_loop(.w = w)
  .Internal(interruptsSuspended(TRUE))
  if (!warm) rest_compiler()
}

check <- function(value) {
  what <- if (inherits(value, "connection")) "a connection" else if (typeof(value) == "externalptr") "an external pointer"
  if (!is.null(what)) stop(simpleError(paste0(
    "the task's value is ", what, " (", classes(value), "), which means nothing outside the process that made it: return its contents"), quote(fun(x, ...))))
}

printed <- function(i) {
  end <- .Internal(seek(spool, NA_real_, 1L, 2L))
  part <- function(at, bytes) {
    .Internal(seek(spool, as.double(at), 1L, 1L))
    data <- readBin(spool, "raw", bytes)
    rawToChar(data[data != 0L])
  }
  over <- end - spooled - sum(max_output)
  note(i, output = if (over <= 0) part(spooled, end - spooled) else paste0(
    part(spooled, max_output[1L]), "\n[... ", over, " bytes left out ...]\n", part(end - max_output[2L], max_output[2L])))
  spooled <<- end
}
}, .roost)
local({
catch_up <- function(i)
  if (n > 1L && .Internal(sink.number(TRUE)) > 0L && .Internal(seek(spool, NA_real_, 1L, 2L)) != spooled) printed(i)

blank <- list(error = NULL, calls = NULL, warnings = list(), messages = list(), output = NULL, seed = NULL)

note <- function(i, ...) {
  if (is.null(details)) details <<- vector("list", n)
  detail <- if (is.null(details[[i]])) blank else details[[i]]
  news <- list(...)
  for (name in names(news)) detail[name] <- news[name]
  details[[i]] <<- detail
}

keep <- function(kind, condition) {
  i <- frame$.i
  had <- if (is.null(details)) NULL else details[[i]][[kind]]
  if (length(had) >= max_conditions) {
    if (over_at != i) count_rest()
    over_at <<- i
    over[[kind]] <<- over[[kind]] + 1
    return()
  }
  news <- list(c(had, list(condition)))
  names(news) <- kind
  do.call(note, c(list(i), news), quote = TRUE)
}

# Says how many conditions of a task were left out, behind those that were kept.
count_rest <- function() {
  i <- over_at
  for (kind in names(over)) if (i > 0L && over[[kind]] > 0) {
    rest <- simpleCondition(paste(format(over[[kind]], big.mark = ",", scientific = FALSE), "more", kind, "of this task are left out"))
    details[[i]][[kind]] <<- c(details[[i]][[kind]], list(rest))
  }
  over[] <<- 0
  over_at <<- 0L
}

}, .roost)
# ---- conditions ----

local({
guard <- function() tryCatch(
  withCallingHandlers(
    withRestarts(serve(), abort = aborted),
    condition = on_condition, error = on_error, warning = on_warning, message = on_message),
  error = failed, interrupt = function(e) interrupted())

muffle <- function(condition, restart) if (!is.null(findRestart(restart, condition))) invokeRestart(restart)
}, .roost)
local({
on_condition <- function(condition) {
  if (phase != "run" || inherits(condition, c("error", "interrupt"))) return()
  if (live && inherits(condition, c("immediateCondition", "progression"))) {
    body <- tryCatch(stream(condition), error = function(e) NULL)
    if (!is.null(body)) send(3, stream(list(frame$.i)), body)
    for (restart in computeRestarts(condition))
      if (isTRUE(startsWith(as.character(restart$name), "muffle"))) invokeRestart(restart)
  }
  if (!inherits(condition, c("warning", "message"))) custom <<- condition
}

on_warning <- function(condition) {
  if (phase != "run") return()
  level <- getOption("warn")
  if (isTRUE(level >= 2)) return()     # R makes it an error
  if (!isTRUE(level < 0)) keep("warnings", condition)
  muffle(condition, "muffleWarning")
}

on_message <- function(condition) {
  if (phase != "run") return()
  keep("messages", condition)
  muffle(condition, "muffleMessage")
}
}, .roost)
local({
on_error <- function(condition) if (phase == "run") trace <<- traced()

traced <- function() {
  calls <- sys.calls()
  calls <- calls[seq_len(max(0L, length(calls) - 3L))]   # the handler, on_error, traced
  calls <- calls[-seq_len(min(length(calls), depth))]    # tryCatch ... task_loop
  if (!length(calls) || !identical(calls[[1L]][[1L]], quote(fun))) return(NULL)   # our own
  if (identical(calls[[length(calls)]][[1L]], quote(.handleSimpleError))) calls <- calls[-length(calls)]
  lines <- vapply(calls, line, "")
  if (length(lines) > max_calls)
    lines <- c(lines[seq_len(max_calls %/% 2L)], paste("...", length(lines) - max_calls, "calls left out ..."),
               utils::tail(lines, max_calls %/% 2L))
  lines
}
}, .roost)
local({
fail <- function(error, calls = NULL) {
  i <- frame$.i
  values <<- frame$.values
  if (!mend() || !is.null(calls)) {
    values[i] <<- list(NULL)
    note(i, error = error)
    if (!is.null(calls)) note(i, calls = calls)
  }
  if (return_seed) note(i, seed = g[[".Random.seed"]])
  catch_up(i)
  start <<- i + 1L
  phase <<- "ready"
  custom <<- trace <<- NULL
}
}, .roost)
local({
# After closeAllConnections() in a task. TRUE: an error without calls is the loop's own, from `seek`.
mend <- function() {
  if (as.integer(to) %in% getAllConnections()) return(FALSE)
  connect()
  spool <<- NULL
  connections <<- getAllConnections()
  if (n > 1L) catch_output()
  TRUE
}

failed <- function(e) {
  if (phase == "run" && !is.null(frame$.i)) return(fail(e, trace))
  if (phase == "pack" && !careful) { careful <<- TRUE; return() }
  cat("roost worker:", reason(e), "\n", file = stderr())
  quit("no", 70L, FALSE)
}

interrupted <- function() if (phase == "run" && !is.null(frame$.i) && start <= n)
  fail(errorCondition("interrupted", class = "roost_interrupted"))

# A jump to top level: invokeRestart("abort"), or stop() with a condition that is no error.
aborted <- function(...) {
  if (phase != "run") return()
  e <- custom
  if (is.null(e)) e <- simpleError("the task jumped to top level (restart \"abort\")")
  fail(if (inherits(e, "error")) e else errorCondition(reason(e), condition = e))
}

}, .roost)
# ---- answers ----

local({
answer <- function() {
  if (Sys.getpid() != pid) tools::pskill(Sys.getpid(), 9L)   # a task's forked child: it must not end like R does
  mend()
  catch_up(n)
  if (over_at > 0L) count_rest()
  while (.Internal(sink.number(TRUE)) > 0L) sink()
  if (!careful && n < 64L && any(lengths(values) > max_value / 8)) careful <<- TRUE
  if (careful) weigh()
  first <- stream(values)
  if (!careful && length(first) > max_value) stop("too large")
  second <- if (is.null(details)) raw() else stream(report())
  .Internal(flush(stdout()))
  send(2, first, second)
  careful <<- FALSE
  phase <<- "idle"
  X <<- values <<- details <<- frame <<- seeds <<- NULL
  tidy()
}
}, .roost)
local({
report <- function() {
  at <- which(!vapply(details, is.null, NA))
  reasons <- vapply(details[at], function(d) if (is.null(d$error)) NA_character_ else reason(d$error), "")
  c(list(at, reasons), details[at])
}
}, .roost)
local({
weigh <- function() {
  for (i in seq_len(n)) {
    fault <- unsendable(values[[i]])
    if (!is.null(fault)) {
      error <- simpleError(paste0("the task's value (", classes(values[[i]]), ") ", fault))
      values[i] <<- list(NULL)
      note(i, error = error)
    }
  }
  for (i in seq_along(details)) if (!is.null(details[[i]])) {
    detail <- details[[i]]
    plainly <- function(e) {
      fault <- unsendable(e)
      if (is.null(fault)) return(e)
      simpleError(paste0(reason(e), " [the condition itself (", classes(e), ") ", fault, "]"))
    }
    if (!is.null(detail$error)) detail$error <- plainly(detail$error)
    for (kind in c("warnings", "messages")) detail[[kind]] <- lapply(detail[[kind]], plainly)
    details[[i]] <<- detail
  }
}

classes <- function(x) paste("class", paste(class(x), collapse = ", "))

# What is surely too large is not serialized first.
unsendable <- function(x) {
  size <- length(x) * switch(typeof(x), double = 8, integer = , logical = 4, complex = 16, raw = 1, 0)
  if (size > max_value) return(too_large(size))
  size <- tryCatch(length(stream(x)), error = function(e) conditionMessage(e))
  if (is.character(size)) return(paste("cannot be serialized:", size))
  if (size > max_value) too_large(size)
}

too_large <- function(size) paste("is too large to send:", format(size, big.mark = ","), "bytes; the limit is 2 GiB")

}, .roost)
# ---- between batches ----

local({
devices <- function() which(nzchar(unlist(.Devices)))[-1L]

# What is put back after tasks.
look <- function() {
  expected <<- as.list(.Options)
  namespaces <<- length(loadedNamespaces())
  directory <<- getwd()
  variables <<- .Internal(Sys.getenv(character(), ""))
  kinds <<- RNGkind()
  kind <<- g$.Random.seed[1L]
  connections <<- getAllConnections()
  opened <<- .Devices
  left_open <<- devices()
}

tidy <- function() {
  if (!identical(now <- .Internal(Sys.getenv(character(), "")), variables)) restore_variables(now)
  if (!identical(now <- as.list(.Options), expected)) restore_options(now)
  if (!identical(getwd(), directory) && !is.null(directory)) try(setwd(directory), silent = TRUE)
  if (.Internal(sink.number(FALSE)) != 2L) sink(type = "message")
  if (!seeded && !identical(g$.Random.seed[1L], kind)) restore_generator()
  if (!identical(now <- getAllConnections(), connections))
    for (con in setdiff(now, connections)) try(close(getConnection(con)), silent = TRUE)
  if (!identical(.Devices, opened)) {
    for (device in setdiff(devices(), left_open)) grDevices::dev.off(device)
    opened <<- .Devices
  }
  namespaces <<- length(loadedNamespaces())
}
}, .roost)
local({
# Environment variables, "NAME=value" each. Those that a package just loaded has set stay, as do its options.
restore_variables <- function(now) {
  if (length(loadedNamespaces()) != namespaces) return(variables <<- now)
  name <- function(texts) substr(texts, 1L, regexpr("=", texts, fixed = TRUE) - 1L)
  lost <- setdiff(variables, now)
  added <- setdiff(name(now), name(variables))
  if (length(lost)) {
    values <- substring(lost, nchar(name(lost)) + 2L)
    do.call(Sys.setenv, stats::setNames(as.list(values), name(lost)))
  }
  if (length(added)) Sys.unsetenv(added)
  variables <<- .Internal(Sys.getenv(character(), ""))
}

# Options of a package just loaded stay.
restore_options <- function(now) {
  added <- setdiff(names(now), names(expected))
  if (length(added)) {
    if (length(loadedNamespaces()) == namespaces) options(stats::setNames(vector("list", length(added)), added))
    else {
      expected[added] <<- now[added]
      plain[added] <<- now[added]
      namespaces <<- length(loadedNamespaces())
    }
  }
  old <- expected[!vapply(names(expected), function(name) identical(now[[name]], expected[[name]]), NA)]
  try(options(old), silent = TRUE)
  expected <<- as.list(.Options)
  if (current == "") plain <<- expected
}

restore_generator <- function() {
  now <- if (seeded) former_seed else g$.Random.seed
  odd <- if (is.null(now)) seeded else !identical(now[1L], kind) && (seeded || !identical(RNGkind(), kinds))
  if (odd) {
    suppressWarnings(do.call(RNGkind, as.list(kinds)))
    if (exists(".Random.seed", g, inherits = FALSE)) rm(".Random.seed", envir = g)
  } else {
    if (seeded) assign(".Random.seed", now, envir = g)
    kind <<- now[1L]
  }
  seeded <<- FALSE
  former_seed <<- NULL
}

}, .roost)
# ---- the way round ----

local({
serve <- function() repeat switch(phase, idle = receive(), ready = perform(), pack = answer(),
                                  stop("phase ", phase))

w <- environment()
rm(".roost", envir = g)
X <- values <- details <- frame <- seeds <- job <- trace <- former_seed <- NULL
n <- start <- depth <- batches <- 0L
live <- seeded <- return_seed <- warm <- FALSE
expected <- plain <- variables <- kinds <- kind <- directory <- connections <- opened <- left_open <- namespaces <- NULL
look()
plain <- expected
send(1, stream(list(paste(R.version$major, R.version$minor, sep = "."), pid, R.version$platform, tempdir())))
repeat {
  .Internal(interruptsSuspended(TRUE))
  if (!warm) .Internal(enableJIT(0L))
  guard()
}
}, .roost)
