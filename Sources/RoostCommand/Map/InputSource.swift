/// Where inputs come from, as the command line named it.
package struct InputSource: Hashable, Sendable {
    package enum Origin: Hashable, Sendable {
        /// `:::` and `:::+`: what stands on the command line.
        case arguments([[UInt8]])
        /// `::::`, `::::+` and `-a`: a file; `-` is standard input.
        case file([UInt8])
    }

    package var origin: Origin
    /// `:::+`, `::::+`: taken in step with the source before it instead of combined with it.
    package var isLinked: Bool

    package init(_ origin: Origin, isLinked: Bool = false) {
        self.origin = origin
        self.isLinked = isLinked
    }

    package static let standardInput = InputSource(.file([UInt8(ascii: "-")]))
}

/// How inputs are cut out of their sources and put together for tasks.
package struct InputRules: Hashable, Sendable {
    /// What stands between two inputs of a file; a newline unless `-0` or `-d` says otherwise.
    package var delimiter: [UInt8] = [UInt8(ascii: "\n")]
    /// Whether `-0` or `-d` named the delimiter: then it also cuts what stands after `:::`.
    package var delimiterIsExplicit = false
    /// `--colsep`: a regular expression that cuts one input into several.
    package var columnSeparator: String?
    /// `-n`, `-N`: how many records make one task; nil for one, 0 for one that is not put into the command.
    package var recordsPerTask: Int?
    /// `--link`: all sources in step; short ones start again.
    package var linksAll = false
    /// `-r`: records with a blank input make no task.
    package var skipsBlank = false

    package init() {}
}
