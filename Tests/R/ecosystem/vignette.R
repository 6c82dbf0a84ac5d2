# Every line on the right-hand side of the vignette "Coming from …" runs as it stands, each table with a pool of its own.
check_lines <- function() {
  page <- xml2::read_html("../../../r/roost/vignettes/coming-from.html.static")
  text_of <- function(where, path) vapply(xml2::xml_find_all(where, path), xml2::xml_text, "")
  run <- function(code) eval(parse(text = sub("workers = 4", "workers = 2", code), keep.source = FALSE), globalenv())
  failed <- character()
  tables <- xml2::xml_find_all(page, "//table")
  stopifnot(length(tables) >= 7L)
  for (table in tables) {
    run(text_of(page, "//pre")[1L])
    for (code in text_of(table, ".//td[2][not(@class = 'elsewhere')]/code")) tryCatch(
      invisible(capture.output(suppressMessages(run(code)))),
      error = function(e) failed <<- c(failed, paste0(text_of(table, ".//th")[1L], ": ", code, ": ", conditionMessage(e))))
    run("registerDoSEQ(); plan(sequential); try(close(pool), silent = TRUE)")
  }
  if (length(failed)) stop(length(failed), " lines do not run:\n", paste(failed, collapse = "\n"), call. = FALSE)
}
home <- tempfile("home")
dir.create(home)
Sys.setenv(HOME = home, XDG_CONFIG_HOME = file.path(home, "config"), XDG_DATA_HOME = file.path(home, "data"),
           XDG_STATE_HOME = file.path(home, "state"))
check_lines()
