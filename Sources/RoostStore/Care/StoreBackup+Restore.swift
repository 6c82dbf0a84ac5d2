import GRDB
import Glibc
import NIOCore
package import RoostModel
import RoostWire

extension PoolDatabase {
    /// Makes a data directory from a backup.
    ///
    /// Its epochs begin far above those of the pool that was backed up, which may have gone on: attempts of the two are
    /// never mistaken for one another.
    /// - Parameter data: A directory that is not there yet, or empty.
    /// - Throws: `.conflict` when there is something in the directory, `.damaged` when the file is no whole backup, `.io`
    ///   when something cannot be read or written.
    package static func restore(file: String, directory data: String) throws(RoostError) {
        let header = try DatabaseFile.header(file)
        guard header.applicationID == StoreBackup.applicationID else {
            throw RoostError(.damaged, "\(file) is not a backup of a pool", remedy: "'roost server backup' makes one.")
        }
        guard header.version <= PoolSchema.current.version else { throw DatabaseFile.newer(file, header.version, .current) }
        guard try PayloadFiles.entries(of: data).isEmpty else {
            throw RoostError(
                .conflict, "there is something in \(data) already", remedy: "Name a directory that is not there, or empty.")
        }
        try PrivateFiles.ensureDirectory(data)
        let path = "\(data)/\(fileName)"
        let temporary = "\(path).new"
        do {
            try DatabaseFile.make(temporary)
            let source = try DatabaseQueue(path: file, configuration: readingBackup)
            let target = try DatabaseQueue(path: temporary, configuration: BackupMaker.configuration)
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
            try DatabaseFile.sync(temporary)
            guard rename(temporary, path) == 0 else { throw StoreFailure.system("cannot name the database", path) }
            try PayloadFiles.syncDirectory(data)
        } catch {
            throw StoreFailure.error("cannot restore \(file) into", data, error)
        }
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
                bytes = Array("\(epoch + 65_536)".utf8)
            }
            let file = "\(data)/\(name)"
            try PrivateFiles.ensureDirectory(directory(of: file))
            try PrivateFiles.write(bytes, to: file)
        }
    }
}
