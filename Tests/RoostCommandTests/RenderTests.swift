import RoostCommand
import RoostModel
import Testing

@Suite("Tables, JSON and progress are drawn for their readers")
struct RenderTests {
    @Test("Columns are aligned, numbers to the right; control characters cannot disturb the terminal")
    func table() {
        var table = Table([.init("NODE"), .init("TASKS", .right), .init("NOTE")])
        table.add(["alpha", "5", "ok"])
        table.add(["b", "120000", "two\nlines\u{1b}[2J"])
        table.add(["c"])
        #expect(
            table.render() == """
                NODE    TASKS  NOTE
                alpha       5  ok
                b      120000  two?lines?[2J
                c

                """)
    }

    @Test("A table that is too wide loses characters of its widest texts, never digits")
    func narrowTable() {
        var table = Table([.init("NAME"), .init("N", .right)])
        table.add(["a-very-long-name-indeed", "12345"])
        #expect(table.render(width: 17) == "NAME            N\na-very-lo…  12345\n")
    }

    @Test("JSON keeps its order, escapes, and shows bytes that are no UTF-8 as U+FFFD")
    func json() {
        var json = JSONWriter()
        json.beginObject()
        json.key("b")
        json.string("q\"\\\n\u{1}é")
        json.key("a")
        json.beginArray()
        json.number(1)
        json.number(2.5)
        json.number(Double.nan)
        json.bool(true)
        json.null()
        json.beginObject()
        json.endObject()
        json.endArray()
        json.key("c")
        json.string([0x61, 0xFF, 0x62])
        json.endObject()
        json.newline()
        #expect(
            text(json.bytes)
                == "{\"b\":\"q\\\"\\\\\\n\\u0001é\",\"a\":[1,2.5,null,true,null,{}],\"c\":\"a\u{FFFD}b\"}\n")
    }

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    private func state(_ done: Int, of known: Int, total: Bool = true) -> ProgressState {
        var state = ProgressState(start: .zero)
        state.known = known
        state.done = done
        state.totalIsKnown = total
        return state
    }

    @Test("The bar shows share, rate, estimate and trouble, and is never wider than the terminal")
    func bar() {
        var renderer = ProgressRenderer(mode: .bar)
        var progress = state(50, of: 200)
        progress.failed = 2
        progress.running = 8
        let drawn = text(renderer.update(progress, at: at(5), width: 100))
        #expect(
            drawn == "\r[=======>                      ] 25% 50/200 · 2 failed · 10/s · ETA 15s · 8 running\u{1b}[K")
        for width in 1...120 { #expect(renderer.line(progress, at: at(5), width: width).count <= width) }
        #expect(renderer.line(progress, at: at(5), width: 20) == "25% 50/200")
    }

    @Test("It is drawn at most ten times a second, and taken away before other output")
    func redraw() {
        var renderer = ProgressRenderer(mode: .bar)
        #expect(renderer.clear().isEmpty)
        #expect(!renderer.update(state(1, of: 9), at: at(1), width: 80).isEmpty)
        #expect(renderer.update(state(2, of: 9), at: at(1.05), width: 80).isEmpty)
        #expect(!renderer.update(state(3, of: 9), at: at(1.1), width: 80).isEmpty)
        #expect(text(renderer.clear()) == "\r\u{1b}[K")
        #expect(renderer.clear().isEmpty)
        #expect(renderer.update(state(4, of: 9), at: at(1.15), width: 80).isEmpty)
        #expect(!renderer.update(state(4, of: 9), at: at(1.2), width: 80).isEmpty)
    }

    @Test("Elsewhere there is a line each tenth or half minute, and none in the first half minute unless asked")
    func plain() {
        var renderer = ProgressRenderer(mode: .plain(after: .zero))
        #expect(renderer.update(state(9, of: 100), at: at(1), width: 80).isEmpty)
        #expect(text(renderer.update(state(10, of: 100), at: at(2), width: 80)).hasPrefix("roost: 10% 10/100, "))
        #expect(renderer.update(state(11, of: 100), at: at(3), width: 80).isEmpty)
        #expect(!renderer.update(state(11, of: 100), at: at(32), width: 80).isEmpty)
        var late = ProgressRenderer(mode: .plain(after: .seconds(30)))
        #expect(late.update(state(50, of: 100), at: at(29), width: 80).isEmpty)
        #expect(!late.update(state(50, of: 100), at: at(30), width: 80).isEmpty)
    }

    @Test("While inputs still come there is no percentage and no estimate")
    func unknownTotal() {
        var renderer = ProgressRenderer(mode: .bar)
        #expect(
            text(renderer.update(state(20, of: 35, total: false), at: at(2), width: 80))
                == "\r20 done of 35 so far · 10/s\u{1b}[K")
    }

    @Test("The rate follows a change of speed within seconds, without jumping")
    func rate() {
        var renderer = ProgressRenderer(mode: .bar)
        _ = renderer.update(state(100, of: 10_000), at: at(10), width: 200)
        _ = renderer.update(state(200, of: 10_000), at: at(11), width: 200)
        #expect(renderer.line(state(200, of: 10_000), at: at(11), width: 200).contains(" 18/s"))
    }

    @Test("The last line says what became of all tasks")
    func summary() {
        var progress = state(198, of: 200)
        progress.failed = 3
        progress.retried = 4
        progress.lost = 1
        #expect(
            ProgressRenderer(mode: .bar).summary(progress, at: at(99))
                == "roost: 195 of 200 tasks succeeded, 3 failed, 2 not run, 4 retried, 1 lost with a node, 1m39s, 2.0/s")
    }
}
