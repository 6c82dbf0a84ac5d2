import RoostCommand
import Testing

/// One command line and what GNU parallel 20221122 prints for it with `--dry-run`: observed, not derived.
struct ComposedLines: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var lines: [String]
    var testDescription: String { arguments.joined(separator: " ") }

    init(_ arguments: [String], _ lines: [String]) {
        self.arguments = arguments
        self.lines = lines
    }

    static let all: [ComposedLines] = quoting + paths + positions + combinations + counts + columns + blanks + words

    static let quoting: [ComposedLines] = [
        .init(
            ["echo", ":::", "a b", "$HOME", "*", "a\\b", "\"q\"", "`x`"],
            ["echo 'a b'", "echo '$HOME'", "echo '*'", "echo 'a\\b'", "echo '\"q\"'", "echo '`x`'"]),
        .init(["-0", "echo", ":::", "a\nb", "\n"], ["echo 'a\nb'", "echo '\n'"]),
        .init(
            ["echo", ":::", "it's", "'", "''", "'a", "a'", "a''b"],
            [
                "echo 'it'\"'\"'s'", "echo \"'\"", "echo \"'\"''\"'\"", "echo \"'\"'a'", "echo 'a'\"'\"",
                "echo 'a'\"'\"''\"'\"'b'",
            ]),
        .init(["echo", ":::", "-n", "--", "-"], ["echo -n", "echo --", "echo -"]),
        .init(
            ["echo", ":::", "é", "a=b", "a,b", "a:b", "~a", "%", "@", "{}", "a+b_c-d./e"],
            [
                "echo 'é'", "echo 'a=b'", "echo 'a,b'", "echo 'a:b'", "echo '~a'", "echo '%'", "echo '@'", "echo '{}'",
                "echo a+b_c-d./e",
            ]),
        .init(["-r", "echo", ":::", "", "a"], ["echo a"]),
        .init(["echo", "{}", "x", ":::", "a", ""], ["echo a x", "echo '' x"]),
    ]

    static let paths: [ComposedLines] = [
        .init(
            [
                "echo", "{.} {/} {//} {/.}", ":::", "a/b.c.d", "x", ".bashrc", "a/.b", "/x", "/", "a.b/c", "dir/",
                "a//b",
            ],
            [
                "echo a/b.c b.c.d a b.c", "echo x x . x", "echo '' .bashrc . ''", "echo a/ .b a ''", "echo /x x / x",
                "echo / '' / ''", "echo a.b/c c a.b c", "echo dir/ '' . ''", "echo a//b b a b",
            ]),
        .init(
            [
                "echo", "{.} {/} {//} {/.}", ":::", "./x", "../x.y", ".", "..", "x.", "a/b/", "//a", "/a/", "../..",
                "a b/c d.e",
            ],
            [
                "echo ./x x . x", "echo ../x x.y .. x", "echo '' . . ''", "echo . .. . .", "echo x x. . x",
                "echo a/b/ '' a ''", "echo //a a / a", "echo /a/ '' / ''", "echo ../. .. .. .",
                "echo 'a b/c d' 'c d.e' 'a b' 'c d'",
            ]),
        .init(
            ["-0", "echo", "{.} {/} {//} {/.}", ":::", "a/b\nc/d.e", "a/b\n/c", "b\nc/d"],
            [
                "echo 'a/b\nc/d' 'b\nc/d.e' 'a/b\nc' 'b\nc/d'", "echo 'a/b\n/c' 'b\n/c' 'a/b\n' 'b\n/c'",
                "echo 'b\nc/d' 'b\nd' 'b\nc' 'b\nd'",
            ]),
        .init(["echo", "{1.} {1/} {1//} {1/.} {-1.}", ":::", "a/b.c.d"], ["echo a/b.c b.c.d a b.c a/b.c"]),
    ]

    static let positions: [ComposedLines] = [
        .init(["echo", "{#}", ":::", "a", "b"], ["echo 1", "echo 2"]),
        .init(["echo", "{2}{1}", ":::", "a", "b", ":::", "1"], ["echo 1a", "echo 1b"]),
        .init(["echo", "{-1} {-2} {-3} {-4} {-5} {0} {3}", ":::", "a", ":::", "b"], ["echo b a b a  a b "]),
        .init(["echo", "{2}", ":::", "a b"], ["echo "]),
        .init(["echo", "{x} { } {..} {##} {+1} {}} {{}}", ":::", "a"], ["echo {x} { } {..} {##} {+1} a} {a}"]),
        .init(["-I", ",,", "echo", ",, {} {.} {1} {1.} {#}", ":::", "a b.c"], ["echo 'a b.c' {} 'a b' {1} 'a b' 1"]),
    ]

    static let combinations: [ComposedLines] = [
        .init(["echo", ":::", "a", "b", ":::", "1", "2"], ["echo a 1", "echo a 2", "echo b 1", "echo b 2"]),
        .init(["--link", "echo", ":::", "a", "b", "c", ":::", "1", "2"], ["echo a 1", "echo b 2", "echo c 1"]),
        .init(
            ["--link", "echo", ":::", "a", "b", ":::", "1", "2", "3", ":::", "X"],
            ["echo a 1 X", "echo b 2 X", "echo a 3 X"]),
        .init(["echo", ":::", "a", "b", "c", ":::+", "1", "2"], ["echo a 1", "echo b 2"]),
        .init(
            ["echo", ":::", "a", "b", ":::+", "1", "2", ":::", "X", "Y"],
            ["echo a 1 X", "echo a 1 Y", "echo b 2 X", "echo b 2 Y"]),
        .init(
            ["echo", ":::", "X", "Y", ":::", "a", "b", ":::+", "1", "2"],
            ["echo X a 1", "echo X b 2", "echo Y a 1", "echo Y b 2"]),
        .init(["echo", ":::", "a", "b", ":::+", "1", "2", ":::+", "P", "Q", "R"], ["echo a 1 P", "echo b 2 Q"]),
        .init(["echo", ":::+", "a", "b"], ["echo a", "echo b"]),
        .init(["echo", ":::"], []),
        .init(["echo", ":::", "a", ":::"], ["echo a ''"]),
        .init(["echo", ":::", ":::", "a"], ["echo '' a"]),
        .init(["echo", ":::", ":::"], []),
        .init([":::", "echo a", "echo b"], ["echo a", "echo b"]),
        .init([":::", "echo a", "echo b", ":::", "1", "2"], ["echo a 1", "echo a 2", "echo b 1", "echo b 2"]),
        .init(["-d", ",", "echo", ":::", "a,b", "c"], ["echo a", "echo b", "echo c"]),
    ]

    static let counts: [ComposedLines] = [
        .init(["-n", "2", "echo", ":::", "a", "b", "c"], ["echo a b", "echo c"]),
        .init(["-n2", "echo", "pre{}post", ":::", "a", "b", "c"], ["echo prea bpost", "echo precpost"]),
        .init(["-N", "2", "echo", "{1} {2}", ":::", "a", "b", "c"], ["echo a b", "echo c "]),
        .init(
            ["-N2", "echo", "{2.} - {.} {/}", ":::", "a/x.c", "b/y.c", "c"],
            ["echo b/y - a/x b/y x.c y.c", "echo  - c c"]),
        .init(["-N0", "echo", ":::", "a", "b"], ["echo ", "echo "]),
        .init(
            ["-n", "2", "echo", ":::", "a", "b", "c", ":::", "1", "2", "3"],
            ["echo a 1 a 2", "echo a 3 b 1", "echo b 2 b 3", "echo c 1 c 2", "echo c 3"]),
        .init(
            ["-N3", "--link", "echo", "{1} {2} {3} {4}", ":::", "a", "b", "c", ":::", "1", "2", "3"], ["echo a 1 b 2"]),
    ]

    static let columns: [ComposedLines] = [
        .init(
            ["--colsep", ",", "echo", "{1} {2} {3}", ":::", "a,b", "c,d,e", "f"],
            ["echo a b ", "echo c d e", "echo f  "]),
        .init(["--colsep", ",", "echo", ":::", "a,b", "f"], ["echo a b", "echo f"]),
        .init(
            ["--colsep", ",", "-N2", "echo", "{1} {2} {3} {4}", ":::", "a,b", "c,d,e", "f"],
            ["echo a b c d", "echo f   "]),
        .init(
            ["--colsep", ",", "echo", "{1} {2} {3}", ":::", "a,b", "f", ":::", "X", "Y"],
            ["echo a b X", "echo a b Y", "echo f X ", "echo f Y "]),
        .init(
            ["--colsep", " +", "echo", "{1}-{2}", ":::", "a   b", " a b", "a b "],
            ["echo a-b", "echo ''-a", "echo a-b"]),
        .init(["--colsep", "\\t", "echo", "{1}-{2}", ":::", "a\tb"], ["echo a-b"]),
        .init(["-C", "[,;]", "echo", "{2}-{1}", ":::", "a,b", "c;d"], ["echo b-a", "echo d-c"]),
        .init(["-C", "x|yy", "echo", "{2}-{1}", ":::", "axb", "cyyd"], ["echo b-a", "echo d-c"]),
        .init(
            ["--colsep", ",", "echo", "[{1}]", "[{}]", ":::", "a,,b", ",x", "x,"],
            ["echo [a] [a '' b]", "echo [''] ['' x]", "echo [x] [x '']"]),
        .init(["--colsep", ",", "echo", "{1}-{2}", ":::", "a , b", " x ,y "], ["echo a-b", "echo x-y"]),
        .init(["--colsep", "", "echo", "{1}-{2}", ":::", "ab"], ["echo a-b"]),
    ]

    static let blanks: [ComposedLines] = [
        .init(["echo", ":::", "", " ", "a"], ["echo ''", "echo ' '", "echo a"]),
        .init(["-r", "echo", ":::", "", " ", "\t", "a"], ["echo a"]),
        .init(["-r", "echo", "{1}-{2}", ":::", "", "a", ":::", "", "b"], ["echo a-b"]),
        .init(["-r", "-n", "2", "echo", ":::", "", "a", "b", "c", "", ""], ["echo a b", "echo c"]),
    ]

    static let words: [ComposedLines] = [
        .init(["echo {}", "foo", "a  b", "x'y", ":::", "1"], ["echo 1 foo a  b x'y"]),
        .init(["echo '{}' \"{}\"", ":::", "a b"], ["echo ''a b'' \"'a b'\""]),
        .init(
            ["-q", "echo", "x  y", "$z {}", "-n", "'{}'", ":::", "a b"],
            ["echo 'x  y' '$z a b' -n \"'\"'a b'\"'\""]),
        .init(["-q", "echo", "a{}b", "{.}", ":::", "x y.z"], ["echo 'ax y.zb' 'x y'"]),
        .init(["-n2", "-q", "echo", "a{}b", "{}", ":::", "x y", "c d"], ["echo 'ax y' 'c db' 'x y' 'c d'"]),
        .init(["-n2", "-q", "echo", ":::", "x y", "c d", ""], ["echo 'x y' 'c d'", "echo ''"]),
        .init(["-q", "echo", "{2} x{2}y {1}", "", ":::", "a b"], ["echo ' xy a b' ''"]),
        .init(["-q", "echo", "{2}", "x{2}y", "{}{#}", ":::", "a b"], ["echo '' xy 'a b1'"]),
        .init(["-N0", "-q", "echo", "a{}b", ":::", "1"], ["echo ab"]),
    ]
}
