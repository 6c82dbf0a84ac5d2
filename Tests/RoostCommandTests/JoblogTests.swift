import Glibc
import RoostCommand
import RoostModel
import Testing

@Suite("The job log has GNU parallel's columns and survives crashes")
struct JoblogTests {
    private func line(
        _ sequence: Int, exit: Int32 = 0, signal: Int32 = 0, kind: OutcomeKind = .succeeded, command: String = "echo a"
    ) -> [UInt8] {
        JoblogLine.format(
            sequence: sequence,
            outcome: MapOutcome(
                index: 0, kind: kind, startSeconds: 1_795_242_734.0794, runSeconds: 1.2015, exitStatus: exit,
                signal: signal,
                stdout: CapturedOutput(head: bytes("0\n"))),
            command: bytes(command))
    }

    @Test("Lines as observed")
    func lines() {
        #expect(
            text(line(1, command: "echo 0; exit 0")) == "1\t:\t1795242734.079\t     1.202\t0\t2\t0\t0\techo 0; exit 0\n"
        )
        #expect(text(line(2, exit: 3, kind: .failed)).hasSuffix("\t3\t0\techo a\n"))
        #expect(text(line(3, signal: 9, kind: .failed)).hasSuffix("\t0\t9\techo a\n"))
        #expect(text(line(4, exit: -1, signal: 15, kind: .failed)).hasSuffix("\t-1\t15\techo a\n"))
        #expect(line(5, command: "echo 'x\ny'").suffix(5) == bytes("x\u{0}y'\n")[...])
    }

    @Test("A task held without a status of its own does not look like a success")
    func held() {
        let log = line(1, kind: .held)
        #expect(!ResumeState(joblog: log, policy: .succeeded).skips(1))
        #expect(ResumeState(joblog: log, policy: .ended).skips(1))
    }

    @Test("--resume skips what is in the log, --resume-failed what succeeded last; scraps are ignored")
    func resume() {
        let log =
            JoblogLine.header + line(1) + line(2, exit: 1, kind: .failed) + line(3, signal: 9, kind: .failed)
            + line(4) + line(4, exit: 1, kind: .failed) + line(2) + bytes("garbage\n7\th\t1\t1\t0\t0\n")
        let resume = ResumeState(joblog: log, policy: .ended)
        #expect((1...8).filter(resume.skips) == [1, 2, 3, 4])
        let failed = ResumeState(joblog: log, policy: .succeeded)
        #expect((1...8).filter(failed.skips) == [1, 2])
        #expect(ResumeState(joblog: log, policy: .nothing).count == 0)
    }

    @Test("A new log begins with the header; an appended one keeps what is there and ends a line cut off")
    func file() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/log"
        try Joblog(path: path, appends: true).append(line(1))
        try Joblog(path: path, appends: true).append(line(2))
        #expect(directory.read("log") == JoblogLine.header + line(1) + line(2))
        _ = try directory.write("log", JoblogLine.header + bytes("3\t:\t17"))
        try Joblog(path: path, appends: true).append(line(4))
        #expect(directory.read("log") == JoblogLine.header + bytes("3\t:\t17\n") + line(4))
        try Joblog(path: path, appends: false).append(line(5))
        #expect(directory.read("log") == JoblogLine.header + line(5))
        #expect(try Joblog.read(path: "\(directory.path)/none") == [])
    }

    @Test("A full disk is named, with the remedy", .enabled(if: access("/dev/full", W_OK) == 0))
    func full() {
        let error = #expect(throws: MapError.self) { try Joblog(path: "/dev/full", appends: false) }
        #expect(error?.problem == "cannot write the job log /dev/full: No space left on device")
        #expect(error?.remedy.contains("--joblog") == true)
        #expect(error?.status == .roostFailed)
    }

    @Test("A directory that is not there is named")
    func missing() {
        let error = #expect(throws: MapError.self) { try Joblog(path: "/no/such/log", appends: true) }
        #expect(error?.problem == "cannot write the job log /no/such/log: No such file or directory")
    }
}
