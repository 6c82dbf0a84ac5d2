/// Why bytes are no R object, or why an R object cannot become what was asked for.
///
/// Everything in this library that can fail throws this one type; no input makes it trap.
public struct RSerializationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of thing went wrong. A struct, so that it can grow.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case notAStream, unsupportedVersion, truncated, unknownType, malformed, badReference
            case tooDeep, tooLarge, trailingBytes, needsAsList, notAVector, unsupported
            case typeMismatch, missingValue, missingKey, outOfRange
        }
        private let kind: Kind

        /// The bytes do not begin as a serialized R object does.
        public static let notAStream = Code(kind: .notAStream)
        /// A version other than 2 and 3, or the ASCII form.
        public static let unsupportedVersion = Code(kind: .unsupportedVersion)
        /// The bytes end in the middle of a value, or a length says more than there is.
        public static let truncated = Code(kind: .truncated)
        /// A type that no version of R writes.
        public static let unknownType = Code(kind: .unknownType)
        /// A known type with impossible content.
        public static let malformed = Code(kind: .malformed)
        /// A reference to something that was not defined before.
        public static let badReference = Code(kind: .badReference)
        /// Nested more deeply than ``RLimits`` allows.
        public static let tooDeep = Code(kind: .tooDeep)
        /// More elements or bytes than ``RLimits`` or the format allows.
        public static let tooLarge = Code(kind: .tooLarge)
        /// Bytes after the end of the object.
        public static let trailingBytes = Code(kind: .trailingBytes)
        /// A vector with a class of its own: R's `as.list` must be called on it first.
        public static let needsAsList = Code(kind: .needsAsList)
        /// Not something that has elements.
        public static let notAVector = Code(kind: .notAVector)
        /// A valid object that this library does not interpret.
        public static let unsupported = Code(kind: .unsupported)
        /// The R object has another type than the one asked for.
        public static let typeMismatch = Code(kind: .typeMismatch)
        /// NA where a value is needed.
        public static let missingValue = Code(kind: .missingValue)
        /// A named list has no element of that name.
        public static let missingKey = Code(kind: .missingKey)
        /// A number that the type asked for cannot hold.
        public static let outOfRange = Code(kind: .outOfRange)

        public var description: String { kind.rawValue }
    }

    public var code: Code
    /// What was found, as a sentence without its final stop.
    public var message: String
    /// The byte of the input where it was found; nil when there are no bytes, as in conversions.
    public var offset: Int?

    public init(_ code: Code, _ message: String, at offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    public var description: String {
        if let offset { "\(message) (\(code), at byte \(offset))" } else { "\(message) (\(code))" }
    }
}
