import RSerialization
import RoostModel

/// What R is told at the end of a request, or before.
struct BridgeAnswer: Sendable {
    var control = ControlWriter()
    var parts: [[UInt8]] = []
    /// In place of the control where there is little to say: R knows by the request what the numbers are, and the blob is the values.
    var brief: [UInt8]?

    /// The control's bytes; every answer says how its blob divides.
    consuming func finished(more: Bool = false) -> (control: [UInt8], parts: [[UInt8]]) {
        if let brief, !more { return (brief, parts) }
        var control = control
        if more { control.set("more", true) } else { control.set("ok", true) }
        if !parts.isEmpty { control.set("lengths", parts.map { Double($0.count) }) }
        return (control.stream(), parts)
    }
}

/// Why a request came to nothing.
package struct BridgeFailure: Error, Sendable {
    /// A ``RoostError/Code`` by name, or one of R's own: `needsAsList`, `stopped`.
    var code: String
    var message: String
    var cause = ""
    var remedy = ""

    init(code: String, _ message: String, cause: String = "", remedy: String = "") {
        self.code = code
        self.message = message
        self.cause = cause
        self.remedy = remedy
    }

    init(_ error: RoostError) {
        self.init(code: error.code.description, error.message, cause: error.cause, remedy: error.remedy)
    }

    init(_ error: RSerializationError, in what: String) {
        self.init(
            code: error.code == .needsAsList ? "needsAsList" : "usage", "\(what) cannot be used", cause: "\(error)")
    }

    /// Something in the request makes no sense.
    static func usage(_ message: String, remedy: String = "") -> BridgeFailure {
        BridgeFailure(code: "usage", message, remedy: remedy)
    }

    /// R waits for it no longer; nobody will read this.
    static let stopped = BridgeFailure(code: "stopped", "nobody waits for it any more")

    var control: [UInt8] {
        var writer = ControlWriter()
        writer.set("ok", false)
        writer.set("error") { error in
            error.set("code", code)
            error.set("message", message)
            error.set("cause", cause)
            error.set("remedy", remedy)
        }
        return writer.stream()
    }
}
