import RoostModel
import Testing

/// What the bridge writes the agent reads, and the other way round; other bytes are refused.
struct RTaskPayloadTests {
    private let item: [UInt8] = [14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 240, 63]
    private let seed = RStreamSeed([-1, 2, -3, 4, 5, Int32.min])!

    @Test("an argument: flags, perhaps a seed, the element")
    func argument() throws {
        var bytes: [UInt8] = []
        RTaskPayload.append(seed: nil, item: item[...], to: &bytes)
        #expect(bytes == [0] + item)
        #expect(RTaskPayload.Argument(bytes[...])?.seed == nil)

        bytes = [99]
        RTaskPayload.append(seed: seed, item: item[...], to: &bytes)
        #expect(bytes[1] == 1)
        #expect(Array(bytes[2..<26]) == [255, 255, 255, 255, 2, 0, 0, 0, 253, 255, 255, 255, 4, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 128])
        // The payload is a slice of a larger buffer, as it is in the agent.
        let argument = try #require(RTaskPayload.Argument(bytes[1...]))
        #expect(argument.seed == seed)
        #expect(argument.seed?.integers == [-1, 2, -3, 4, 5, Int32.min])
        #expect(Array(bytes[argument.item]) == item)
        #expect(argument.item.lowerBound == 1 + RTaskPayload.headerBytes(hasSeed: true))
    }

    @Test("an outcome: a value, a value with details, details alone")
    func outcome() throws {
        var bytes: [UInt8] = [7, 7]
        RTaskPayload.append(value: item[...], to: &bytes)
        var outcome = try #require(RTaskPayload.Outcome(bytes[2...]))
        #expect(outcome.value.map { Array(bytes[$0]) } == item)
        #expect(outcome.details == nil)

        bytes = [7, 7]
        RTaskPayload.append(value: item[...], details: [254, 0, 0, 0][...], to: &bytes)
        outcome = try #require(RTaskPayload.Outcome(bytes[2...]))
        #expect(Array(bytes[2..<7]) == [1, 16, 0, 0, 0])
        #expect(outcome.value.map { Array(bytes[$0]) } == item)
        #expect(outcome.details.map { Array(bytes[$0]) } == [254, 0, 0, 0])

        bytes = []
        RTaskPayload.append(value: nil, details: item[...], to: &bytes)
        outcome = try #require(RTaskPayload.Outcome(bytes[...]))
        #expect(outcome.value == nil)
        #expect(outcome.details.map { Array(bytes[$0]) } == item)
    }

    @Test(
        "other bytes are no payload",
        arguments: [[], [0], [1, 1, 2, 3], [2] + [UInt8](repeating: 0, count: 40), [1] + [UInt8](repeating: 0, count: 24)])
    func noArgument(_ bytes: [UInt8]) { #expect(RTaskPayload.Argument(bytes[...]) == nil) }

    @Test(
        "other bytes are no outcome",
        arguments: [[], [0], [1], [1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 9], [1, 255, 255, 255, 255, 1], [2, 1, 1]])
    func noOutcome(_ bytes: [UInt8]) { #expect(RTaskPayload.Outcome(bytes[...]) == nil) }
}
