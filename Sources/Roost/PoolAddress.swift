public import RoostModel

/// Where a pool's server is: `roost://HOST:PORT`, `HOST:PORT` or `HOST`.
public struct PoolAddress: Hashable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: Int
    /// Without TLS and token: only to loopback, only when the server was started so (`roost+plain://`).
    public var isPlain: Bool

    public static let defaultPort = 7117

    public init(host: String, port: Int = PoolAddress.defaultPort, isPlain: Bool = false) {
        self.host = host
        self.port = port
        self.isPlain = isPlain
    }

    /// - Throws: `.usage`, naming the part that makes no sense.
    public init(parsing text: String) throws(RoostError) {
        var rest = Substring(text)
        isPlain = false
        if let scheme = rest.firstRange(of: "://") {
            switch rest[..<scheme.lowerBound] {
            case "roost": break
            case "roost+plain": isPlain = true
            case let other:
                throw Self.nonsense("'\(text)' has the scheme '\(other)'")
            }
            rest = rest[scheme.upperBound...]
        }
        if rest.last == "/" { rest.removeLast() }
        var portText: Substring?
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { throw Self.nonsense("'\(text)' has no ] after its [") }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            let after = rest[rest.index(after: end)...]
            guard after.isEmpty || after.first == ":" else {
                throw Self.nonsense("'\(text)' has '\(after)' where its port should be")
            }
            if !after.isEmpty { portText = after.dropFirst() }
        } else if let colon = rest.lastIndex(of: ":") {
            host = String(rest[..<colon])
            portText = rest[rest.index(after: colon)...]
            guard !host.contains(":") else {
                throw Self.nonsense("'\(text)' has several colons: an IPv6 address stands in brackets, as in [::1]")
            }
        } else {
            host = String(rest)
        }
        guard !host.isEmpty else {
            throw Self.nonsense("'\(text)' names no host")
        }
        guard let portText else {
            port = Self.defaultPort
            return
        }
        guard let number = Int(portText), (1...65_535).contains(number) else {
            throw Self.nonsense("'\(portText)' is not a port: 1 to 65535")
        }
        port = number
    }

    private static func nonsense(_ message: String) -> RoostError {
        RoostError(.usage, message, remedy: "A pool's URL is roost://HOST:PORT.")
    }

    public var description: String {
        let shown = host.contains(":") ? "[\(host)]" : host
        return "\(isPlain ? "roost+plain" : "roost")://\(shown):\(port)"
    }
}

extension Substring {
    /// The first place where `text` stands; without Foundation.
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
