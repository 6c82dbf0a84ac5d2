library(roost)
if (!roost_available()) { cat("the program roost is not here: nothing is tested\n"); quit("no") }
options(warn = 1)
has <- function(package) requireNamespace(package, quietly = TRUE)
pool <- pool_local(workers = 2)
there <- function(...) unlist(lbapply(pool, ...))

# Connections and pointers are refused before anything is sent, by name.
refuses <- function(expr, name) {
  e <- tryCatch(expr, error = identity)
  stopifnot(inherits(e, "roost_reference_error"), startsWith(conditionMessage(e), paste0("`", name, "` cannot be sent")))
}
path <- tempfile(); con <- file(path, "w")
refuses(lbapply(pool, 1, function(i) writeLines("a", con)), "con")
L <- list(a = list(con)); refuses(lbapply(pool, 1, function(i) length(L)), "L$a[[1]]")
E <- new.env(); E$z <- con; refuses(lbapply(pool, 1, function(i) E$z), "E$z")
f <- local({ inner <- con; function() inner }); refuses(lbapply(pool, 1, function(i) f()), "inner")
refuses((function() { inner <- con; lbapply(pool, 1, function(i) isOpen(inner)) })(), "inner")
refuses(lbapply(pool, 1, function(i, k) isOpen(k), k = con), "...$k")
refuses(lbapply(pool, list(1, con), function(k) 1), "X[[2]]")
refuses(async_lapply(pool, 1, function(i) isOpen(con)), "con")
refuses(async(isOpen(con), pool), "con")
refuses(lbapply(pool, 1, function(i) if (i > 9) con), "con")

# Not those that nobody mentions for sure, and not R's own three.
stopifnot(there(1, function(i) { con <- 3; con }) == 3, there(1, function(i) { h <- function() { con <- 3; con }; h() }) == 3,
          (function() { inner <- con; there(1, function(i) i) })() == 1, there(1, function(i, k) i, k = stdout()) == 1)
first <- function(x) writeLines(x, con)
stopifnot(there(1, function(i) { if (i > 9) eval(quote(first("a"))); i }) == 1)
second <- function(x) first(x); refuses(lbapply(pool, 1, function(i) { eval(quote(first("a"))); second("b") }), "con")
close(con)
stopifnot(length(readLines(path)) == 0L)

# Both ways, and with permission
if (has("xml2")) {
  x <- xml2::read_xml("<a><b/></a>")
  refuses(lbapply(pool, 1, function(i) xml2::xml_name(x)), "x$node")
  refuses(lbapply(pool, list(x), function(i) xml2::xml_name(i)), "X[[1]]$node")
  options(roost.references = "allow")
  stopifnot(identical(there(1, function(i) class(x)[1]), "xml_document"))
  options(roost.references = NULL)
}
if (has("RSQLite")) {
  db <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  refuses(lbapply(pool, 1, function(i) DBI::dbListTables(db)), "db@ptr")
  DBI::dbDisconnect(db)
}
# Objects that their packages make whole again
pointer <- attr(con, "conn_id")
stopifnot(there(1, function(i, b) length(b), structure(list(handle = pointer), class = "xgb.Booster")) == 1L)
refuses(lbapply(pool, 1, function(i, b) length(b), structure(list(handle = pointer), class = "other")), "...[[1]]$handle")
if (has("lme4")) {
  fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  stopifnot(all.equal(there(list(fit), function(f) lme4::fixef(f)), lme4::fixef(fit)),
            all.equal(there(1, function(i) sum(predict(fit))), sum(predict(fit))))
}
e <- tryCatch(lbapply(pool, 1, function(i) file(tempfile(), "w")), error = identity)
stopifnot(inherits(e, "roost_task_error"), grepl("a connection", conditionMessage(e)))
options(roost.references = "maybe"); con <- file(path)
stopifnot(grepl("roost.references", conditionMessage(tryCatch(lbapply(pool, 1, function(i) con), error = identity))))
options(roost.references = "error")
stopifnot(grepl("`con` cannot be sent", conditionMessage(tryCatch(parallel::clusterExport(pool, "con"), error = identity))))
close(con)
close(pool)
