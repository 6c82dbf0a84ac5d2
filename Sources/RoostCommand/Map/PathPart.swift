/// The part of a path that a replacement string asks for.
///
/// A newline inside a path is an ordinary byte to the file system but not to GNU parallel, whose `{/}` works
/// on the first line that has a slash; we follow it, so that commands come out the same.
package enum PathPart: UInt8, Hashable, Sendable {
    /// `{}`: all of it.
    case whole
    /// `{.}`: without the last extension.
    case withoutExtension
    /// `{/}`: the name, without directories.
    case name
    /// `{//}`: the directory.
    case directory
    /// `{/.}`: the name without its last extension.
    case nameWithoutExtension

    /// Calls `body` with the part of `path`; copies only where lines before the slash are kept.
    func with(_ path: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
        switch self {
        case .whole: body(path[...])
        case .withoutExtension: body(Self.stem(path[...]))
        case .directory: body(Self.directory(path))
        case .name: Self.withName(path, body)
        case .nameWithoutExtension: Self.withName(path) { body(Self.stem($0)) }
        }
    }

    private static let slash = UInt8(ascii: "/")
    private static let newline = UInt8(ascii: "\n")

    private static func stem(_ path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let end = path.lastIndex(where: { $0 == UInt8(ascii: ".") || $0 == slash }), path[end] != slash else {
            return path
        }
        return path[..<end]
    }

    private static func withName(_ path: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
        guard let slashAt = path.firstIndex(of: slash) else { return body(path[...]) }
        let lineEnd = path[slashAt...].firstIndex(of: newline) ?? path.endIndex
        let lineStart = path[..<slashAt].lastIndex(of: newline).map { $0 + 1 } ?? 0
        let nameStart = (path[..<lineEnd].lastIndex(of: slash) ?? slashAt) + 1
        if lineStart == 0 { return body(path[nameStart...]) }
        body((path[..<lineStart] + path[nameStart...])[...])
    }

    private static func directory(_ path: [UInt8]) -> ArraySlice<UInt8> {
        var end = path.count
        while end > 0, path[end - 1] == slash { end -= 1 }
        if end == 0 { return path.isEmpty ? [UInt8(ascii: ".")] : [slash] }
        while end > 0, path[end - 1] != slash { end -= 1 }
        if end == 0 { return [UInt8(ascii: ".")] }
        while end > 0, path[end - 1] == slash { end -= 1 }
        return end == 0 ? [slash] : path[..<end]
    }
}
