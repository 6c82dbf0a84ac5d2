# Who did what, when: tasks return their times and places beside their values, and note each attempt as it starts.
#
# A task that died with its worker returns nothing; its note is left, so that it can be counted and drawn. Notes need a
# directory that all workers can write to, WATCH_DIR; without one, lost attempts go unseen. Whoever kills or starts
# nodes writes lines to WATCH_DIR/events: time, killed or joined, the node.

watch_dir <- Sys.getenv("WATCH_DIR", tempdir())
show_progress <- isatty(stderr())

chapter <- function(...) cat("\n", ..., "\n", sep = "")
remark <- function(...) cat("  ", ..., "\n", sep = "")

# f, as a function that returns list(value, job, node, pid, started, ended).
watched <- function(f, job) {
  notes <- file.path(watch_dir, "attempts")
  function(x) {
    node <- Sys.getenv("ROOST_NODE")
    started <- as.numeric(Sys.time())
    if (dir.exists(dirname(notes)))
      cat(sprintf("%s\t%s\t%d\t%.6f\n", job, node, Sys.getpid(), started), file = notes, append = TRUE)
    value <- f(x)
    list(value = value, job = job, node = node, pid = Sys.getpid(), started = started, ended = as.numeric(Sys.time()))
  }
}

# Evaluates a run: its values, one row per attempt, and its wall time.
watch <- function(label, expr) {
  notes <- file.path(watch_dir, "attempts")
  unlink(notes)
  began <- as.numeric(Sys.time())
  jobs <- expr
  wall <- as.numeric(Sys.time()) - began
  column <- function(name) unlist(lapply(jobs, function(tasks) lapply(tasks, `[[`, name)), use.names = FALSE)
  done <- data.frame(job = column("job"), node = column("node"), pid = column("pid"), started = column("started"),
                     ended = column("ended"), stringsAsFactors = FALSE)
  noted <- read_notes(notes, c(job = "character", node = "character", pid = "integer", started = "numeric"))
  remark(nrow(done), " tasks in ", sprintf("%.1f", wall), " s")
  list(label = label, values = lapply(jobs, lapply, `[[`, "value"), attempts = add_lost(done, noted), began = began,
       wall = wall)
}

# A table without rows when nothing was noted, which read.delim() does not know.
read_notes <- function(file, columns) {
  if (!isTRUE(file.size(file) > 0)) return(as.data.frame(lapply(columns, vector, length = 0L), stringsAsFactors = FALSE))
  read.delim(file, header = FALSE, col.names = names(columns), colClasses = unname(columns), na.strings = NULL)
}

# Attempts that were noted but gave no outcome. They ended when their worker noted the next one; the last of them when
# the worker did.
add_lost <- function(done, noted) {
  done$lost <- FALSE
  at <- function(attempts) sprintf("%s %d %.6f", attempts$job, attempts$pid, attempts$started)
  lost <- noted[!at(noted) %in% at(done), ]
  if (!nrow(lost)) return(done)
  lost$ended <- vapply(seq_len(nrow(lost)), function(i) {
    later <- c(noted$started[noted$pid == lost$pid[i] & noted$started > lost$started[i]], death_of(lost$node[i]))
    if (length(later)) min(later) else lost$started[i]
  }, 0)
  lost$lost <- TRUE
  rbind(done, lost[names(done)])
}

events <- function() read_notes(file.path(watch_dir, "events"), c(time = "numeric", kind = "character", node = "character"))

death_of <- function(name) {
  seen <- events()
  seen$time[seen$kind == "killed" & seen$node == name]
}

# ---- the table ----

print_runs <- function(runs) {
  rows <- lapply(runs, function(run) {
    done <- run$attempts[!run$attempts$lost, ]
    places <- table(ifelse(nzchar(done$node), done$node, paste("process", done$pid)))
    data.frame(run = run$label, tasks = nrow(done), attempts = nrow(run$attempts), "lost, run again" = sum(run$attempts$lost),
               "wall s" = sprintf("%.1f", run$wall), "tasks by node" = paste(names(places), places, collapse = ", "),
               check.names = FALSE)
  })
  print(do.call(rbind, rows), row.names = FALSE, right = FALSE)
}

# ---- the picture: one row a worker, a bar a task ----

colours <- c(fits = "#4477AA", means = "#DDAA33", lost = "#CC3311", killed = "#CC3311", joined = "#228833")

plot_workers <- function(runs, file) {
  rows <- vapply(runs, function(run) length(unique(run$attempts$pid)), 0L)
  heights <- 150 + 46 * rows
  png(file, width = 1400, height = sum(heights), res = 110, type = "cairo")
  on.exit(dev.off())
  layout(matrix(seq_along(runs)), heights = heights)
  span <- c(0, max(vapply(runs, function(run) run$wall, 0)))
  for (run in runs) plot_run(run, span)
  remark("workers over time: ", normalizePath(file))
}

plot_run <- function(run, span) {
  attempts <- run$attempts
  workers <- unique(attempts[order(attempts$node, attempts$started), c("node", "pid")])
  row <- match(attempts$pid, workers$pid)
  colour <- colours[ifelse(attempts$lost, "lost", attempts$job)]
  long <- attempts$ended - attempts$started > span[2] / 150
  par(mar = c(3.2, 10, 3.5, 1), mgp = c(2, 0.6, 0))
  plot(NULL, xlim = span, ylim = c(nrow(workers) + 0.6, 0.4), yaxt = "n", ylab = "", xlab = "seconds", bty = "n")
  title(sprintf("%s: %d tasks, %.1f s", run$label, sum(!attempts$lost), run$wall), adj = 0, line = 2)
  axis(2, seq_len(nrow(workers)), trimws(paste(workers$node, "pid", workers$pid)), las = 1, tick = FALSE)
  rect(attempts$started - run$began, row - 0.36, attempts$ended - run$began, row + 0.36, col = colour, lwd = 0.7,
       border = ifelse(long, "white", colour))
  shown <- c("fits", "means", if (any(attempts$lost)) "lost")
  # Beside the title, above the line where events have their words.
  line <- par("mai")[3] / par("mar")[3]
  legend(span[2], grconvertY(grconvertY(1, "npc", "inches") + 2.5 * line, "inches"), xjust = 1, yjust = 0.5,
         c(fits = "bootstrap fits", means = "means", lost = "lost, run again")[shown], fill = colours[shown],
         border = NA, bty = "n", horiz = TRUE, xpd = NA)
  mark_events(events(), run)
}

mark_events <- function(seen, run) {
  seen <- seen[seen$time > run$began & seen$time < run$began + run$wall, ]
  for (i in seq_len(nrow(seen))) {
    at <- seen$time[i] - run$began
    abline(v = at, col = colours[seen$kind[i]], lty = 2, lwd = 2)
    mtext(paste(seen$node[i], seen$kind[i]), at = at, adj = if (seen$kind[i] == "killed") 1 else 0, cex = 0.75,
          col = colours[seen$kind[i]])
  }
}
