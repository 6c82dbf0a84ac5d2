# Pointers of packages are refused by name, before anything is sent, both ways; an option allows them.
library(roost)
pool <- pool_local(workers = 2)
refuses <- function(expr, name) {
  e <- tryCatch(expr, error = identity)
  stopifnot(inherits(e, "roost_reference_error"), startsWith(conditionMessage(e), paste0("`", name, "` cannot be sent")))
}
x <- xml2::read_xml("<a><b/></a>")
refuses(lbapply(pool, 1, function(i) xml2::xml_name(x)), "x$node")
refuses(lbapply(pool, list(x), function(i) xml2::xml_name(i)), "X[[1]]$node")
options(roost.references = "allow")
stopifnot(identical(lbapply(pool, 1, function(i) class(x)[1]), list("xml_document")))
options(roost.references = NULL)

db <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
refuses(lbapply(pool, 1, function(i) DBI::dbListTables(db)), "db@ptr")
DBI::dbDisconnect(db)

# What a task makes and uses itself is its own business.
stopifnot(identical(lbapply(pool, 1:2, function(i) xml2::xml_name(xml2::read_xml("<a/>"))), list("a", "a")))
close(pool)
