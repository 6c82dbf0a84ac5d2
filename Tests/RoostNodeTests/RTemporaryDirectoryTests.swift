import Glibc
import RoostNode
import Testing

/// Only what R made for a worker is removed after it.
@Suite struct RTemporaryDirectoryTests {
    @Test func `A worker's directory goes, with all that is in it, and its note`() throws {
        let place = try TemporaryDirectory()
        let scratch = place.path + "/r-1-0"
        let own = try #require(Self.directory("RtmpAbCdEf", in: place))
        try #require(mkdir(own + "/deep", 0o700) == 0 && symlink(place.path, own + "/deep/up") == 0)
        let left = try #require(RTemporaryDirectory(own, besides: scratch))
        #expect(Self.names(in: place).count == 2)
        left.remove()
        #expect(Self.names(in: place) == [])
    }

    @Test func `What a killed agent has noted goes at the next start, and nothing else`() throws {
        let (temporary, scratch) = (try TemporaryDirectory(), try TemporaryDirectory())
        let own = try #require(Self.directory("RtmpAbCdEf", in: temporary))
        _ = try #require(RTemporaryDirectory(own, besides: scratch.path + "/r-1-0"))
        let other = try #require(Self.directory("RtmpZyXwVu", in: temporary))
        // A note about a directory that has been another one since.
        try #require(symlink(other, scratch.path + "/r-1-1.temporary-1") == 0)
        RTemporaryDirectory.removeAll(notedIn: scratch.path)
        #expect(Self.names(in: temporary) == ["RtmpZyXwVu"])
    }

    @Test(arguments: ["home", "Rtmp", "Rtmp/../ab", "RtmpAbCdEfG"]) func `Other directories are not touched`(_ name: String) throws {
        let place = try TemporaryDirectory()
        _ = Self.directory(name, in: place)
        #expect(RTemporaryDirectory("\(place.path)/\(name)", besides: nil) == nil)
    }

    @Test func `A link is no directory of R's, and neither is a relative path`() throws {
        let place = try TemporaryDirectory()
        let home = try #require(Self.directory("home", in: place))
        try #require(symlink(home, place.path + "/RtmpAbCdEf") == 0)
        #expect(RTemporaryDirectory(place.path + "/RtmpAbCdEf", besides: nil) == nil)
        #expect(RTemporaryDirectory("RtmpAbCdEf", besides: nil) == nil)
    }

    private static func directory(_ name: String, in place: TemporaryDirectory) -> String? {
        let path = "\(place.path)/\(name)"
        return mkdir(path, 0o700) == 0 ? path : nil
    }

    private static func names(in place: TemporaryDirectory) -> [String] {
        (DirectoryTree.entries(of: place.path) ?? []).map(\.name).sorted()
    }
}
