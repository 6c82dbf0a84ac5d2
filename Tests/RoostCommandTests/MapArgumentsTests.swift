import ArgumentParser
import RoostCommand
import RoostModel
import Testing

@Suite("The command line is understood, or refused by name with a remedy")
struct MapArgumentsTests {
    private func plan(_ arguments: String...) throws -> MapPlan {
        try MapPlan(arguments: arguments.map(bytes), surroundings: .init())
    }

    @Test("Options end where the command begins; the command's own options are left alone")
    func split() throws {
        let split = try MapArguments.split(
            [
                "-kj4", "--tag", "-n", "2", "gzip", "-9", "--keep", "{}", ":::", "-a", ":::", "b", "::::", "f", "g",
                ":::+", "1", "2",
            ])
        #expect(split.options == ["--keep-order", "--jobs=4", "--tag", "--max-args=2"])
        #expect(split.command == ["gzip", "-9", "--keep", "{}"].map(bytes))
        #expect(
            split.sources == [
                InputSource(.arguments([bytes("-a")])), InputSource(.arguments([bytes("b")])),
                InputSource(.file(bytes("f"))), InputSource(.file(bytes("g"))),
                InputSource(.arguments([bytes("1"), bytes("2")]), isLinked: true),
            ])
    }

    @Test("Without sources the inputs come from standard input; -a comes before :::")
    func sources() throws {
        #expect(try MapArguments.split(["cat"]).sources == [.standardInput])
        #expect(
            try MapArguments.split(["-a", "f", "cat", ":::", "x"]).sources
                == [InputSource(.file(bytes("f"))), InputSource(.arguments([bytes("x")]))])
        #expect(try MapArguments.split(["--", "-x", ":::", "a"]).command == [bytes("-x")])
    }

    @Test("Values in every spelling", arguments: [["-j", "-1"], ["-j-1"], ["--jobs", "-1"], ["--jobs=-1"], ["-P-1"]])
    func spellings(_ options: [String]) throws {
        #expect(try MapArguments.split(options + ["true"]).options == ["--jobs=-1"])
    }

    @Test("A plan has what the options say")
    func options() throws {
        let plan = try plan(
            "-j", "8", "-k", "--retries", "3", "--timeout", "1.5h", "--halt", "now,fail=10%", "--memory", "2G",
            "--cpus", "1.5",
            "--resource", "gpus=0.5", "--resource", "licence=2", "--label", "zone=a=b", "--env", "HOME", "--env",
            "LANG", "--wd",
            "/x", "--pool", "roost://h:1", "--token", "t", "--name", "n", "--crash-limit", "5", "--lb", "--joblog",
            "+log",
            "--no-progress", "cmd", ":::", "a")
        #expect(plan.policy.maxParallel == 8)
        #expect(plan.policy.retries == 2)
        #expect(plan.policy.timeout == .seconds(5400))
        #expect(plan.policy.halt == HaltRule(urgency: .now, condition: .failed, threshold: .percent(10)))
        #expect(plan.policy.crashLimit == 5)
        #expect(
            plan.request
                == Resources(
                    milliCPUs: 1500, memoryBytes: 2 << 30, milliGPUs: 500,
                    named: [.init(name: "licence", milliAmount: 2000)]))
        #expect(plan.labels == [Label(key: "zone", value: "a=b")])
        #expect(plan.environment == ["HOME", "LANG"])
        #expect(plan.workingDirectory == "/x")
        #expect(plan.pool == "roost://h:1" && plan.token == "t" && plan.name == "n")
        #expect(plan.output.mode == .lines && plan.output.isOrdered && plan.streamsOutput)
        #expect(plan.joblog == MapPlan.JoblogFile(path: "log", appends: true))
        #expect(plan.progress == .quiet)
    }

    @Test(
        "Wrong usage names the flag and the remedy, and ends with 64",
        arguments: [
            (["--frobnicate"], "--frobnicate: unknown option"), (["-Z"], "-Z: unknown option"),
            (["--keep-oder"], "did you mean --keep-order?"), (["-j"], "-j: a value must follow"),
            (["-j", "foo", "x"], "--jobs: 'foo'"), (["-j", "0%", "x"], "--jobs"),
            (["--delay", "1", "x"], "--delay: not supported"),
            (["--pipe", "x"], "--pipe: not supported"), (["-X", "x"], "-X: not supported"),
            (["-S", "h", "x"], "-S: not supported"),
            (["--timeout", "200%", "x"], "percentage"), (["--timeout", "soon", "x"], "--timeout: 'soon'"),
            (["--halt", "now", "x"], "--halt: 'now'"), (["--halt", "now,fail=0", "x"], "--halt"),
            (["--retries", "0", "x"], "--retries"),
            (["--memory", "lots", "x"], "--memory"), (["--cpus", "-1", "x"], "--cpus"),
            (["--resource", "gpus", "x"], "--resource"),
            (["--label", "a", "x"], "--label"), (["-n", "x", "x"], "--max-args"),
            (["--resume", "x"], "--resume: nothing says"),
            (["--resume-failed", "--results", "d", "x"], "--resume-failed"),
            (["--results", "x.csv", "x"], "--results"),
            (["--output", "xml", "x"], "--output"), (["--lb", "-u", "x"], "--ungroup"),
            (["--detach", "x"], "--detach"),
            (["--keep-order=yes", "x"], "takes no value"), (["x", "::::"], "::::: no file"),
            (["--joblog", "", "x"], "--joblog"),
            (["--crash-limit", "0", "x"], "--crash-limit"), (["--retry-failed"], "--resume-failed"),
        ])
    func wrongUsage(_ arguments: [String], _ expected: String) {
        let error = #expect(throws: MapError.self) {
            try MapPlan(arguments: arguments.map(bytes), surroundings: .init())
        }
        #expect(error?.status == .usage)
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "no error")")
        #expect(error?.remedy.isEmpty == false)
    }

    @Test("--help prints the manual page, which tells of every option")
    func help() {
        let error = #expect(throws: (any Error).self) {
            try MapPlan(arguments: [bytes("--help")], surroundings: .init())
        }
        #expect(error is CleanExit)
        let page = MapManual.helpMessage()
        for word in [":::", "{/.}", "EXAMPLES", "EXIT STATUS", "--keep-order", "--crash-limit", "--halt"] {
            #expect(page.contains(word), "\(word)")
        }
        // Whatever the page shows is also taken.
        for line in page.split(separator: "\n") where line.hasPrefix("  -") {
            for word in line.split(whereSeparator: { " ,;.()".contains($0) }) where word.hasPrefix("--") {
                let error = #expect(throws: (any Error).self) {
                    _ = try MapArguments.split([String(word), "--no-such-option"])
                    _ = try MapArguments.split([String(word), "1", "--no-such-option"])
                }
                #expect("\(error.map { "\($0)" } ?? "")".contains("--no-such-option: unknown"), "\(word)")
            }
        }
    }

    @Test("Progress: a bar on a terminal, late plain lines elsewhere, at once when asked")
    func progress() throws {
        func mode(_ arguments: [String], terminal: Bool) throws -> ProgressMode {
            try MapPlan(arguments: (arguments + ["x"]).map(bytes), surroundings: .init(errorIsTerminal: terminal))
                .progress
        }
        #expect(try mode([], terminal: true) == .bar)
        #expect(try mode([], terminal: false) == .plain(after: .seconds(30)))
        #expect(try mode(["--bar"], terminal: false) == .plain(after: .zero))
        #expect(try mode(["--no-progress"], terminal: true) == .quiet)
        #expect(try mode(["--dry-run"], terminal: true) == .quiet)
    }
}
