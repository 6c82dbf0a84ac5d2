extension Resources {
    /// The largest amount, in bytes or thousandths: 256 TiB.
    public static let mostAmount: Int64 = 1 << 48

    /// - Throws: `.limit`, naming what no peer would accept.
    package func check() throws(RoostError) {
        guard named.count <= Limits.namedResources else {
            throw RoostError(.limit, "\(named.count) named resources; at most \(Limits.namedResources) are allowed")
        }
        try Self.check(milliCPUs, "cpus")
        try Self.check(memoryBytes, "memory")
        try Self.check(milliGPUs, "gpus")
        for amount in named {
            try Self.check(amount.milliAmount, amount.name)
            try Limits.check(name: amount.name, of: "a resource")
        }
    }

    private static func check(_ amount: Int64, _ what: String) throws(RoostError) {
        guard (0...mostAmount).contains(amount) else {
            throw RoostError(.limit, "an impossible amount of \(what)", remedy: "At most 256 TiB, or 281,474,976,710 of anything.")
        }
    }
}

extension Label {
    /// - Throws: `.limit`, naming what no peer would accept.
    package static func check(_ labels: [Label]) throws(RoostError) {
        guard labels.count <= Limits.labelsPerNode else {
            throw RoostError(.limit, "\(labels.count) labels; at most \(Limits.labelsPerNode) are allowed")
        }
        for label in labels {
            try Limits.check(name: label.key, of: "a label")
            try Limits.check(name: label.value, of: "a label")
        }
    }
}

extension Limits {
    /// - Throws: `.limit` for a name that no peer would accept.
    package static func check(name: String, of what: String) throws(RoostError) {
        guard name.utf8.count <= nameBytes else {
            throw RoostError(.limit, "the name of \(what) has \(name.utf8.count) bytes; at most \(nameBytes) are allowed")
        }
    }
}
