import Glibc
import GRDB
import RoostModel

/// What goes wrong with files and databases, in words for people.
enum StoreFailure {
    /// The error for a failed use of the database at `path`; for one that was `reading`, what SQLite cannot make sense of
    /// is damage.
    static func error(_ what: String, _ path: String, _ error: any Error, reading: Bool = false) -> RoostError {
        if let error = error as? RoostError { return error }
        guard let error = error as? DatabaseError else { return RoostError(.io, "\(what) \(path)", cause: "\(error)") }
        let cause = "SQLite says: \(error.message ?? "nothing") (\(error.extendedResultCode.rawValue))"
        switch error.resultCode {
        case .SQLITE_ERROR where reading, .SQLITE_TOOBIG where reading, .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return RoostError(
                .damaged, "\(what) \(path): the file is damaged or cut short", remedy: restoring, cause: cause)
        case .SQLITE_FULL:
            return RoostError(.io, "\(what) \(path): the disk is full", remedy: room, cause: cause)
        case .SQLITE_IOERR:
            return RoostError(.io, "\(what) \(path): the disk or file system failed", remedy: disk, cause: cause)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH:
            return RoostError(
                .io, "\(what) \(path): it cannot be written, or not opened",
                remedy: "The directory and all in it must be this user's, on a file system mounted for writing.", cause: cause)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return RoostError(
                .conflict, "\(what) \(path): another process has locked it", remedy: "End that process, then try again.",
                cause: cause)
        case .SQLITE_NOMEM:
            return RoostError(.io, "\(what) \(path): there is too little memory", remedy: memory, cause: cause)
        default: return RoostError(.internal, "\(what) \(path)", cause: cause)
        }
    }

    /// The error for a system call on the file at `path` that failed just now.
    static func system(_ what: String, _ path: String) -> RoostError {
        let number = errno
        let remedy =
            switch number {
            case ENOSPC, EDQUOT, EFBIG: room
            case EIO: disk
            case EROFS, EACCES, EPERM:
                "The directory and all in it must be this user's, on a file system mounted for writing."
            case EMFILE, ENFILE: "Permit more open files: ulimit -n, or LimitNOFILE of the service."
            case ENOMEM: memory
            default: "Try again when the cause is gone."
            }
        return RoostError(.io, "\(what) \(path)", remedy: remedy, cause: String(cString: strerror(number)))
    }

    static let restoring =
        "'roost server check' says what else is damaged; 'roost server restore' takes up a backup."
    static let room =
        "Make room on that disk, then start the server again: everything that was acknowledged is there."
    static let disk =
        "Look into the kernel's log and the disk's health before the server is started again; what was acknowledged before is there."

    static let memory = "Make memory free, then try again; nothing that was acknowledged is lost."

    static func restoreCutOff(_ data: String) -> RoostError {
        RoostError(
            .conflict, "a restore into \(data) was cut off before its end",
            remedy: "Remove all that is in \(data), then restore again.")
    }

    /// A job that cannot be served.
    static func damagedJob(_ id: JobID?, _ number: UInt32?, _ what: String, cause: String = "") -> RoostError {
        let name = number.map { "job \($0)" } ?? "a job"
        let hex = id.map { " (\(hexadecimal($0.rawValue)))" } ?? ""
        return RoostError(
            .damaged, "\(name)\(hex) is damaged on the disk: \(what)",
            remedy:
                "Take up a backup with 'roost server restore', or give the job up: 'roost job forget \(number.map(String.init) ?? "JOB")', and submit it again.",
            cause: cause)
    }

    static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
