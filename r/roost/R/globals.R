# What a function needs besides its arguments: globals (variables of the global environment, sent with the job) and
# packages (attached here, to be attached there). Variables of closures travel with the closure, as R serializes it;
# functions of namespaces stay by reference.

common_packages <- c("base", "methods", "datasets", "utils", "grDevices", "graphics", "stats", "Autoloads")

find_needs <- function(functions, export = NULL, packages = NULL, envir = globalenv()) {
  needs <- new.env(parent = emptyenv())
  needs$globals <- list()
  needs$packages <- character()
  needs$seen <- list()
  if (is.null(export)) for (f in functions) add_function(f, needs)
  for (name in setdiff(export, names(needs$globals))) {
    if (!exists(name, envir = envir)) fail("`export` names '", name, "', which does not exist here.")
    add_global(name, get(name, envir = envir), needs)
  }
  own <- if (is.null(packages)) order_packages(needs$packages) else packages
  list(globals = needs$globals, packages = own)
}

add_function <- function(f, needs) {
  if (!is.function(f) || is.primitive(f)) return()
  home <- environment(f)
  if (is_fixed(home)) {
    if (isNamespace(home)) add_package(getNamespaceName(home), needs, attach = FALSE)
    return()
  }
  for (other in needs$seen) if (identical(other, f)) return()
  needs$seen[[length(needs$seen) + 1L]] <- f
  for (name in free_names(f)) add_name(name, home, needs)
}

# Where does `name`, used in a function whose environment is `home`, come from?
add_name <- function(name, home, needs) {
  at <- home
  while (!is_fixed(at) && !identical(at, globalenv())) {
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
  for (place in search()[-1L]) if (exists(name, where = place, inherits = FALSE)) {
    if (startsWith(place, "package:")) add_package(substring(place, 9L), needs)
    else add_global(name, get(name, pos = place, inherits = FALSE), needs)
    return()
  }
}

# A promise that was not evaluated may not want to be.
peek <- function(name, at) tryCatch(get(name, envir = at, inherits = FALSE), error = function(e) NULL)

add_global <- function(name, value, needs) {
  needs$globals[name] <- list(value)
  add_function(value, needs)
}

add_package <- function(package, needs, attach = TRUE)
  if (attach && !package %in% common_packages) needs$packages <- union(needs$packages, package)

is_fixed <- function(at) is.null(at) || isNamespace(at) || identical(at, baseenv()) ||
  startsWith(environmentName(at), "package:") || startsWith(environmentName(at), "imports:")

# Last attached here is first on the search path: attach them there in the same order.
order_packages <- function(packages) {
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
