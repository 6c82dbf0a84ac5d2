import Foundation
import RSerialization
import Roost
import RoostModel
import Testing

extension Integration {
    /// What the command line says of jobs of R.
    @Suite struct RResults {
        @Test func `Values and conditions of R as JSON, of kept jobs and of attached ones that live`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a", slots: 2)
                let pool = try await stage.connect()
                let common = try RScript.stream(
                    """
                    list(fun = function(x) {
                      if (x == 2) stop("two is bad")
                      if (x == 3) warning("three")
                      cat("task", x, "\\n"); message("m", x)
                      list(half = x / 2, name = "n", none = NULL)
                    }, args = list(), globals = list(), packages = character(), options = list())
                    """)
                for retention in [Retention.durable, .attached] {
                    var options = JobOptions()
                    options.retention = retention
                    let job = try await pool.open(runtime: .r, common: common, options: options)
                    for x in 1...3 { try await job.append([0] + RItem.doubles([Double(x)])) }
                    // The attached one is not closed: it lives, and its outcomes are the server's as long as nobody took them.
                    if retention == .durable { try await job.closeTasks() } else { try await job.flush() }
                    let number = "\(try await job.number())"
                    try await eventually("all have ended") {
                        let job = try await stage.job(number)
                        return job.number("succeeded") + job.number("failed") == 3
                    }
                    let lines = try await stage.roost("job", "results", number, "--output", "json").output.split(separator: "\n")
                    var rows: [[String: Any]] = []
                    for line in lines {
                        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                        rows.append(try #require(object as? [String: Any]))
                    }
                    rows.sort { $0.number("task") < $1.number("task") }
                    try #require(rows.count == 3)
                    let value = try #require(rows[0]["value"] as? [String: Any])
                    #expect(value["half"] as? [Double] == [0.5])
                    #expect(value["name"] as? [String] == ["n"])
                    #expect(value["none"] is NSNull)
                    #expect(rows[0].text("stdout") == "task 1 \n")
                    #expect((rows[0]["messages"] as? [[String: Any]])?.first?.text("message") == "m1\n")
                    let error = try #require(rows[1]["error"] as? [String: Any])
                    #expect(error["class"] as? [String] == ["simpleError", "error", "condition"])
                    #expect(error.text("message") == "two is bad")
                    #expect(error.text("call") == "FUN(X[[i]], ...)")
                    #expect(rows[1]["value"] is NSNull)
                    #expect(rows[1].text("outcome") == "failed")
                    let warning = try #require((rows[2]["warnings"] as? [[String: Any]])?.first)
                    #expect(warning.text("message") == "three")
                    let text = try await stage.roost("job", "results", number)
                    #expect(text.output.contains("task 3 \n"))
                    #expect(text.errors.contains("task 1: Error in FUN(X[[i]], ...): two is bad"))
                    #expect(text.errors.contains("2 tasks returned a value; --output json shows them"))
                    if retention == .attached { try await job.cancel() }
                }
                await pool.close()
            }
        }

        @Test func `What the client has fetched is said to be with it; --follow sees what comes`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a", slots: 1)
                let pool = try await stage.connect()
                let gate = "\(stage.directory)/gate"
                let common = try RScript.stream(
                    """
                    list(fun = function(x) { while (x > 1 && !file.exists("\(gate)")) Sys.sleep(0.02); x }, args = list(),
                         globals = list(), packages = character(), options = list())
                    """)
                let job = try await pool.open(runtime: .r, common: common)
                for x in 1...3 { try await job.append([0] + RItem.doubles([Double(x)])) }
                try await job.closeTasks()
                let number = "\(try await job.number())"
                let token = try await stage.token("client")
                let follower = try stage.start(
                    ["job", "results", number, "--follow", "--output", "json"], environment: ["ROOST_TOKEN": token])
                try await eventually("it shows the first") { follower.output.contains("\"task\":0") }
                let owner = Task { try await job.outcomeCount() }
                try await eventually("it is said that the first has been fetched") {
                    let outcome = try await stage.roost("job", "results", number, "--output", "json")
                    return outcome.output.isEmpty && outcome.errors.contains("1 outcome is with the client that submitted the job")
                }
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                #expect(try await owner.value == 3)
                #expect(try await follower.status() == 0)
                #expect(follower.output.split(separator: "\n").count == 3)
                await pool.close()
            }
        }
    }
}

extension JobHandle {
    fileprivate func outcomeCount() async throws -> Int {
        var count = 0
        for try await _ in results { count += 1 }
        return count
    }
}

/// What R makes.
enum RScript {
    /// The stream of the value of an expression.
    static func stream(_ expression: String) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "Rscript", "--vanilla", "-e",
            "x <- \(expression); con <- pipe(\"cat\", \"wb\"); writeBin(serialize(x, NULL, xdr = FALSE, version = 3), con); close(con)",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Trouble(description: "these tests need R: `make setup` installs r-base-core") }
        return [UInt8](bytes)
    }
}
