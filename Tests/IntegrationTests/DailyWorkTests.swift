import Foundation
import Glibc
import Testing

extension Integration {
    /// What people do every day, with real processes.
    @Suite struct DailyWork {
        @Test func `A server, two nodes by token, a job, its results`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                let a = try await stage.startNode("a")
                let b = try await stage.startNode("b")
                #expect(try await stage.nodes() == ["a", "b"])

                let job = try await stage.submit("--name", "squares", "sh -c 'echo $(({} * {}))'", ":::", "1", "2", "3", "4", "5")
                #expect(try await stage.roost("job", "wait", job).status == 0)
                #expect(try await stage.roost("job", "results", job).output == "1\n4\n9\n16\n25\n")
                let shown = try await stage.job("last")
                #expect(shown.text("name") == "squares")
                #expect(shown.text("state") == "done")
                #expect(shown.number("succeeded") == 5)

                for process in [a, b] { process.signal(SIGTERM) }
                for process in [a, b] { #expect(try await process.status() == 0) }
                #expect(try await stage.nodes() == [])
                server.signal(SIGTERM)
                #expect(try await server.status() == 0)
            }
        }

        @Test func `Exit status and evidence of tasks that fail`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let job = try await stage.submit("echo told; echo why >&2; exit {}", ":::", "0", "7", "9")
                #expect(try await stage.run(["job", "wait", job], environment: token).status == 2)
                let shown = try await stage.roost("job", "show", job).output
                #expect(shown.contains("task 1: failed\n  exit status 7"))
                #expect(shown.contains("| why"))
                let rows = try await stage.roost("job", "results", job, "--output", "json").output.split(separator: "\n")
                let first = try #require(try JSONSerialization.jsonObject(with: Data(rows[1].utf8)) as? [String: Any])
                #expect(first.number("exit_status") == 7)
                #expect(first.text("stdout") == "told\n")
                #expect(first.text("stderr") == "why\n")
                #expect(try await stage.roost("job", "logs", job, "2").output.contains("exit status 9"))

                let killed = try await stage.submit("--crash-limit", "2", "kill -SEGV $$")
                #expect(try await stage.run(["job", "wait", killed], environment: token).status == 1)
                let held = try #require((try await stage.job(killed))["troubles"] as? [[String: Any]])
                #expect(held[0].text("outcome") == "held")
                let evidence = try #require(held[0]["post_mortem"] as? [String: Any])
                #expect(evidence.number("signal") == Int(SIGSEGV))
                #expect(evidence.text("node") == "a")
                #expect(try await stage.roost("job", "release", killed).errors.contains("released 1 task"))

                let none = try await stage.submit("/no/such/program with arguments")
                #expect(try await stage.run(["job", "wait", none], environment: token).status == 1)
                #expect(try await stage.roost("job", "forget", "all").errors.contains("forgot"))
            }
        }

        @Test func `Results of a job that runs: all there are, however large`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let gate = "\(stage.directory)/gate"
                let line = String(repeating: "x", count: 99)
                let script = "test {} -lt 30 || while ! test -e \(gate); do sleep 0.02; done; yes \(line) | head -n 3000"
                let job = try await stage.submit([script, ":::"] + (0...30).map(String.init))
                try await eventually("all but one have ended") { try await stage.job(job).number("succeeded") == 30 }
                #expect(try await stage.roost("job", "results", job).output.utf8.count == 30 * 3000 * 100)
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
            }
        }

        @Test func `What does not run is explained, node by node`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("small", slots: 1, "--memory", "1G", "--label", "zone=a")
                _ = try await stage.startNode("far", slots: 1, "--label", "zone=b", "--resource", "licences=1")
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let absurd = try await stage.run(["job", "submit", "--memory", "900T", "true"], environment: token)
                #expect(absurd.status == 255)
                #expect(absurd.errors.contains("256 TiB"))
                let job = try await stage.submit("--memory", "90T", "true")
                let rows = try await stage.roost("job", "explain", job, "--output", "json").objects()
                #expect(rows.count == 3)
                #expect(rows.allSatisfy { $0.text("node").isEmpty || $0["can_run"] as? Bool == false })
                #expect(rows.first { $0.text("node") == "small" }?.text("reason").contains("memory") == true)
                let labelled = try await stage.submit("--label", "zone=c", "true")
                let why = try await stage.roost("job", "explain", labelled, "0").output
                #expect(why.contains("zone"))
                #expect(try await stage.roost("job", "cancel", "all").errors.contains("cancelling 2 tasks"))
                let there = try await stage.submit("--resource", "licences=1", "hostname >/dev/null")
                #expect(try await stage.roost("job", "wait", there).status == 0)
                #expect(try await stage.roost("node", "show", "far").output.contains("1 licences"))
            }
        }

        @Test func `Output of running tasks can be followed`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let gate = "\(stage.directory)/gate"
                let job = try await stage.submit("echo begun; while ! test -e \(gate); do sleep 0.02; done; echo done")
                let logs = try stage.start(
                    ["job", "logs", "-f", job], environment: ["ROOST_TOKEN": try await stage.token("client")])
                try await eventually("the first line is shown") { logs.output == "[0] begun\n" }
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                #expect(try await logs.status() == 0)
                #expect(logs.output == "[0] begun\n[0] done\n")
            }
        }

        @Test func `Every answer in JSON can be read`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a", slots: 1, "--gpus", "0.5", "--label", "x=\"quoted\"")
                let job = try await stage.submit("echo 'a\"b'; false")
                _ = try await stage.run(["job", "wait", job], environment: ["ROOST_TOKEN": try await stage.token("client")])
                for command in [
                    ["server", "status"], ["node", "list"], ["node", "show", "a"], ["job", "list"], ["job", "show", job],
                    ["job", "show", job, "0"], ["job", "results", job], ["job", "explain", job],
                    ["token", "list", "--data", stage.data], ["doctor"],
                ] {
                    let outcome = try await stage.run(
                        command + ["--output", "json"], environment: ["ROOST_TOKEN": try await stage.token("client")])
                    #expect(outcome.status == 0, "\(command): \(outcome.errors)")
                    #expect(throws: Never.self, "\(command)") { try outcome.json() }
                }
            }
        }
    }
}
