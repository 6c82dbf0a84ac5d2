/// What a node offers or a task asks for.
///
/// Amounts are whole thousandths, so that half a GPU can be asked for and sums stay exact.
public struct Resources: Hashable, Sendable {
    /// CPUs (slots), in thousandths. A task asks for one unless it says otherwise.
    public var milliCPUs: Int64
    /// Memory in bytes; 0 in a request means "not asked for", 0 in an offer means "not known".
    public var memoryBytes: Int64
    /// GPUs, in thousandths.
    public var milliGPUs: Int64
    /// Anything else the operator names, in thousandths, sorted by name.
    public private(set) var named: [NamedAmount]

    /// An amount of a resource that the operator named.
    public struct NamedAmount: Hashable, Sendable {
        public var name: String
        public var milliAmount: Int64
        public init(name: String, milliAmount: Int64) { self.name = name; self.milliAmount = milliAmount }
    }

    public init(milliCPUs: Int64 = 0, memoryBytes: Int64 = 0, milliGPUs: Int64 = 0, named: [NamedAmount] = []) {
        self.milliCPUs = milliCPUs
        self.memoryBytes = memoryBytes
        self.milliGPUs = milliGPUs
        self.named = named.sorted { $0.name < $1.name }
    }

    /// What `count` whole CPUs are.
    public static func cpus(_ count: Int) -> Resources { Resources(milliCPUs: Int64(count) * 1000) }

    /// What a task asks for when nobody says anything: one CPU.
    public static let oneCPU = Resources.cpus(1)

    public func amount(of name: String) -> Int64 { named.first { $0.name == name }?.milliAmount ?? 0 }

    /// How many times `request` fits into what is left here; at most `most`.
    public func fits(_ request: Resources, atMost most: Int) -> Int {
        var times = Int64(most)
        if request.milliCPUs > 0 { times = min(times, milliCPUs / request.milliCPUs) }
        if request.memoryBytes > 0 { times = min(times, memoryBytes / request.memoryBytes) }
        if request.milliGPUs > 0 { times = min(times, milliGPUs / request.milliGPUs) }
        for need in request.named where need.milliAmount > 0 {
            times = min(times, amount(of: need.name) / need.milliAmount)
        }
        return Int(max(0, times))
    }

    /// The first resource of `request` that is missing here, in words; nil when it fits.
    public func shortage(for request: Resources) -> String? {
        func show(_ milli: Int64) -> String { milli % 1000 == 0 ? "\(milli / 1000)" : "\(Double(milli) / 1000)" }
        if request.milliCPUs > milliCPUs { return "asks for \(show(request.milliCPUs)) cpus, \(show(milliCPUs)) there" }
        if request.memoryBytes > memoryBytes {
            return "asks for \(request.memoryBytes >> 20) MiB of memory, \(memoryBytes >> 20) MiB there"
        }
        if request.milliGPUs > milliGPUs { return "asks for \(show(request.milliGPUs)) gpus, \(show(milliGPUs)) there" }
        for need in request.named where need.milliAmount > amount(of: need.name) {
            return "asks for \(show(need.milliAmount)) \(need.name), \(show(amount(of: need.name))) there"
        }
        return nil
    }

    /// Whether a task may ask for this: nothing negative, and something, so that a node can run only so many.
    public var isReasonable: Bool {
        let amounts = [milliCPUs, memoryBytes, milliGPUs] + named.map(\.milliAmount)
        return amounts.allSatisfy { $0 >= 0 } && amounts.contains { $0 > 0 }
    }

    public mutating func add(_ other: Resources, times: Int = 1) {
        let factor = Int64(times)
        milliCPUs += other.milliCPUs * factor
        memoryBytes += other.memoryBytes * factor
        milliGPUs += other.milliGPUs * factor
        for amount in other.named {
            if let position = named.firstIndex(where: { $0.name == amount.name }) {
                named[position].milliAmount += amount.milliAmount * factor
            } else {
                named.append(NamedAmount(name: amount.name, milliAmount: amount.milliAmount * factor))
                named.sort { $0.name < $1.name }
            }
        }
    }

    public mutating func subtract(_ other: Resources, times: Int = 1) { add(other, times: -times) }
}

/// A property of a node that a job can ask for, such as `zone=a`.
public struct Label: Hashable, Sendable {
    public var key: String
    public var value: String
    public init(key: String, value: String) { self.key = key; self.value = value }
}
