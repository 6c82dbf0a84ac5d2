# Connections and pointers mean nothing outside the process that made them: a task that got one would fail, or write where it must
# not. Such a value is refused before anything is sent, and the error names the variable.
#
# options(roost.references = "allow") sends them nevertheless: some packages make their objects whole again, as those do whose
# classes are listed here.

self_mending <- c("data.table", "merMod", "lmerMod", "glmerMod", "nlmerMod", "lmerModLmerTest", "merPredD", "lmResp", "lmerResp",
                  "glmResp", "nlsResp", "xgb.Booster", "lgb.Booster", "igraph", "fastmap", "cachem")

null_pointer <- methods::new("externalptr")

is_reference <- function(x) {
  if (typeof(x) == "externalptr") !identical(x, null_pointer)
  else typeof(x) == "integer" && inherits(x, "connection") && !any(unclass(x) %in% 0:2)
}

references_allowed <- function() {
  option <- getOption("roost.references", "error")
  if (identical(option, "allow")) return(TRUE)
  if (!identical(option, "error")) fail("Option `roost.references` must be \"error\" or \"allow\".")
  FALSE
}

# `root`: list(name, value), where `reference` was found somewhere in `value`.
refuse_reference <- function(root, reference) {
  path <- locate(root$value, function(x) identical(x, reference))
  what <- if (inherits(reference, "connection")) "a connection" else "an external pointer"
  fail("`", root$name, path, "` cannot be sent to the pool: it is ", what, class_words(reference),
       ", which means nothing outside this process.\nRemedy: ",
       if (inherits(reference, "connection")) "open it inside the function"
       else "make the object inside the function, or send what it is made from",
       ", or, if the object is made whole again there, set options(roost.references = \"allow\").",
       class = "roost_reference_error")
}

class_words <- function(x) {
  classes <- setdiff(class(x), c("connection", "externalptr"))
  if (length(classes)) paste0(" (class ", paste(classes, collapse = ", "), ")") else ""
}

# Where in `x` the first value is for which `wanted` is TRUE, as R would write it behind the variable's name.
locate <- function(x, wanted) {
  met <- list()
  among <- function(x, names, depth, write) {
    for (i in seq_along(names)) {
      part <- if (typeof(x) == "environment") peek(names[i], x) else x[[i]]
      path <- if (!missing(part)) look(part, depth + 1L)
      if (!is.null(path)) return(paste0(write(names[i], i), path))
    }
    NULL
  }
  look <- function(x, depth) {
    if (wanted(x)) return("")
    if (depth > search_depth) return(NULL)
    path <- NULL
    if (typeof(x) == "environment") {
      if (identical(x, globalenv()) || is_fixed(x)) return(NULL)
      for (other in met) if (identical(other, x)) return(NULL)
      met[[length(met) + 1L]] <<- x
      path <- among(x, names(x), depth, function(name, i) paste0("$", name))
    } else if (is.list(x)) {
      plain <- unclass(x)
      names <- names(plain)
      if (is.null(names)) names <- character(length(plain))
      path <- among(plain, names, depth, function(name, i) if (nzchar(name)) paste0("$", name) else paste0("[[", i, "]]"))
    }
    if (!is.null(path)) return(path)
    extra <- attributes(x)
    extra[c("names", "class", "srcref", "versionKey")] <- NULL
    among(extra, names(extra), depth, function(name, i)
      if (isS4(x)) paste0("@", name) else paste0(" (its attribute \"", name, "\")"))
  }
  look(x, 0L)
}
