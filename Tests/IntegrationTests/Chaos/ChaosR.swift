import Foundation

/// R in a run: the package, installed for it, and the script that its sessions play.
struct ChaosR {
    private let directory: String
    private let log: String

    /// Why no part of a run is R; nil: it can be.
    static let missing: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let isThere = path.split(separator: ":").contains { FileManager.default.isExecutableFile(atPath: "\($0)/Rscript") }
        return isThere ? nil : "no Rscript in the PATH ('make setup' installs r-base-core)"
    }()

    /// Each element is a task like those of commands (a line is one string: of several `cat` makes several writes, between which
    /// others write theirs): it says that it starts, takes its time, says that it ends, and tells who it was.
    private static let script = """
        args <- commandArgs(TRUE)
        library(roost)
        pool <- tryCatch(pool_connect(length = 1), roost_pool_error = function(e) { message("roost: ", conditionMessage(e)); quit("no", 69) })
        work <- function(i, tag, seconds, log) {
          who <- sprintf("%s %d %d.%.6f", tag, i, Sys.getpid(), as.numeric(Sys.time()))
          cat(paste0("S ", who, "\\n"), file = log, append = TRUE)
          if (seconds > 0) Sys.sleep(seconds)
          cat(paste0("E ", who, "\\n"), file = log, append = TRUE)
          who
        }
        who <- lbapply(pool, seq_len(as.integer(args[2])), work, args[1], as.double(args[3]), args[4])
        writeLines(unlist(who))
        """

    init(_ stage: Stage, log: String) async throws {
        directory = stage.directory
        self.log = log
        try Self.script.write(toFile: "\(directory)/session.R", atomically: false, encoding: .utf8)
        let library = "\(directory)/library"
        try FileManager.default.createDirectory(atPath: library, withIntermediateDirectories: true)
        let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/").dropFirst()
        let install = try stage.start(
            ["CMD", "INSTALL", "--no-docs", "--no-test-load", "--no-byte-compile", "--library=\(library)", "\(root)/r/roost"],
            program: "R")
        guard try await install.status() == 0 else { throw Trouble(description: "the R package: \(install.errors)") }
        stage.discard(install)
    }

    /// A session that calls `lbapply` over so many elements, each of which takes so many seconds.
    func start(
        _ stage: Stage, tag: String, tasks: Int, seconds: Double, environment: [String: String], within prefix: [String]
    ) throws -> RoostProcess {
        var environment = environment
        environment["R_LIBS"] = "\(directory)/library"
        environment["ROOST_BIN"] = RoostProcess.executable
        return try stage.start(
            ["--vanilla", "\(directory)/session.R", tag, "\(tasks)", "\(seconds)", log], environment: environment, program: "Rscript",
            within: prefix)
    }

    /// The bridge of a session; nil before there is one.
    static func bridge(of session: RoostProcess) -> Int32? { Marked.processes("--serve\0--parent\0\(session.pid)\0").first }
}
