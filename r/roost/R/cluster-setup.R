# clusterExport, clusterEvalQ and clusterCall of all seats are setup: they reach workers that join later, too.
#
#   clusterExport               a setup entry
#   clusterEvalQ, clusterCall   a task for each seat; when all have ended, a setup entry, which does nothing on workers that ran such
#                               a task. What was interrupted is never setup: workers to come would run it without an end.

broadcast <- function(session, seat, work, verb) {
  assigned <- assignment(work)
  first <- !identical(session$broadcast$verb, verb$env)
  if (first) {
    session$broadcast <- NULL
    id <- session$broadcasts <- c(session$broadcasts, 0L)[1L] + 1L
    # Each seat's numbers go on from there, so its work must not leave it.
    if (is.null(assigned) && sets_generator(work))
      session$placed <- union(session$placed, vapply(unclass(verb$env$cl), function(node) node$seat, 0L, USE.NAMES = FALSE))
    if (!is.null(assigned)) export_value(session, assigned)
    session$broadcast <- list2env(list(verb = verb$env, id = id, work = work, left = length(verb$env$cl)), parent = emptyenv())
  }
  if (is.null(assigned)) send_task(session, seat, work, verb, broadcast = session$broadcast, bound = TRUE)
  else arrive(session, seat, NULL, TRUE, work$tag)
}

# When all seats have run their tasks of a broadcast, it is setup.
end_broadcast <- function(session) {
  broadcast <- session$broadcast
  if (broadcast$left > 0L) return()
  session$broadcast <- NULL
  set_up(session, list(kind = "eval", expr = broadcast_call(broadcast$id, broadcast$work)))
}

# What is exported is looked at as a variable that goes with a job: a reference is refused, and the packages of its classes are loaded.
export_value <- function(session, assigned) {
  if (is_plain_vector(assigned$value) || typeof(assigned$value) == "closure") namespaces <- NULL
  else {
    if (is_reference(assigned$value) && !references_allowed()) refuse_reference(assigned, assigned$value)
    namespaces <- namespaces_in(list(assigned$value))
  }
  if (length(namespaces)) set_up(session, list(kind = "eval", expr = bquote(
    for (package in .(namespaces)) requireNamespace(package, quietly = TRUE))), changes = FALSE)
  set_up(session, list(kind = "assign", names = assigned$name, values = list(assigned$value)))
}

# What clusterExport sends: gets(name, value), a function of its own that assigns.
assignment <- function(work) {
  args <- work$args
  if (length(args) != 2L || !is.character(args[[1L]]) || length(args[[1L]]) != 1L || !is.function(work$fun)) return(NULL)
  if (is.primitive(work$fun) || !identical(environmentName(topenv(environment(work$fun))), "parallel")) return(NULL)
  if (!"assign" %in% all.names(body(work$fun))) return(NULL)
  list(name = args[[1L]], value = args[[2L]])
}

sets_generator <- function(work) {
  texts <- c(list(work$fun), work$args)
  any(unlist(lapply(texts, function(x) if (is.call(x)) all.names(x) else if (typeof(x) == "closure") all.names(body(x)))) %in%
    c("set.seed", ".Random.seed", "RNGkind"))
}

# For workers that were no seat's: never an error there, since the caller has had it from the seats.
broadcast_call <- function(id, work) {
  run <- function(id, fun, args) {
    if (!id %in% getOption("roost.broadcasts"))
      tryCatch(do.call(fun, args, quote = TRUE), error = function(e) NULL, interrupt = function(e) NULL)
    invisible()
  }
  environment(run) <- baseenv()
  as.call(list(run, id, work$fun, work$args))
}
