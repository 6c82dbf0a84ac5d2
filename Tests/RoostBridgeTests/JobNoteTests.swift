import RSerialization
import RoostBridge
import Testing

/// What a durable job carries for those who attach to it.
@Suite struct JobNoteTests {
    @Test("what was noted is read again")
    func roundTrip() {
        let names = RItem.strings(["a", nil, ""])
        let note = JobNote(JobNote(names: names, encoding: "latin1", isSingle: true).bytes)
        #expect(note.names == names)
        #expect(note.encoding == "latin1")
        #expect(note.isSingle)
        #expect(JobNote(JobNote(names: nil, encoding: "UTF-8", isSingle: false).bytes).names == nil)
    }

    @Test("a job without a note, or with one that nobody understands, is a job without names", arguments: [[], [1, 2, 3]])
    func nothing(_ bytes: [UInt8]) {
        let note = JobNote(bytes)
        #expect(note.names == nil)
        #expect(note.encoding == "UTF-8")
        #expect(!note.isSingle)
    }
}
