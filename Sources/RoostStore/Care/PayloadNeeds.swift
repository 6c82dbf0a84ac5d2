import GRDB
import NIOCore
import RoostModel
import RoostWire

/// Which rows need which payload files: what a check knows when it comes to the files themselves.
struct PayloadNeeds {
    /// Who needs a file.
    enum Owner {
        case common(job: UInt32)
        case arguments(job: UInt32)
        /// nil: how many outcomes there should be is not known.
        case outcomes(job: UInt32, sequence: UInt32, count: Int?)
        case setup(SessionID, number: Int64)
    }

    struct Need {
        var bytes: Int
        /// Whether there is a row that counts its uses.
        var isCounted = false
        var owners: [Owner] = []
    }

    private(set) var files: [PayloadName: Need] = [:]
    /// Bytes of all payloads in files, as often as they are needed.
    private(set) var payloadBytes = 0
    /// The jobs that are in order as far as their rows go; of others nothing more is said.
    var jobs: [UInt32: JobID] = [:]
    /// How many outcomes there are in the entries whose payloads are in files, by their rows' keys.
    var counts: [Int64: Int] = [:]

    /// Reads who needs what, and compares it with the counts.
    mutating func read(_ db: Database, _ path: String, _ report: inout StoreCheck) {
        for (table, keys) in [("jobs", "number, 0"), ("chunks", "id, 0"), ("results", "id, 0"), ("setups", "session, number")] {
            do {
                try db.each("SELECT file, bytes, \(keys) FROM \(table) WHERE file IS NOT NULL") { row in
                    guard let name = PayloadName(row.buffer(0)) else { return true }
                    files[name, default: Need(bytes: Int(row.number(1)))].owners.append(
                        owner(table, row.number(2), row.number(3)))
                    payloadBytes += Int(row.number(1))
                    return true
                }
            } catch {
                report.findings.append(StoreFailure.error("cannot read \(table) in", path, error, reading: true))
            }
        }
        do {
            try db.each("SELECT name, bytes, uses FROM files") { row in
                guard let name = PayloadName(row.buffer(0)) else { return true }
                files[name, default: Need(bytes: Int(row.number(1)))].isCounted = true
                let uses = files[name]?.owners.count ?? 0
                if uses != Int(row.number(2)) {
                    report.findings.append(
                        RoostError(
                            .damaged, "the payload file \(name) is needed \(uses) times, and counted \(row.number(2))",
                            remedy: StoreFailure.restoring))
                }
                return true
            }
        } catch {
            report.findings.append(StoreFailure.error("cannot read files in", path, error, reading: true))
        }
        for (name, need) in files where !need.isCounted {
            report.findings.append(
                RoostError(
                    .damaged, "the payload file \(name) is needed, and not counted",
                    remedy: "The server's next start counts it anew."))
        }
    }

    private func owner(_ table: String, _ key: Int64, _ number: Int64) -> Owner {
        let job = UInt32(truncatingIfNeeded: key >> 32)
        return switch table {
        case "jobs": .common(job: UInt32(truncatingIfNeeded: key))
        case "chunks": .arguments(job: job)
        case "results": .outcomes(job: job, sequence: UInt32(truncatingIfNeeded: key), count: counts[key])
        default: .setup(SessionID(rawValue: UInt64(bitPattern: key)), number: number)
        }
    }

    // MARK: What is wrong

    /// With a file that is what was written, and may yet make no sense.
    func findings(in content: ByteBuffer, _ need: Need) -> [RoostError] {
        lazy var found = (try? StoredForm.payloads(content))?.count
        return need.owners.filter { owner in
            switch owner {
            case .common, .setup: false
            case .arguments: found == nil
            case .outcomes(_, _, let count): found == nil || count ?? found != found
            }
        }.compactMap { finding($0, "the payload file makes no sense") }
    }

    /// With a file that cannot be read: said of each job that needs it when it is damaged, of itself otherwise.
    func findings(_ error: RoostError, _ need: Need) -> [RoostError] {
        guard error.code == .damaged else { return [error] }
        let findings = need.owners.compactMap { finding($0, error.message) }
        return findings.isEmpty ? [error] : findings
    }

    private func finding(_ owner: Owner, _ cause: String) -> RoostError? {
        switch owner {
        case .common(let job): damaged(job, "what its tasks share cannot be read", cause)
        case .arguments(let job): damaged(job, "arguments of its tasks cannot be read", cause)
        case .outcomes(let job, let sequence, _): damaged(job, "entry \(sequence) of its outcomes cannot be read", cause)
        case .setup(let session, let number):
            RoostError(
                .damaged, "entry \(number) of the setup of session \(StoreFailure.hexadecimal(session.rawValue)) is damaged",
                remedy: StoreFailure.restoring, cause: cause)
        }
    }

    /// nil for a job that is being forgotten, or of which it is known already.
    private func damaged(_ job: UInt32, _ what: String, _ cause: String) -> RoostError? {
        jobs[job].map { StoreFailure.damagedJob($0, job, what, cause: cause) }
    }
}
