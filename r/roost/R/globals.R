# What a function needs besides its arguments.
#
#   globals      variables of the global environment: sent with the job
#   frames       variables of functions around it: they travel with the function; only what is mentioned does (frames.R)
#   packages     attached here, and used: to be attached there
#   namespaces   of packages whose classes the values have: to be loaded there (classes.R)
#
# The search goes from FUN and its arguments to the names in their code (names.R), from names to values, from values to the
# functions in them. What is mentioned for sure is sent; what is mentioned in doubt is sent if it is small.

doubt_bytes <- 1048576         # a variable that is mentioned in doubt is sent up to this size
search_elements <- 1000L       # of a list, searched for functions
search_values <- 20000L        # in all
task_values <- 5000L           # of these in X
long_list <- 100000L           # a list of plain vectors up to this length is known to be one
search_frames <- 200L
search_depth <- 30L
search_texts <- 1000L          # character values that may be names
computed_names <- 5000L        # variables whose names code may compute
computed_bytes <- 16777216     # of these in all

common_places <- c("package:base", "package:methods", "package:datasets", "package:utils", "package:grDevices",
                   "package:graphics", "package:stats", "Autoloads")

# `values`: a named list of what is sent: the function, its arguments, X. The answer has them as they are to be sent.
find_needs <- function(values, export = NULL, packages = NULL, envir = globalenv(), hidden = NULL) {
  if (is.null(export) && is.null(hidden) && !is.null(quick <- quick_needs(values, packages))) return(quick)
  needs <- list2env(blank_search, envir = NULL, parent = emptyenv())
  needs$hidden <- hidden
  look_at_search_path()
  names <- names(values)
  for (i in seq_along(values)) {
    value <- values[[i]]
    if (is_plain_vector(value) || is.list(value) && !length(value)) next
    name <- if (is.null(names)) "FUN" else names[i]
    if (name == "X") search_tasks(value, needs) else search_root(value, name, needs)
  }
  for (name in export) add_export(name, envir, needs)
  add_named(values, needs)
  if (look_at_session(needs$strings || length(needs$classes))) add_methods(needs)
  if (length(needs$frames)) values <- without_frames(values, needs)
  answer <- list(values = values, globals = needs$globals, packages = order_packages(c(needs$packages, packages)))
  if (length(needs$classes)) answer$namespaces <- namespaces_of(needs)
  if (needs$s4) answer$s4 <- TRUE
  answer
}

# The same for what is most frequent: one function that uses plain vectors and attached packages, and X is a vector. NULL: look
# thoroughly.
quick_needs <- function(values, packages) {
  f <- values[[1L]]
  if (typeof(f) != "closure") return(NULL)
  for (value in values[-1L])
    if (length(value) && (!is_plain_vector(value) || is.character(value) && has_formula(value))) return(NULL)
  home <- environment(f)
  if (!identical(home, globalenv()) && is_fixed(home)) {
    if (look_at_session(FALSE) || !is.null(attributes(f)) || has_names(values)) return(NULL)
    return(list(values = values, globals = list(), packages = order_packages(packages)))
  }
  found <- code_names(f)
  if (!found$simple || look_at_session(found$strings)) return(NULL)
  names <- found$all
  if (!identical(home, globalenv())) {
    if (!identical(parent.env(home), globalenv()) || !is.null(attributes(home))) return(NULL)
    inside <- names(home)
    if (any(grepl(".", inside, fixed = TRUE))) return(NULL)
    at <- match(names, inside, 0L)
    frame <- new.env(parent = globalenv())
    for (name in names[at > 0L]) {
      if (bindingIsActive(name, home)) return(NULL)
      value <- peek(name, home)
      if (is.null(value) || !is_plain_vector(value) || is.character(value) && has_formula(value)) return(NULL)
      assign(name, value, envir = frame)
    }
    if (any(at > 0L)) names <- names[at == 0L]
    environment(f) <- frame
  }
  globals <- list()
  here <- existing(names, globalenv())
  for (name in here) {
    if (bindingIsActive(name, globalenv())) return(NULL)
    value <- globalenv()[[name]]
    if (is.null(value) || !is_plain_vector(value) || is.character(value) && has_formula(value)) return(NULL)
    if (match(name, found$sure, 0L) || utils::object.size(value) <= doubt_bytes) globals[[name]] <- value
  }
  look_at_search_path()
  places <- places_of(if (length(here)) names[!match(names, here, 0L)] else names, found)
  if (length(places)) {
    if (!all(startsWith(places, "package:"))) return(NULL)
    packages <- c(substring(unique(places), 9L), packages)
  }
  values[[1L]] <- f
  list(values = values, globals = globals, packages = order_packages(packages))
}

# Texts that may name variables, see add_named().
has_formula <- function(texts) any(grepl("~", first_texts(texts), fixed = TRUE))

first_texts <- function(texts) if (length(texts) > search_texts) texts[seq_len(search_texts)] else texts

has_names <- function(values) {
  for (value in values[-1L])
    if (is.character(value) && length(existing(first_texts(value), globalenv()))) return(TRUE)
  FALSE
}

is_plain_vector <- function(x) is.atomic(x) && is.null(attributes(x))

# A search: an environment, since it changes.
blank_search <- list(
  globals = list(),
  packages = character(),
  hidden = NULL,               # names that are not to be sent
  words = list(),              # all names that code mentions
  classes = character(),       # of the values
  class_packages = character(),
  last = NULL,                 # the classes that were noted last
  s4 = FALSE,                  # whether classes or methods of the session are among the globals
  seen = list(),               # functions
  places = list(),             # environments that are values
  frames = list(),             # environments of functions, see frames.R
  within = NULL,               # the frame whose variable is being searched
  free = TRUE,                 # whether what is being searched can be given another environment
  doubt = FALSE,               # whether it is mentioned in doubt
  tasks = FALSE,               # whether it is in a task's own element
  whole = TRUE,                # whether all was searched that a job's tasks share
  computes = FALSE,            # whether some code computes the names of variables
  selects = FALSE,             # whether some code takes names from values
  strings = FALSE,             # whether some code has strings, which may be classes
  count = 0L,
  root = NULL,                 # list(name, value)
  allow = NULL)                # references

# Searches a value that has a name of its own.
search_root <- function(value, name, needs) {
  former <- needs$root
  needs$root <- list(name = name, value = value)
  search_value(value, needs, 0L)
  needs$root <- former
}

# X: each element is a task's own, so what is not searched of it travels as it is.
search_tasks <- function(X, needs) {
  n <- length(X)
  if (n > search_elements) {
    first <- search_elements %/% 10L
    X <- X[c(seq_len(first), round(seq(first + 1L, n, length.out = search_elements - first)))]
  }
  needs$tasks <- TRUE
  search_root(X, "X", needs)
  needs$tasks <- FALSE
}

cut_short <- function(needs) if (!needs$tasks) needs$whole <- FALSE

# In doubt a value with a reference is left out: FALSE, and all is as if nobody had looked at it.
search_doubtful <- function(value, name, needs) {
  state <- c("doubt", "root", "free", "within", "tasks")
  former <- mget(state, envir = needs)
  found <- mget(c("globals", "seen", "places", "frames"), envir = needs)
  needs$doubt <- TRUE
  on.exit(list2env(former, envir = needs))
  tryCatch({ search_root(value, name, needs); TRUE }, roost_doubtful_reference = function(e) {
    list2env(found, envir = needs)
    FALSE
  })
}

# ---- values ----

search_value <- function(value, needs, depth) {
  type <- typeof(value)
  extra <- attributes(value)
  if (!is.null(extra$class)) {
    note_classes(extra$class, needs)
    if (is_reference(value)) return(found_reference(value, needs))
    if (is_pool(value) || any(match(extra$class, self_mending, 0L))) return()
  }
  if (type == "closure") search_function(value, needs, depth = depth)
  else if (type == "list" || type == "expression" || type == "pairlist") search_list(value, needs, depth)
  else if (type == "environment") search_environment(value, needs, depth)
  else if (type == "language" || type == "symbol") search_code(value, needs)
  else if (type == "externalptr") return(found_reference(value, needs))
  else if (type == "weakref") return()
  if (length(extra) > 1L || length(extra) && is.null(extra$names))
    search_attributes(extra, needs, depth, type != "environment" && !isS4(value))
}

search_list <- function(value, needs, depth) {
  if (depth >= search_depth) return(cut_short(needs))
  value <- if (is.object(value)) unclass(value) else value
  n <- length(value)
  if (n > search_elements) {
    if (n > long_list || !all(vapply(value[-seq_len(search_elements)], is.atomic, NA))) cut_short(needs)
    n <- search_elements
  }
  needs$count <- needs$count + n
  if (needs$count > (if (needs$tasks) task_values else search_values)) return(cut_short(needs))
  for (i in seq_len(n)) {
    part <- value[[i]]
    if (!missing(part) && !is_plain_vector(part)) search_value(part, needs, depth + 1L)
  }
}

search_attributes <- function(extra, needs, depth, free) {
  former <- needs$free
  if (!free) needs$free <- FALSE
  for (name in names(extra)) {
    part <- extra[[name]]
    if (is_plain_vector(part) || match(name, unsearched, 0L)) next
    search_value(part, needs, depth + 1L)
  }
  needs$free <- former
}

# Attributes that are not searched. The last belongs to a class definition: R makes a new one there.
unsearched <- c("srcref", ".Environment", "class", "versionKey")

# An environment that is a value: R6 objects, reference classes, caches.
search_environment <- function(at, needs, depth) {
  if (identical(at, globalenv()) || identical(at, emptyenv()) || is_fixed(at)) return()
  for (other in needs$places) if (identical(other, at)) return()
  pin(at, needs)
  note_classes(attr(at, "class"), needs)
  needs$places[[length(needs$places) + 1L]] <- at
  if (length(needs$places) > search_frames || depth >= search_depth) return(cut_short(needs))
  former <- needs$free
  needs$free <- FALSE
  for (name in names(at)) {
    needs$count <- needs$count + 1L
    if (needs$count > search_values) { cut_short(needs); break }
    if (name == "..." || bindingIsActive(name, at) || is_lazy(name, at)) next
    part <- peek(name, at)
    if (!is_plain_vector(part)) search_value(part, needs, depth + 1L)
  }
  needs$free <- former
}

# Handles of this package: they are of no use in a task, and say so there.
is_pool <- function(x) inherits(x, c("roost_cluster", "roost_seat", "roost_job"))

# A pool as tasks see it: it has the session's process, so that its use fails with the right words, but neither its secret nor
# what was exported to it.
stand_in <- function(pool) {
  session <- list2env(list(pid = session_of(pool)$pid, open = TRUE, mark = copies$mark), parent = emptyenv())
  pool[] <- lapply(unclass(pool), function(node) new_seat(node$seat, session))
  pool
}

# Formulas: their names are looked up where they were made. Other quoted code (the call in a model) may be evaluated by whoever
# has it: in the frame that holds it, and in the global environment.
search_code <- function(code, needs) {
  home <- attr(code, ".Environment")
  has_home <- is.environment(home)
  if (!has_home) home <- if (is.null(needs$within)) globalenv() else needs$within$env
  found <- walk_code(code)
  needs$words[[length(needs$words) + 1L]] <- list(sure = found$names)
  if (found$strings) needs$strings <- TRUE
  note_ways(found, needs)
  free <- needs$free
  if (!has_home) needs$free <- TRUE
  route <- frames_of(home, needs)
  needs$free <- free
  names <- frame_names(setdiff(found$names, "..."), route, needs, FALSE)
  if (has_home && !is.null(route$package)) return()
  for (name in existing(names, globalenv())) add_global(name, needs, FALSE)
  places <- vapply(setdiff(found$called, existing(names, globalenv())), place_of, "")
  for (place in setdiff(places[nzchar(places)], common_places))
    if (startsWith(place, "package:")) needs$packages <- union(needs$packages, substring(place, 9L))
}

found_reference <- function(value, needs) {
  if (identical(value, null_pointer)) return()
  if (needs$doubt) stop(structure(class = c("roost_doubtful_reference", "condition"), list(message = "", call = NULL)))
  if (is.null(needs$allow)) needs$allow <- references_allowed()
  if (!needs$allow) refuse_reference(needs$root, value)
}

# ---- functions ----

search_function <- function(f, needs, name = "", depth = 0L) {
  home <- environment(f)
  in_global <- identical(home, globalenv())
  if (!in_global && is_fixed(home)) return()
  for (other in needs$seen) if (identical(other, f)) {
    if (length(needs$frames)) frames_of(home, needs)
    return()
  }
  if (length(needs$seen) > search_elements) return(cut_short(needs))
  needs$seen[[length(needs$seen) + 1L]] <- f
  found <- code_names(f, name)
  route <- if (in_global) no_frames else frames_of(home, needs)
  # A generic function's frame has R's own tables in it.
  if (isS4(f)) for (frame in route$frames) frame$pinned <- TRUE
  needs$words[[length(needs$words) + 1L]] <- found
  note_ways(found, needs)
  if (found$strings) needs$strings <- TRUE
  if (length(route$frames)) {
    sure <- frame_names(found$sure, route, needs, TRUE)
    doubtful <- frame_names(found$doubtful, route, needs, FALSE)
    if (found$dots) frame_names("...", route, needs, TRUE)
    if (found$computes) for (frame in route$frames) add_all(frame, needs)
  } else {
    sure <- found$sure
    doubtful <- found$doubtful
  }
  if (is.null(route$package)) add_globals(sure, doubtful, found, needs)
  if (length(found$constants)) {
    free <- needs$free
    needs$free <- FALSE
    for (constant in found$constants) search_value(constant, needs, depth + 1L)
    needs$free <- free
  }
}

note_ways <- function(found, needs) {
  if (found$selects) needs$selects <- TRUE
  if (found$computes) needs$computes <- TRUE
  if (length(found$parts)) add_computed(found$parts, needs)
}

# Those of `names` that are no variables of the frames; the others are noted there.
frame_names <- function(names, route, needs, sure) {
  for (frame in route$frames) {
    if (!length(names)) break
    here <- match(names, names(frame$env), 0L) > 0L
    if (!any(here)) next
    for (name in names[here]) mention(name, frame, needs, sure)
    names <- names[!here]
  }
  names
}

# Names that exist in `at`: few names are asked for one by one, if `at` is large.
existing <- function(names, at) {
  if (!length(names)) names
  else if (length(at) <= 500L) names[match(names, names(at), 0L) > 0L]
  else names[vapply(names, exists, NA, envir = at, inherits = FALSE)]
}

add_globals <- function(sure, doubtful, found, needs) {
  here <- existing(sure, globalenv())
  for (name in here) add_global(name, needs, TRUE)
  if (length(here)) sure <- sure[!match(sure, here, 0L)]
  if (length(doubtful)) {
    here <- existing(doubtful, globalenv())
    for (name in here) add_global(name, needs, FALSE)
    if (length(found$called)) sure <- c(sure, setdiff(found$called, here))
  }
  if (length(sure)) add_places(sure, found, needs)
}

add_global <- function(name, needs, sure) {
  if (match(name, names(needs$globals), 0L) || match(name, needs$hidden, 0L)) return()
  if (sure) value <- globalenv()[[name]]
  else if (bindingIsActive(name, globalenv())) return()
  else value <- peek(name, globalenv())
  add_value(name, value, needs, sure)
}

add_value <- function(name, value, needs, sure) {
  if (!sure && !is_small_global(value)) return()
  if (inherits(value, "roost_cluster")) value <- stand_in(value)
  # Reserved before the search: values may lead to themselves.
  needs$globals[name] <- list(value)
  if (is_plain_vector(value)) return()
  former <- list(needs$free, needs$within, needs$tasks)
  needs$free <- TRUE
  needs$within <- NULL
  needs$tasks <- FALSE
  kept <- if (sure) { if (is.function(value)) search_named(value, name, needs) else search_root(value, name, needs); TRUE }
          else search_doubtful(value, name, needs)
  needs$free <- former[[1L]]
  needs$within <- former[[2L]]
  needs$tasks <- former[[3L]]
  if (!kept) needs$globals[[name]] <- NULL
}

# ---- names that are values ----

# Code that computes names has their constant parts in its text: "x" of x1, x2; "_fit" of a_fit.
add_computed <- function(parts, needs) {
  all <- names(globalenv())
  wanted <- unlist(lapply(parts, function(part) {
    begins <- all[startsWith(all, part)]
    ends <- all[endsWith(all, part)]
    if (nchar(part) > 2L) return(c(begins, ends))
    c(begins[grepl("^([._]|[0-9]|$)", substring(begins, nchar(part) + 1L))], if (grepl("^[._]", part)) ends)
  }))
  left <- computed_bytes
  for (name in utils::head(unique(wanted), computed_names)) {
    if (bindingIsActive(name, globalenv())) next
    left <- left - utils::object.size(peek(name, globalenv()))
    if (left < 0) break
    add_global(name, needs, FALSE)
  }
}

# Texts among the values may be names (get(x), do.call(f, ...), a function's name as an element of X) or formulas. They
# are mentions in doubt, as strings in code are.
add_named <- function(values, needs) {
  FUN <- values[[1L]]
  # What functions of packages do with texts, nobody knows.
  by_package <- typeof(FUN) != "closure" || is_fixed(environment(FUN))
  done <- character()
  repeat {
    mentions <- needs$computes || needs$selects
    all <- c(list(values[-1L], needs$globals), lapply(needs$frames, function(frame) frame$values))
    texts <- unlist(lapply(all, if (by_package || mentions) texts_in else formulas_in))
    texts <- unique(texts[!texts %in% done])
    if (!length(texts)) return()
    done <- c(done, texts)
    names <- c(texts, words(if (mentions) texts else texts[grepl("~", texts, fixed = TRUE)]))
    names <- frame_names(unique(names), list(frames = needs$frames), needs, FALSE)
    for (name in existing(names, globalenv())) add_global(name, needs, FALSE)
  }
}

formulas_in <- function(values) {
  texts <- texts_in(values, 200L)
  texts[grepl("~", texts, fixed = TRUE)]
}

# The first of the texts in values, which are lists of lists.
texts_in <- function(values, most = search_values) {
  texts <- character()
  left <- most
  look <- function(value, depth) {
    left <<- left - 1L
    if (left < 0L || length(texts) > search_texts) return()
    if (is.factor(value)) value <- levels(value)
    if (is.character(value)) texts <<- c(texts, unique(first_texts(value)))
    else if (typeof(value) == "list" && depth < 4L)
      for (part in utils::head(if (is.object(value)) unclass(value) else value, search_elements)) {
        if (left < 0L) break
        if (!missing(part)) look(part, depth + 1L)
      }
  }
  look(values, 0L)
  texts[!is.na(texts) & nzchar(texts)]
}

# search_root() for a function. What names its code has is kept under its name.
search_named <- function(f, name, needs) {
  former <- needs$root
  needs$root <- list(name = name, value = f)
  if (typeof(f) == "closure") search_function(f, needs, name)
  extra <- attributes(f)
  if (length(extra) > 1L || length(extra) && is.null(extra$srcref)) {
    note_classes(extra$class, needs)
    search_attributes(extra, needs, 0L, !isS4(f))
  }
  needs$root <- former
}

is_small_global <- function(value) is.function(value) || !is_pool(value) && utils::object.size(value) <= doubt_bytes

add_export <- function(name, envir, needs) {
  frame_names(name, frames_of(envir, needs), needs, TRUE)
  if (name %in% names(needs$globals)) return()
  if (!exists(name, envir = envir)) fail("`export` names '", name, "', which does not exist here.")
  add_value(name, get(name, envir = envir), needs, TRUE)
}

# ---- the search path ----

add_places <- function(names, found, needs) {
  places <- places_of(names, found)
  for (i in seq_along(places)) {
    place <- places[[i]]
    name <- names(places)[i]
    if (startsWith(place, "package:")) needs$packages <- union(needs$packages, substring(place, 9L))
    else if (!name %in% names(needs$globals)) add_value(name, get(name, pos = place, inherits = FALSE), needs, TRUE)
  }
}

# Where behind the global environment those of `names` are that R does not have itself; kept with the text of the function, while
# the search path stays the same. Of what is mentioned in doubt, functions that are called count.
places_of <- function(names, found) {
  if (identical(found$path, places$search) && identical(found$asked, names)) return(found$places)
  found$path <- places$search
  found$asked <- names
  at <- vapply(names[names %in% c(found$sure, found$called)], place_of, "")
  found$places <- at[nzchar(at) & !at %in% common_places]
}

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

# Namespaces, attached packages, and what they import: they are there already.
is_fixed <- function(at) {
  if (is.null(at) || isNamespace(at) || identical(at, baseenv())) return(TRUE)
  name <- attr(at, "name")
  is.character(name) && length(name) == 1L && grepl("^(package|imports):", name)
}

# Last attached here is first on the search path: attach them there in the same order.
order_packages <- function(packages) {
  if (!length(packages)) return(character())
  attached <- rev(sub("^package:", "", search()))
  c(attached[attached %in% packages], setdiff(packages, attached))
}

# A variable's value. Evaluating a promise may fail: then NULL.
peek <- function(name, at) {
  if (!is_promise(name, at)) return(at[[name]])
  value <- force_quietly(name, at)
  if (missing(value) || identical(value, no_value)) NULL else value
}

# One that is more than the name of another variable, which a function was given as its argument.
is_lazy <- function(name, at) is.call(eval(call("substitute", as.name(name), at), baseenv()))

# Is `name` bound to a promise (evaluated or not), or to code? Of the global environment nobody can tell.
is_promise <- function(name, at) is.language(eval(call("substitute", as.name(name), at), baseenv()))
