import GRDB
import Glibc
import RoostModel

/// Puts in order what is between files and rows: at a start, once it is certain which files are counted.
struct FileSweep {
    let db: Database
    /// The database file.
    let path: String
    let files: PayloadFiles

    /// Removes the files that nothing names: what a crash left between file and row. A file that rows name although nobody
    /// counts it is counted anew.
    /// - Parameter counted: The files of which it is known how many rows name them.
    /// - Returns: what is wrong.
    /// - Throws: `.io` and the like.
    func run(leaving counted: Set<PayloadName>) throws(RoostError) -> [RoostError] {
        let strays = try files.list().filter { found in
            found.path.hasSuffix(PayloadFiles.unfinished) || found.name.map { !counted.contains($0) } ?? false
        }
        // Looking for names goes through all rows: only when there is something to look for.
        guard !strays.isEmpty else { return [] }
        var damage: [RoostError] = []
        do {
            let uses = try uses(of: Set(strays.compactMap(\.name)))
            for stray in strays {
                guard let name = stray.name, let use = uses[name] else {
                    guard unlink(stray.path) == 0 else { throw StoreFailure.system("cannot remove the file", stray.path) }
                    continue
                }
                try FileUses.set(use.count, of: name, bytes: use.bytes, db)
                damage.append(
                    RoostError(
                        .damaged, "nobody counted who needs the file \(stray.path): it was counted anew, \(use.count) rows do"))
            }
        } catch {
            let failure = StoreFailure.error("cannot look for what needs payload files in", path, error, reading: true)
            guard failure.code == .damaged else { throw failure }
            damage.append(failure)
        }
        return damage
    }

    private func uses(of names: Set<PayloadName>) throws -> [PayloadName: (count: Int64, bytes: Int64)] {
        var uses: [PayloadName: (count: Int64, bytes: Int64)] = [:]
        for table in ["jobs", "chunks", "results", "setups"] {
            try db.each("SELECT file, bytes FROM \(table) WHERE file IS NOT NULL") { row in
                if let name = PayloadName(row.buffer(0)), names.contains(name) {
                    uses[name] = ((uses[name]?.count ?? 0) + 1, row.number(1))
                }
                return true
            }
        }
        return uses
    }
}
