import Foundation
import Testing

/// R itself at both ends: a session that speaks the protocol with nothing but base R, and workers that run its tasks.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct RSessionTests {
    /// Plays a script against a bridge of its own; `b` is the session, `run` sends one job and waits for it.
    private func play(_ script: String) throws {
        let output = try R.run(
            Self.client + "\nb <- start(Sys.getenv(\"ROOST_UNDER_TEST\"))\n" + script
                + "\nstopifnot(ask(b, list(op = \"bye\"))$control$ok); cat(\"well\\n\")",
            environment: ["ROOST_UNDER_TEST": BridgeProcess.roost])
        #expect(output.hasSuffix("well\n"), "\(output)")
        if output.count > 5 { print(output) }
    }

    @Test("values in order with names; the random numbers of task i are stream i's")
    func values() throws {
        try play(
            """
            f <- run(b, c(a = 1, b = 2), function(x) x + 1)
            stopifnot(identical(values(f), list(a = 2, b = 3)), is.null(f$control$state))
            RNGkind("L'Ecuyer-CMRG"); set.seed(42); s <- .Random.seed
            f <- run(b, 1:50, function(x) runif(1), seed = s)
            expected <- lapply(1:50, function(i) { .Random.seed <<- s; s <<- parallel::nextRNGStream(s); runif(1) })
            stopifnot(identical(values(f), expected), identical(f$control$seed_next, s))
            stopifnot(identical(values(run(b, list(), identity)), list()))
            stopifnot(identical(values(run(b, as.Date("2026-01-01") + 0:1, format)), list("2026-01-01", "2026-01-02")))
            e <- ask(b, list(op = "submit"), S(structure(list(1), class = "mine")), common(identity))$control$error
            stopifnot(e$code == "needsAsList")
            """)
    }

    @Test("an error, a warning and a worker that dies each stay with their task")
    func troubles() throws {
        try play(
            """
            f <- run(b, 1:6, function(x) { if (x == 2) stop("two is bad"); if (x == 4) warning("four"); if (x == 5) quit("no", 3); x * 10 },
                     crash_limit = 1)
            v <- values(f); st <- as.integer(f$control$state)
            stopifnot(identical(v[c(1, 3, 4, 6)], list(10, 30, 40, 60)), is.null(v[[2]]), is.null(v[[5]]))
            stopifnot(identical(st[-5], c(0L, 1L, 0L, 0L, 0L)), st[5] %in% c(1L, 3L))
            d <- details(f); i <- f$control$details$index
            stopifnot(2L %in% i, 4L %in% i, inherits(d[[match(2L, i)]]$error, "error"),
                      conditionMessage(d[[match(2L, i)]]$error) == "two is bad", length(d[[match(4L, i)]]$warnings) == 1)
            pm <- f$control$post_mortems
            stopifnot(identical(sort(pm$index), c(2L, 5L)), grepl("two is bad", pm$reason[pm$index == 2]))
            """)
    }

    @Test("tasks appended, outcomes as they complete, setup, cancel")
    func session() throws {
        try play(
            """
            stopifnot(ask(b, list(op = "setup"), S(list(kind = "assign", names = "zz", values = list(41))))$control$number == 1)
            job <- ask(b, list(op = "submit", open = TRUE), S(1:3), common(function(x) zz + x))$control$job
            stopifnot(ask(b, list(op = "append", job = job), S(4:600))$control$n == 600)
            stopifnot(ask(b, list(op = "append", job = job, close = TRUE), S(601:602))$control$n == 602)
            cursor <- 0; got <- list()
            repeat { f <- ask(b, list(op = "next", job = job, cursor = cursor)); got[f$control$index] <- values(f)
              cursor <- f$control$cursor; if (f$control$ended) break }
            stopifnot(identical(unlist(got), 41 + 1:602))
            f <- ask(b, list(op = "next", job = job, cursor = cursor))
            stopifnot(f$control$ended, length(f$control$index) == 0)
            stopifnot(ask(b, list(op = "forget", job = job))$control$ok)
            stopifnot(!ask(b, list(op = "status", job = job))$control$ok)
            f <- run(b, 1:4, function(x) Sys.sleep(1000), more = function(m)
              if (!is.null(m$control$job)) send(b, list(op = "cancel", job = m$control$job)))
            stopifnot(identical(as.integer(f$control$state), rep(2L, 4)))
            parts <- list(S(1:2), common(function(x) Sys.sleep(1000)))
            mine <- send(b, list(op = "run", lengths = as.double(lengths(parts))), unlist(parts))
            repeat { f <- read_frame(b); if (f$reply == mine && !is.null(f$control$job)) break }
            job <- f$control$job
            stopifnot(ask(b, list(op = "stop", seq = mine))$control$ok, !ask(b, list(op = "status", job = job))$control$ok)
            repeat { j <- ask(b, list(op = "jobs"))$control; if (!(job %in% j$id) || j$state[j$id == job] == "cancelled") break; Sys.sleep(0.05) }
            stopifnot(identical(values(run(b, 1:2, identity)), list(1L, 2L)))
            """)
    }

    /// A request that is a row of numbers; `blob` is what it is about.
    private static let brief = """
        brief <- function(b, numbers, blob = raw(), wait = TRUE) {
          b$seq <- b$seq + 1
          writeBin(c(writeBin(c(b$seq, b$got, 8 * length(numbers), length(blob), numbers), raw(), endian = "little"), blob), b$con)
          if (wait) repeat { f <- read_frame(b, raw = TRUE); if (f$reply == b$seq) return(f) }
        }
        numbers <- function(f) readBin(f$control, "double", length(f$control) / 8)
        open_calls <- function(task, ...) ask(b, list(op = "submit", open = TRUE, transient = TRUE), S(list()), common(task, ...))$control

        """

    @Test("small calls are tasks of an open job: asked for in numbers, answered with the values alone")
    func calls() throws {
        try play(
            Self.brief + """
                o <- open_calls(function(x) { if (x < 0) stop("negative"); x + runif(1) })
                f <- brief(b, c(1, o$brief, 42), S(list(1, 2)))
                RNGkind("L'Ecuyer-CMRG"); set.seed(42); s <- .Random.seed
                want <- list({ .Random.seed <- s; 1 + runif(1) }, { .Random.seed <- parallel::nextRNGStream(s); 2 + runif(1) })
                stopifnot(length(f$control) == 0, identical(unserialize(f$blob), want))
                f <- brief(b, c(1, o$brief, 42), S(list(-1)))
                said <- unserialize(f$control)
                stopifnot(identical(as.integer(said$state), 1L), said$first == 3, grepl("negative", said$post_mortems$reason))
                # Answered only when something is wrong, in the order of the requests.
                for (i in 1:20) brief(b, c(2, o$brief, i), S(list(i)), wait = FALSE)
                # What calls were answered is not kept: asked for once more, these tasks have no outcome.
                again <- unserialize(brief(b, c(3, o$brief, 0, 3, Inf))$control)
                stopifnot(identical(as.integer(again$state), rep(4L, 3)), again$cursor == 3)
                cursor <- 3; got <- 3
                while (got < 23) { f <- numbers(brief(b, c(3, o$brief, cursor, 1000, Inf))); cursor <- f[1]; got <- got + length(f) - 2 }
                stopifnot(got == 23, cursor == 23)
                brief(b, c(4, o$brief), wait = FALSE)
                stopifnot(unserialize(brief(b, c(1, o$brief, 42), S(list(1)))$control)$error$code == "notFound")
                """)
    }

    @Test("an append that fails without being waited for ends its job; a call that is left is cancelled")
    func failedCalls() throws {
        try play(
            Self.brief + """
                o <- open_calls(function(x) x)
                brief(b, c(1, o$brief, 42), S(list(1)))
                brief(b, c(2, o$brief, NaN), S(list(2)), wait = FALSE)
                f <- brief(b, c(3, o$brief, 1, 10, Inf))
                stopifnot(grepl("all have seeds", unserialize(f$control)$error$message))
                o <- open_calls(function(x) { Sys.sleep(x); x })
                brief(b, c(1, o$brief, 42), S(list(1000)), wait = FALSE)
                mine <- b$seq
                stopifnot(ask(b, list(op = "stop", seq = mine))$control$ok)
                stopifnot(identical(unserialize(brief(b, c(1, o$brief, 42), S(list(0)))$blob), list(0)))
                """)
    }

    @Test("workers are seen, while they are busy too, and can be killed; their task is tried again")
    func workers() throws {
        try play(
            """
            pids <- unlist(values(run(b, 1:2, function(x) { Sys.sleep(0.3); Sys.getpid() })))
            w <- workers(b)
            stopifnot(all(pids %in% w$pid), all(w$mine[w$pid %in% pids]), is.na(w$seat))
            stopifnot(all(w$memory[w$mine] > 1e7), all(abs(w$since - as.numeric(Sys.time())) < 100), nchar(w$session[w$mine]) == 8)
            parts <- list(S(1), common(function(x) Sys.sleep(1000)))
            job <- ask(b, list(op = "submit", crash_limit = 1), parts[[1]], parts[[2]])$control$job
            busy <- until({ w <- workers(b); which(w$state == "busy" & w$job %in% job) })
            stopifnot(w$task[busy] == 1, w$mine[busy])
            stopifnot(ask(b, list(op = "kill_worker", node = w$node[busy], pid = w$pid[busy]))$control$ok)
            f <- ask(b, list(op = "collect", job = job))
            stopifnot(f$control$state == as.raw(3), grepl("signal 15", f$control$post_mortems$reason))
            pid <- w$pid[busy]
            until(if (!(pid %in% workers(b)$pid)) TRUE)
            e <- ask(b, list(op = "kill_worker", node = w$node[busy], pid = Sys.getpid()))$control
            stopifnot(!e$ok, e$error$code == "notFound")
            """)
    }

    @Test("a seat is one worker, whoever else uses it; when that has died, its tasks say so, and a new seat has another")
    func seats() throws {
        try play(
            """
            pid <- function(seat) unlist(values(run(b, 1, function(x) Sys.getpid(), seat = seat)))
            first <- c(pid(1), pid(2), pid(3))
            stopifnot(!anyDuplicated(first), identical(c(pid(1), pid(2), pid(3)), first))
            w <- workers(b)
            stopifnot(identical(w$pid[match(1:3, w$seat)], first))
            invisible(run(b, 1, function(x) assign("left", 7, globalenv()), seat = 2))
            stopifnot(all(unlist(values(run(b, 1:40, function(x) { Sys.sleep(0.01); Sys.getpid() }))) %in% w$pid))
            stopifnot(identical(values(run(b, 1:3, function(x) left + x, seat = 2)), list(8, 9, 10)))
            # Two jobs of one seat, and a task that keeps its worker busy.
            slow <- ask(b, list(op = "submit", seat = 1), S(1), common(function(x) { Sys.sleep(0.5); Sys.getpid() }))$control$job
            stopifnot(pid(1) == first[1])
            stopifnot(identical(values(ask(b, list(op = "collect", job = slow))), list(first[1])))
            # One waits behind a task that never ends: it can be cancelled, and the worker lives on.
            hangs <- ask(b, list(op = "submit", seat = 1), S(1), common(function(x) Sys.sleep(1000)))$control$job
            until(if (any(workers(b)$job %in% hangs)) TRUE)
            waits <- ask(b, list(op = "submit", seat = 1), S(1:2), common(identity))$control$job
            for (job in c(waits, hangs)) {
              stopifnot(ask(b, list(op = "cancel", job = job))$control$ok)
              stopifnot(all(ask(b, list(op = "collect", job = job))$control$state == as.raw(2)))
            }
            stopifnot(pid(1) == first[1])
            # Death
            w <- workers(b); i <- match(2, w$seat)
            stopifnot(ask(b, list(op = "kill_worker", node = w$node[i], pid = w$pid[i], signal = 9))$control$ok)
            f <- until({ f <- run(b, 1:2, function(x) left, seat = 2); if (all(f$control$state == as.raw(1))) f })
            reason <- f$control$post_mortems$reason
            cat(reason[1], "\n")
            stopifnot(grepl(paste0("^the worker of seat 2 [(]pid ", first[2], " on node .*[)] has ended: killed by signal 9 .*cloneNode"), reason))
            stopifnot(pid(1) == first[1], pid(3) == first[3], !(pid(4) %in% first))
            # quit() in a seat's own task: it is tried again, and then says where its worker went.
            f <- run(b, 1, function(x) quit("no", 3), seat = 3)
            stopifnot(f$control$state == as.raw(1), grepl("seat 3 .* has ended: exit status 3", f$control$post_mortems$reason))
            """)
    }

    @Test("much of it: many small elements, and a few large ones")
    func much() throws {
        try play(
            """
            RNGkind("L'Ecuyer-CMRG"); set.seed(1)
            t <- system.time(f <- run(b, 1:100000, function(x) x, seed = .Random.seed))[["elapsed"]]
            stopifnot(identical(values(f), as.list(1:100000)))
            X <- lapply(1:40, function(i) as.numeric(i + 1:131072))
            u <- system.time(f <- run(b, X, function(x) x * 2))[["elapsed"]]
            stopifnot(identical(values(f), lapply(X, function(x) x * 2)))
            t1 <- Sys.time(); for (i in 1:1000) run(b, 1, identity); t1 <- as.numeric(Sys.time() - t1, units = "secs")
            cat("100,000 elements:", t, "s; 40 of 1 MB:", u, "s; one alone:", round(t1 * 1000), "microseconds\\n")
            """)
    }

    private static let client = #"""
        S <- function(x) serialize(x, NULL, xdr = FALSE, version = 3)
        frame <- function(seq, reply, control, blob = raw()) { bytes <- S(control)
          c(writeBin(as.double(c(seq, reply, length(bytes), length(blob))), raw(), endian = "little"), bytes, blob) }
        take <- function(con, n) { parts <- list(); have <- 0
          while (have < n) { socketSelect(list(con)); r <- readBin(con, raw(), min(n - have, 2^22))
            if (!length(r)) stop("the bridge closed the connection"); parts[[length(parts) + 1]] <- r; have <- have + length(r) }
          if (length(parts) == 1) parts[[1]] else unlist(parts) }
        read_frame <- function(b, raw = FALSE) { h <- readBin(take(b$con, 32), "double", 4, endian = "little")
          control <- if (h[3] > 0) take(b$con, h[3]) else base::raw()
          f <- list(reply = h[2], control = if (raw) control else unserialize(control), blob = if (h[4] > 0) take(b$con, h[4]) else base::raw())
          if (h[1] > 0) b$got <- h[1]
          f }
        start <- function(bin) {
          w <- strsplit(system2(bin, c("bridge", "--slots", "2", "--parent", Sys.getpid()), stdout = TRUE), " ")[[1]]
          b <- new.env(); b$seq <- 0; b$got <- 0
          b$con <- socketConnection("127.0.0.1", as.integer(w[3]), blocking = FALSE, open = "a+b", options = "no-delay")
          writeBin(frame(0, 0, list(op = "hello", protocol = 1L, secret = w[4])), b$con)
          stopifnot(read_frame(b)$control$ok); b }
        send <- function(b, control, blob = raw()) { b$seq <- b$seq + 1; writeBin(frame(b$seq, b$got, control, blob), b$con); b$seq }
        ask <- function(b, control, ..., more = function(f) NULL) {
          parts <- list(...); if (length(parts)) control$lengths <- as.double(lengths(parts))
          s <- send(b, control, unlist(parts))
          repeat { f <- read_frame(b); if (f$reply != s) next
            if (isTRUE(f$control$more)) more(f) else return(f) } }
        common <- function(fun) { if (!is.primitive(fun)) environment(fun) <- globalenv()
          S(list(fun = fun, args = list(), globals = list(), packages = character(), options = list(), keep = TRUE)) }
        run <- function(b, X, fun, ..., more = function(f) NULL) {
          f <- ask(b, list(op = "run", progress = FALSE, ...), S(X), common(fun), more = more)
          if (!f$control$ok) stop(paste(f$control$error, collapse = " | "))
          f }
        part <- function(f, i) { n <- f$control$lengths; e <- cumsum(n); unserialize(f$blob[(e[i] - n[i] + 1):e[i]]) }
        values <- function(f) part(f, 1)
        workers <- function(b) ask(b, list(op = "workers"))$control
        until <- function(value) { value <- substitute(value); from <- parent.frame(); end <- Sys.time() + 60
          repeat { v <- eval(value, from); if (length(v)) return(invisible(v))
            if (Sys.time() > end) stop("waited in vain for ", deparse(value)[1]); Sys.sleep(0.02) } }
        details <- function(f) part(f, 2)
        """#
}
