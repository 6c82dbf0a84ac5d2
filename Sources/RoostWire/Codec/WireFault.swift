import RoostModel

/// Why bytes of a peer cannot be a message. Small and allocation-free; ``RoostError`` puts it into words.
package enum WireFault: Error, Hashable, Sendable {
    /// The bytes end in the middle of a value.
    case truncated
    /// A number of more than 64 bits.
    case oversizeNumber
    /// A field has another wire type than its contract says, or a group, which nobody uses any more.
    case wrongType(field: Int)
    /// Messages in messages in messages.
    case tooDeep
    /// A value outside what its field allows.
    case badValue(field: Int)
    /// More bytes or elements than the field's limit.
    case tooLong(field: Int)
    /// A field that must be there is not.
    case missing(field: Int)
    /// Arrays that belong together differ in length.
    case inconsistent

    /// The fault in words, as part of a sentence about `name`.
    func error(in name: String) -> RoostError {
        let cause =
            switch self {
            case .truncated: "it ends in the middle of a value"
            case .oversizeNumber: "a number has more than 64 bits"
            case .wrongType(let field): "field \(field) has the wrong type"
            case .tooDeep: "it is nested too deeply"
            case .badValue(let field): "field \(field) has an impossible value"
            case .tooLong(let field): "field \(field) is longer than allowed"
            case .missing(let field): "field \(field) is missing"
            case .inconsistent: "its arrays differ in length"
            }
        return RoostError(.protocolViolation, "the peer sent a malformed \(name)", cause: cause)
    }
}
