import Glibc
import RoostCommand
import Testing

/// The built program, run as a person would, beside GNU parallel.
@Suite("roost map and GNU parallel do the same", .enabled(if: Oracle.path != nil))
struct MapCommandTests {
    /// A command line for both, and what its standard input gives.
    struct Line: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var input: String
        var testDescription: String { arguments.joined(separator: " ") }

        init(_ arguments: String..., input: String = "") {
            self.arguments = arguments
            self.input = input
        }
    }

    static let lines: [Line] = [
        Line("-k", "echo", ":::", "a b", "it's", "$HOME", "*", "", "é", "-n"),
        Line("-k", "printf '%s|' {} {.} {/} {//} {#}", ":::", "x/a.tar.gz", "b"),
        Line("-k", "echo", input: "one\ntwo words\n\nlast"),
        Line("-k", "-0", "echo", input: "one\ntwo\0three\0"),
        Line("-k", "--colsep", ",", "echo {2} {1}", input: "a,b\nc,d\n"),
        Line("-k", "-N2", "echo {2}-{1}", ":::", "1", "2", "3"),
        Line("-k", "echo", ":::", "1", "2", ":::", "a", "b"),
        Line("-k", "--link", "echo", ":::", "1", "2", ":::", "a", "b"),
        Line("-k", "--tag", "echo x; echo y", ":::", "1", "2"),
        Line("-j1", "--line-buffer", "--tag", "printf 'a\\nb'; echo c", ":::", "1", "2"),
        Line("-k", input: "echo one\necho two | tr o 0\nexit 3\n"),
        Line("-k", "exit {}", ":::", "0", "1", "2", "0"),
        Line("-k", "false", input: (1...103).map { "\($0)\n" }.joined()),
        Line("-k", "no-such-program", ":::", "1", "2"),
        Line("-k", "kill -TERM $$; echo", ":::", "1"),
        Line("-j1", "-k", "--halt", "now,fail=1", "echo {}; exit {}", ":::", "0", "7", "0"),
        Line("-j1", "-k", "--halt", "soon,fail=2", "echo {}; exit {}", ":::", "0", "7", "8", "0"),
        Line("-j1", "-k", "--halt", "now,success=1", "echo {}; exit {}", ":::", "3", "0", "4"),
        Line("-j1", "-k", "--retries", "3", "echo x >>tries{}; test $(wc -l <tries{}) = {}", ":::", "1", "3", "4"),
        Line("-k", "--timeout", "1", "sleep {}; echo {}", ":::", "0", "60"),
        Line("-k", "--dry-run", "mv {} {.}.bak", ":::", "a b.c", "d"),
        Line("-k", "cat; echo {}", input: "1\n2\n"),
        Line("-r", "echo", input: "\n\n"),
        Line("echo", input: ""),
        Line("-k", "yes {} | head -n 400000 | md5sum", ":::", "a", "b"),
        Line("-k", "yes {} | head -n 900000", ":::", "a", "b"),
        Line("-k", "-j4", "--tag", "seq {}; seq {} >&2", ":::", "300000", "400000", "3"),
        Line("-k", "-j4", "--line-buffer", "seq {}", ":::", "900000", "400000", "3"),
    ]

    @Test("What is printed and the exit status", arguments: lines)
    func prints(_ line: Line) throws {
        let expected = try Programs().parallel(line.arguments, input: line.input)
        let got = try Programs().roostMap(line.arguments, input: line.input)
        #expect(got == expected)
    }

    @Test("A descriptor that the caller's shell opened is open in tasks")
    func inheritsDescriptors() throws {
        let programs = Programs()
        _ = try #require(programs.directory).write("old", bytes("read through it\n"))
        for program in ["\(ShellQuoting.word(Programs.roost)) map", "\(try #require(Oracle.path)) --will-cite"] {
            #expect(try programs.shell("\(program) cat ::: /dev/fd/9 9<old >out 2>err") == 0)
            #expect(programs.directory?.read("out").map(text) == "read through it\n")
        }
    }

    @Test("Files of --results are the same, and where they were")
    func results() throws {
        let arguments = ["--results", "out", "echo {}; echo e{} >&2", ":::", "a/b", "c d", ":::", "1", "2"]
        var trees: [String] = []
        for runsRoost in [false, true] {
            let programs = Programs()
            let run = runsRoost ? try programs.roostMap(arguments) : try programs.parallel(arguments)
            #expect(run.status == 0)
            try programs.shell("find out -type f | LC_ALL=C sort | while read -r f; do echo \"$f\"; cat \"$f\"; echo; done >.tree")
            trees.append(text(try #require(programs.directory?.read(".tree"))))
        }
        #expect(trees[1] == trees[0])
    }

    @Test("Each goes on from the other's job log")
    func resume() throws {
        for startsWithRoost in [false, true] {
            let programs = Programs()
            let first = ["-k", "--joblog", "log", "echo {}; exit {}", ":::", "0", "1"]
            let second = ["-k", "--joblog", "log", "--resume", "echo {}; exit {}", ":::", "0", "1", "2", "0"]
            let (one, two) =
                startsWithRoost
                ? (try programs.roostMap(first), try programs.parallel(second))
                : (try programs.parallel(first), try programs.roostMap(second))
            #expect(one == Programs.Run(status: 1, stdout: "0\n1\n"))
            #expect(two == Programs.Run(status: 1, stdout: "2\n0\n"))
            try programs.shell("cut -f 1,2,5- log | tail -n +2 | sort >.log")
            #expect(
                text(try #require(programs.directory?.read(".log"))) == """
                    1\t:\t0\t2\t0\t0\techo 0; exit 0
                    2\t:\t0\t2\t1\t0\techo 1; exit 1
                    3\t:\t0\t2\t2\t0\techo 2; exit 2
                    4\t:\t0\t2\t0\t0\techo 0; exit 0

                    """)
        }
    }
}

/// What GNU parallel does otherwise, or not at all.
@Suite("roost map, run as a program")
struct MapProgramTests {
    @Test("Inputs that come one by one are run one by one: the second depends on the first's output")
    func lazyInputs() throws {
        let programs = Programs()
        let status = try programs.shell(
            """
            mkfifo in out && { \(ShellQuoting.word(Programs.roost)) map --no-progress echo got <in >out & } && \
            exec 3>in 4<out && echo first >&3 && read -r line <&4 && [ "$line" = "got first" ] && \
            echo second >&3 && read -r line <&4 && [ "$line" = "got second" ] && exec 3>&- && wait $!
            """)
        #expect(status == 0)
    }

    @Test("A reader that leaves ends the map, and its tasks with it")
    func closedPipe() throws {
        let programs = Programs()
        let status = try programs.shell(
            """
            mkfifo ready && { read -r go <ready; \(ShellQuoting.word(Programs.roost)) map --no-progress -u \
            'echo {}; exec sleep 1000' ::: 1 2 3; echo $? >status; } | { exec <&-; echo >ready; } && cat status >.out
            """)
        #expect(status == 0)
        #expect(text(try #require(programs.directory?.read(".out"))) == "141\n")
    }

    @Test("Wrong usage and what cannot be read have their own exit statuses")
    func badInput() throws {
        let programs = Programs()
        #expect(try programs.roostMap(["--no-such-flag", "echo", ":::", "1"]).status == 64)
        #expect(try programs.roostMap(["--cpus", "100000", "echo", ":::", "1"]).status == 64)
        #expect(try programs.roostMap(["echo", "::::", "no-such-file"]).status == 255)
        #expect(try programs.roostMap(["--joblog", "no/such/log", "echo", ":::", "1"]).status == 255)
        #expect(try programs.roostMap(["--pool", "roost+plain://127.0.0.1:1", "echo", ":::", "1"]).status == 69)
    }

    @Test("A full disk is said, and ends with 255", .enabled(if: access("/dev/full", W_OK) == 0))
    func fullDisk() throws {
        let programs = Programs()
        let roost = ShellQuoting.word(Programs.roost)
        #expect(try programs.shell("\(roost) map --no-progress echo ::: a >/dev/full 2>.err") == 255)
        #expect(text(try #require(programs.directory?.read(".err"))).contains("No space left on device"))
    }

    @Test("Large output that cannot be kept until it is printed is said, and ends with 255; small needs no room")
    func noPlaceToKeep() throws {
        let programs = Programs()
        let roost = "TMPDIR=no/such/place \(ShellQuoting.word(Programs.roost)) map --no-progress"
        #expect(try programs.shell("\(roost) seq ::: 1000000 >.out 2>.err") == 255)
        #expect(text(try #require(programs.directory?.read(".err"))).contains("cannot keep a task's output in no/such/place"))
        #expect(try programs.shell("\(roost) seq ::: 1000 >.out 2>.err") == 0)
    }

    @Test("Tasks know their job, number, attempt and slot; nothing comes on standard input")
    func environment() throws {
        let run = try Programs().roostMap(
            ["-k", "-j1", "cat; echo $ROOST_TASK $ROOST_ATTEMPT $ROOST_SLOT {%} ${#ROOST_JOB}", ":::", "a"], input: "x")
        #expect(run.stdout.hasPrefix("0 1 1 1 1"))
    }

    @Test("Killed with -9, it leaves no process behind")
    func killed() throws {
        let programs = Programs()
        // The tasks hold the pipe: its end says that they are gone.
        let status = try programs.shell(
            """
            mkfifo alive && { \(ShellQuoting.word(Programs.roost)) map --no-progress -j2 \
            'exec 9>alive; echo up >&9; sleep 1000 9>&9 & sleep 1000' ::: 1 2 & } && exec 3<alive && \
            read -r a <&3 && read -r b <&3 && kill -9 $! && cat <&3 >rest
            """)
        #expect(status == 0)
    }
}
