# Classes, generics and methods. What R dispatches on here it must find there:
#
#   S3 methods of the session      functions of the global environment named generic.class, and those that registerS3method()
#                                  knows of: globals. All go that are small, others if their class or generic is mentioned
#   S4 and reference classes       of the session: R keeps them in the global environment as .__C__class and .__T__generic:package
#   classes of packages            namespaces that have methods for the classes of the values

base_packages <- c("base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel", "splines", "stats",
                   "stats4", "tcltk", "tools", "utils")

note_classes <- function(classes, needs) {
  if (is.null(classes) || identical(classes, needs$last)) return()
  needs$last <- classes
  needs$classes <- c(needs$classes, setdiff(classes, needs$classes))
  package <- attr(classes, "package")
  if (is.character(package) && length(package) == 1L) needs$class_packages <- union(needs$class_packages, package)
}

# ---- what packages know ----

namespaces_of <- function(needs) {
  look_at_namespaces()
  if (identical(needs$classes, class_index$asked) && identical(needs$class_packages, class_index$asked_packages))
    return(class_index$answer)
  here <- unlist(mget(needs$classes, envir = class_index$packages, ifnotfound = list(NULL)), use.names = FALSE)
  others <- setdiff(needs$class_packages, c(base_packages, ".GlobalEnv"))
  class_index$asked <- needs$classes
  class_index$asked_packages <- needs$class_packages
  class_index$answer <- unique(c(here, others[vapply(others, isNamespaceLoaded, NA)]))
}

# The same for arguments of parallel's verbs, which are sent as they are.
namespaces_in <- function(args) {
  needs <- list2env(blank_search, envir = NULL, parent = emptyenv())
  look <- function(x, depth) {
    if (is.object(x)) note_classes(class(x), needs)
    if (typeof(x) != "list" || depth >= 5L) return()
    x <- unclass(x)
    n <- length(x)
    for (i in if (n > looked_at) unique(round(seq(1, n, length.out = looked_at))) else seq_len(n)) {
      part <- x[[i]]
      if (!missing(part) && !is_plain_vector(part)) look(part, depth + 1L)
    }
  }
  look(args, 0L)
  if (length(needs$classes)) namespaces_of(needs)
}

looked_at <- 200L              # elements of a list

class_index <- new.env(parent = emptyenv())

# Which loaded packages have S3 methods for a class; classes that R's own packages know need none.
look_at_namespaces <- function() {
  loaded <- loadedNamespaces()
  if (identical(loaded, class_index$loaded)) return()
  class_index$loaded <- loaded
  class_index$asked <- NULL
  index <- new.env(parent = emptyenv())
  known <- base_classes()
  for (package in setdiff(loaded, c(base_packages, .packageName))) {
    classes <- setdiff(method_classes(package), known)
    for (class in classes) index[[class]] <- c(index[[class]], package)
  }
  class_index$packages <- index
}

method_classes <- function(package) {
  methods <- tryCatch(getNamespaceInfo(package, "S3methods"), error = function(e) NULL)
  if (is.matrix(methods) && ncol(methods) >= 2L) unique(as.character(methods[, 2L])) else character()
}

base_classes <- function() {
  if (is.null(class_index$base)) {
    own <- unlist(lapply(intersect(base_packages, loadedNamespaces()), method_classes))
    table <- get0(".S3_methods_table", envir = baseenv(), inherits = FALSE)
    class_index$base <- unique(c(own, if (is.matrix(table)) table[, 2L], "function", "list", "numeric", "integer", "character",
                                 "logical", "matrix", "array", "data.frame", "factor", "Date", "POSIXct", "POSIXlt", "default"))
  }
  class_index$base
}

# ---- what the session knows ----

add_methods <- function(needs) {
  for (name in session_index$methods) {
    value <- peek(name, globalenv())
    if (is.function(value)) add_method(name, value, needs)
  }
  for (name in names(session_index$registered)) add_method(name, session_index$registered[[name]], needs)
  if (length(session_index$s4)) add_s4(needs)
}

add_method <- function(name, value, needs) {
  if (match(name, names(needs$globals), 0L) || match(name, needs$hidden, 0L)) return()
  if (utils::object.size(value) > method_bytes && !is_mentioned(name, needs)) return()
  add_value(name, value, needs, FALSE)
}

method_bytes <- 65536          # the most that a method has that goes although no code mentions its generic or class

is_mentioned <- function(name, needs) {
  words <- unlist(lapply(needs$words, function(found) c(found$sure, found$doubtful)))
  dots <- gregexpr(".", name, fixed = TRUE)[[1L]]
  any(substring(name, dots + 1L) %in% c(needs$classes, words) | substring(name, 1L, dots - 1L) %in% words)
}

session_index <- new.env(parent = emptyenv())

# Has the session methods or classes? The global environment is searched again when its names have changed. R's table of registered
# methods is counted only if `thoroughly`, which is where some class may be in play: counting it takes longer than all the rest.
look_at_session <- function(thoroughly = TRUE) {
  home <- globalenv()
  now <- if (length(home) <= 500L) names(home) else length(home)
  if (identical(now, session_index$now) &&
      (!thoroughly || identical(length(session_index$base), session_index$count))) return(session_index$any)
  if (is.null(session_index$base)) session_index$base <- get(".__S3MethodsTable__.", envir = baseenv(), inherits = FALSE)
  all <- names(home)
  session_index$s4 <- all[startsWith(all, ".__C__") | startsWith(all, ".__T__")]
  plain <- all[!startsWith(all, ".__") & all != ".Random.seed"]
  plain <- plain[grepl(".", substring(plain, 2L), fixed = TRUE)]
  session_index$methods <- plain[vapply(plain, is_method_name, NA)]
  session_index$registered <- c(registered_here(session_index$base), registered_here(home[[".__S3MethodsTable__."]]))
  session_index$now <- now
  session_index$count <- length(session_index$base)
  session_index$any <- length(session_index$s4) + length(session_index$methods) + length(session_index$registered) > 0L
}

# Methods that no package has registered.
registered_here <- function(table) {
  if (is.null(table)) return(list())
  found <- list()
  for (name in names(table)) {
    method <- peek(name, table)
    if (is.function(method) && !is.primitive(method) && !is_of_package(environment(method))) found[[name]] <- method
  }
  found
}

is_of_package <- function(at) {
  top <- topenv(at)
  isNamespace(top) || identical(top, baseenv())
}

is_method_name <- function(name, envir = globalenv()) {
  dots <- gregexpr(".", name, fixed = TRUE)[[1L]]
  for (at in dots[dots > 1L & dots < nchar(name)]) if (is_generic(substring(name, 1L, at - 1L), envir)) return(TRUE)
  FALSE
}

internal_generics <- c(
  "[", "[[", "$", "[<-", "[[<-", "$<-", "@<-", "length", "length<-", "lengths", "names", "names<-", "dim", "dim<-",
  "dimnames", "dimnames<-", "levels<-", "c", "unlist", "cbind", "rbind", "as.vector", "as.environment", "is.na", "is.nan",
  "is.finite", "is.infinite", "is.numeric", "is.array", "is.matrix", "is.unsorted", "nchar", "rep", "rep.int", "rep_len",
  "seq.int", "seq_along", "xtfrm", "anyNA", "as.character", "as.integer", "as.double", "as.numeric", "as.logical",
  "as.complex", "as.raw", "as.call", "Math", "Ops", "Summary", "Complex", "matrixOps", "+", "-", "*", "/", "^", "%%", "%/%",
  "%*%", "==", "!=", "<", ">", "<=", ">=", "!", "&", "|", "abs", "sign", "sqrt", "floor", "ceiling", "trunc", "round",
  "signif", "exp", "log", "expm1", "log1p", "cos", "sin", "tan", "cospi", "sinpi", "tanpi", "acos", "asin", "atan", "cosh",
  "sinh", "tanh", "acosh", "asinh", "atanh", "lgamma", "gamma", "digamma", "trigamma", "cumsum", "cumprod", "cummax",
  "cummin", "all", "any", "sum", "prod", "max", "min", "range", "Arg", "Conj", "Im", "Mod", "Re")

is_generic <- function(name, envir) {
  if (name %in% internal_generics) return(TRUE)
  f <- get0(name, envir = envir, mode = "function")
  if (is.null(f) || is.primitive(f)) return(FALSE)
  "UseMethod" %in% all.names(body(f)) || methods::is(f, "standardGeneric")
}

# Methods that a frame has are found by dispatch, whether they are mentioned or not.
keep_frame_methods <- function(frame, needs) {
  at <- frame$env
  names <- names(at)
  names <- names[grepl(".", names, fixed = TRUE)]
  for (name in names) if (name != "..." && !startsWith(name, ".__") && is_method_name(name, at) && !bindingIsActive(name, at) &&
                          !is_promise(name, at) && is.function(at[[name]])) mention(name, frame, needs, FALSE)
}

# Classes and methods of the session belong together: all or none of them.
add_s4 <- function(needs) {
  classes <- sub("^\\.__C__", "", session_index$s4)
  generics <- sub(":[^:]*$", "", sub("^\\.__T__", "", session_index$s4))
  words <- unlist(lapply(needs$words, function(found) c(found$sure, found$doubtful)))
  if (!".GlobalEnv" %in% needs$class_packages && !any(c(classes, generics) %in% c(words, needs$classes))) return()
  needs$s4 <- TRUE
  for (name in names(globalenv())) {
    if (name %in% session_index$s4) add_global(name, needs, TRUE)
    else if (!bindingIsActive(name, globalenv()) && is.function(f <- peek(name, globalenv())) && isS4(f))
      add_global(name, needs, TRUE)
  }
}
