import CRoostLinux
import Glibc

/// Turns requests into running processes. Lives on the reactor's thread and reuses its memory from start to start.
struct Spawner {
    /// The descriptors a child gets and the limits it starts under.
    struct Plumbing {
        var input: Int32
        var output: Int32
        var error: Int32
        /// The cgroup.procs file of the memory group the child joins, or -1.
        var cgroupProcs: Int32 = -1
        /// RLIMIT_DATA, or 0.
        var dataLimit: UInt64 = 0
        /// What becomes 3, 4 and 5 of a child that speaks in frames.
        var frames: (input: Int32, output: Int32, program: Int32)?
        /// Whether the child keeps descriptors above 2 that are not marked close-on-exec.
        var inheritsDescriptors = false
    }

    enum Result {
        case started(pid: Int32)
        case failed(errno: Int32, message: String)
    }

    private var search = ExecutableSearch()
    private var argumentPointers: [UnsafeMutablePointer<CChar>?] = []
    private var environmentPointers: [UnsafeMutablePointer<CChar>?] = []
    /// `ROOST_GUARD=…` as a C string, or empty. It takes the place of what a request says.
    private let tagEntry: [CChar]
    private static let tagName: StaticString = "ROOST_GUARD="
    private static let pathName: StaticString = "PATH="

    init(tagEntry: String?) {
        self.tagEntry = tagEntry.map { Array($0.utf8CString) } ?? []
    }

    mutating func start(_ request: borrowing ProcessRequest, _ plumbing: Plumbing) -> Result {
        if request.arguments.isEmpty { return .failed(errno: EINVAL, message: "there is no command to start") }
        if request.arguments.hasInnerNul || request.environment.hasInnerNul {
            return .failed(errno: EINVAL, message: "an argument or environment entry contains a NUL byte")
        }
        // Twice at most: a program that was moved since it was found is looked for once more.
        for isLast in [false, true] {
            switch attempt(request, plumbing) {
            case .missing(let error): return .failed(errno: error, message: describeMissing(request, error))
            case .started(let pid): return .started(pid: pid)
            case .failed(let step, let error):
                if step == roost_spawn_step_program, error == ENOENT || error == EACCES, !isLast {
                    search.forget()
                    continue
                }
                return .failed(errno: error, message: describe(request, step: step, error))
            }
        }
        return .failed(errno: ENOENT, message: describeMissing(request, ENOENT))
    }

    private enum Attempt {
        case started(pid: Int32)
        case missing(errno: Int32)
        case failed(step: roost_spawn_step, errno: Int32)
    }

    private mutating func attempt(_ request: borrowing ProcessRequest, _ plumbing: Plumbing) -> Attempt {
        // The blocks are not changed while their pointers are in use, and the child has its own memory from the
        // exec on, so no string is copied.
        request.arguments.bytes.withUnsafeBufferPointer { argumentBytes in
            request.environment.bytes.withUnsafeBufferPointer { environmentBytes in
                tagEntry.withUnsafeBufferPointer { tag in
                    Self.collect(argumentBytes, into: &argumentPointers)
                    let path = collectEnvironment(environmentBytes, tag)
                    let name =
                        request.executable.map { Array($0.utf8) }
                        ?? Array(argumentBytes.prefix { $0 != 0 })
                    switch search.find(name, path: path, directory: request.workingDirectory) {
                    case .missing(let error): return .missing(errno: error)
                    case .path(let program):
                        return exec(program, directory: request.workingDirectory, plumbing)
                    }
                }
            }
        }
    }

    private mutating func exec(_ program: [CChar], directory: String, _ plumbing: Plumbing) -> Attempt {
        program.withUnsafeBufferPointer { program in
            directory.withCString { directory in
                let first = vfork(program.baseAddress, directory, plumbing)
                guard case .failed(roost_spawn_step_program, ENOEXEC) = first else { return first }
                // A script without a #! line: the shell runs it, as every shell and execvp would have it.
                return "/bin/sh".withCString { shell in
                    argumentPointers[0] = UnsafeMutablePointer(mutating: program.baseAddress)
                    argumentPointers.insert(UnsafeMutablePointer(mutating: shell), at: 0)
                    return vfork(shell, directory, plumbing)
                }
            }
        }
    }

    private func vfork(
        _ path: UnsafePointer<CChar>?, _ directory: UnsafePointer<CChar>, _ plumbing: Plumbing
    ) -> Attempt {
        argumentPointers.withUnsafeBufferPointer { arguments in
            environmentPointers.withUnsafeBufferPointer { environment in
                var plan = roost_spawn_plan(
                    path: path, arguments: arguments.baseAddress, environment: environment.baseAddress,
                    directory: directory, input: plumbing.input, output: plumbing.output, error: plumbing.error,
                    frames_in: plumbing.frames?.input ?? -1, frames_out: plumbing.frames?.output ?? -1,
                    program: plumbing.frames?.program ?? -1,
                    cgroup_procs: plumbing.cgroupProcs, data_limit: plumbing.dataLimit,
                    close_others: plumbing.inheritsDescriptors ? 0 : 1, new_session: 0, signals_blocked: 0)
                var step: Int32 = 0
                var error: Int32 = 0
                let pid = roost_spawn(&plan, &step, &error)
                return pid > 0 ? .started(pid: pid) : .failed(step: roost_spawn_step(UInt32(step)), errno: error)
            }
        }
    }

    private static func collect(
        _ block: UnsafeBufferPointer<UInt8>, into pointers: inout [UnsafeMutablePointer<CChar>?]
    ) {
        pointers.removeAll(keepingCapacity: true)
        var position = 0
        while position < block.count, let base = block.baseAddress {
            let string = UnsafeMutableRawPointer(mutating: base + position).assumingMemoryBound(to: CChar.self)
            pointers.append(string)
            position += strlen(string) + 1
        }
        pointers.append(nil)
    }

    /// Collects the environment with our tag in it; answers the value of PATH.
    private mutating func collectEnvironment(
        _ block: UnsafeBufferPointer<UInt8>, _ tag: UnsafeBufferPointer<CChar>
    ) -> [UInt8]? {
        Self.collect(block, into: &environmentPointers)
        var path: [UInt8]?
        var kept = 0
        for index in 0..<environmentPointers.count - 1 {
            guard let entry = environmentPointers[index] else { continue }
            if path == nil, Self.starts(entry, with: Self.pathName) {
                let value = entry + Self.pathName.utf8CodeUnitCount
                path = Array(UnsafeRawBufferPointer(start: value, count: strlen(value)))
            } else if !tag.isEmpty, Self.starts(entry, with: Self.tagName) {
                continue
            }
            environmentPointers[kept] = entry
            kept += 1
        }
        environmentPointers.removeLast(environmentPointers.count - kept)
        if let tag = tag.baseAddress { environmentPointers.append(UnsafeMutablePointer(mutating: tag)) }
        environmentPointers.append(nil)
        return path
    }

    private static func starts(_ entry: UnsafeMutablePointer<CChar>, with name: StaticString) -> Bool {
        strncmp(entry, UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), name.utf8CodeUnitCount)
            == 0
    }
}
