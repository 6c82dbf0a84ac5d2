import Glibc
import RoostNode
import Testing

/// Slots and memory are what is granted, read from the texts of many kinds of machines.
@Suite struct AvailableCPUsTests {
    @Test(arguments: [
        ("max 100000", nil), ("200000 100000\n", 2.0), ("150000 100000", 1.5), ("50000 100000", 0.5), ("", nil),
        ("max", nil), ("-1 100000", nil), ("100000 0", nil), ("many few", nil),
    ])
    func quotaOfCPUMax(text: String, quota: Double?) { #expect(AvailableCPUs.quota(cpuMax: text) == quota) }

    @Test func quotaOfTheOldFiles() {
        #expect(AvailableCPUs.quota(cfsQuota: "-1\n", cfsPeriod: "100000\n") == nil)
        #expect(AvailableCPUs.quota(cfsQuota: "400000\n", cfsPeriod: "100000\n") == 4)
    }

    @Test(
        arguments: [
            (8, [], 8), (8, [2.0], 2), (8, [1.5], 2), (8, [0.1], 1), (2, [64.0], 2), (8, [4.0, 2.5], 3), (0, [], 1),
            (8, [2.000_000_01], 2),
        ] as [(Int, [Double], Int)])
    func theTightestLimitCounts(affinity: Int, quotas: [Double], slots: Int) {
        #expect(AvailableCPUs.slots(affinity: affinity, quotas: quotas) == slots)
    }

    @Test(
        arguments: [
            ("max\n", nil), ("536870912\n", 536_870_912), ("9223372036854771712\n", nil), ("", nil), ("0", nil),
        ] as [(String, UInt64?)])
    func memoryLimits(text: String, bytes: UInt64?) { #expect(AvailableCPUs.memoryLimit(text) == bytes) }

    @Test func memoryIsTheTightest() {
        #expect(AvailableCPUs.memory(machine: 100, limits: []) == 100)
        #expect(AvailableCPUs.memory(machine: 100, limits: [70, 80]) == 70)
        #expect(AvailableCPUs.memory(machine: 0, limits: [70]) == 70)
        #expect(AvailableCPUs.memory(machine: 0, limits: []) == 0)
    }

    @Test func thisMachineGrantsSomething() {
        #expect(AvailableCPUs.slots() >= 1)
        #expect(AvailableCPUs.memoryBytes() > 0)
        let facts = MachineFacts.current()
        #expect(facts.platform.hasPrefix("Linux "))
        #expect(!facts.hostName.isEmpty)
        #expect(facts.totalMemoryBytes >= AvailableCPUs.memoryBytes())
    }
}

/// Where our group is, in every layout in use.
@Suite struct CgroupTests {
    @Test func aMachineWithOnlyTheNewTree() {
        let cgroup = Cgroup(
            membership: "0::/user.slice/user-1000.slice/session-2.scope\n",
            mounts: "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
        #expect(cgroup.unified == "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope")
        #expect(
            Cgroup.chain(from: cgroup.unified ?? "", upTo: cgroup.unifiedRoot ?? "") == [
                "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope",
                "/sys/fs/cgroup/user.slice/user-1000.slice", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup",
            ])
    }

    @Test func aContainerInItsOwnNamespace() {
        let cgroup = Cgroup(
            membership: "0::/\n",
            mounts: "410 400 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n")
        #expect(cgroup.unified == "/sys/fs/cgroup")
        #expect(Cgroup.chain(from: "/sys/fs/cgroup", upTo: "/sys/fs/cgroup") == ["/sys/fs/cgroup"])
    }

    @Test func aContainerThatSeesItsOwnPartOfTheOldTree() {
        let cgroup = Cgroup(
            membership: "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc/inner\n1:name=systemd:/docker/abc\n",
            mounts: """
                500 490 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
                501 490 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
                """)
        #expect(cgroup.unified == nil)
        #expect(cgroup.controllers["memory"]?.directory == "/sys/fs/cgroup/memory")
        #expect(cgroup.controllers["cpu"]?.directory == "/sys/fs/cgroup/cpu,cpuacct/inner")
        #expect(cgroup.controllers["cpu"]?.root == "/sys/fs/cgroup/cpu,cpuacct")
    }

    @Test func aPathOutsideTheNamespaceIsTheMountItself() {
        let cgroup = Cgroup(
            membership: "0::/../other\n", mounts: "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        #expect(cgroup.unified == "/sys/fs/cgroup")
    }

    @Test func textsThatMakeNoSenseGiveNothing() {
        #expect(Cgroup(membership: "", mounts: "") == Cgroup(membership: "x\n:\n0::\n", mounts: "- - -\n1 2 3\n"))
    }
}

/// One node, one directory, one agent at a time.
@Suite struct StateDirectoryTests {
    @Test func theNodeIsTheSameTomorrow() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("deep/state")
        let first = try StateDirectory(path: path).nodeID
        #expect(try StateDirectory(path: path).nodeID == first)
        #expect(first != 0)
        var facts = stat()
        #expect(stat(path, &facts) == 0 && facts.st_mode & 0o777 == 0o700)
    }

    @Test func aSecondAgentIsToldWhoHoldsIt() throws {
        let directory = try TemporaryDirectory()
        let held = try StateDirectory(path: directory.path)
        #expect(throws: StateDirectory.Failure.heldByAnother(path: directory.path, pid: getpid())) {
            _ = try StateDirectory(path: directory.path)
        }
        #expect(held.path == directory.path)
    }

    @Test func aDamagedIdIsNotReplacedSilently() throws {
        let directory = try TemporaryDirectory()
        directory.write("node", "not an id\n")
        #expect(throws: StateDirectory.Failure.damaged(path: directory.file("node"))) {
            _ = try StateDirectory(path: directory.path)
        }
        #expect(readText(directory.file("node")) == "not an id\n")
    }

    @Test func aFileInTheWayIsNamed() throws {
        let directory = try TemporaryDirectory()
        directory.write("state", "")
        let path = directory.file("state")
        #expect(throws: StateDirectory.Failure.self) { _ = try StateDirectory(path: path) }
        #expect(StateDirectory.Failure.system(path: path, errno: ENOTDIR).description.contains(path))
    }

    @Test(
        arguments: [
            (0x6969, "NFS"), (0x0BD0_0BD0, "Lustre"), (0x4750_4653, "GPFS"), (0xFF53_4D42, "CIFS"),
            (0x1983_0326, "BeeGFS"),
        ] as [(Int64, String)])
    func networkFileSystemsAreKnown(type: Int64, kind: String) {
        #expect(StateDirectory.networkFileSystem(type: type) == kind)
        let text = StateDirectory.Failure.onNetworkFileSystem(path: "/home/a", kind: kind).description
        #expect(text.contains(kind) && text.contains("--state DIR"))
    }

    @Test(arguments: [0xEF53, 0x5846_5342, 0x0102_1994, 0x9123_683E, 0x794C_7630] as [Int64])
    func localOnesAreTaken(type: Int64) { #expect(StateDirectory.networkFileSystem(type: type) == nil) }
}

/// C strings in one block.
@Suite struct CStringBlockTests {
    @Test func stringsGoInAndOut() {
        var block: CStringBlock = ["a", "", "b c"]
        block.append(contentsOf: ["d"])
        #expect(block.count == 4 && block.strings == ["a", "", "b c", "d"])
        #expect(!block.hasInnerNul)
        block.append(bytes: [65, 0, 66])
        #expect(block.hasInnerNul)
    }

    @Test func aBlockFromTheWireMustEndWithItsNul() {
        #expect(CStringBlock(nulTerminated: [65, 0, 66]) == nil)
        #expect(CStringBlock(nulTerminated: [65, 0, 66, 0])?.strings == ["A", "B"])
        #expect(CStringBlock(nulTerminated: [])?.isEmpty == true)
    }
}
