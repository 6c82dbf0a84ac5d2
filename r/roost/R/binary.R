# The program `roost`: options(roost.bin=), then ROOST_BIN, then the PATH.

roost_binary <- function() {
  given <- getOption("roost.bin")
  from <- "options(roost.bin = )"
  if (is.null(given)) {
    given <- Sys.getenv("ROOST_BIN", NA)
    from <- "the environment variable ROOST_BIN"
  }
  if (!is.null(given) && !is.na(given) && nzchar(given)) {
    path <- path.expand(given)
    if (!file.exists(path)) pool_error("The program 'roost' is not at '", path, "', where ", from, " says it is.")
    if (file.access(path, 1L) != 0L || dir.exists(path))
      pool_error("'", path, "', which ", from, " names, is not a program that can be run.")
    return(normalizePath(path))
  }
  found <- Sys.which("roost")
  if (!nzchar(found)) pool_error(
    "The program 'roost' was not found: not in options(roost.bin = ), ROOST_BIN or the PATH.\n",
    "Remedy: install it ('make install PREFIX=$HOME/.local' in Roost's sources), then set ",
    "options(roost.bin = \"/path/to/roost\") or put its directory on the PATH.")
  unname(found)
}

roost_available <- function() tryCatch(nzchar(roost_binary()), roost_error = function(e) FALSE)

# Runs the program to its end; its output lines, or an error with what it said.
run_roost <- function(arguments, environment = character()) {
  errors <- tempfile("roost")
  on.exit(unlink(errors))
  binary <- roost_binary()
  output <- suppressWarnings(system2(binary, shQuote(arguments), stdout = TRUE, stderr = errors, stdin = "/dev/null",
                                     env = environment))
  status <- attr(output, "status")
  if (!is.null(status) && status != 0L) {
    said <- if (file.exists(errors)) readLines(errors, warn = FALSE) else character()
    said <- said[nzchar(said)]
    pool_error("'roost ", arguments[1L], "' ended with status ", status, if (length(said)) ":\n",
               paste(said, collapse = "\n"))
  }
  as.character(output)
}
