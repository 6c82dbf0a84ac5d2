import CRoostLinux
import DequeModule
import Glibc
import RoostModel

/// Our ends of the pipes to a worker that speaks in frames, and what is on its way through them.
struct FramePipes {
    /// Where the worker's frames come in; -1: closed.
    private(set) var input: Int32
    /// Where ours go out; -1: closed.
    private(set) var output: Int32
    let childInput: Int32
    let childOutput: Int32
    var reader = WorkerFrameReader()
    /// Bytes to be written, and how many of the first have been.
    var waiting: Deque<[UInt8]> = []
    var written = 0
    var isWatchedForRoom = false
    /// Close our end when all is written.
    var closesWhenDone = false

    /// In the child these numbers and lower ones are taken.
    private static let firstChildDescriptor: Int32 = 10
    private static let pipeBytes: Int32 = 1 << 20

    init() throws(ReactorFailure) {
        var toChild: [Int32] = [-1, -1]
        var fromChild: [Int32] = [-1, -1]
        guard roost_pipe(&toChild, 1) == 0 else { throw ReactorFailure(what: "pipe to a worker", errno: errno) }
        guard roost_pipe(&fromChild, 0) == 0 else {
            let error = errno
            for end in toChild { Glibc.close(end) }
            throw ReactorFailure(what: "pipe from a worker", errno: error)
        }
        // Fewer turns for a large frame. Where the system does not allow it, pipes stay as they are.
        for end in [toChild[1], fromChild[0]] { roost_widen_pipe(end, Self.pipeBytes) }
        let low = [toChild[0], fromChild[1]]
        childInput = fcntl(low[0], F_DUPFD_CLOEXEC, Self.firstChildDescriptor)
        childOutput = fcntl(low[1], F_DUPFD_CLOEXEC, Self.firstChildDescriptor)
        let error = errno
        for end in low { Glibc.close(end) }
        output = toChild[1]
        input = fromChild[0]
        guard childInput >= 0, childOutput >= 0 else {
            closeChildEnds()
            close()
            throw ReactorFailure(what: "pipe to a worker", errno: error)
        }
    }

    func closeChildEnds() {
        for end in [childInput, childOutput] where end >= 0 { Glibc.close(end) }
    }

    mutating func closeInput() {
        if input >= 0 { Glibc.close(input) }
        input = -1
    }

    mutating func closeOutput() {
        if output >= 0 { Glibc.close(output) }
        output = -1
        waiting.removeAll()
    }

    /// Both ends that are ours.
    func close() {
        for end in [input, output] where end >= 0 { Glibc.close(end) }
    }
}

/// Frames to and from workers.
extension ReactorLoop {
    func send(_ frame: WorkerFrame, toToken token: UInt64) {
        guard let slot = slotOfToken[token], children[slot].frames?.output ?? -1 >= 0 else { return }
        // A small frame is one write: the worker is woken once.
        if frame.first.count + frame.second.count <= Numbers.readBytes {
            children[slot].frames?.waiting.append(frame.header + frame.first + frame.second)
        } else {
            for part in [frame.header, frame.first, frame.second] where !part.isEmpty {
                children[slot].frames?.waiting.append(part)
            }
        }
        if children[slot].frames?.isWatchedForRoom == false { writeFrames(slot) }
    }

    func closeFrames(ofToken token: UInt64) {
        guard let slot = slotOfToken[token], children[slot].frames != nil else { return }
        children[slot].frames?.closesWhenDone = true
        writeFrames(slot)
    }

    /// Writes as much as the pipe takes.
    func writeFrames(_ slot: Int) {
        guard var pipes = children[slot].frames, pipes.output >= 0 else { return }
        children[slot].frames = nil
        defer { children[slot].frames = pipes }
        while let part = pipes.waiting.first {
            let count = part.withUnsafeBytes { bytes in
                write(pipes.output, bytes.baseAddress?.advanced(by: pipes.written), bytes.count - pipes.written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    guard !pipes.isWatchedForRoom else { return }
                    pipes.isWatchedForRoom = watch(pipes.output, slot, .framesOut, EPOLLOUT)
                    return
                }
                // It does not read any more; its end will say why.
                return pipes.closeOutput()
            }
            pipes.written += count
            guard pipes.written == part.count else { continue }
            pipes.waiting.removeFirst()
            pipes.written = 0
        }
        if pipes.isWatchedForRoom {
            epoll_ctl(epoll, EPOLL_CTL_DEL, pipes.output, nil)
            pipes.isWatchedForRoom = false
        }
        if pipes.closesWhenDone { pipes.closeOutput() }
    }

    /// Reads what the worker sent. What it printed before is read first: it belongs before.
    /// - Returns: whether there may be more.
    @discardableResult func framesReady(_ slot: Int) -> Bool {
        guard let descriptor = children[slot].frames?.input, descriptor >= 0 else { return false }
        // Also while output is paused: the rest of it, a pipe's content at most, must not be taken for the next task's.
        readPrinted(slot)
        let token = children[slot].token
        // No copy of the reader while it grows.
        guard var reader = children[slot].frames?.reader else { return false }
        children[slot].frames?.reader = WorkerFrameReader()
        defer { children[slot].frames?.reader = reader }
        let missing = reader.missing
        var count: Int
        if missing >= buffer.count {
            count = reader.readBody(from: descriptor, min(missing, Numbers.bodyBytes)) { events.append(.frame(token: token, $0)) }
        } else {
            count = read(descriptor, buffer.baseAddress, buffer.count)
            if count > 0 {
                let isFrame = reader.take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) {
                    events.append(.frame(token: token, $0))
                }
                if !isFrame { return breakFrames(slot, "it wrote to descriptor 4, which is the agent's") }
            }
        }
        if count < 0 && (errno == EINTR || errno == EAGAIN) { return false }
        if count > 0 { return true }
        // Most often it has just died; its end says how.
        children[slot].frames?.closeInput()
        events.append(.framesClosed(token: token))
        return false
    }

    private func breakFrames(_ slot: Int, _ reason: String) -> Bool {
        children[slot].frames?.closeInput()
        events.append(.framesBroken(token: children[slot].token, reason: reason))
        return false
    }

    /// Reads what is in the output pipes now.
    private func readPrinted(_ slot: Int) {
        for _ in 0..<Numbers.lastReads {
            var waiting = (
                pollfd(fd: children[slot].stdout.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: children[slot].stderr.descriptor, events: Int16(POLLIN), revents: 0)
            )
            let ready = withUnsafeMutableBytes(of: &waiting) {
                poll($0.baseAddress?.assumingMemoryBound(to: pollfd.self), 2, 0)
            }
            let (stdout, stderr) = (Int32(waiting.0.revents) & POLLIN, Int32(waiting.1.revents) & POLLIN)
            if ready <= 0 || (stdout == 0 && stderr == 0) { return }
            if stdout != 0 { readOnce(slot, .stdout) }
            if stderr != 0 { readOnce(slot, .stderr) }
        }
    }

    func closeFrames(_ slot: Int) {
        children[slot].frames?.close()
        children[slot].frames = nil
    }
}
