import RSerialization
import Testing

/// R objects become Swift values and Swift values R objects.
@Suite struct ConversionTests {
    @Test func missingValuesAreNilOrAnError() throws {
        let doubles = RValue.doubles([1, nil, .nan])
        let optionals = try doubles.optionals(of: Double.self)
        #expect(optionals[0] == 1 && optionals[1] == nil && optionals[2]?.isNaN == true)
        #expect { try doubles.array(of: Double.self) } throws: { ($0 as? RSerializationError)?.code == .missingValue }
        #expect(try RValue.strings(["a", nil]).optionals(of: String.self) == ["a", nil])
        #expect(try RValue.logicals([true, nil]).optionals(of: Bool.self) == [true, nil])
        #expect { try RValue.integers([nil]).scalar(Int.self) } throws: { ($0 as? RSerializationError)?.code == .missingValue }
        #expect { try RValue.doubles([1.5]).scalar(Int.self) } throws: { ($0 as? RSerializationError)?.code == .outOfRange }
        #expect { try RValue.strings(["1"]).scalar(Int.self) } throws: { ($0 as? RSerializationError)?.code == .typeMismatch }
        #expect(try RValue.doubles([3]).scalar(Int.self) == 3)
    }

    @Test func factorsAreTheirStrings() throws {
        let factor = try RValue.factor(["b", nil, "a"], levels: ["a", "b"])
        #expect(try factor.optionals(of: String.self) == ["b", nil, "a"])
        #expect(try factor.optionals(of: Int.self) == [2, nil, 1])
        #expect { try RValue.factor(["c"], levels: ["a"]) } throws: { ($0 as? RSerializationError)?.code == .outOfRange }
        let fromR = try RValue(stream: Fixtures.all().stream("factor.v3n"))
        #expect(try fromR.optionals(of: String.self) == ["u", "v", nil, "u"])
    }

    @Test func framesAreColumnsAndRows() throws {
        let frame = try RValue(stream: Fixtures.all().stream("frame.v3x"))
        let columns = try frame.columns()
        #expect(columns.map(\.name) == ["n", "s", "f", "d", "l", "li"])
        #expect(try columns[1].value.optionals(of: String.self) == ["a", nil, "c"])
        struct Row: Decodable, Equatable {
            var n: Int
            var s: String?
            var f: String
            var l: Bool?
        }
        let rows = try RValueDecoder().decode([Row].self, from: frame)
        #expect(
            rows == [
                Row(n: 1, s: "a", f: "x", l: true), Row(n: 2, s: nil, f: "y", l: nil), Row(n: 3, s: "c", f: "x", l: false),
            ])
        struct Columns: Decodable { var n: [Int], f: [String] }
        #expect(try RValueDecoder().decode(Columns.self, from: frame).f == ["x", "y", "x"])
    }

    struct Sample: Codable, Equatable {
        var name: String
        var weights: [Double]
        var gaps: [Double?]
        var flags: [Bool]
        var count: Int
        var large: Int64
        var note: String?
        var children: [Sample]
        var table: [String: Int]
        var bytes: [UInt8]
    }

    @Test func codableValuesComeBack() throws {
        var sample = Sample(
            name: "s", weights: [0.5, 1], gaps: [1, nil], flags: [true], count: 3, large: 1 << 40, note: nil, children: [], table: ["k": 1],
            bytes: [1, 2])
        sample.children = [sample]
        let value = try RValueEncoder().encode(sample)
        #expect(try RValueDecoder().decode(Sample.self, from: value) == sample)
        let again = try RValue(stream: value.stream())
        #expect(try RValueDecoder().decode(Sample.self, from: again) == sample)
        #expect { try RValueEncoder().encode(UInt64.max) } throws: { ($0 as? RSerializationError)?.code == .outOfRange }
    }

    @Test func errorsSayWhere() throws {
        struct Inner: Decodable { var x: Int }
        struct Outer: Decodable { var items: [Inner] }
        let value = RValue.list(named: [("items", .list([.list(named: [("x", .integers([1]))]), .list(named: [("y", .null)])]))])
        #expect {
            try RValueDecoder().decode(Outer.self, from: value)
        } throws: { error in
            let error = error as? RSerializationError
            return error?.code == .missingKey && error?.message == "a list has no element \"x\", at $items[[2]]"
        }
    }

    @Test func whatSwiftMakesIsWhatRExpects() throws {
        let directory = try ScratchDirectory()
        try directory.write(
            RValue.dataFrame([("a", .integers([1, nil])), ("b", .strings(["x", "ä"]))]).stream(), to: "frame")
        try directory.write(RValue.factor(["b", nil, "a"], levels: ["a", "b"]).stream(), to: "factor")
        try directory.write(RItem.toStream(RItem.logicals([true, nil])), to: "logicals")
        try directory.write(RItem.toStream(RItem.doubles([0.5, nil])), to: "doubles")
        try directory.write(RItem.toStream(RItem.integers([1, nil])), to: "integers")
        try directory.write(RItem.toStream(RItem.strings(["é", nil, ""])), to: "strings")
        try directory.write(RItem.toStream(RItem.raw([0, 255])), to: "raw")
        struct Point: Encodable { var x: Double, tags: [String], inner: [[Int]] }
        try directory.write(
            RValueEncoder().encode(Point(x: 1.5, tags: ["a"], inner: [[1, 2], []])).stream(header: RStreamHeader(version: 2)), to: "point")
        let complaints = try RProgram.run(
            checkPrelude + #"""

                check <- function(file, x) guarded(file, if (!identical(read(file), x)) complain(file, " differs"))
                check("frame", data.frame(a = c(1L, NA), b = c("x", "\u00e4")))
                check("factor", factor(c("b", NA, "a")))
                check("logicals", c(TRUE, NA))
                check("doubles", c(0.5, NA))
                check("integers", c(1L, NA))
                check("strings", c("\u00e9", NA, ""))
                check("raw", as.raw(c(0, 255)))
                check("point", list(x = 1.5, tags = "a", inner = list(1:2 + 0L, integer())))
                """#, directory: directory.path)
        #expect(complaints == "")
    }

    @Test(arguments: [
        ("logical.v3n", "[true,false,null]"), ("null.v3n", "null"), ("named.v3x", "[1,2,null]"), ("matrix.v3n", "[[1,3,5],[2,4,6]]"),
        ("namedList.v3n", #"{"a":[1],"b":{"c":["x"],"d":[1,2,3]},"e":[9]}"#), ("factor.v2x", #"["u","v",null,"u"]"#),
        ("complex.v3n", #"["1+2i",null,"NaN-Infi"]"#), ("emptyList.v3n", "[]"), ("pairlist.v3n", #"{"a":[1],"2":[2],"b":["x"]}"#),
        ("date.v3n", #"["2024-02-29",null]"#), ("localTime.v3n", #"["1970-01-01T00:00:00Z","2001-09-09T01:46:40Z"]"#),
        ("symbol.v3n", #""some symbol""#), ("s4.v3n", #""<S4 object of class Point>""#), ("closure.v3n", #""<function(x, y)>""#),
        ("compactDown.v3n", "[10,9,8,7,6,5,4,3,2,1,0,-1,-2,-3]"), ("pointer.v3n", #""<pointer>""#),
        (
            "places.v2x",
            ##"["<environment: R_GlobalEnv>","<environment: base>","<environment: R_EmptyEnv>","<environment: namespace:stats>","<environment: package:stats>","<environment: namespace:base>","<environment: namespace:stats>"]"##
        ),
        (
            "frame.v3n",
            #"[{"n":1,"s":"a","f":"x","d":"2024-01-31","l":true,"li":[1]},{"n":2,"s":null,"f":"y","d":"2024-02-01","l":null,"li":["b"]},{"n":3,"s":"c","f":"x","d":"2024-02-02","l":false,"li":null}]"#
        ),
    ])
    func objectsAreWrittenAsJSON(file: String, json: String) throws {
        #expect(try RObject(stream: Fixtures.all().stream(file)).json() == json)
    }

    @Test func jsonOfSpecialNumbersAndText() {
        let numbers = RValue.doubles([0.1, 1e22, 1e-7, .nan, .infinity, -.infinity, nil, -0.0, 3])
        #expect(numbers.json() == #"[0.1,1e+22,1e-07,"NaN","Inf","-Inf",null,-0,3]"#)
        #expect(RValue.strings(["a\"\\\n\u{1}ä", nil]).json() == #"["a\"\\\n\u0001ä",null]"#)
        #expect(RValue.list([.integers([1]), .strings(["x"]), .integers([1, 2])]).json(autoUnbox: true) == #"[1,"x",[1,2]]"#)
        #expect(RValue.raw(Array("hello".utf8)).json() == #""aGVsbG8=""#)
    }
}
