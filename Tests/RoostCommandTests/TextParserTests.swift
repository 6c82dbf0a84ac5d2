import RoostCommand
import RoostModel
import Testing

@Suite("Durations, sizes, job numbers and halt rules as people write them")
struct TextParserTests {
    @Test(
        "Durations",
        arguments: [
            ("10", 10_000), ("1.5h", 5_400_000), ("2d3h", 183_600_000), ("90s", 90_000), ("250ms", 250),
            ("1:30", 90_000),
            ("12:00:00", 43_200_000), ("0", 0), ("1d2h3m4s", 93_784_000), ("0.5", 500), ("1w", 604_800_000),
        ])
    func duration(_ text: String, _ milliseconds: Int) {
        #expect(DurationText.parse(text) == .milliseconds(milliseconds))
    }

    @Test(
        "What is no duration",
        arguments: ["", "h", "-1", "1x", "1 h", "1:2:3:4", ":", "1:", "١", "1..5", "nan", "9e9", "999999999d"])
    func noDuration(_ text: String) { #expect(DurationText.parse(text) == nil) }

    @Test(
        "Durations for people",
        arguments: [
            (0, "0.0s"), (3240, "3.2s"), (9960, "10s"), (9940, "9.9s"), (59_940, "60s"), (59_960, "1m00s"),
            (245_000, "4m05s"),
            (7_800_000, "2h10m"), (273_600_000, "3d04h"),
        ])
    func shown(_ milliseconds: Int, _ expected: String) {
        #expect(DurationText.show(.milliseconds(milliseconds)) == expected)
    }

    @Test(
        "Sizes",
        arguments: [
            ("100M", 100 << 20), ("2G", 2 << 30), ("512KiB", 512 << 10), ("4096", 4096), ("1k", 1000),
            ("1.5g", 1_500_000_000),
            ("1MB", 1_000_000), ("10B", 10), ("1T", 1 << 40),
        ] as [(String, Int64)])
    func size(_ text: String, _ expected: Int64) { #expect(SizeText.parse(text) == expected) }

    @Test("What is no size", arguments: ["", "M", "-1M", "1X", "1MM", "1 M", "99999999P"])
    func noSize(_ text: String) { #expect(SizeText.parse(text) == nil) }

    @Test("Sizes for people")
    func shownSizes() {
        #expect(SizeText.show(512) == "512 B")
        #expect(SizeText.show(1536) == "1.5 KiB")
        #expect(SizeText.show(2 << 30) == "2 GiB")
    }

    @Test(
        "How many at once, on 8 CPUs",
        arguments: [("3", 3), ("50%", 4), ("200%", 16), ("1%", 1), ("+2", 10), ("-3", 5), ("-100", 1), ("0", 1024)])
    func jobs(_ text: String, _ expected: Int) { #expect(JobsSpec.parse(text)?.resolve(cpus: 8) == expected) }

    @Test("What is no number of jobs", arguments: ["", "foo", "0%", "-1%", "1.5", "2/3", "99999999999"])
    func noJobs(_ text: String) { #expect(JobsSpec.parse(text) == nil) }

    @Test(
        "Halt rules, the older numbers included",
        arguments: [
            ("now,fail=1", HaltRule(urgency: .now, condition: .failed, threshold: .count(1))),
            ("soon,success=3", HaltRule(urgency: .soon, condition: .succeeded, threshold: .count(3))),
            ("now,done=20%", HaltRule(urgency: .now, condition: .done, threshold: .percent(20))),
            ("2", HaltRule(urgency: .now, condition: .failed, threshold: .count(1))),
            ("-1", HaltRule(urgency: .soon, condition: .succeeded, threshold: .count(1))),
            ("50%", HaltRule(urgency: .soon, condition: .failed, threshold: .percent(50))), ("never", nil), ("0", nil),
        ] as [(String, HaltRule?)])
    func halt(_ text: String, _ expected: HaltRule?) {
        #expect(HaltText.parse(text) == expected.map(HaltChoice.rule) ?? .never)
    }

    @Test(
        "What is no halt rule",
        arguments: ["", "now", "now,fail", "now,fail=0", "now,fail=101%", "later,fail=1", "now,x=1", "3"])
    func noHalt(_ text: String) { #expect(HaltText.parse(text) == nil) }
}
