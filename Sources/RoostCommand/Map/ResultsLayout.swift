/// Where `--results` puts a task's files, as GNU parallel does:
///
///     --results out        out/1/ARG/2/ARG/{stdout,stderr,seq}
///     --results out/{}.x   out/ARG.x  out/ARG.x.err  out/ARG.x.seq
package struct ResultsLayout: Hashable, Sendable {
    /// The three files of a task.
    package enum File: Hashable, Sendable, CaseIterable {
        case stdout, stderr, sequence
    }

    private enum Form: Hashable, Sendable {
        case directory([UInt8])
        case template(Template)
    }

    private let form: Form

    package init(_ text: [UInt8]) throws(MapError) {
        let name = String(decoding: text, as: UTF8.self)
        if name.isEmpty { throw .usage("--results", "the name is empty", remedy: "name a directory") }
        for suffix in [".csv", ".tsv", ".json"] where name.hasSuffix(suffix) {
            throw .usage(
                "--results", "one table for all results (\(suffix)) is not supported",
                remedy: "name a directory, or use --output json, which prints one object a task")
        }
        let template = Template(text)
        if template.hasReplacements {
            form = .template(template)
        } else {
            form = .directory(Array(text.reversed().drop { $0 == UInt8(ascii: "/") }.reversed()))
        }
    }

    /// The path of one of a task's files.
    package func path(of file: File, values: [[UInt8]], sequence: Int) -> [UInt8] {
        switch form {
        case .template(let template):
            let stem = template.raw(values: values, sequence: sequence)
            switch file {
            case .stdout: return stem
            case .stderr: return stem + Array(".err".utf8)
            case .sequence: return stem + Array(".seq".utf8)
            }
        case .directory(let base):
            var path = base
            let slash = UInt8(ascii: "/")
            for (index, value) in (values.isEmpty ? [Self.noArgument] : values.map(Self.escaped)).enumerated() {
                path.append(slash)
                path.append(decimal: index + 1)
                path.append(slash)
                path.append(contentsOf: value.prefix(255))
            }
            if path.last != slash { path.append(slash) }
            switch file {
            case .stdout: path.append(contentsOf: "stdout".utf8)
            case .stderr: path.append(contentsOf: "stderr".utf8)
            case .sequence: path.append(contentsOf: "seq".utf8)
            }
            return path
        }
    }

    /// Stands for the inputs of a task that has none (`-N 0`).
    private static let noArgument = Array("\\0noarg".utf8)

    /// An input as the name of a directory: a slash would be a step into it, so it is written `\_`.
    static func escaped(_ value: [UInt8]) -> [UInt8] {
        guard value.contains(where: { $0 == 0x2F || $0 == 0x5C || $0 == 9 || $0 == 0 }) else { return value }
        return value.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "/"): Array("\\_".utf8)
            case UInt8(ascii: "\\"): Array("\\\\".utf8)
            case UInt8(ascii: "\t"): Array("\\t".utf8)
            case 0: Array("\\0".utf8)
            default: [byte]
            }
        }
    }
}
