import RoostModel

extension InputRules {
    init(_ options: MapOptions) throws(MapError) {
        self.init()
        if options.null {
            delimiter = [0]
            delimiterIsExplicit = true
        } else if let text = options.delimiter {
            delimiter = Self.unescaped(Array(text.utf8))
            delimiterIsExplicit = true
        }
        columnSeparator = options.colsep
        if let text = options.maxReplaceArgs {
            recordsPerTask = try Self.count(text, "--max-replace-args", from: 0)
        } else if let text = options.maxArgs {
            recordsPerTask = try Self.count(text, "--max-args", from: 0)
        }
        linksAll = options.link
        skipsBlank = options.noRunIfEmpty
    }

    private static func count(_ text: String, _ flag: String, from least: Int) throws(MapError) -> Int {
        guard let count = Int(text), (least...1_000_000).contains(count) else {
            throw .usage(flag, "'\(text)' is not a number of inputs", remedy: "write a whole number from \(least) on")
        }
        return count
    }

    /// `\n`, `\t`, `\r`, `\0` and octal `\123` mean the byte; an empty delimiter means NUL.
    private static func unescaped(_ text: [UInt8]) -> [UInt8] {
        if text.isEmpty { return [0] }
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.first else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(3).prefix { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
            if !digits.isEmpty {
                bytes.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - UInt8(ascii: "0")) }))
                rest = rest.dropFirst(digits.count)
                continue
            }
            switch next {
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "\\"): bytes.append(byte)
            default: bytes.append(contentsOf: [byte, next])
            }
            rest = rest.dropFirst()
        }
        return bytes
    }
}

extension JobPolicy {
    init(_ options: MapOptions) throws(MapError) {
        self.init()
        if let text = options.retries {
            guard let tries = UInt32(text), (1...Limits.attemptsPerTask).contains(tries) else {
                throw .usage(
                    "--retries", "'\(text)' is not a number of tries",
                    remedy: "write how often a task is tried in all, from 1 to \(Limits.attemptsPerTask)")
            }
            retries = tries - 1
        }
        if let text = options.timeout {
            if text.hasSuffix("%") {
                throw .usage(
                    "--timeout", "a percentage of the median (\(text)) is not supported",
                    remedy: "write a duration: 90, 90s, 1.5h, 2d3h, 12:00:00")
            }
            guard let duration = DurationText.parse(text) else {
                throw .usage(
                    "--timeout", "'\(text)' is not a duration", remedy: "write 90, 90s, 1.5h, 2d3h or 12:00:00")
            }
            timeout = duration == .zero ? nil : duration
        }
        if let text = options.halt {
            guard let choice = HaltText.parse(text) else {
                throw .usage(
                    "--halt", "'\(text)' does not say when",
                    remedy: "write never, or now|soon,fail|success|done=N or N%, for example --halt now,fail=1")
            }
            if case .rule(let rule) = choice { halt = rule }
        }
        if let text = options.crashLimit {
            guard let limit = UInt32(text), (1...Limits.attemptsPerTask).contains(limit) else {
                throw .usage(
                    "--crash-limit", "'\(text)' is not a number of crashes",
                    remedy: "write a whole number from 1 to \(Limits.attemptsPerTask)")
            }
            crashLimit = limit
        }
    }
}

extension Resources {
    init(_ options: MapOptions) throws(MapError) {
        self = .oneCPU
        if let text = options.cpus { milliCPUs = try Self.amount(text, "--cpus") }
        if let text = options.memory {
            guard let bytes = SizeText.parse(text), bytes > 0 else {
                throw .usage("--memory", "'\(text)' is not an amount of memory", remedy: "write 500M, 2G or 512KiB")
            }
            memoryBytes = bytes
        }
        for text in options.resource {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw .usage(
                    "--resource", "'\(text)' is not NAME=AMOUNT", remedy: "write for example --resource gpus=1")
            }
            let amount = try Self.amount(parts[1], "--resource")
            switch parts[0] {
            case "cpus": milliCPUs = amount
            case "gpus": milliGPUs = amount
            case "memory": throw .usage("--resource", "memory has an option of its own", remedy: "write --memory SIZE")
            default: add(Resources(named: [NamedAmount(name: parts[0], milliAmount: amount)]))
            }
        }
    }

    private static func amount(_ text: String, _ flag: String) throws(MapError) -> Int64 {
        guard let number = DurationText.decimal(text), number <= 1_000_000, number == 0 || number >= 0.001 else {
            throw .usage(flag, "'\(text)' is not an amount", remedy: "write a number such as 1, 4 or 0.5")
        }
        return Int64((number * 1000).rounded())
    }
}
