# What a function needs besides its arguments: globals (variables of the global environment, sent with the job) and
# packages (attached here, to be attached there). Variables of closures travel with the closure, as R serializes it;
# functions of namespaces stay by reference.

common_places <- c("package:base", "package:methods", "package:datasets", "package:utils", "package:grDevices",
                   "package:graphics", "package:stats", "Autoloads")

find_needs <- function(functions, export = NULL, packages = NULL, envir = globalenv()) {
  if (is.null(export) && is.null(packages) && length(functions) == 1L && is_self_contained(functions[[1L]]))
    return(list(globals = list(), packages = character()))
  needs <- new.env(parent = emptyenv())
  needs$globals <- list()
  needs$packages <- character()
  needs$seen <- list()
  look_at_search_path()
  if (is.null(export)) for (f in functions) add_function(f, needs)
  if (length(export)) for (name in setdiff(export, names(needs$globals))) {
    if (!exists(name, envir = envir)) fail("`export` names '", name, "', which does not exist here.")
    add_global(name, get(name, envir = envir), needs)
  }
  own <- if (is.null(packages)) order_packages(needs$packages) else packages
  list(globals = needs$globals, packages = own)
}

# Uses nothing but its arguments and variables.
is_self_contained <- function(f) is.primitive(f) || !length(free_names(f))

add_function <- function(f, needs) {
  if (!is.function(f) || is.primitive(f)) return()
  home <- environment(f)
  if (is_fixed(home)) return()
  for (other in needs$seen) if (identical(other, f)) return()
  needs$seen[[length(needs$seen) + 1L]] <- f
  for (name in free_names(f)) add_name(name, home, needs)
}

# Where does `name`, used in a function whose environment is `home`, come from?
add_name <- function(name, home, needs) {
  at <- home
  while (!identical(at, globalenv()) && !is_fixed(at)) {
    if (identical(at, emptyenv())) return()
    if (exists(name, envir = at, inherits = FALSE)) {
      if (!bindingIsActive(name, at)) add_function(peek(name, at), needs)
      return()
    }
    at <- parent.env(at)
  }
  if (!identical(at, globalenv())) return()
  if (exists(name, envir = at, inherits = FALSE)) {
    if (is.null(needs$globals[[name]])) add_global(name, get(name, envir = at, inherits = FALSE), needs)
    return()
  }
  place <- place_of(name)
  if (place %in% common_places) return()
  if (startsWith(place, "package:")) add_package(substring(place, 9L), needs)
  else if (nzchar(place)) add_global(name, get(name, pos = place, inherits = FALSE), needs)
}

# Where on the search path behind the global environment `name` is; remembered while the path stays the same.
place_of <- function(name) {
  place <- places$found[[name]]
  if (is.null(place)) {
    places$found[[name]] <- place <- ""
    for (other in places$search[-1L]) if (exists(name, where = other, inherits = FALSE)) {
      places$found[[name]] <- place <- other
      break
    }
  }
  place
}

places <- new.env(parent = emptyenv())

look_at_search_path <- function() {
  path <- search()
  if (identical(path, places$search)) return()
  places$search <- path
  places$found <- new.env(parent = emptyenv())
}

# A promise that was not evaluated may not want to be.
peek <- function(name, at) tryCatch(get(name, envir = at, inherits = FALSE), error = function(e) NULL)

add_global <- function(name, value, needs) {
  needs$globals[name] <- list(value)
  add_function(value, needs)
}

add_package <- function(package, needs) needs$packages <- union(needs$packages, package)

is_fixed <- function(at) {
  if (is.null(at)) return(TRUE)
  if (identical(at, globalenv())) return(FALSE)
  isNamespace(at) || identical(at, baseenv()) || grepl("^(package|imports):", environmentName(at))
}

# Last attached here is first on the search path: attach them there in the same order.
order_packages <- function(packages) {
  if (!length(packages)) return(packages)
  attached <- rev(sub("^package:", "", search()))
  c(attached[attached %in% packages], setdiff(packages, attached))
}

# codetools takes a millisecond a function: the last ones are remembered.
free_names <- function(f) {
  for (known in names_cache$known) if (identical(known$f, f)) return(known$names)
  names <- tryCatch(codetools::findGlobals(f, merge = TRUE), error = function(e) all.names(body(f), unique = TRUE))
  names_cache$known <- utils::head(c(list(list(f = f, names = names)), names_cache$known), 16L)
  names
}

names_cache <- new.env(parent = emptyenv())
names_cache$known <- list()
