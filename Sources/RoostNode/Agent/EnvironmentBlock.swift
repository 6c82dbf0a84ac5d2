import Glibc

/// Environment variables while they are put together, as the bytes they are: a value need not be UTF-8.
struct EnvironmentBlock {
    private var entries: [[UInt8]]

    /// What this process was started with.
    static func ofThisProcess() -> EnvironmentBlock {
        var entries: [[UInt8]] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(Array(UnsafeRawBufferPointer(start: entry, count: strlen(entry))))
            next += 1
        }
        return EnvironmentBlock(entries: entries)
    }

    /// Of `NAME=value` entries those with one of these names.
    init(_ variables: [String], names: [String]) {
        let prefixes = names.map { "\($0)=" }
        let kept = variables.filter { variable in prefixes.contains { variable.hasPrefix($0) } }
        entries = kept.map { Array($0.utf8) }
    }

    init(_ variables: [String]) { entries = variables.map { Array($0.utf8) } }

    private init(entries: [[UInt8]]) { self.entries = entries }

    mutating func set(_ name: String, _ value: String) {
        remove(name)
        entries.append(Array("\(name)=\(value)".utf8))
    }

    mutating func remove(_ name: String) {
        let prefix = Array("\(name)=".utf8)
        entries.removeAll { $0.starts(with: prefix) }
    }

    func hasName(startingWith prefix: String) -> Bool { entries.contains { $0.starts(with: prefix.utf8) } }

    var block: CStringBlock {
        var block = CStringBlock()
        for entry in entries { block.append(bytes: entry) }
        return block
    }
}
