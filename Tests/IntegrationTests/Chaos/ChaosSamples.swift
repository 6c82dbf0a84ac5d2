import Foundation
import Glibc

/// What long runs look at: memory and descriptors of the server and of the agents, the database and the rest of the disk.
struct ChaosSamples {
    /// One look. Sizes in KiB.
    struct Sample: CustomStringConvertible {
        var seconds: Int
        var serverMemory: Int
        var serverDescriptors: Int
        /// Of the largest agent; and of the one that is spared, nil if there is none.
        var agentMemory: Int
        var sparedMemory: Int?
        var agentDescriptors: Int
        /// `pool.sqlite` and its log.
        var database: Int
        /// The whole data directory, and what agents keep.
        var disk: Int
        var processes: Int
        /// Of this process.
        var ownDescriptors: Int

        var description: String {
            let spared = sparedMemory.map { " (the spared one \(Self.megabytes($0)))" } ?? ""
            return "\(seconds) s: server \(Self.megabytes(serverMemory)), \(serverDescriptors) descriptors; largest agent "
                + "\(Self.megabytes(agentMemory))\(spared), \(agentDescriptors) descriptors; database \(Self.megabytes(database)), "
                + "disk \(Self.megabytes(disk)); \(processes) processes; own descriptors \(ownDescriptors)"
        }

        static func megabytes(_ kilobytes: Int) -> String { String(format: "%.1f MB", Double(kilobytes) / 1024) }
    }

    private(set) var all: [Sample] = []
    private let begun = ContinuousClock.now

    /// Nil while the server is away.
    mutating func take(_ stage: Stage, _ pool: ChaosPool) -> Sample? {
        guard let server = pool.server, server.isRunning else { return nil }
        let data = Self.sizes(below: stage.data)
        let kept = pool.stateDirectories.reduce(0) { $0 + Self.sizes(below: $1).values.reduce(0, +) }
        let sample = Sample(
            seconds: Int((ContinuousClock.now - begun).components.seconds),
            serverMemory: Self.kilobytes(server.pid), serverDescriptors: Self.descriptors(server.pid),
            agentMemory: pool.agents.map { Self.kilobytes($0.pid) }.max() ?? 0,
            sparedMemory: pool.sparedAgent.map { Self.kilobytes($0.pid) },
            agentDescriptors: pool.agents.map { Self.descriptors($0.pid) }.max() ?? 0,
            database: data.filter { $0.key.hasPrefix("pool.sqlite") }.values.reduce(0, +) >> 10,
            disk: (data.values.reduce(0, +) + kept) >> 10,
            processes: Marked.processes("HOME=\(stage.directory)\u{0}").count,
            ownDescriptors: Self.descriptors(getpid()))
        all.append(sample)
        return sample
    }

    /// What is looked at: its name, how it is said, and how much it may always be more, whatever it was.
    private static var measures: [(name: String, value: (Sample) -> Int, isSize: Bool, slack: Int)] {
        [
            ("the server's memory", \.serverMemory, true, 16 << 10), ("the server's descriptors", \.serverDescriptors, false, 16),
            ("an agent's memory", \.agentMemory, true, 16 << 10), ("the spared agent's memory", { $0.sparedMemory ?? 0 }, true, 8 << 10),
            ("an agent's descriptors", \.agentDescriptors, false, 16), ("the database", \.database, true, 16 << 10),
            ("the disk", \.disk, true, 16 << 10), ("processes", \.processes, false, 16),
            ("the checker's descriptors", \.ownDescriptors, false, 16),
        ]
    }

    /// The greatest value in a part of the run, in quarters.
    private func greatest(_ value: (Sample) -> Int, quarter: Int) -> Int {
        all[(all.count * quarter / 4)..<(all.count * (quarter + 1) / 4)].map(value).max() ?? 0
    }

    /// What grew: the greatest value in the last quarter is more than a quarter above the greatest in the second.
    var grown: [String] {
        guard all.count >= 16 else { return [] }
        return Self.measures.compactMap { measure in
            let (before, after) = (greatest(measure.value, quarter: 1), greatest(measure.value, quarter: 3))
            return after > before * 5 / 4 + measure.slack ? "\(measure.name) grew from \(before) to \(after)" : nil
        }
    }

    /// The greatest values of the four quarters, a line for each measure.
    var report: [String] {
        guard all.count >= 16 else { return [] }
        return Self.measures.map { measure in
            let values = (0..<4).map { greatest(measure.value, quarter: $0) }
            return "chaos: \(measure.name), at most in each quarter: "
                + values.map { measure.isSize ? Sample.megabytes($0) : "\($0)" }.joined(separator: ", ")
        }
    }

    private static func kilobytes(_ pid: Int32) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    private static func descriptors(_ pid: Int32) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }

    /// The bytes of each file.
    private static func sizes(below directory: String) -> [String: Int] {
        let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return names.reduce(into: [:]) { sizes, name in
            sizes[name] = (try? FileManager.default.attributesOfItem(atPath: "\(directory)/\(name)")[.size] as? Int) ?? 0
        }
    }
}
