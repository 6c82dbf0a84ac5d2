import Foundation
import NIOCore
import RSerialization
import RoostBridge
import Testing

/// Frames are cut out of whatever comes, and nothing is believed before the secret.
struct FrameTests {
    @Test("frames arrive whole, in pieces of any size", arguments: [1, 7, 32, 33, 1000, Int.max])
    func pieces(size: Int) throws {
        let blob: [[UInt8]] = [Array(repeating: 7, count: 5000), [], [1, 2, 3]]
        let bytes =
            frame(1) { $0.set("op", "open") } + frame(2, 5, parts: blob) { $0.set("op", "submit") }
            + frame(3) { $0.set("op", "bye") }
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        let frames = try reader.frames(bytes, size: size)
        #expect(frames.map { $0.control.text("op") } == ["open", "submit", "bye"])
        #expect(frames.map(\.header.sequence) == [1, 2, 3])
        #expect(frames[1].header.reply == 5)
        #expect(frames[1].parts == blob)
    }

    @Test("a row of numbers is a request, too; one that is none ends the connection")
    func brief() throws {
        func frame(_ numbers: [Double], blob: [UInt8] = []) -> [UInt8] {
            let control = numbers.flatMap { number in withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) } }
            return BridgeHeader(sequence: 1, reply: 0, controlBytes: control.count, blobBytes: blob.count).bytes + control + blob
        }
        func read(_ bytes: [UInt8]) throws -> BridgeFrame? {
            var reader = BridgeFrameReader()
            reader.isTrusted = true
            return try reader.frames(bytes, size: .max).first
        }
        let call = try read(frame([1, 7, 42], blob: [1, 2, 3]))
        #expect(call?.control.text("op") == "call" && call?.control.number("brief") == 7 && call?.control.number("seed") == 42)
        #expect(call?.parts == [[1, 2, 3]])
        let append = try read(frame([2, 7, .nan], blob: [1]))
        #expect(append?.control.flag("quiet") == true && append?.control.has("seed") == false)
        let next = try read(frame([3, 7, 5, 100, .infinity]))
        #expect(next?.control.number("cursor") == 5 && next?.control.number("timeout") == .infinity)
        for numbers in [[], [0], [1], [1, 2], [5, 1], [2, 7, 1, 1], [-1, 7, 42], [1e300, 1]] as [[Double]] where !numbers.isEmpty {
            #expect(throws: BridgeFault.self, "\(numbers)") { try read(frame(numbers)) }
        }
    }

    @Test("parts are read straight to where they stay, in pieces of any size", arguments: [1, 7, 1000, Int.max])
    func partsInPlace(size: Int) throws {
        let blob: [[UInt8]] = [(0..<5000).map { UInt8(truncatingIfNeeded: $0) }, [1, 2, 3]]
        let bytes = frame(1, parts: blob) { $0.set("op", "submit") }
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        var rest = bytes[...]
        var found: [BridgeFrame] = []
        while !rest.isEmpty {
            var read: BridgeFrame?
            if reader.missingOfPart > 0 {
                read = try reader.readPart(min(size, reader.missingOfPart)) { space in
                    let taken = rest.prefix(space.count)
                    space.copyBytes(from: taken)
                    rest = rest.dropFirst(taken.count)
                    return taken.count
                }
            } else {
                var one = ByteBuffer(bytes: rest.prefix(1))
                rest = rest.dropFirst(1)
                read = try reader.next(from: &one)
            }
            if let read { found.append(read) }
        }
        #expect(found.map(\.parts) == [blob])
    }

    @Test("X and common data in a control are the frame's parts")
    func objectsInControl() throws {
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        let bytes = frame(1) {
            $0.set("common", item: RItem.null)
            $0.set("op", "run")
            $0.set("X", [1, 2])
        }
        let read = try #require(try reader.frames(bytes).first)
        #expect(read.parts == [RItem.toStream(RItem.doubles([1, 2])), RItem.toStream(RItem.null)])
        #expect(read.control.text("op") == "run")
    }

    @Test("a stranger may say hello, and nothing else")
    func stranger() throws {
        var reader = BridgeFrameReader()
        #expect(try reader.frames(hello("x")).count == 1)
        #expect(throws: BridgeFault.self) { try reader.frames(frame(1) { $0.set("op", "open") }) }
        reader = BridgeFrameReader()
        #expect(throws: BridgeFault.self) { try reader.frames(frame(0, parts: [[1]]) { $0.set("op", "hello") }) }
        reader = BridgeFrameReader()
        let huge = BridgeHeader(sequence: 0, reply: 0, controlBytes: BridgeLimits.strangerControlBytes + 1, blobBytes: 0)
        #expect(throws: BridgeFault.self) { try reader.frames(huge.bytes) }
    }

    @Test(
        "what is no header is refused at once",
        arguments: [
            Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), Array(repeating: 255, count: 32),
            BridgeHeader(sequence: 1, reply: 0, controlBytes: 1 << 40, blobBytes: 0).bytes,
            BridgeHeader(sequence: 1, reply: 0, controlBytes: 10, blobBytes: 1 << 50).bytes,
            BridgeHeader(sequence: 1, reply: 0, controlBytes: 4, blobBytes: 0).bytes + [1, 2, 3, 4],
        ])
    func garbage(_ bytes: [UInt8]) {
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        #expect(throws: BridgeFault.self) { try reader.frames(bytes) }
    }

    @Test("a hundred bytes that say a billion elements, or the same environment a thousand times, are no control")
    func inflatedControls() throws {
        let directory = NSTemporaryDirectory() + "roost-bridge-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try R.run(
            """
            put <- function(name, x) writeBin(serialize(x, NULL, xdr = FALSE), file.path("\(directory)", name))
            e <- new.env(parent = emptyenv()); e$x <- raw(60000)
            put("sequence", 1:350000000)
            put("strings", as.character(1:350000000))
            put("shared", rep(list(e), 1000))
            put("few", rep(list(e), 60))
            put("long", list(op = "hello", secret = 1:350000000))
            e <- new.env(parent = emptyenv()); e$x <- raw(2e6)
            put("large", rep(list(e), 60))
            """)
        func stream(_ name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))) }
        for name in ["sequence", "strings", "shared", "large"] {
            let bytes = try stream(name)
            #expect(name == "large" || bytes.count < BridgeLimits.strangerControlBytes)
            #expect("\(name)") { try Control(stream: bytes) } throws: { ($0 as? RSerializationError)?.code == .tooLarge }
        }
        #expect(try Control(stream: stream("few")).text("op") == nil)
        #expect(try Control(stream: stream("long"))["secret"] == .other)
    }

    @Test("lengths must divide the blob")
    func lengths() {
        for lengths in [[1.0, 1], [4], [-1, 4], [1.5, 1.5], [.nan], [0x1p40]] {
            var control = ControlWriter()
            control.set("lengths", lengths)
            let stream = control.stream()
            let header = BridgeHeader(sequence: 1, reply: 0, controlBytes: stream.count, blobBytes: 3)
            var reader = BridgeFrameReader()
            reader.isTrusted = true
            #expect(throws: BridgeFault.self) { try reader.frames(header.bytes + stream + [1, 2, 3]) }
        }
    }

    @Test("any bytes: a fault or no frame, never a trap")
    func fuzz() {
        for seed in 0..<UInt64(1000) {
            var dice = Dice(state: seed)
            var bytes = frame(1, parts: [[1, 2, 3]]) {
                $0.set("op", "submit")
                $0.set("seed", integers: [1, 2, nil])
            }
            for _ in 0..<4 { bytes[Int.random(in: 0..<bytes.count, using: &dice)] = .random(in: 0...255, using: &dice) }
            // A header that asks for much is believed of R, which has the secret; it would only reserve memory here.
            guard let header = BridgeHeader(Array(bytes[..<32])), header.controlBytes < 1 << 20, header.blobBytes < 1 << 20 else {
                continue
            }
            var reader = BridgeFrameReader()
            reader.isTrusted = true
            _ = try? reader.frames(bytes, size: 16)
        }
    }

    @Test("controls that R writes, and controls that R reads")
    func controlsOfR() throws {
        let directory = NSTemporaryDirectory() + "roost-bridge-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var writer = ControlWriter()
        writer.set("text", "ä")
        writer.set("none", nil as Double?)
        writer.set("ok", true)
        writer.set("ints", integers: [1, nil])
        writer.set("inner") { $0.set("x", [1, 2]) }
        writer.set("null", item: RItem.null)
        try Data(writer.stream()).write(to: URL(fileURLWithPath: "\(directory)/swift"))
        _ = try R.run(
            """
            x <- list(op = "submit", tasks = 1:5, timeout = Inf, n = 3L, x = as.character(1:3), live = NA, none = NULL,
                      labels = c("a=b", NA), seed = c(10407L, NA), bytes = as.raw(1:3), deep = list(1), named = c(a = 1))
            writeBin(serialize(x, NULL, xdr = FALSE), "\(directory)/r")
            y <- unserialize(readBin("\(directory)/swift", raw(), 1e6))
            stopifnot(identical(y, list(text = "\\u00e4", none = NA_real_, ok = TRUE, ints = c(1L, NA), inner = list(x = c(1, 2)), null = NULL)))
            """)
        let control = try Control(stream: Array(Data(contentsOf: URL(fileURLWithPath: "\(directory)/r"))))
        #expect(control.text("op") == "submit")
        #expect(control.numbers("tasks") == [1, 2, 3, 4, 5])
        #expect(control.number("timeout") == .infinity)
        #expect(control.number("n") == 3)
        #expect(control.texts("x") == ["1", "2", "3"])
        #expect(control.flag("live") == nil && control.has("live"))
        #expect(!control.has("none") && !control.has("absent"))
        #expect(control["labels"] == .strings(["a=b", nil]))
        #expect(control["seed"] == .integers([10407, nil]))
        #expect(control["bytes"] == .raw([1, 2, 3]))
        #expect(control["deep"] == .other)
        #expect(control.number("named") == 1)
    }
}

/// Random numbers that come again.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
