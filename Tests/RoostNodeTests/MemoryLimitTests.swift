import Glibc
import RoostModel
import RoostNode
import Testing

/// A limit on memory holds.
@Suite(.timeLimit(.minutes(1)))
struct MemoryLimitTests {
    @Test func whoAsksForMoreThanTheLimitFails() async throws {
        var request = ProcessRequest.shell("head -c 600M /dev/zero | tail -c 600M > /dev/null")
        request.memoryLimitBytes = 100 << 20
        let end = try await ReactorProbe().run(request)
        #expect(end.exit != .exited(0))
    }

    @Test func whoStaysBelowTheLimitDoesNotFeelIt() async throws {
        var request = ProcessRequest.shell("head -c 10M /dev/zero | tail -c 10M | wc -c")
        request.memoryLimitBytes = 100 << 20
        #expect(try await ReactorProbe().run(request).stdout.text == "10485760\n")
    }
}

/// Where the system lets an agent make cgroups, told by what it finds; the tree here is made of ordinary files.
@Suite struct MemoryGroupsTests {
    private func groups(controllers: String, enabled: String, procs: String, in directory: TemporaryDirectory)
        -> MemoryGroups?
    {
        directory.write("cgroup.controllers", controllers)
        directory.write("cgroup.subtree_control", enabled)
        directory.write("cgroup.procs", procs)
        let cgroup = Cgroup(
            membership: "0::/\n", mounts: "29 23 0:26 / \(directory.path) rw - cgroup2 cgroup2 rw\n")
        return MemoryGroups(cgroup: cgroup, isPermitted: { _ in true }, ownProcess: getpid())
    }

    @Test func withoutTheMemoryControllerThereAreNone() throws {
        let directory = try TemporaryDirectory()
        #expect(groups(controllers: "cpu io\n", enabled: "", procs: "\(getpid())\n", in: directory) == nil)
    }

    @Test func whereItIsEnabledNothingNeedsToMove() throws {
        let directory = try TemporaryDirectory()
        let groups = groups(controllers: "cpu memory\n", enabled: "memory\n", procs: "1\n", in: directory)
        #expect(groups?.directory == directory.path)
        #expect(readText(directory.file("cgroup.procs")) == "1\n")
    }

    @Test func otherPeoplesProcessesAreNotMoved() throws {
        let directory = try TemporaryDirectory()
        let procs = "1\n\(getpid())\n"
        #expect(groups(controllers: "memory\n", enabled: "", procs: procs, in: directory) == nil)
        #expect(readText(directory.file("cgroup.procs")) == procs)
    }

    @Test func aRefusedMoveIsTakenBack() throws {
        let directory = try TemporaryDirectory()
        #expect(groups(controllers: "memory\n", enabled: "", procs: "\(getpid())\n", in: directory) == nil)
        #expect(access(directory.file("agent-\(getpid())"), F_OK) != 0)
    }
}
