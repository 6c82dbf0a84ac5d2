# The R worker: runs a node agent's tasks, one batch at a time.
#
#   agent ── descriptor 3 ──▶ receive ─▶ perform ─▶ answer ─▶ tidy ─┐
#         ◀── descriptor 4 ──────────────────────────┘              └─▶ receive …
#
# Base R only, R >= 4.0. A frame is three doubles (kind, bytes, bytes), then two R streams of those lengths.
# Guarding a call costs R 10 us and a task may cost 1 us, so the guards stand once around everything (`guard`), and
# `phase` says what a condition interrupted. After a task that failed, the guards are set up anew and the batch goes
# on with the next. R compiles tasks' code and `task_loop` at their second call, the rest of this file only when some
# batches have shown that it pays: one function a batch, 10 ms each.
# R parses an expression anew at each of its lines, hence many small ones. The last never returns, and nothing may stand
# behind it: browser() would read it.
.roost <- new.env(parent = baseenv())
local({
g <- globalenv()
jit <- .Internal(enableJIT(0L))        # of the tasks' code
pid <- Sys.getpid()

max_conditions <- 1000L             # warnings, and messages, kept of one task
max_output <- c(1048576, 65536)     # bytes of output kept of one task: its first, its last
max_value <- 2147483648             # bytes of one value
max_calls <- 200L                   # lines of a traceback
max_search <- 10000L                # objects in one value that are searched for connections and pointers
max_depth <- 30L                    # lists in lists, that are
chunk <- 1073741824                 # bytes of one readBin or writeBin
joined <- 65536                     # parts of a frame up to this size are written as one
patience <- 0.02                    # seconds after which a batch of calls is broken off, behind the call that runs
warm_batches <- 50L                 # batches after which R compiles this file's hot functions, one a batch
spool_bytes <- 16777216             # size at which the file behind the sink is made anew
reserved <- 120L                    # connections below ours, which R code that counts from 3 may use

jobs <- new.env(parent = emptyenv())   # by handle: a job's common data, or what is wrong with it
current <- ""                          # handle of the job whose turn it is
phase <- "idle"                        # idle, received, job, setup, take, switch, refused, ready, run, pack, tidy
handling <- 0L                         # handle or number that a frame of phase job or setup names
owed <- FALSE                          # a job came, and its run has not come
fresh <- FALSE                         # an interrupt that comes now means the batch that was sent
careful <- FALSE                       # pack: some value could not be serialized, so take them one by one
spool <- NULL                          # file that catches what tasks of a batch of several print
spooled <- 0                           # bytes in it
over <- c(warnings = 0, messages = 0)  # conditions beyond max_conditions of task `over_at`; 0: of none
over_at <- 0L
custom <- NULL                         # the last condition that is no error, warning or message

}, .roost)
# ---- frames ----

local({
# Our connections have the highest numbers: tasks' own begin with 3, as in any R, and who guesses numbers does not meet ours.
high <- function(open) {
  low <- list()
  try(while (length(low) < reserved && (!length(low) || low[[length(low)]] < reserved))
    low[[length(low) + 1L]] <- .Internal(file("/dev/null", "", TRUE, "native.enc", "default", FALSE)), silent = TRUE)
  on.exit(for (con in low) close(con))
  open()
}

connect <- function() high(function() {
  from <<- file("/dev/fd/3", "rb", raw = TRUE)
  to <<- file("/dev/fd/4", "wb", raw = TRUE)
})
from <- to <- NULL
connect()

leave <- function() quit("no", 0L, FALSE)

# readBin(from, "double", 3L, endian = "little"), and its like, without the checks.
swap <- .Platform$endian != "little"
numbers <- function() .Internal(readBin(from, "double", 3L, NA_integer_, TRUE, swap))
}, .roost)
local({
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

stream <- function(x) .Internal(serialize(x, NULL, 3L, 3L, NULL))   # serialize(x, NULL, xdr = FALSE, version = 3L)
}, .roost)
local({
# One write a frame, if it is small. What is `unsent` goes first.
unsent <- raw()
send <- function(kind, first, second = raw()) {
  header <- .Internal(writeBin(as.double(c(kind, length(first), length(second))), raw(), NA_integer_, swap, FALSE))
  if (length(first) + length(second) <= joined)
    .Internal(writeBin(c(unsent, header, first, second), to, NA_integer_, FALSE, FALSE))
  else {
    .Internal(writeBin(c(unsent, header), to, NA_integer_, FALSE, FALSE))
    write(first)
    if (length(second)) write(second)
  }
  if (length(unsent)) unsent <<- raw()
  .Internal(flush(to))
}

write <- function(bytes) {
  if (length(bytes) <= chunk) return(.Internal(writeBin(bytes, to, NA_integer_, FALSE, FALSE)))
  for (at in seq(0, length(bytes) - 1, by = chunk))
    writeBin(bytes[seq(at + 1, min(length(bytes), at + chunk))], to)
}
}, .roost)
local({
receive <- function() {
  fresh <<- owed
  header <- numbers()
  if (length(header) < 3L) leave()
  kind <<- header[1L]
  data <<- unserialize(read(header[2L]))
  body <<- if (header[3L] > 0) read(header[3L])
  phase <<- "received"
}
}, .roost)
local({
obey <- function() {
  # An interrupt that was sent before this batch meant an earlier one: it fires here, and we come again.
  if (!fresh) {
    fresh <<- TRUE
    let_interrupts()
  }
  handling <<- data[[1L]]
  if (kind == 2) { phase <<- "take"; return(take(body)) }
  if (owed) send_settled()
  if (kind == 1) { phase <<- "job"; return(add_job(body)) }
  if (kind == 3) { phase <<- "tidy"; return(forget(handling)) }
  phase <<- "setup"
  set_up(if (kind == 5) from_file(data[[2L]]) else unserialize(body))
  phase <<- "idle"
  settle()
  send_settled()
}

let_interrupts <- function() {
  .Internal(interruptsSuspended(FALSE))
  .Internal(Sys.sleep(0))
  .Internal(interruptsSuspended(TRUE))
}
}, .roost)
local({
# Answers frames 1, 4 and 5. After a job comes its run: the answer goes with that one's.
settle <- function(error = NULL) {
  if (is.null(error) && is.integer(handling)) {
    settled[settled_at] <- .Internal(writeBin(handling, raw(), 4L, FALSE, FALSE))
    unsent <<- c(unsent, settled)
    return()
  }
  unsent <<- c(unsent, settled_frame(handling, error))
}

settled_frame <- function(number, error) {
  text <- stream(list(number, error))
  c(.Internal(writeBin(as.double(c(4, length(text), 0)), raw(), NA_integer_, swap, FALSE)), text)
}

# The answer that all is well, and where in it the number stands.
settled <- settled_frame(16909060L, NULL)
settled_at <- grepRaw(writeBin(16909060L, raw()), settled, fixed = TRUE) + 0:3

send_settled <- function() {
  owed <<- FALSE
  writeBin(unsent, to)
  flush(to)
  unsent <<- raw()
}
}, .roost)
local({
from_file <- function(path) {
  con <- file(path, "rb", raw = TRUE)
  on.exit(close(con))
  unserialize(con)
}

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
add_job <- function(bytes) {
  handle <- as.character(handling)
  owed <<- TRUE
  jobs[[handle]] <- unserialize(bytes)
  settle()
  phase <<- "idle"
}

forget <- function(handle) {
  handle <- as.character(handle)
  if (handle == current) retire()
  if (!is.null(jobs[[handle]])) .Internal(remove(handle, jobs, FALSE))
  phase <<- "idle"
}
}, .roost)
local({
# Globals, packages and options come into force when the job has its turn: jobs of one session may take turns. Each turn tries
# anew: what failed once, or was interrupted, is no reason to fail again.
switch_to <- function(handle) {
  if (current != "") retire()
  current <<- handle
  for (package in job$namespaces) if (is.null(.Internal(getRegisteredNamespace(package)))) load_package(package, FALSE)
  if (!identical(job$packages, lent_for)) lend(job$packages)
  if (length(loadedNamespaces()) != namespaces) absorb_loaded()
  plain <<- expected
  if (length(job$options)) {
    optioned <<- TRUE
    options(job$options)
    expected <<- option_list()
  }
  if (length(job$globals)) bring(job$globals, isTRUE(job$s4))
}

# The turn is over. What the next one needs as well stays attached.
retire <- function() {
  current <<- ""
  if (length(brought)) take_away()
  if (!optioned) return()
  optioned <<- FALSE
  expected <<- plain
  if (!identical(now <- option_list(), expected)) restore_options(now)
}
}, .roost)
local({
option_list <- function() .Internal(as.vector(.Options, "list"))
}, .roost)
local({
# An interrupt in the middle of loading leaves R with half a namespace and promises that can never be used again. So it waits.
load_package <- function(package, attach = TRUE) {
  fault <- tryCatch({
    if (attach) suppressPackageStartupMessages(library(package, character.only = TRUE)) else loadNamespace(package)
    NULL
  }, error = identity)
  if (is.null(fault)) return(let_interrupts())
  there <- nzchar(system.file(package = package))
  stop(simpleError(paste0(
    "package '", package, "' ", if (!there) "is not installed" else if (attach) "cannot be attached" else "cannot be loaded",
    " on node ", Sys.info()[["nodename"]], ", R ", getRversion(), " (library paths: ", paste(.libPaths(), collapse = ", "), "): ",
    if (there) conditionMessage(fault) else "install it there, or name the library that has it as lib_paths")))
}

# Attaches a job's packages, and detaches those of the job before.
lend <- function(packages) {
  lent_for <<- NULL
  restore_search(own_search)
  for (package in packages) if (!paste0("package:", package) %in% search()) load_package(package)
  lent_for <<- packages
  kept_search <<- search()
}
}, .roost)
local({
# What a package that was loaded just now has set stays.
absorb_loaded <- function() {
  if (!identical(now <- .Internal(Sys.getenv(character(), "")), variables)) restore_variables(now)
  if (!identical(now <- option_list(), expected)) restore_options(now)
  namespaces <<- length(loadedNamespaces())
}

# Makes the search path what it was.
restore_search <- function(wanted) {
  now <- search()
  extra <- now
  for (name in wanted) extra <- extra[-match(name, extra, length(extra) + 1L)]
  for (name in extra) try(suppressWarnings(suppressMessages(detach(name, character.only = TRUE))), silent = TRUE)
  for (name in setdiff(wanted, now)) if (startsWith(name, "package:"))
    try(suppressPackageStartupMessages(attachNamespace(substring(name, 9L))), silent = TRUE)
}
}, .roost)
local({
# Assigns a job's globals.
bring <- function(globals, s4) {
  own_names <<- kept_names
  own_values <<- kept_values
  brought <<- globals
  brought_s4 <<- s4
  for (name in names(globals)) assign(name, globals[[name]], envir = g)
  if (s4) methods::cacheMetaData(g, TRUE)
  look_variables()
}

# The same of a single call.
bring_call <- function(globals) {
  called <<- names(globals)
  for (name in called) assign(name, globals[[name]], envir = g)
}

clear_call <- function() {
  names <- called
  called <<- NULL
  if (any(names %in% kept_names)) restore_globals() else .Internal(remove(names[names %in% .Internal(ls(g, TRUE, FALSE))], g, FALSE))
}

# Puts back what was there before them, or nothing.
take_away <- function() {
  globals <- brought
  brought <<- NULL
  s4 <- brought_s4
  brought_s4 <<- FALSE
  kept_names <<- own_names
  kept_values <<- own_values
  if (s4) try(methods::cacheMetaData(g, FALSE), silent = TRUE)
  names <- names(globals)
  if (phase == "refused" || s4 || any(names %in% kept_names)) restore_globals() else {
    .Internal(remove(names, g, FALSE))
    kept_names <<- .Internal(ls(g, TRUE, FALSE))
  }
  if (s4 && any(startsWith(kept_names, ".__"))) try(methods::cacheMetaData(g, TRUE), silent = TRUE)
  own_names <<- own_values <<- NULL
}
}, .roost)
local({
set_up <- function(entry) {
  if (seeded) restore_generator()
  retire()
  if (length(lent_for)) lend(NULL)
  on.exit({ .Internal(interruptsSuspended(TRUE)); look() })
  .Internal(interruptsSuspended(FALSE))
  switch(entry$kind,
    assign = for (i in seq_along(entry$names)) assign(entry$names[i], entry$values[[i]], envir = g),
    eval = eval(entry$expr, g),
    session = {
      if (length(entry$lib_paths)) .libPaths(c(private, entry$lib_paths))
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
take <- function(bytes) {
  values <<- details <<- job <<- NULL
  n <<- NA
  start <<- 1L
  owed <<- FALSE
  live <<- isTRUE(data[[3L]])
  X <<- unserialize(bytes)
  n <<- length(X)
  values <<- vector("list", n)
  handle <- as.character(handling)
  job <<- jobs[[handle]]
  if (is.null(job)) job <<- simpleError("this worker does not know the task's job")
  if (inherits(job, "error")) return(refuse(job))
  given <- data[[2L]]
  if (length(given)) {
    seeds <<- if (n == 1L) c(10407L, given) else rbind(10407L, matrix(given, 6L))
    if (n == 1L) dim(seeds) <<- c(7L, 1L)
  } else seeds <<- NULL
  if (is.null(seeds)) {
    if (seeded) restore_generator()
  } else if (!seeded) {
    seeded <<- TRUE
    former_seed <<- g$.Random.seed
  }
  if (current != handle) {
    phase <<- "switch"
    switch_to(handle)
  }
  return_seed <<- isTRUE(job$return_seed)
  calls <<- isTRUE(job$calls)
  if (n > 1L) catch_output()
  phase <<- "ready"
}
}, .roost)
local({
# All tasks of the batch fail with this.
refuse <- function(error) {
  .Internal(interruptsSuspended(TRUE))
  if (is.na(n)) n <<- count_elements(body)
  values <<- vector("list", n)
  for (i in seq_len(n)) note(i, error = error)
  if (phase == "switch") {
    phase <<- "refused"
    lent_for <<- FALSE
    retire()
  }
  phase <<- "pack"
}

# How long the list is whose stream this is, also when it cannot be read.
count_elements <- function(bytes) {
  from <- 14L + 4L + .Internal(readBin(bytes[15:18], "integer", 1L, 4L, TRUE, swap)) + 4L
  .Internal(readBin(bytes[from + 1:4], "integer", 1L, 4L, TRUE, swap))
}
}, .roost)
local({
catch_output <- function() {
  if (is.null(spool) || spooled > spool_bytes || !as.integer(spool) %in% getAllConnections()) {
    if (!is.null(spool)) try(close(spool), silent = TRUE)
    spool <<- high(function() file("", "w+b"))
    spooled <<- 0
    connections <<- sort(union(connections, as.integer(spool)))
  }
  sink(spool)
}
}, .roost)
local({
# Runs tasks start..n. Its frame is what a task's function sees as its caller: eval() and get() as FUN look into it, and calls that
# values keep (of lm, t.test) are made in it. So it has lapply's names, `FUN`, `X` and `i`, else dotted ones, and the global
# environment behind it. `forceAndCall` makes lazy arguments keep this element.
task_loop <- function(..., .w) {
  .w$frame <- environment()
  .w$depth <- sys.nframe()
  FUN <- .w$job$fun
  X <- .w$X
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
    i <- .i
    if (.seeded) .g[[".Random.seed"]] <- .seeds[, .i]
    .value <- forceAndCall(1, FUN, X[[i]], ...)
    if (!is.atomic(.value) || is.object(.value)) .w$check(.value)
    if (!is.null(.value)) .values[[.i]] <- .value
    if (.return_seed) .w$note(.i, seed = .g[[".Random.seed"]])
    if (.several) {
      if (.Internal(sink.number(TRUE)) != 1L) .w$restore_sink()
      if (.Internal(seek(.spool, NA_real_, 1L, 2L)) != .spooled) .spooled <- .w$printed(.i)
    }
  }
  .w$values <- .values
  .w$start <- .w$n + 1L
  .w$phase <- "pack"
}
# The same for small calls: each task brings a function of its own, its arguments and globals: list(fun, x, args, globals). Calls have
# nothing to do with each other, so those behind one that took long are left to other workers.
call_loop <- function(..., .w) {
  .w$frame <- environment()
  .depth <- sys.nframe()
  .X <- .w$X
  .g <- .w$g
  .seeds <- .w$seeds
  .seeded <- !is.null(.seeds)
  .several <- .w$n > 1L
  .spool <- .w$spool
  .spooled <- .w$spooled
  .values <- .w$values
  .w$values <- NULL
  i <- 1L
  # No argument's name is one of this function's.
  .run <- function(...) forceAndCall(1, FUN, X[[i]], ...)
  if (.several && .w$start == 1L) .w$began <- proc.time()[[3L]]
  for (.i in .w$start:.w$n) {
    if (.several && .i > 1L && proc.time()[[3L]] - .w$began > .w$patience) {
      .values <- .values[seq_len(.i - 1L)]
      .w$n <- .i - 1L
      break
    }
    if (.seeded) .g[[".Random.seed"]] <- .seeds[, .i]
    .call <- .X[[.i]]
    if (!is.null(.w$called)) .w$clear_call()
    if (length(.call$globals)) .w$bring_call(.call$globals)
    FUN <- .call$fun
    X <- .call["x"]
    if (length(.call$args)) {
      .w$depth <- .depth + 2L
      .value <- do.call(.run, .call$args, quote = TRUE)
    } else {
      .w$depth <- .depth
      .value <- forceAndCall(1, FUN, X[[i]], ...)
    }
    if (!is.atomic(.value) || is.object(.value)) .w$check(.value)
    if (!is.null(.value)) .values[[.i]] <- .value
    if (.several) {
      if (.Internal(sink.number(TRUE)) != 1L) .w$restore_sink()
      if (.Internal(seek(.spool, NA_real_, 1L, 2L)) != .spooled) .spooled <- .w$printed(.i)
    }
  }
  .w$values <- .values
  .w$start <- .w$n + 1L
  .w$phase <- "pack"
}
environment(call_loop) <- new.env(parent = g)
environment(task_loop) <- new.env(parent = g)   # R compiles big functions of the global environment at once
}, .roost)
local({
perform <- function() {
  if (start > n) return(phase <<- "pack")
  frame <<- NULL
  phase <<- "run"
  .Internal(interruptsSuspended(FALSE))
  if (!warm) .Internal(enableJIT(jit))
  if (calls) call_loop(.w = w)
  else if (length(job$args)) do.call(task_loop, c(job$args, list(.w = w)), quote = TRUE) else task_loop(.w = w)
  .Internal(interruptsSuspended(TRUE))
  if (!warm) .Internal(enableJIT(0L))
}

# R compiles what is called often only with everything that it calls, in a third of a second: the hot functions are enough.
hot <- c("serve", "receive", "numbers", "read", "obey", "take", "add_job", "settle", "switch_to", "retire", "perform",
         "answer", "stream", "send", "tidy", "tidy_globals", "values_now", "option_list", "mend", "forget", "check",
         "is_plain", "note", "bring", "take_away", "look_variables", "catch_output", "restore_globals", "let_interrupts",
         "state", "end_limits")
warm_up <- function() {
  batches <<- batches + 1L
  if (batches <= warm_batches) return()
  name <- hot[batches - warm_batches]
  if (is.na(name)) {
    warm <<- is_new <<- TRUE
    .Internal(enableJIT(jit))
  } else assign(name, compiler::cmpfun(get(name, w)), envir = w)
}
}, .roost)
local({
# The task left a sink of its own, or took ours.
restore_sink <- function() {
  while (.Internal(sink.number(TRUE)) > 0L) sink()
  sink(spool)
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
# Connections and external pointers mean nothing outside the process that made them. Plain values must pass quickly.
plain_attributes <- c("names", "class", "levels", "row.names", "dim", "dimnames", "tzone", "units", "tsp")
check <- function(value) {
  if (is.null(value)) return()
  if (is.list(value)) {
    left <<- max_search
    if (!is.object(value)) { if (is_plain(value)) return() }
    else if (all(names(attributes(value)) %in% plain_attributes) && is_plain(value)) return()
  } else if (is.atomic(value) && all(names(attributes(value)) %in% plain_attributes) && !inherits(value, "connection")) return()
  place <- find_reference(value)
  if (is.null(place) || identical(getOption("roost.references"), "allow")) return()
  what <- place$what
  place <- paste(place$at, collapse = "")
  stop(simpleError(paste0(
    "the task's value ", if (place == "") "is " else "holds ", what, if (place != "") paste0(" at value", place),
    ", which means nothing outside the process that made it: return its contents",
    if (place != "") ", or set options(roost.references = \"allow\") if it may arrive dead"), quote(FUN(X[[i]], ...))))
}
}, .roost)
local({
# Whether a list has nothing but plain vectors and such lists.
is_plain <- function(value, depth = max_depth) {
  for (element in value) {
    if (is.object(element)) return(FALSE)
    if (is.atomic(element) || is.null(element)) next
    if (!is.list(element) || left < 0L) return(FALSE)
    if (depth > 0L && !is_plain(element, depth - 1L)) return(FALSE)
  }
  if (length(value) > 10L) left <<- left - length(value)
  TRUE
}

# As in the R package's references.R.
self_mending <- c("data.table", "merMod", "lmerMod", "glmerMod", "nlmerMod", "lmerModLmerTest", "merPredD", "lmResp", "lmerResp",
                  "glmResp", "nlsResp", "xgb.Booster", "lgb.Booster", "igraph", "fastmap", "cachem")

# Where a value holds one: list(what =, at = the accessors); NULL: nowhere, as far as `max_search` objects tell.
find_reference <- function(value) {
  left <- max_search
  depth <- max_depth
  seen <- list(g, baseenv(), emptyenv())
  within <- function(x, at) {
    if (depth <= 0L) return()
    depth <<- depth - 1L
    found <- walk(x)
    depth <<- depth + 1L
    if (!is.null(found)) list(what = found$what, at = c(at, found$at))
  }
  walk <- function(x) {
    left <<- left - 1L
    if (left < 0L) return()
    # Classes whose packages make their pointers anew, and pointers to nothing.
    if (is.object(x) && inherits(x, self_mending)) return()
    if (typeof(x) == "externalptr") {
      if (identical(x, methods::new("externalptr"))) return()
      return(list(what = paste0("an external pointer (", classes(x), ")")))
    }
    if (is.object(x) && inherits(x, "connection")) return(list(what = paste0("a connection (", classes(x), ")")))
    if (is.list(x)) {
      names <- names(x)
      for (i in seq_along(x)) {
        element <- .subset2(x, i)
        if (is.atomic(element) && !is.object(element)) next
        label <- if (length(names) && !is.na(names[i]) && nzchar(names[i])) paste0("$", names[i]) else paste0("[[", i, "]]")
        if (!is.null(found <- within(element, label))) return(found)
        if (left < 0L) return()
      }
    } else if (typeof(x) == "closure") {
      if (!is.null(found <- within(environment(x), "'s environment"))) return(found)
    } else if (typeof(x) == "environment") {
      # A frame of a package's function is the package's to know.
      if (isNamespace(topenv(x)) || any(vapply(seen, identical, NA, x)) || !is.null(attr(x, "name"))) return()
      seen <<- c(seen, list(x))
      for (name in ls(x, all.names = TRUE, sorted = FALSE)) {
        if (bindingIsActive(as.name(name), x)) next
        # An argument that was not looked at yet must stay so: of promises this is the expression.
        element <- eval(call("substitute", as.name(name), x))
        if (is.atomic(element) && !is.object(element) || is.language(element)) next
        if (!is.null(found <- within(element, paste0("$", name)))) return(found)
        if (left < 0L) return()
      }
      if (!is.null(found <- within(parent.env(x), "'s parent"))) return(found)
    }
    if (typeof(x) != "closure" || is.object(x)) {
      extra <- attributes(x)
      extra[c("names", "class", "dim", "dimnames", "row.names", "levels", "tsp", "srcref", ".internal.selfref")] <- NULL
      for (name in names(extra)) if (!is.atomic(extra[[name]]) || is.object(extra[[name]]))
        if (!is.null(found <- within(extra[[name]], paste0("@", name)))) return(found)
    }
    NULL
  }
  walk(value)
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
}, .roost)
local({
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
    rest <- simpleCondition(paste(format(over[[kind]], big.mark = ",", scientific = FALSE), "more", kind,
                                  "of this task are left out"))
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
  error = function(e) failed(e, trace), interrupt = function(e) interrupted())

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
  if (!length(calls) || !identical(calls[[1L]][[1L]], quote(FUN))) return(NULL)   # our own
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
  .Internal(interruptsSuspended(TRUE))
  if (!warm) .Internal(enableJIT(0L))
  end_limits()
  i <- if (is.null(frame$.i)) start else frame$.i
  if (!is.null(frame$.values)) values <<- frame$.values
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
# After closeAllConnections() in a task. TRUE: an error without calls is the loop's own, from `seek`. What was read ahead of
# the connection is lost with it; behind a batch nothing comes but a `forget`, now and then.
mend <- function() {
  now <- .Internal(getAllConnections())
  if (identical(now, connections)) return(FALSE)
  lost <- !as.integer(from) %in% now || !as.integer(to) %in% now
  if (lost) {
    for (con in list(from, to)) if (as.integer(con) %in% now) close(con)
    connect()
  }
  if (!is.null(spool) && !as.integer(spool) %in% now) {
    lost <- TRUE
    spool <<- NULL
    if (n > 1L) catch_output()
  }
  if (lost) {
    ours <- c(as.integer(from), as.integer(to), if (!is.null(spool)) as.integer(spool))
    connections <<- sort(union(intersect(connections, now), ours))
  }
  lost
}
}, .roost)
local({
# What an error, an interrupt or a jump to top level has ended depends on the phase.
failed <- function(e, calls = NULL) switch(phase,
  run = fail(e, calls),
  job = fail_entry(e),
  setup = fail_entry(e),
  take = , switch = refuse(e),
  refused = phase <<- "pack",
  tidy = phase <<- "idle",
  pack = if (!careful) careful <<- TRUE else give_up(e),
  give_up(e))

fail_entry <- function(e) {
  .Internal(interruptsSuspended(TRUE))
  was <- phase
  phase <<- "idle"
  text <- reason(e)
  if (was == "job") jobs[[as.character(handling)]] <- simpleError(paste("the job's data could not be read:", text))
  settle(text)
  if (was == "setup") send_settled()
}

give_up <- function(e) {
  cat("roost worker:", reason(e), "\n", file = stderr())
  quit("no", 70L, FALSE)
}
}, .roost)
local({
interrupted <- function() switch(phase,
  run = if (start <= n) fail(errorCondition("interrupted", class = "roost_interrupted")),
  take = , switch = refuse(errorCondition("interrupted", class = "roost_interrupted")),
  job = , setup = fail_entry(simpleError("interrupted")),
  tidy = phase <<- "idle")

# A jump to top level: invokeRestart("abort"), or stop() with a condition that is no error.
aborted <- function(...) {
  if (!phase %in% c("run", "switch", "setup")) return()
  e <- custom
  if (is.null(e)) e <- simpleError(paste("the", if (phase == "setup") "setup" else "task", "jumped to top level (restart \"abort\")"))
  failed(if (inherits(e, "error")) e else errorCondition(reason(e), condition = e))
}
}, .roost)
# ---- answers ----

local({
answer <- function() {
  if (Sys.getpid() != pid) tools::pskill(Sys.getpid(), 9L)   # a task's forked child: it must not end like R does
  mend()
  if (n > 1L) catch_up(n)
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
  phase <<- "tidy"
  X <<- values <<- details <<- frame <<- seeds <<- body <<- NULL
  if (!is.null(called)) clear_call()
  tidy()
  if (!warm) warm_up()
  phase <<- "idle"
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
}, .roost)
local({
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
  expected <<- plain <<- option_list()
  namespaces <<- length(loadedNamespaces())
  directory <<- getwd()
  variables <<- .Internal(Sys.getenv(character(), ""))
  kinds <<- RNGkind()
  generator <<- g$.Random.seed[1L]
  connections <<- getAllConnections()
  left_open <<- devices()
  libraries <<- .libPaths()
  own_search <<- kept_search <<- search()
  lent_for <<- NULL
  locale <<- Sys.getlocale()
  locales <<- vapply(categories, Sys.getlocale, "")
  mask <<- .Internal(Sys.umask(NA_integer_))
  kept_state <<- state()
  look_variables()
}

categories <- c("LC_COLLATE", "LC_CTYPE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LC_MESSAGES")
}, .roost)
local({
# The variables of the global environment, but for the generator's state and those that a function computes.
look_variables <- function() {
  kept_names <<- .Internal(ls(g, TRUE, FALSE))
  names <- kept_names[kept_names != ".Random.seed"]
  active <- FALSE
  for (name in names) if (bindingIsActive(as.name(name), g)) active <- TRUE
  if (active) names <- names[!vapply(names, function(name) bindingIsActive(as.name(name), g), NA)]
  kept_values <<- if (length(names)) mget(names, envir = g) else none
}

# Time limits do not strike while interrupts are suspended, so their end may wait for this.
end_limits <- function() {
  .Internal(setSessionTimeLimit(Inf, Inf))
  .Internal(setTimeLimit(Inf, Inf, FALSE))   # computes the next limit of both
}

state <- function() list(
  getwd(), .Internal(getAllConnections()), unlist(.Devices), .libPaths(), .Internal(Sys.getlocale(1L)),
  .Internal(Sys.umask(NA_integer_)))
}, .roost)
local({
tidy <- function() {
  end_limits()
  if (!dir.exists(tempdir())) {
    # A task has removed it, or a child of a task that ended like R.
    dir.create(tempdir(), mode = "0700")
    dir.create(private)
  }
  if (environmentIsLocked(g)) quit("no", 0L, FALSE)   # nothing could be put back there
  if (isTRUE(job$keep)) keep_process() else {
    if (!identical(now <- .Internal(Sys.getenv(character(), "")), variables)) restore_variables(now)
    if (!identical(now <- option_list(), expected)) restore_options(now)
  }
  if (.Internal(sink.number(FALSE)) != 2L) sink(type = "message")
  if (!seeded && !identical(g$.Random.seed[1L], generator)) restore_generator()
  if (!identical(state(), kept_state)) restore_state()
  if (isTRUE(job$keep)) keep_globals() else tidy_globals()
  namespaces <<- length(loadedNamespaces())
}

# Options, environment variables and the directory that a job's tasks are to leave: as if setup had set them, but for the job's own
# options.
keep_process <- function() {
  if (!identical(now <- option_list(), expected)) {
    if (!length(job$options)) plain <<- now
    expected <<- now
  }
  variables <<- .Internal(Sys.getenv(character(), ""))
  if (!identical(now <- getwd(), directory)) {
    directory <<- now
    kept_state <<- state()
  }
}

restore_state <- function() {
  if (!identical(getwd(), directory) && !is.null(directory)) try(setwd(directory), silent = TRUE)
  if (!identical(now <- getAllConnections(), connections))
    for (con in setdiff(now, connections)) try(close(getConnection(con)), silent = TRUE)
  for (device in setdiff(devices(), left_open)) try(grDevices::dev.off(device), silent = TRUE)
  left_open <<- devices()
  if (!identical(.libPaths(), libraries)) .libPaths(libraries)
  if (!identical(Sys.getlocale(), locale)) for (name in categories) suppressWarnings(Sys.setlocale(name, locales[[name]]))
  Sys.umask(mask)
  kept_state <<- state()
}
}, .roost)
local({
# The variables that tasks left or changed, and what they attached.
tidy_globals <- function() {
  if (!identical(.Internal(ls(g, TRUE, FALSE)), kept_names) ||
      !identical(values_now(), kept_values)) restore_globals()
  if (!identical(search(), kept_search)) {
    restore_search(kept_search)
    kept_search <<- search()
  }
}
}, .roost)
local({
values_now <- function() .Internal(mget(names(kept_values), g, "any", list(NULL), FALSE))

restore_globals <- function() {
  now <- ls(g, all.names = TRUE, sorted = FALSE)
  extra <- setdiff(now, c(kept_names, ".Random.seed"))
  if (any(startsWith(extra, ".__"))) try(methods::cacheMetaData(g, FALSE), silent = TRUE)
  rm(list = extra, envir = g)
  for (name in names(kept_values)) {
    value <- kept_values[[name]]
    if (name %in% now && !bindingIsActive(as.name(name), g) && identical(g[[name]], value)) next
    if (name %in% now && (bindingIsActive(as.name(name), g) || bindingIsLocked(name, g))) {
      unlockBinding(name, g)
      rm(list = name, envir = g)
    }
    assign(name, value, envir = g)
  }
  if (any(startsWith(extra, ".__")) && any(startsWith(kept_names, ".__"))) try(methods::cacheMetaData(g, TRUE), silent = TRUE)
  kept_names <<- .Internal(ls(g, TRUE, FALSE))
}
}, .roost)
local({
# A job that is to leave what its tasks did: all of it is as if setup had done it, but for the job's own globals.
keep_globals <- function() {
  if (!identical(search(), kept_search)) {
    added <- setdiff(search(), kept_search)
    own_search <<- c(own_search[1L], added, intersect(own_search[-1L], search()))
    kept_search <<- search()
  }
  if (identical(.Internal(ls(g, TRUE, FALSE)), kept_names) && identical(values_now(), kept_values)) return()
  former <- kept_values
  look_variables()
  if (!length(brought)) return()
  for (name in union(names(former), names(kept_values))) {
    if (name %in% names(brought) && identical(kept_values[[name]], former[[name]])) next
    own_values[[name]] <<- kept_values[[name]]
  }
  own_names <<- c(names(own_values), intersect(".Random.seed", kept_names))
}
}, .roost)
local({
# Environment variables, "NAME=value" each. Those that a package just loaded has set stay, as do its options.
restore_variables <- function(now) {
  name <- function(texts) substr(texts, 1L, regexpr("=", texts, fixed = TRUE) - 1L)
  lost <- setdiff(variables, now)
  added <- setdiff(name(now), name(variables))
  # No package sets these for itself.
  if (length(loadedNamespaces()) != namespaces) added <- grep("^(TZ|LANG|LANGUAGE|LC_.*|TMPDIR|.*_NUM_THREADS|CUDA_.*)$", added, value = TRUE)
  if (length(lost)) {
    values <- substring(lost, nchar(name(lost)) + 2L)
    do.call(Sys.setenv, stats::setNames(as.list(values), name(lost)))
  }
  if (length(added)) Sys.unsetenv(added)
  variables <<- .Internal(Sys.getenv(character(), ""))
}
}, .roost)
local({
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
  expected <<- option_list()
  if (current == "") plain <<- expected
}
}, .roost)
local({
restore_generator <- function() {
  now <- if (seeded) former_seed else g$.Random.seed
  odd <- if (is.null(now)) seeded else !identical(now[1L], generator) && (seeded || !identical(RNGkind(), kinds))
  if (odd) {
    suppressWarnings(do.call(RNGkind, as.list(kinds)))
    if (exists(".Random.seed", g, inherits = FALSE)) rm(".Random.seed", envir = g)
  } else {
    if (seeded) assign(".Random.seed", now, envir = g)
    generator <<- now[1L]
  }
  seeded <<- FALSE
  former_seed <<- NULL
}
}, .roost)
# ---- the way round ----

local({
# Left once, so that its compiled form takes over.
serve <- function() while (!is_new) switch(phase, idle = receive(), received = obey(), ready = perform(), pack = answer(),
                                           stop("phase ", phase))
is_new <- FALSE

w <- environment()
rm(".roost", envir = g)
X <- values <- details <- frame <- seeds <- job <- trace <- former_seed <- kind <- data <- body <- NULL
n <- start <- depth <- batches <- left <- 0L
live <- seeded <- return_seed <- calls <- warm <- brought_s4 <- FALSE
expected <- plain <- variables <- kinds <- generator <- directory <- connections <- kept_state <- left_open <- namespaces <- NULL
libraries <- own_search <- kept_search <- lent_for <- locale <- locales <- mask <- NULL
none <- structure(list(), names = character())
optioned <- FALSE
kept_names <- kept_values <- own_names <- own_values <- brought <- called <- NULL
began <- 0
# A task may install packages, for itself.
private <- file.path(tempdir(), "library")
dir.create(private)
.libPaths(c(private, .libPaths()))
# In a task %dopar% is %do%: that nothing is registered for it is no news.
setHook(packageEvent("foreach", "onLoad"), function(...) asNamespace("foreach")$registerDoSEQ())
look()
send(1, stream(list(paste(R.version$major, R.version$minor, sep = "."), pid, R.version$platform, tempdir())))
repeat {
  .Internal(interruptsSuspended(TRUE))
  if (!warm) .Internal(enableJIT(0L))
  is_new <- FALSE
  guard()
}
}, .roost)
