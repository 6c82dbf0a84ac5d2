import Foundation
import Glibc
import Testing

extension Integration {
    /// Disks that are full, cannot be written, or hold something else than they should.
    @Suite struct Disks {
        @Test(.enabled(if: Mounting.isPermitted, "this user may not mount a file system"))
        func `A full disk: the server stops and says so, and goes on with all it acknowledged`() async throws {
            try await Stage.play { stage in
                try await Mounting.mount("tmpfs", ["-t", "tmpfs", "-o", "size=6m,mode=700"], at: stage.data) {
                    let server = try await stage.startServer()
                    _ = try await stage.startNode("a")
                    let first = try await stage.submit("echo {}", ":::", "1", "2", "3")
                    #expect(try await stage.roost("job", "wait", first).status == 0)
                    let gate = "\(stage.directory)/gate"
                    let running = try await stage.submit("while ! test -e \(gate); do sleep 0.02; done; echo late")
                    let ballast = "\(stage.data)/ballast"
                    try Self.fill(ballast)

                    // Too much for what is left: refused, not half kept.
                    let large = (1...3).flatMap { ["--env", "DATA\($0)=" + String(repeating: "x", count: 100_000)] }
                    let client = ["ROOST_TOKEN": try await stage.token("client")]
                    let submitting = try stage.start(["job", "submit"] + large + ["echo large"], environment: client)
                    #expect(try await server.status() == 255)
                    #expect(server.errors.contains("the store failed; nothing more is accepted"))
                    let last = try #require(server.errors.components(separatedBy: "\nroost: ").last)
                    #expect(last.contains("disk is full") || last.contains("No space left"), "\(last)")
                    #expect(last.contains("Make room on that disk, then start the server again"))
                    #expect(FileManager.default.createFile(atPath: gate, contents: nil))

                    // As long as the disk is full, a start says the same.
                    let refused = try await stage.run(["server", "start", "--listen", stage.address, "--data", stage.data])
                    #expect(refused.status == 255, "\(refused.errors)")
                    #expect(refused.errors.contains("No space left") || refused.errors.contains("disk is full"), "\(refused.errors)")

                    try FileManager.default.removeItem(atPath: ballast)
                    let again = try await stage.startServer(port: stage.port)
                    #expect(try await submitting.status() == 0, "its client goes on: \(submitting.errors)")
                    let job = submitting.output.trimmingCharacters(in: .newlines)
                    for (job, results) in [(first, "1\n2\n3\n"), (running, "late\n"), (job, "large\n")] {
                        #expect(try await stage.roost("job", "wait", job).status == 0)
                        #expect(try await stage.roost("job", "results", job).output == results)
                    }
                    again.signal(SIGTERM)
                    #expect(try await again.status() == 0)
                }
            }
        }

        /// Leaves less than a page of room.
        private static func fill(_ file: String) throws {
            let descriptor = open(file, O_WRONLY | O_CREAT, 0o600)
            defer { close(descriptor) }
            let block = [UInt8](repeating: 1, count: 4096)
            while write(descriptor, block, block.count) > 0 {}
            try #require(errno == ENOSPC)
        }

        @Test func `What is no data directory of this pool and version is refused by name, and stays as it was`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let job = try await stage.submit("echo {}", ":::", "1", "2", "3")
                #expect(try await stage.roost("job", "wait", job).status == 0)
                server.signal(SIGTERM)
                #expect(try await server.status() == 0)
                let database = "\(stage.data)/pool.sqlite"
                let good = try #require(FileManager.default.contents(atPath: database))

                func isRefused(_ what: String, _ words: String..., with content: Data) async throws {
                    try content.write(to: URL(fileURLWithPath: database))
                    chmod(database, 0o600)
                    let before = try Self.contents(of: stage.data)
                    let refused = try await stage.run(["server", "start", "--listen", "127.0.0.1:0", "--data", stage.data])
                    #expect(refused.status == 255, "\(what): \(refused.errors)")
                    for word in words { #expect(refused.errors.contains(word), "\(what): \(refused.errors)") }
                    #expect(refused.errors.contains(database), "\(what): \(refused.errors)")
                    #expect(try Self.contents(of: stage.data) == before, "\(what): nothing changed")
                }

                // SQLite's `user_version` stands, big-endian, at byte 60.
                var newer = good
                newer.replaceSubrange(60..<64, with: [0, 0, 0x27, 0x0f])
                try await isRefused("a newer version", "newer", "9999", with: newer)
                try await isRefused("half a database", "is cut short", with: good.prefix(good.count / 2))
                try await isRefused("no database at all", "damaged", with: Data("hello\n".utf8))
                try await Stage.play { other in
                    let theirs = try await other.startServer()
                    theirs.signal(SIGTERM)
                    #expect(try await theirs.status() == 0)
                    let foreign = try #require(FileManager.default.contents(atPath: "\(other.data)/pool.sqlite"))
                    try await isRefused("another pool's", "belongs to the pool", with: foreign)
                }

                try good.write(to: URL(fileURLWithPath: database))
                chmod(database, 0o600)
                _ = try await stage.startServer(port: stage.port)
                #expect(try await stage.roost("job", "results", job).output == "1\n2\n3\n")
            }
        }

        @Test(.enabled(if: Mounting.isPermitted, "this user may not mount a file system"))
        func `A data directory on a read-only file system`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                server.signal(SIGTERM)
                #expect(try await server.status() == 0)
                let before = try Self.contents(of: stage.data)
                let mounted = "\(stage.directory)/mounted"
                try await Mounting.mount(stage.data, ["--bind", "-o", "ro"], at: mounted) {
                    let refused = try await stage.run(["server", "start", "--listen", "127.0.0.1:0", "--data", mounted])
                    #expect(refused.status == 255, "\(refused.errors)")
                    #expect(refused.errors.contains("Read-only file system"), "\(refused.errors)")
                    #expect(refused.errors.contains(mounted))
                }
                #expect(try Self.contents(of: stage.data) == before)
            }
        }

        @Test func `A backup has all that a server keeps, and nothing else that is there`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let job = try await stage.submit("echo {}", ":::", "1", "2", "3")
                #expect(try await stage.roost("job", "wait", job).status == 0)
                // A person's own, in the wrong place.
                #expect(FileManager.default.createFile(atPath: "\(stage.data)/notes", contents: Data("mine".utf8)))
                chmod("\(stage.data)/notes", 0o644)
                for name in ["first", "second"] {
                    let backup = try await stage.run(["server", "backup", "\(stage.data)/\(name)", "--data", stage.data])
                    #expect(backup.status == 0, "\(backup.errors)")
                }
                server.signal(SIGTERM)
                #expect(try await server.status() == 0)
                let restored = "\(stage.directory)/restored"
                #expect(try await stage.run(["server", "restore", "\(stage.data)/second", "--data", restored]).status == 0)
                let (before, after) = (try Self.contents(of: stage.data), try Self.contents(of: restored))
                let foreign = ["notes", "first", "second"]
                let kept = before.keys.filter { !foreign.contains($0) && !$0.hasSuffix("lock") }
                #expect(Set(kept) == Set(after.keys))
                for name in kept where name != "epoch" && name != "pool.sqlite" { #expect(after[name] == before[name], "\(name)") }
            }
        }

        /// Every file below a directory, by name; but the lock, which says who had it last.
        private static func contents(of directory: String) throws -> [String: Data] {
            let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
            var contents: [String: Data] = [:]
            for name in names where name != "lock" {
                contents[name] = FileManager.default.contents(atPath: "\(directory)/\(name)") ?? Data()
            }
            return contents
        }
    }
}

/// File systems for a test, where this user may mount them.
enum Mounting {
    static let isPermitted: Bool = {
        let place = NSTemporaryDirectory() + "roost-mount-" + UUID().uuidString
        guard (try? FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)) != nil else { return false }
        defer { try? FileManager.default.removeItem(atPath: place) }
        guard (try? run("mount", ["-t", "tmpfs", "tmpfs", place])) == 0 else { return false }
        return (try? run("umount", [place])) == 0
    }()

    static func mount(_ source: String, _ options: [String], at place: String, _ body: () async throws -> Void) async throws {
        try FileManager.default.createDirectory(
            atPath: place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try #require(run("mount", options + [source, place]) == 0)
        // Lazily: a process that is being ended may have it open still.
        defer { _ = try? run("umount", ["-l", place]) }
        try await body()
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
