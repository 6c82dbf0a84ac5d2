import Roost
import RoostModel
import Testing

@Suite("A pool's URL")
struct PoolAddressTests {
    @Test(
        "is read with and without scheme and port",
        arguments: [
            ("roost://head:7000", PoolAddress(host: "head", port: 7000)),
            ("roost://head", PoolAddress(host: "head")),
            ("roost://head/", PoolAddress(host: "head")),
            ("head:7000", PoolAddress(host: "head", port: 7000)),
            ("head", PoolAddress(host: "head", port: 7117)),
            ("10.1.2.3:80", PoolAddress(host: "10.1.2.3", port: 80)),
            ("[::1]:7000", PoolAddress(host: "::1", port: 7000)),
            ("roost://[fe80::1]", PoolAddress(host: "fe80::1")),
            ("roost+plain://localhost:7000", PoolAddress(host: "localhost", port: 7000, isPlain: true)),
        ])
    func reads(text: String, address: PoolAddress) throws {
        #expect(try PoolAddress(parsing: text) == address)
    }

    @Test("is written so that it reads back", arguments: ["roost://head:7000", "roost://[::1]:9", "roost+plain://a:1"])
    func writes(text: String) throws {
        #expect(try PoolAddress(parsing: text).description == text)
    }

    @Test(
        "that makes no sense is refused, naming the part",
        arguments: [
            ("", "host"), ("roost://", "host"), ("roost://:7000", "host"), ("http://head", "http"),
            ("head:port", "port"), ("head:0", "'0'"), ("head:65536", "65536"), ("head:-1", "-1"), ("[::1", "["),
            ("[::1]x", "x"), ("head:", "''"), ("::1", "::1"),
        ])
    func refuses(text: String, named: String) {
        let error = #expect(throws: RoostError.self) { try PoolAddress(parsing: text) }
        #expect(error?.code == .usage)
        #expect(error?.message.contains(named) == true)
    }
}
