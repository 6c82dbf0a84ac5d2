import Foundation
import Glibc
import RSerialization
import RoostBridge
import Testing

/// The real program: its beginning, its end, and what may happen to its connection.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct BridgeProcessTests {
    @Test("hello, a question, bye")
    func session() async throws {
        let bridge = try BridgeProcess()
        #expect(getsid(bridge.pid) == bridge.pid, "Ctrl-C in R's terminal does not reach it")
        let (wire, got) = try bridge.greeted()
        #expect(got == 0)
        let open = try wire.ask(1) { $0.set("op", "open") }
        #expect(open.control.text("pool") == "embedded")
        #expect(open.control.number("slots") == 2)
        #expect(open.control.number("nodes") == 1)
        let nodes = try wire.ask(2, reply: open.header.sequence) { $0.set("op", "nodes") }
        #expect(nodes.control.texts("state") == ["connected"])
        let unknown = try wire.ask(3) { $0.set("op", "frobnicate") }
        #expect(unknown.control.flag("ok") == false)
        #expect(unknown.control.has("error"))
        #expect(try wire.ask(4) { $0.set("op", "bye") }.control.flag("ok") == true)
        try await bridge.waitForEnd()
    }

    @Test("nobody gets in: a wrong secret, garbage, an oversized frame, silence before hello; the session does not notice")
    func strangers() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let wrong = try bridge.connect()
        try wrong.write(hello(String(repeating: "0", count: 32)))
        #expect(wrong.isClosed)
        let garbage = try bridge.connect()
        try garbage.write(Array("GET / HTTP/1.1\r\nHost: localhost:80\r\n\r\n".utf8))
        #expect(garbage.isClosed)
        let large = try bridge.connect()
        try large.write(BridgeHeader(sequence: 0, reply: 0, controlBytes: 1 << 30, blobBytes: 0).bytes)
        #expect(large.isClosed)
        let early = try bridge.connect()
        try early.write(frame(1) { $0.set("op", "open") })
        #expect(early.isClosed)
        #expect(try wire.ask(1) { $0.set("op", "nodes") }.control.flag("ok") == true)
    }

    @Test("a connection that breaks in the middle of an answer, and in the middle of a request")
    func reconnecting() throws {
        let bridge = try BridgeProcess()
        var (wire, _) = try bridge.greeted()
        let values = (0..<200_000).map(Double.init)
        let job = try wire.ask(1, parts: [try list(values), RItem.toStream(RItem.null)]) {
            $0.set("op", "submit")
            $0.set("open", true)
        }
        let id = try #require(job.control.text("job"))
        #expect(job.control.number("n") == 200_000)
        func collect(_ control: inout ControlWriter) {
            control.set("op", "collect")
            control.set("job", id)
            control.set("wait", false)
        }
        // The answer is a megabyte; R is interrupted when it has read a part.
        try wire.write(frame(2, 1, collect))
        let head = try #require(BridgeHeader(wire.read(32)))
        #expect(head.sequence == 2)
        _ = wire.read(100_000)
        let got: Double
        (wire, got) = try bridge.greeted(reply: 1)
        #expect(got == 2)
        let again = try wire.frame()
        #expect(again.header == head)
        #expect(try RCutter(again.parts[0]).count == 200_000)
        #expect(again.control["state"] == .raw([UInt8](repeating: 4, count: 200_000)))

        // The request is cut off: the bridge has not got it, and R sends it again.
        let next = frame(3, 2) {
            $0.set("op", "cancel")
            $0.set("job", id)
        }
        try wire.write(Array(next[..<40]))
        let before: Double
        (wire, before) = try bridge.greeted(reply: 2)
        #expect(before == 2)
        try wire.write(next)
        #expect(try wire.answer(to: 3).control.flag("ok") == true)
        // A request that comes twice is done once: the answer to the next one is the next frame.
        try wire.write(next)
        #expect(try wire.ask(4, reply: 3) { $0.set("op", "nodes") }.header.sequence == 4)
    }

    /// Request 1: a job of one task, not closed.
    /// - Returns: what the bridge calls it.
    private func submitOpen(_ wire: Wire) throws -> String {
        let made = try wire.ask(1, parts: [try list([1]), RItem.toStream(RItem.null)]) {
            $0.set("op", "submit")
            $0.set("open", true)
        }
        return try #require(made.control.text("job"))
    }

    @Test("who leaves submit before its answer leaves no job behind")
    func stoppingSubmit() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let id = try submitOpen(wire)
        // As if the answer had not been read.
        let stop = try wire.ask(2) {
            $0.set("op", "stop")
            $0.set("seq", 1)
        }
        #expect(stop.control.flag("ok") == true)
        let status = try wire.ask(3, reply: 2) {
            $0.set("op", "status")
            $0.set("job", id)
        }
        #expect(status.control.flag("ok") == false)
    }

    @Test("a job of which R has two handles lives until both are gone; attaching says its number")
    func twoHandles() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let id = try submitOpen(wire)
        func ask(_ sequence: UInt64, _ op: String) throws -> Control {
            try wire.ask(sequence) {
                $0.set("op", op)
                $0.set("job", id)
            }.control
        }
        #expect(try ask(2, "attach").number("number") == 1)
        #expect(try ask(3, "leave").flag("ok") == true)
        #expect(try ask(4, "status").flag("ok") == true)
        #expect(try ask(5, "leave").flag("ok") == true)
        #expect(try ask(6, "status").flag("ok") == false)
    }

    @Test("a small run is one stream each way")
    func smallRun() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let common = try joined(["fun", "args"], [RItem.null, RItem.null])
        let answer = try wire.ask(1) {
            $0.set("op", "run")
            $0.set("progress", false)
            $0.set("forget", true)
            $0.set("X", [1, 2])
            $0.set("common", stream: common)
        }
        #expect(answer.control.flag("ok") == true)
        #expect(answer.parts.isEmpty)
        #expect(answer.header.blobBytes == 0)
        #expect(answer.control.has("values") && answer.control.has("details"), "NULL is no function: both tasks failed")
        #expect(answer.control.number("n") == 2)
    }

    @Test("stop ends waiting, and nothing more comes of it")
    func stopping() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let job = try wire.ask(1, parts: [try list([1]), RItem.toStream(RItem.null)]) {
            $0.set("op", "submit")
            $0.set("open", true)
        }
        let id = try #require(job.control.text("job"))
        try wire.write(
            frame(2, 1) {
                $0.set("op", "wait")
                $0.set("job", id)
                $0.set("progress", true)
            })
        let progress = try wire.frame()
        #expect(progress.control.flag("more") == true)
        #expect(progress.header.reply == 2)
        let stop = try wire.ask(3, reply: 1) {
            $0.set("op", "stop")
            $0.set("seq", 2)
        }
        #expect(stop.control.flag("ok") == true)
        try wire.write(
            frame(4, 1) {
                $0.set("op", "wait")
                $0.set("job", id)
                $0.set("timeout", 0.05)
            })
        let late = try wire.frame()
        #expect(late.header.reply == 4, "the stopped request says nothing more")
        #expect(late.control.flag("ended") == false)
    }

    @Test("bad requests are errors that say what is wrong")
    func badRequests() throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        let common = RItem.toStream(RItem.null)
        let junk = try wire.ask(1, parts: [[1, 2, 3], common]) { $0.set("op", "submit") }
        #expect(junk.control.flag("ok") == false)
        let parts = try wire.ask(2, parts: [common]) { $0.set("op", "submit") }
        #expect(parts.control.flag("ok") == false)
        let seed = try wire.ask(3, parts: [try list([1]), common]) {
            $0.set("op", "submit")
            $0.set("seed", integers: [10403, 1, 2, 3, 4, 5, 6])
        }
        #expect(seed.control.flag("ok") == false)
        for (sequence, name) in [(4, "retries"), (5, "timeout"), (6, "cpus")] {
            let bad = try wire.ask(UInt64(sequence), parts: [try list([1]), common]) {
                $0.set("op", "submit")
                $0.set(name, -1)
            }
            #expect(bad.control.flag("ok") == false)
        }
        let job = try wire.ask(7) {
            $0.set("op", "collect")
            $0.set("job", "123")
        }
        #expect(job.control.flag("ok") == false)
        let attached = try wire.ask(8) {
            $0.set("op", "attach")
            $0.set("job", "00000000000000ff")
        }
        #expect(attached.control.flag("ok") == false)
        #expect(try wire.ask(9) { $0.set("op", "bye") }.control.flag("ok") == true)
    }

    @Test("it ends when its R session is killed")
    func parentKilled() async throws {
        let bridge = try BridgeProcess()
        let (wire, _) = try bridge.greeted()
        bridge.killParent()
        try await bridge.waitForEnd()
        #expect(wire.isClosed)
    }

    @Test("what cannot start says why, at once")
    func refusals() throws {
        let gone = try BridgeProcess.run(["bridge", "--slots", "2", "--parent", "99999999"])
        #expect(gone.status == 64)
        let own = "\(getpid())"
        let both = try BridgeProcess.run(["bridge", "--slots", "2", "--pool", "roost://x", "--parent", own])
        #expect(both.status == 64)
        let nothing = try BridgeProcess.run(["bridge", "--parent", own])
        #expect(nothing.status == 64)
        #expect(nothing.errors.contains("no pool is named"))
        let token = try BridgeProcess.run(["bridge", "--pool", "roost://127.0.0.1:1", "--parent", own])
        #expect(token.status == 77)
        #expect(token.errors.contains("roost token create"))
        let closed = try BridgeProcess.run(["bridge", "--pool", "roost+plain://127.0.0.1:1", "--parent", own])
        #expect(closed.status == 69, "\(closed.errors)")
        #expect(closed.output.isEmpty)
    }
}

/// A stream of a named list of items.
private func joined(_ names: [String], _ items: [[UInt8]]) throws -> [UInt8] {
    var joiner = RJoiner()
    for item in items { try joiner.append(item) }
    return try joiner.finish(names: RItem.strings(names))
}
