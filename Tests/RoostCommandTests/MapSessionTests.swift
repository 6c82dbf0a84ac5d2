import RoostCommand
import RoostModel
import Testing

@Suite("A map session turns facts into actions")
struct MapSessionTests {
    /// A session with its command line, fed by hand.
    struct Player {
        var session: MapSession
        let plan: MapPlan
        var now = Instant.zero
        var last: [MapAction] = []

        init(_ arguments: String..., terminal: Bool = false) throws {
            plan = try MapPlan(
                arguments: arguments.map(bytes),
                surroundings: .init(outputIsTerminal: terminal, errorIsTerminal: terminal))
            session = MapSession(plan: plan, at: .zero)
        }

        @discardableResult
        mutating func play(_ fact: MapFact) -> [MapAction] {
            now = now + .milliseconds(10)
            last = []
            session.handle(fact, at: now, into: &last)
            return last
        }

        /// Reads all inputs of the command line.
        mutating func readAll() throws {
            let reader = try MapTaskReader(plan)
            while let task = try reader.next() { play(.tasksRead([task])) }
            play(.inputsEnded)
        }

        @discardableResult
        mutating func end(
            _ index: Int, _ output: String = "", _ kind: OutcomeKind = .succeeded, exit: Int32 = 0, signal: Int32 = 0,
            reason: String = ""
        ) -> [MapAction] {
            play(
                .outcomes([
                    MapOutcome(
                        index: index, kind: kind, reason: reason, startSeconds: 1, runSeconds: 2, exitStatus: exit,
                        signal: signal, stdout: CapturedOutput(head: bytes(output)))
                ]))
        }
    }

    private func out(_ content: String) -> MapAction { .write(OutputWrite(.stdout, bytes(content))) }
    private func err(_ content: String) -> MapAction { .write(OutputWrite(.stderr, bytes(content))) }

    @Test("Read, submit, close, print, finish")
    func simple() throws {
        var player = try Player("--no-progress", "gzip", ":::", "a", "b")
        let reader = try MapTaskReader(player.plan)
        let first = try #require(try reader.next())
        #expect(
            player.play(.tasksRead([first])) == [
                .submit(firstIndex: 0, commands: [.direct(argv: [bytes("gzip"), bytes("a")])])
            ])
        #expect(player.end(0, "one\n") == [out("one\n")])
        let second = try #require(try reader.next())
        #expect(
            player.play(.tasksRead([second])) == [
                .submit(firstIndex: 1, commands: [.direct(argv: [bytes("gzip"), bytes("b")])])
            ])
        #expect(player.play(.inputsEnded) == [.closeJob])
        #expect(player.end(1, "two\n") == [out("two\n"), .finish(.success)])
        #expect(player.play(.interrupted) == [])
    }

    @Test("No inputs, no job")
    func nothing() throws {
        var player = try Player("gzip", ":::")
        try player.readAll()
        #expect(player.last == [.finish(.success)])
    }

    @Test("The status counts failures, up to 101", arguments: [(1, 1), (100, 100), (150, 101)] as [(Int, Int32)])
    func failures(_ count: Int, _ status: Int32) throws {
        var player = try Player("--no-progress", "false")
        player.play(
            .tasksRead(
                (1...count).map {
                    MapTask(input: MapInput(sequence: $0, values: []), command: .direct(argv: [bytes("false")]))
                }))
        player.play(.inputsEnded)
        for index in 0..<count { player.end(index, "", .failed, exit: 1, reason: "exit status 1") }
        #expect(player.last.last == .finish(ExitStatus(rawValue: status)))
    }

    @Test("An outcome told twice counts once")
    func twice() throws {
        var player = try Player("--no-progress", "-k", "x", ":::", "a", "b")
        try player.readAll()
        player.end(1, "b")
        #expect(player.end(1, "b") == [])
        #expect(player.end(0, "a") == [out("ab"), .finish(.success)])
        #expect(player.end(0, "a") == [])
    }

    @Test("--keep-order: the job log follows the printed output")
    func orderedLog() throws {
        var player = try Player("--no-progress", "-k", "--joblog", "/tmp/log", "--tag", "echo", ":::", "a", "b c")
        try player.readAll()
        #expect(player.end(1, "b c\n") == [])
        #expect(
            player.end(0, "a\n") == [
                out("a\ta\nb c\tb c\n"),
                .appendJoblog(bytes("1\t:\t     1.000\t     2.000\t0\t2\t0\t0\techo a\n")),
                .appendJoblog(bytes("2\t:\t     1.000\t     2.000\t0\t4\t0\t0\techo 'b c'\n")),
                .finish(.success),
            ])
    }

    @Test("Resumed: indices count what is submitted, sequences all inputs")
    func resumed() throws {
        let directory = try TemporaryDirectory()
        let ended = MapOutcome(index: 0)
        let log = try directory.write(
            "log", JoblogLine.header + JoblogLine.format(sequence: 1, outcome: ended, command: bytes("x")))
        var player = try Player("--no-progress", "--joblog", log, "--resume", "echo", "{#}", "{}", ":::", "a", "b")
        try player.readAll()
        let actions = player.end(0)
        #expect(player.plan.joblog?.appends == true)
        #expect(actions.first == .appendJoblog(bytes("2\t:\t     1.000\t     2.000\t0\t0\t0\t0\techo 2 b\n")))
        #expect(actions.last == .finish(.success))
    }

    @Test("--dry-run prints the commands and touches no pool")
    func dryRun() throws {
        var player = try Player("--dry-run", "--tag", "echo {%}", "{}", ":::", "a b")
        let task = try #require(try MapTaskReader(player.plan).next())
        #expect(player.play(.tasksRead([task])) == [out("a b\techo {%} 'a b'\n")])
        #expect(player.play(.inputsEnded) == [.finish(.success)])
    }

    @Test("The first Ctrl-C cancels and waits, then tells what became of it; status 130")
    func interrupt() throws {
        var player = try Player("--no-progress", "sleep", ":::", "1", "2", "3")
        let reader = try MapTaskReader(player.plan)
        while let task = try reader.next() { player.play(.tasksRead([task])) }
        player.end(0)
        #expect(
            player.play(.interrupted) == [
                .stopInputs, .closeJob, err("roost: cancelling; press Ctrl-C again to kill what still runs\n"),
                .cancelJob,
            ])
        #expect(player.play(.tasksRead([])) == [])
        player.end(1, "", .cancelled)
        #expect(
            player.end(2, "", .cancelled)
                == [err("roost: 1 of 3 tasks succeeded, 2 not run, 0.1s\n"), .finish(.interrupted)])
    }

    @Test("The second Ctrl-C kills")
    func secondInterrupt() throws {
        var player = try Player("--no-progress", "sleep", ":::", "1")
        try player.readAll()
        player.play(.interrupted)
        let actions = player.play(.interrupted)
        #expect(actions.first == .killJob)
        #expect(actions.last == .finish(.interrupted))
    }

    @Test("Ctrl-C before the first input ends at once")
    func earlyInterrupt() throws {
        var player = try Player("--no-progress", "x")
        #expect(player.play(.interrupted).last == .finish(.interrupted))
    }

    @Test("--halt now,fail=1 stops reading, cancels, and ends with the task's own status")
    func halt() throws {
        var player = try Player("--no-progress", "--halt", "now,fail=1", "x", ":::", "a", "b", "c")
        let reader = try MapTaskReader(player.plan)
        while let task = try reader.next() { player.play(.tasksRead([task])) }
        player.end(0)
        let actions = player.end(1, "", .failed, exit: 4, reason: "exit status 4")
        #expect(actions.contains(.stopInputs) && actions.contains(.cancelJob))
        player.end(2, "", .cancelled)
        #expect(player.last.last == .finish(ExitStatus(rawValue: 4)))
    }

    @Test(
        "The status of a halted run is GNU parallel's",
        arguments: [
            ("now,fail=1", [0, 137], 137), ("now,fail=2", [3, 4], 2), ("soon,success=1", [3, 0], 0),
            ("now,done=1", [3], 3),
            ("now,done=2", [0, 4], 1), ("now,fail=30%", [0, 4, 5, 0, 0, 0, 7, 0, 0, 0], 30),
            ("now,done=30%", [0, 4, 5, 0, 0, 0, 7, 0, 0, 0], 20),
            ("now,success=30%", [0, 4, 5, 0, 0, 0, 7, 0, 0, 0], 0),
            ("now,fail=2", [3, 0, 0], 1), ("now,fail=60%", [3, 0, 0], 34), ("soon,fail=50%", [0, 1, 1, 0, 1, 1], 50),
        ] as [(String, [Int32], Int32)])
    func haltStatus(_ rule: String, _ exits: [Int32], _ expected: Int32) throws {
        var player = try Player("--no-progress", "--halt", rule, "x")
        player.play(
            .tasksRead(
                exits.indices.map {
                    MapTask(input: MapInput(sequence: $0 + 1, values: []), command: .direct(argv: [bytes("x")]))
                }))
        player.play(.inputsEnded)
        var hasHalted = false
        for (index, exit) in exits.enumerated() {
            if hasHalted {
                player.end(index, "", .cancelled)
            } else {
                player.end(
                    index, "", exit == 0 ? .succeeded : .failed, exit: exit > 128 ? 0 : exit,
                    signal: exit > 128 ? exit - 128 : 0)
                hasHalted = player.last.contains {
                    if case .write(let write) = $0 { text(write.bytes).contains("--halt") } else { false }
                }
            }
        }
        #expect(player.last.last == .finish(ExitStatus(rawValue: expected)))
    }

    @Test("Results go into files as they come; what is missing is written at the end, the sequence last")
    func results() throws {
        var player = try Player("--no-progress", "--results", "r", "x", ":::", "a", "b")
        try player.readAll()
        #expect(
            player.play(.chunk(MapChunk(index: 0, stream: .stdout, offset: 0, bytes: bytes("he"))))
                == [.writeResult(path: bytes("r/1/a/stdout"), offset: 0, bytes: bytes("he"))])
        #expect(player.play(.chunk(MapChunk(index: 0, stream: .stdout, offset: 4, bytes: bytes("o")))) == [])
        #expect(
            player.end(0, "hello") == [
                .writeResult(path: bytes("r/1/a/stdout"), offset: 0, bytes: bytes("hello")),
                .writeResult(path: bytes("r/1/a/stderr"), offset: 0, bytes: []),
                .writeResult(path: bytes("r/1/a/seq"), offset: 0, bytes: bytes("1")),
            ])
        player.play(.chunk(MapChunk(index: 1, stream: .stdout, offset: 0, bytes: bytes("all"))))
        #expect(
            player.end(1, "all") == [
                .writeResult(path: bytes("r/1/b/stderr"), offset: 0, bytes: []),
                .writeResult(path: bytes("r/1/b/seq"), offset: 0, bytes: bytes("2")), .finish(.success),
            ])
    }

    @Test("Output that nobody kept is said, ends the map with 255, and leaves the task to a resumed run")
    func missingOutput() throws {
        var player = try Player("--no-progress", "--results", "r", "x", ":::", "a")
        try player.readAll()
        let stdout = CapturedOutput(head: bytes("beg"), tail: bytes("end"), totalBytes: 10)
        let actions = player.play(.outcomes([MapOutcome(index: 0, kind: .succeeded, stdout: stdout)]))
        #expect(actions.contains(.writeResult(path: bytes("r/1/a/stdout"), offset: 7, bytes: bytes("end"))))
        #expect(actions.contains(err("roost: task 1: 4 bytes of its output are missing in r/1/a/stdout\n")))
        #expect(!actions.contains { if case .writeResult(bytes("r/1/a/seq"), _, _) = $0 { true } else { false } })
        #expect(player.last.last == .finish(.roostFailed))
    }

    @Test("A held task is told at once, an ordinary failure in the summary")
    func telling() throws {
        var player = try Player("x", ":::", "a", "b")
        try player.readAll()
        #expect(
            player.end(0, "", .held, reason: "killed 3 workers (SIGSEGV)") == [
                err("roost: task 1: killed 3 workers (SIGSEGV)\n")
            ])
        #expect(
            player.end(1, "", .failed, exit: 2, reason: "exit status 2 on alpha") == [
                err("roost: task 2: exit status 2 on alpha\n"), err("roost: 0 of 2 tasks succeeded, 2 failed, 0.1s\n"),
                .finish(.failures(2)),
            ])
    }

    @Test("On a terminal the bar is cleared before output and drawn again after it, never into a half line")
    func terminal() throws {
        var player = try Player("x", ":::", "a", "b", "c", terminal: true)
        try player.readAll()
        player.now = player.now + .seconds(1)
        #expect(player.play(.ticked).count == 1)
        let actions = player.end(0, "whole\n")
        #expect(actions == [err("\r\u{1b}[K"), out("whole\n")])
        player.now = player.now + .seconds(1)
        #expect(player.play(.ticked).count == 1)
        #expect(player.end(1, "half") == [err("\r\u{1b}[K"), out("half")])
        player.now = player.now + .seconds(1)
        #expect(player.play(.ticked) == [])
        let end = player.end(2, "")
        #expect(end.first == err("\n"))
        #expect(end.last == .finish(.success))
    }

    @Test("Reading pauses when too many tasks wait, and goes on when they have ended")
    func backPressure() throws {
        var player = try Player("--no-progress", "x")
        let limit = MapLimits.outstandingTasks
        let tasks = (1...limit).map { MapTask(input: MapInput(sequence: $0, values: []), command: .direct(argv: [])) }
        #expect(player.play(.tasksRead(tasks)).last == .pauseInputs)
        let ends = (0..<limit / 2).map { MapOutcome(index: $0) }
        #expect(player.play(.outcomes(ends)) == [.resumeInputs])
    }

    @Test("Large inputs count by their size, and stop counting when their tasks have ended")
    func backPressureBytes() throws {
        var player = try Player("--no-progress", "x")
        let big = [UInt8](repeating: 120, count: MapLimits.outstandingBytes / 2)
        func task(_ sequence: Int) -> MapTask {
            MapTask(input: MapInput(sequence: sequence, values: [big]), command: .direct(argv: []))
        }
        #expect(player.play(.tasksRead([task(1)])).last != .pauseInputs)
        #expect(player.play(.tasksRead([task(2)])).last == .pauseInputs)
        #expect(player.end(0) == [.resumeInputs])
        #expect(player.play(.tasksRead([task(3)])).last == .pauseInputs)
    }

    @Test("Whatever comes when: each byte is printed once, in order, and the end is said once", arguments: 0..<60)
    func anyOrder(_ seed: UInt64) throws {
        var random = SmallGenerator(state: seed)
        let count = Int.random(in: 1...20, using: &random)
        let isOrdered = Bool.random(using: &random)
        let mode = ["--group", "--lb", "-u"].randomElement(using: &random) ?? "--lb"
        var player = try Player("--no-progress", mode, isOrdered ? "-k" : "--group", "--joblog", "/tmp/log", "x")
        player.play(
            .tasksRead(
                (1...count).map {
                    MapTask(input: MapInput(sequence: $0, values: []), command: .direct(argv: [bytes("x")]))
                }))
        let outputs = (0..<count).map { index in
            (0..<Int.random(in: 0...5, using: &random)).map { "\(index).\($0)\n" }.joined()
        }
        // Pieces and ends, shuffled; a piece may come after its task's end, twice, or not at all.
        var facts: [MapFact] = [.inputsEnded]
        for (index, output) in outputs.enumerated() {
            let content = bytes(output)
            var offset = 0
            while offset < content.count {
                let length = Int.random(in: 1...content.count - offset, using: &random)
                let piece = MapChunk(
                    index: index, stream: .stdout, offset: offset, bytes: Array(content[offset..<offset + length]))
                for _ in 0..<Int.random(in: 0...2, using: &random) { facts.append(.chunk(piece)) }
                offset += length
            }
            let outcome = MapOutcome(index: index, stdout: CapturedOutput(head: content))
            facts.append(.outcomes([outcome]))
            if Bool.random(using: &random) { facts.append(.outcomes([outcome])) }
        }
        facts.shuffle(using: &random)
        var paper = Paper()
        var logged: [Int] = []
        var finishes: [Int32] = []
        for fact in facts {
            for action in player.play(fact) {
                switch action {
                case .write(let write): paper.take([write])
                case .appendJoblog(let line): logged.append(JoblogLine.parse(line[...])?.sequence ?? 0)
                case .finish(let status): finishes.append(status.rawValue)
                default: break
                }
            }
        }
        let printed = paper.text()
        #expect(paper.keepsNothing)
        #expect(finishes == [0])
        #expect(logged.sorted() == Array(1...count))
        if isOrdered {
            #expect(printed == outputs.joined())
            #expect(logged == Array(1...count))
        } else if mode != "-u" {
            // Whole lines: those of each task in order.
            for (index, output) in outputs.enumerated() {
                let lines = printed.split(separator: "\n").filter { $0.hasPrefix("\(index).") }
                #expect(lines.map { $0 + "\n" }.joined() == output)
            }
        } else {
            #expect(printed.utf8.sorted() == outputs.joined().utf8.sorted())
        }
    }

    @Test("A lost pool ends the run with its status and the remedy")
    func lost() throws {
        var player = try Player("--no-progress", "x", ":::", "a")
        try player.readAll()
        let error = MapError(.unavailable, "cannot reach head:7117", remedy: "start the server")
        #expect(
            player.play(.failed(error))
                == [err("roost: cannot reach head:7117; start the server\n"), .cancelJob, .finish(.unavailable)])
    }

    @Test("An input file that fails half way lets running tasks end, then says 255")
    func inputsFailed() throws {
        var player = try Player("--no-progress", "x", ":::", "a")
        let task = try #require(try MapTaskReader(player.plan).next())
        player.play(.tasksRead([task]))
        #expect(
            player.play(.inputsFailed(MapError(.roostFailed, "disk gone"))) == [err("roost: disk gone\n"), .closeJob])
        #expect(player.end(0) == [.finish(.roostFailed)])
    }

    @Test("--detach prints the job's number, and says that it is durable, when the pool has it all")
    func detach() throws {
        var player = try Player("--detach", "--pool", "roost://h:1", "x", ":::", "a")
        try player.readAll()
        #expect(player.last == [.closeJob])
        let words = "job 5 (id a1b2) is durable, on the server's disk: 'roost job attach 5' shows it from anywhere"
        #expect(
            player.play(.submitted(job: "5", id: "a1b2")) == [err("roost: \(words)\n"), out("5\n"), .finish(.success)])
    }

    @Test("--detach, interrupted before the pool has it all, leaves nothing to run", arguments: [MapFact.interrupted, .hungUp])
    func detachInterrupted(fact: MapFact) throws {
        var player = try Player("--detach", "--pool", "roost://h:1", "x", ":::", "a")
        try player.readAll()
        let words = "interrupted; what has arrived of the job is cancelled"
        #expect(player.play(fact) == [err("roost: \(words)\n"), .finish(.interrupted)])
        #expect(!player.session.isGivenAway)
    }

    @Test("--output json: one object a task")
    func json() throws {
        var player = try Player("--no-progress", "--output", "json", "echo", ":::", "a b")
        try player.readAll()
        #expect(
            player.end(0, "a b\n").first
                == out(
                    #"{"task":1,"inputs":["a b"],"command":"echo 'a b'","outcome":"succeeded","reason":"","node":":","#
                        + #""attempt":1,"start":1.0,"seconds":2.0,"exit_status":0,"signal":0,"stdout":"a b\n","#
                        + #""stderr":"","omitted_bytes":0}"#
                        + "\n"))
    }

    @Test("Whoever closes our output (head) ends the run quietly")
    func outputClosed() throws {
        var player = try Player("--no-progress", "x", ":::", "a")
        try player.readAll()
        #expect(player.play(.outputClosed) == [.cancelJob, .finish(ExitStatus(rawValue: 141))])
    }
}
