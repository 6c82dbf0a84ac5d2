import ArgumentParser
import Roost
import RoostModel
import RoostStore

/// The server's directory, for commands that work on its files.
struct DataPlace: ParsableArguments {
    @Option(
        help: ArgumentHelp("The server's directory on this machine. Default: ~/.local/share/roost.", valueName: "dir"),
        completion: .directory)
    var data: String?

    var directory: String { data ?? Environment.dataDirectory }
}

/// `roost server backup`.
struct ServerBackup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy a pool into one file, also while its server runs.",
        discussion: """
            The file holds the pool as it was at one moment: durable jobs with arguments and results, certificates, \
            tokens. Whoever can read it has the pool: it is made for your eyes only, and should stay so. It is a SQLite \
            database; 'roost server restore' makes a data directory from it.

            EXAMPLES
              roost server backup /backup/pool-$(date +%F)
              roost server backup /backup/pool --data /srv/roost
            """)

    @Argument(help: "The file to make; it must not be there yet.", completion: .file())
    var file: String

    @OptionGroup var place: DataPlace

    func run() throws {
        let report = try PoolDatabase.backup(directory: place.directory, to: file)
        let files = report.payloadFiles == 0 ? "" : " and \(report.payloadFiles) payload files"
        Terminal.note("backup: \(report.jobs) durable jobs\(files), \(SizeText.show(Int64(report.bytes))), in \(file)")
    }
}

/// `roost server restore`.
struct ServerRestore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a server's directory from a backup.",
        discussion: """
            The pool is as it was when the backup was made: what ended since runs again, what was submitted since is not \
            there. Start one server of a pool only: not this one beside the one that was backed up.

            EXAMPLES
              roost server restore /backup/pool --data /srv/roost
            """)

    @Argument(help: "What 'roost server backup' made.", completion: .file())
    var file: String

    @OptionGroup var place: DataPlace

    func run() throws {
        try PoolDatabase.restore(file: file, directory: place.directory)
        Terminal.note("restore: the pool is in \(place.directory); roost server start --data \(place.directory)")
    }
}

/// `roost server check`.
struct ServerCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Read everything that a server keeps on its disk, and compare every checksum.",
        discussion: """
            Changes nothing of the pool, and may be run while the server works; SQLite may leave the files \
            pool.sqlite-wal and -shm, which the server's next start takes up. Exit status 1 when something is damaged.

            EXAMPLES
              roost server check
              roost server check --data /srv/roost --output json
            """)

    @OptionGroup var place: DataPlace
    @OptionGroup var format: OutputOptions

    func run() throws {
        let report = try PoolDatabase.check(directory: place.directory)
        if format.isJSON {
            Terminal.print(Self.json(report))
        } else {
            for finding in report.findings { Terminal.print("\(finding)\n") }
            let verdict = report.findings.isEmpty ? "all is well" : "\(report.findings.count) findings"
            Terminal.print(
                "\(verdict): \(report.jobs) durable jobs, \(report.rows) rows, \(report.files) payload files, \(SizeText.show(Int64(report.bytes)))\n"
            )
        }
        if !report.findings.isEmpty { throw ExitCode(1) }
    }

    private static func json(_ report: StoreCheck) -> [UInt8] {
        JSONWriter.document { json in
            json.object { json in
                json.member("jobs", report.jobs)
                json.member("rows", report.rows)
                json.member("payload_files", report.files)
                json.member("payload_bytes", report.bytes)
                json.key("findings")
                json.beginArray()
                for finding in report.findings {
                    json.object { json in
                        json.member("code", finding.code.description)
                        json.member("message", finding.message)
                        json.member("cause", finding.cause)
                        json.member("remedy", finding.remedy)
                    }
                }
                json.endArray()
            }
        }
    }
}
