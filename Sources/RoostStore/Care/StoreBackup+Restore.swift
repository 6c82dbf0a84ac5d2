import GRDB
import Glibc
import NIOCore
package import RoostModel
import RoostWire

extension PoolDatabase {
    /// Makes a data directory from a backup.
    ///
    /// Its epochs begin far above those of the pool that was backed up, which may have gone on, and with the time in seconds:
    /// attempts of the two, or of another one restored from the same backup, are never mistaken for one another.
    /// - Parameter data: A directory that is not there yet, or empty.
    /// - Throws: `.conflict` when there is something in the directory, `.damaged` when the file is no whole backup, `.io`
    ///   when something cannot be read or written; then the directory is as it was.
    package static func restore(file: String, directory data: String) throws(RoostError) {
        let header = try DatabaseFile.header(file)
        guard header.applicationID == StoreBackup.applicationID else {
            throw RoostError(.damaged, "\(file) is not a backup of a pool", remedy: "'roost server backup' makes one.")
        }
        guard header.version <= PoolSchema.current.version else { throw DatabaseFile.newer(file, header.version, .current) }
        let path = "\(data)/\(fileName)"
        let found = try PayloadFiles.entries(of: data)
        guard !found.contains("\(fileName)\(unfinishedRestore)") else { throw StoreFailure.restoreCutOff(data) }
        guard found.isEmpty else {
            throw RoostError(
                .conflict, "there is something in \(data) already", remedy: "Name a directory that is not there, or empty.")
        }
        let isNew = access(data, F_OK) != 0
        try PrivateFiles.ensureDirectory(data)
        do {
            try unpack(file, data, "\(path)\(unfinishedRestore)")
            // Until now no server takes the directory for a pool's, not even for an empty one's.
            guard rename("\(path)\(unfinishedRestore)", path) == 0 else {
                throw StoreFailure.system("cannot name the database", path)
            }
            try PayloadFiles.syncDirectory(data)
        } catch {
            DirectoryRemoval.empty(data)
            if isNew { rmdir(data) }
            var failure = StoreFailure.error("cannot restore \(file) into", data, error)
            if failure.code == .io {
                failure.remedy = "Nothing of it stays in \(data). Make room there, or mend the cause; then restore again."
            }
            if failure.code == .damaged { failure.remedy = "Nothing of it stays in \(data). Restore another backup." }
            throw failure
        }
    }

    /// What the database is called, behind its name, until all else is there.
    static let unfinishedRestore = ".restoring"

    private static func unpack(_ file: String, _ data: String, _ database: String) throws {
        try DatabaseFile.make(database)
        let source = try DatabaseQueue(path: file, configuration: readingBackup)
        let target = try DatabaseQueue(path: database, configuration: BackupMaker.configuration)
        try source.backup(to: target)
        try source.close()
        try target.writeWithoutTransaction { db in
            try unpackPayloads(db, PayloadFiles(data: data))
            try unpackFiles(db, data)
            try db.execute(
                sql: """
                    DROP TABLE carried_payloads; DROP TABLE carried_files; VACUUM;
                    PRAGMA application_id = \(PoolSchema.applicationID);
                    """)
            _ = try db.first("PRAGMA journal_mode = WAL") { _ in }
            try db.checkpoint(.truncate)
        }
        try target.close()
        try DatabaseFile.sync(database)
    }

    private static var readingBackup: Configuration {
        var configuration = BackupMaker.configuration
        configuration.readonly = true
        return configuration
    }

    private static func unpackPayloads(_ db: Database, _ files: PayloadFiles) throws {
        try PayloadFiles.makeDirectory(files.directory)
        var names: [PayloadName] = []
        try db.each("SELECT name FROM files") { row in
            if let name = PayloadName(row.buffer(0)) { names.append(name) }
            return true
        }
        for name in names {
            var content = ByteBuffer()
            try db.each("SELECT body FROM carried_payloads WHERE name = ? ORDER BY part", .bytes(name.bytes)) { row in
                var part = row.buffer(0)
                content.writeBuffer(&part)
                return true
            }
            guard PayloadName(of: content) == name else {
                throw RoostError(.damaged, "the payload \(name) in the backup is not what was written")
            }
            try files.store([name: content], StoreOptions())
        }
    }

    private static func unpackFiles(_ db: Database, _ data: String) throws {
        var contents: [(String, ByteBuffer)] = []
        try db.each("SELECT path, body, sum FROM carried_files") { row in
            let (name, content) = (row.text(0), row.buffer(1))
            guard row.number(2) == Rows.sum(carried: name, content), !name.split(separator: "/").contains("..") else {
                throw RoostError(.damaged, "the file \(name) in the backup is not what was written")
            }
            contents.append((name, content))
            return true
        }
        for (name, content) in contents {
            var bytes = Array(content.readableBytesView)
            if name == "epoch", let epoch = UInt32(String(decoding: bytes, as: UTF8.self)) {
                // The time keeps two pools apart that were restored from one backup.
                bytes = Array("\(UInt32(clamping: max(Int(epoch) + 65_536, time(nil))))".utf8)
            }
            let file = "\(data)/\(name)"
            try PrivateFiles.ensureDirectory(directory(of: file))
            try PrivateFiles.write(bytes, to: file)
        }
    }
}
