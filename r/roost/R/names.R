# The names that code mentions. Looking for them takes milliseconds, so what was found is kept by the function's text: its
# formals, its body and its attributes. Values and environments are looked up at every call (globals.R).
#
#   sure        package globals says that the code reads them from outside
#   doubtful    they are mentioned somewhere else: in quoted code, in strings, behind assignments in some branch
#   called      of these, such as are called there
#   dots        the code reads the `...` of a function around it
#   computes    the code may read variables whose names are not in its text: get(), eval(), environment()
#   strings     it has strings
#   parts       of its strings, where it pastes names together: those that are wanted may begin or end with them
#   selects     it calls functions by names that it has as values: do.call(), match.fun()
#   constants   functions, environments and pointers that stand in the code as values

names_kept <- 64L              # texts that are kept of functions of one name

names_cache <- new.env(parent = emptyenv())

code_names <- function(f, name = "") {
  if (!nzchar(name)) name <- "function"
  known <- names_cache[[name]]
  for (i in seq_along(known)) if (identical(known[[i]]$fun, f, ignore.environment = TRUE)) return(known[[i]])
  found <- find_names(f)
  names_cache[[name]] <- utils::head(c(list(found), known), names_kept)
  found
}

find_names <- function(f) {
  walked <- walk_code(f)
  found <- globals_of(f, "ordered")
  # The other method knows of no order: it has what is assigned in some branch, and what is simply a variable of the function.
  found <- union(found, setdiff(globals_of(f, "liberal"), assigned_first(body(f))))
  found <- grep("^\\.\\.([.]|[0-9]+)$", found, value = TRUE, invert = TRUE)
  # Without its environment: what it holds is not to be kept for the sake of the text.
  text <- f
  environment(text) <- baseenv()
  doubtful <- setdiff(walked$names, c(found, "..."))
  called <- setdiff(walked$called, found)
  dots <- "..." %in% walked$names
  extra <- attributes(f)
  list2env(list(fun = text, sure = found, doubtful = doubtful, all = c(found, doubtful), called = called, dots = dots,
                computes = walked$computes, strings = walked$strings, parts = walked$parts, selects = walked$selects,
                constants = walked$constants,
                simple = !dots && !walked$computes && !walked$selects && !length(walked$constants) &&
                  !length(extra[names(extra) != "srcref"])),
           parent = emptyenv())
}

globals_of <- function(f, method) tryCatch(
  suppressWarnings(globals::findGlobals(f, attributes = FALSE, dotdotdot = "ignore", method = method)),
  error = function(e) setdiff(all.names(body(f), unique = TRUE), names(formals(f))))

# The names that are assigned in any case.
assigned_first <- function(code) {
  if (!is.call(code)) return(NULL)
  head <- as.character(code[[1L]])[1L]
  if (head %in% c("{", "(")) unlist(lapply(as.list(code)[-1L], assigned_first))
  else if (head %in% c("<-", "=")) c(if (is.symbol(code[[2L]])) as.character(code[[2L]]), assigned_first(code[[3L]]))
  else if (head == "for") as.character(code[[2L]])
}

# Functions that read variables by names that they compute, or the frames of their callers.
computing <- c("get", "get0", "mget", "exists", "dynGet", "eval", "evalq", "eval.parent", "parse", "str2lang", "str2expression",
               "source", "environment", "parent.env", "as.environment", "sys.frame", "sys.frames", "parent.frame", "ls",
               "objects", "sys.function", "list2env", "as.list.environment")
# Functions that take names from values, and make formulas of texts.
selecting <- c("do.call", "match.fun", "getFunction", "as.formula", "formula", "reformulate")
handed <- c("get", "get0", "mget", "match.fun", "do.call", "as.formula", "eval")   # as arguments: sapply(names, get)
# Functions that make names.
pasting <- c("paste", "paste0", "sprintf", "sub", "gsub", "glue", "str_c", "str_glue", "ls", "objects", "apropos")
naming <- c("do.call", "match.fun", "Reduce", "Filter", "Map", "lapply", "sapply", "vapply", "mapply")

# All names in a function's text, or in code, but those that are surely arguments of a function in it, fields after `$`, or
# packages.
walk_code <- function(code) {
  names <- called <- character()
  computes <- FALSE
  strings <- selects <- pastes <- FALSE
  parts <- character()
  constants <- list()
  add <- function(new, bound) names <<- c(names, new[!new %in% bound])
  walk_all <- function(list, bound) for (i in seq_along(list)) {
    part <- list[[i]]
    if (!missing(part)) walk(part, bound)
  }
  walk <- function(code, bound) switch(typeof(code),
    symbol = {
      name <- as.character(code)
      if (grepl("^\\.\\.([0-9]+)$", name)) name <- "..."
      else if (startsWith(name, "..") && name != "...") name <- c(name, substring(name, 3L))   # as data.table reads it
      if (any(nzchar(name))) add(name, bound)
      if (name[1L] %in% handed && !name[1L] %in% bound) selects <<- TRUE
    },
    language = walk_call(code, bound),
    character = {
      strings <<- TRUE
      if (length(code) <= 100L) {
        # Also names that are no words: do.call("names<-", …), Reduce("%+%", …).
        add(c(words(code), code[!is.na(code) & nchar(code, "bytes") %in% 1:100]), bound)
        parts <<- c(parts, code)
      }
    },
    closure = {
      inner <- c(bound, names(formals(code)))
      walk_all(formals(code), inner)
      walk(body(code), inner)
      if (!is.null(attributes(code))) keep(code)
    },
    environment = , externalptr = , S4 = , weakref = keep(code),
    list = { keep(code); walk_all(code, bound) },
    pairlist = , expression = walk_all(code, bound))
  keep <- function(value) constants[[length(constants) + 1L]] <<- value
  walk_call <- function(call, bound) {
    head <- call[[1L]]
    name <- if (is.symbol(head)) as.character(head) else ""
    if (name == "function") {
      inner <- c(bound, names(call[[2L]]))
      walk_all(call[[2L]], inner)
      return(walk(call[[3L]], inner))
    }
    if (name %in% c("::", ":::")) return()
    # stats::get() is get(), too.
    said <- if (is.call(head) && length(head) == 3L && is.symbol(head[[3L]])) as.character(head[[3L]]) else name
    if (said %in% computing) computes <<- TRUE
    else if (said %in% selecting) selects <<- TRUE
    if (said %in% pasting) pastes <<- TRUE
    if (said %in% naming && length(call) > 1L && is.call(call[[2L]]) && is.symbol(call[[2L]][[1L]]) &&
        as.character(call[[2L]][[1L]]) %in% c("paste", "paste0", "sprintf")) computes <<- TRUE
    if (said %in% c("...length", "...elt", "...names", "nargs")) add("...", bound)
    if (nzchar(name) && !name %in% bound) called <<- c(called, name)
    walk(head, bound)
    rest <- as.list(call)[-1L]
    if (name %in% c("$", "@")) rest <- if (is.call(rest[[2L]])) rest else rest[1L]
    else if (name %in% c("library", "require", "requireNamespace", "loadNamespace")) rest <- rest[-1L]
    walk_all(rest, bound)
    if (typeof(call) == "language" && !is.null(attr(call, ".Environment"))) keep(call)
  }
  if (is.function(code)) {
    bound <- names(formals(code))
    walk_all(formals(code), bound)
    walk(body(code), bound)
  } else walk(code, NULL)
  list(names = unique(names), called = unique(called), computes = computes, strings = strings, selects = selects,
       parts = if ((computes || selects) && pastes) name_parts(parts), constants = constants)
}

# Strings may name variables: get("x"), glue("{x}"), as.formula("y ~ x"), do.call("%+%", ...), "names<-".
words <- function(text) {
  text <- text[!is.na(text) & nchar(text, "bytes") <= 1000L]
  text <- iconv(text, "", "UTF-8", sub = "byte")
  odd <- grepl("[^[:alnum:]._]", text)
  c(unlist(regmatches(text, gregexpr("[[:alpha:].][[:alnum:]._]*", text))), text[odd & nchar(text, "bytes") <= 100L],
    if (any(odd)) unlist(regmatches(text[odd], gregexpr("%[^% ]*%", text[odd]))))
}

# What get(paste0("x_", i)) and get(sprintf("x_%d", i)) begin or end with.
name_parts <- function(text) {
  text <- gsub("%[-+ 0-9.*$]*[a-zA-Z]", " ", text[!is.na(text) & nchar(text, "bytes") <= 1000L])
  parts <- unlist(regmatches(text, gregexpr("[[:alpha:]._][[:alnum:]._]*", text)))
  unique(parts[grepl("[[:alpha:]]", parts)])
}
