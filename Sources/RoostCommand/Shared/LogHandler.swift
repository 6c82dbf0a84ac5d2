import ArgumentParser
import Glibc
import Logging

/// One line per event on standard error: `2026-01-31T23:59:59Z info listening host=0.0.0.0 port=7117`.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(level: Logger.Level) { logLevel = level }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(Self.timestamp()) \(event.level) \(event.message)"
        var facts = metadata
        if let more = event.metadata { facts.merge(more) { _, new in new } }
        for key in facts.keys.sorted() { line += " \(key)=\(Self.quoted("\(facts[key] ?? "")"))" }
        Terminal.printError(Array((line + "\n").utf8))
    }

    private static func timestamp() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A value with spaces or quotes is quoted; control characters never reach the terminal.
    static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "\\" && $0.value != 0x7F }
        if isPlain { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value): text += "?"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

/// `--log-level`.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical

    func logger(_ label: String) -> Logger {
        let level: Logger.Level =
            switch self {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
        return Logger(label: label) { _ in LineLogHandler(level: level) }
    }
}
