# The vignettes are plain HTML: this engine copies them, so that building the package needs nothing but base R.

register_vignette_engine <- function(package) tools::vignetteEngine(
  "static", package = package, pattern = "[.]html[.]static$",
  weave = function(file, ...) {
    output <- sub("[.]static$", "", basename(file))
    lines <- readLines(file, encoding = "UTF-8")
    writeLines(lines[!grepl("^%", lines)], output, useBytes = TRUE)
    output
  },
  tangle = function(file, ...) {
    output <- sub("[.]html[.]static$", ".R", basename(file))
    writeLines("# The vignette's code is in its text.", output)
    output
  })
