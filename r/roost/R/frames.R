# Frames: the environments of functions that FUN, or a function that it uses, was made in. R serializes them whole, with all that
# they hold. What no code mentions is left out: such a function gets a frame in place of its own that has only the variables
# that are mentioned. All functions that shared one frame share the one in its place.
#
# A frame stays as it is when code could notice the difference: when something else than a function refers to it (it is the value of
# a variable, or in an R6 object), or when some code computes the names of the variables that it reads.

# The frames from `home` to the global environment or a namespace: list(frames, package).
frames_of <- function(home, needs) {
  if (identical(home, globalenv())) return(no_frames)
  frames <- list()
  within <- needs$within
  free <- needs$free
  at <- home
  repeat {
    if (identical(at, globalenv()) || identical(at, emptyenv())) return(list(frames = frames, package = NULL))
    if (is_fixed(at)) return(list(frames = frames, package = if (isNamespace(at)) at))
    frame <- frame_of(at, needs)
    if (!free) frame$pinned <- TRUE
    if (!is.null(within) && !identical(within, frame)) within$leads[[length(within$leads) + 1L]] <- frame
    within <- frame
    frames[[length(frames) + 1L]] <- frame
    at <- parent.env(at)
  }
}

no_frames <- list(frames = list(), package = NULL)

frame_of <- function(at, needs) {
  for (frame in needs$frames) if (identical(frame$env, at)) return(frame)
  if (length(needs$frames) >= search_frames) cut_short(needs)
  frame <- list2env(blank_frame, envir = NULL, parent = emptyenv())
  frame$env <- at
  if (!is.null(attributes(at)) || is_value(at, needs)) frame$pinned <- TRUE
  needs$frames[[length(needs$frames) + 1L]] <- frame
  frame
}

blank_frame <- list(
  env = NULL,
  values = list(),             # of the variables that are mentioned, by name
  absent = character(),        # names of missing arguments
  lazy = list(),               # arguments that are code: promises of the global environment
  left = character(),          # names of references that are mentioned in doubt
  pinned = FALSE,              # the frame stays as it is
  followed = FALSE,            # the frames that it leads to stay as they are, too
  leads = list(),              # frames that its variables refer to, and the one around it
  copy = NULL)                 # the frame in its place

is_value <- function(at, needs) {
  for (other in needs$places) if (identical(other, at)) return(TRUE)
  FALSE
}

# An environment that is also the value of a variable is, as a frame, left as it is.
pin <- function(at, needs) for (frame in needs$frames) if (identical(frame$env, at)) frame$pinned <- TRUE

mention <- function(name, frame, needs, sure) {
  if (match(name, names(frame$values), 0L) || match(name, needs$hidden, 0L)) return()
  at <- frame$env
  if (name == "...") value <- tryCatch(eval(quote(list(...)), at), error = function(e) NULL)
  else if (bindingIsActive(name, at)) return(frame$pinned <- TRUE)
  else if (is_promise(name, at)) {
    value <- force_quietly(name, at)
    if (missing(value) || identical(value, no_value)) return(if (sure) mention_promise(name, frame, needs))
  } else value <- at[[name]]
  if (inherits(value, "roost_cluster")) value <- stand_in(value)
  frame$values[name] <- list(value)
  if (is_plain_vector(value)) return()
  # A package knows what to do with the pointers in frames of its own functions.
  if (typeof(value) == "externalptr" && isNamespace(topenv(at))) return()
  former <- list(needs$within, needs$free, needs$tasks)
  needs$within <- frame
  # What `...` holds keeps its environments.
  needs$free <- name != "..."
  needs$tasks <- FALSE
  if (!sure) {
    if (!search_doubtful(value, name, needs)) frame$left <- c(frame$left, name)
  } else if (typeof(value) == "closure") search_named(value, name, needs)
  else search_root(value, name, needs)
  needs$within <- former[[1L]]
  needs$free <- former[[2L]]
  needs$tasks <- former[[3L]]
}

no_value <- quote(no_value())  # stands for an argument that is missing, or cannot be evaluated

force_quietly <- function(name, at) suppressWarnings(tryCatch(at[[name]], error = function(e) no_value))

# An argument without a value: a missing one is missing there, too. Another may be meant as code, for data's columns (`{{ x }}`):
# it stays a promise. Where it was made is known of those that the global environment gave; others travel with all around them.
mention_promise <- function(name, frame, needs) {
  at <- frame$env
  if (is_missing(name, at)) return(frame$absent <- union(frame$absent, name))
  code <- eval(call("substitute", as.name(name), at), baseenv())
  if (!from_global(at)) return(frame$pinned <- TRUE)
  if (name %in% names(frame$lazy)) return()
  frame$lazy[name] <- list(code)
  search_code(code, needs)
}

is_missing <- function(name, at)
  identical(eval(call("substitute", as.name(name), at), baseenv()), quote(expr = )) ||
  isTRUE(tryCatch(eval(call("missing", as.name(name)), at), error = function(e) FALSE))

# Whether `at` is the frame of a function that was called from the global environment, and is still running.
from_global <- function(at) {
  frames <- sys.frames()
  for (i in rev(seq_along(frames))) if (identical(frames[[i]], at)) return(sys.parents()[i] == 0L && is.null(at[["..."]]))
  FALSE
}

# Arguments of the function around that code mentions and that are missing.
absent_names <- function(code, envir) {
  if (identical(envir, globalenv()) || is_fixed(envir)) return()
  names <- intersect(all.names(code, unique = TRUE), names(envir))
  names[vapply(names, is_absent, NA, envir)]
}

# An argument with a default is missing, but not absent.
is_absent <- function(name, at) {
  if (name == "..." || bindingIsActive(name, at) || !is_missing(name, at)) return(FALSE)
  value <- force_quietly(name, at)
  missing(value) || identical(value, no_value)
}

# For list2env().
absent_list <- function(names) stats::setNames(rep(alist(x = ), length(names)), names)

# Code that computes names may read any variable.
add_all <- function(frame, needs) for (name in names(frame$env))
  if (name != "..." && !bindingIsActive(name, frame$env) && !is_promise(name, frame$env)) mention(name, frame, needs, FALSE)

# ---- frames in place of others ----

without_frames <- function(values, needs) {
  if (!needs$whole || needs$computes) return(values)
  frames <- needs$frames
  for (frame in frames) keep_frame_methods(frame, needs)
  for (frame in frames) if (frame$pinned) pin_what_follows(frame)
  copied <- FALSE
  for (frame in frames) if (!frame$pinned) {
    frame$copy <- if (is.null(frame$values[["..."]])) new.env() else frame_with_dots()
    copied <- TRUE
  }
  if (!copied) return(values)
  for (frame in frames) if (!frame$pinned) fill_copy(frame, frames)
  for (name in names(needs$globals)) {
    value <- needs$globals[[name]]
    if (!is_plain_vector(value)) needs$globals[name] <- list(with_copies(value, frames))
  }
  for (i in seq_along(values)) if (!is_plain_vector(values[[i]])) values[i] <- list(with_copies(values[[i]], frames))
  values
}

frame_with_dots <- function(...) environment()

fill_copy <- function(frame, frames) {
  copy <- frame$copy
  parent.env(copy) <- in_place_of(parent.env(frame$env), frames)
  if (length(frame$absent)) list2env(absent_list(frame$absent), copy)
  for (name in names(frame$lazy)) eval(call("delayedAssign", name, frame$lazy[[name]], quote(globalenv()), copy))
  for (name in names(frame$values)) {
    if (name == "...") {
      if (eval(quote(...length()), frame$env)) assign("...", get("...", envir = frame$env, inherits = FALSE), envir = copy)
      next
    }
    value <- frame$values[[name]]
    if (is_plain_vector(value)) assign(name, value, envir = copy)
    else if (!match(name, frame$left, 0L)) assign(name, with_copies(value, frames), envir = copy)
  }
}

pin_what_follows <- function(frame) if (!frame$followed) {
  frame$pinned <- frame$followed <- TRUE
  for (other in frame$leads) pin_what_follows(other)
}

in_place_of <- function(at, frames) {
  for (frame in frames) if (identical(frame$env, at)) return(if (is.null(frame$copy)) at else frame$copy)
  at
}

# The value, its functions and formulas with the new frames.
with_copies <- function(value, frames) {
  type <- typeof(value)
  if (type == "closure") {
    at <- environment(value)
    new <- in_place_of(at, frames)
    if (!identical(new, at)) environment(value) <- new
  } else if (type == "list" && length(value) && length(value) <= search_elements) {
    plain <- if (is.object(value)) unclass(value) else value
    changed <- FALSE
    for (i in seq_along(plain)) {
      part <- plain[[i]]
      if (missing(part) || is_plain_vector(part)) next
      new <- with_copies(part, frames)
      if (identical(new, part)) next
      plain[[i]] <- new
      changed <- TRUE
    }
    if (changed) {
      attributes(plain) <- attributes(value)
      value <- plain
    }
  }
  extra <- attributes(value)
  if (type == "environment" || isS4(value) || is.null(extra) || length(extra) == 1L && !is.null(extra$names)) return(value)
  for (name in names(extra)) {
    part <- extra[[name]]
    if (is_plain_vector(part) || name == "srcref") next
    new <- if (name == ".Environment" && is.environment(part)) in_place_of(part, frames) else with_copies(part, frames)
    if (!identical(new, part)) attr(value, name) <- new
  }
  value
}
