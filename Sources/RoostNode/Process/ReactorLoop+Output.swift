import CRoostLinux
import Glibc
import RoostModel

/// Reading what processes write.
extension ReactorLoop {
    func readReady(_ slot: Int, _ stream: OutputChunk.Stream, _ ready: UInt32) {
        if ready & EPOLLIN.rawValue != 0 { readOnce(slot, stream) } else { closePipe(slot, stream) }
    }

    /// One read of a pipe that has something to give or is at its end.
    func readOnce(_ slot: Int, _ stream: OutputChunk.Stream) {
        let count = read(descriptor(slot, stream), buffer.baseAddress, buffer.count)
        if count < 0 && (errno == EINTR || errno == EAGAIN) { return }
        guard count > 0 else { return closePipe(slot, stream) }
        if count >= Numbers.loudBytes { loudUntil = Clock.monotonic() + Numbers.loudNanoseconds }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        if children[slot].streamsLarge, !children[slot].streams, wouldOverflow(slot, stream, count) { startStreaming(slot) }
        let offset: UInt64
        switch stream {
        case .stdout:
            offset = children[slot].stdout.capture.totalBytes
            children[slot].stdout.capture.append(bytes)
        case .stderr:
            offset = children[slot].stderr.capture.totalBytes
            children[slot].stderr.capture.append(bytes)
        }
        if children[slot].streams {
            events.append(
                .output(token: children[slot].token, stream: stream, offset: offset, bytes: Array(bytes)))
        }
    }

    /// Reads what is in the pipes of a process that has ended, without waiting. True: both are at their end.
    func drain(_ slot: Int) -> Bool {
        for _ in 0..<Numbers.lastReads {
            let stdout = children[slot].stdout.descriptor
            let stderr = children[slot].stderr.descriptor
            if stdout < 0 && stderr < 0 { return true }
            // poll skips negative descriptors. It tells "empty" from "at its end" without a read.
            var waiting = (
                pollfd(fd: stdout, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stderr, events: Int16(POLLIN), revents: 0)
            )
            let ready = withUnsafeMutableBytes(of: &waiting) {
                poll($0.baseAddress?.assumingMemoryBound(to: pollfd.self), 2, 0)
            }
            if ready < 0 && errno == EINTR { continue }
            if ready <= 0 { return false }
            if waiting.0.revents != 0 { readReady(slot, .stdout, UInt32(UInt16(bitPattern: waiting.0.revents))) }
            if waiting.1.revents != 0 { readReady(slot, .stderr, UInt32(UInt16(bitPattern: waiting.1.revents))) }
        }
        return children[slot].stdout.descriptor < 0 && children[slot].stderr.descriptor < 0
    }

    func setStreaming(token: UInt64, _ streams: Bool) {
        guard let slot = slotOfToken[token], children[slot].streams != streams else { return }
        if streams { startStreaming(slot) } else { children[slot].streams = false }
    }

    private func wouldOverflow(_ slot: Int, _ stream: OutputChunk.Stream, _ count: Int) -> Bool {
        let capture = stream == .stdout ? children[slot].stdout.capture : children[slot].stderr.capture
        return capture.totalBytes + UInt64(count) > UInt64(capture.headLimit)
    }

    private func startStreaming(_ slot: Int) {
        children[slot].streams = true
        let token = children[slot].token
        for stream in [OutputChunk.Stream.stdout, .stderr] {
            let kept = (stream == .stdout ? children[slot].stdout : children[slot].stderr).capture.captured
            let tailOffset = kept.totalBytes - UInt64(kept.tail.count)
            for (offset, bytes) in [(0, kept.head), (tailOffset, kept.tail)] where !bytes.isEmpty {
                events.append(.output(token: token, stream: stream, offset: offset, bytes: bytes))
            }
        }
    }

    func setReading(token: UInt64, _ reads: Bool) {
        guard let slot = slotOfToken[token], children[slot].isPaused == reads else { return }
        children[slot].isPaused = !reads
        guard children[slot].isWatched else { return }
        if reads {
            children[slot].isWatched = false
            return watchPipes(slot, at: Clock.monotonic())
        }
        for stream in [OutputChunk.Stream.stdout, .stderr] {
            let descriptor = descriptor(slot, stream)
            // Not an empty event mask: epoll would still report the other end's closing, again and again.
            if descriptor >= 0 { epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil) }
        }
    }

    func closePipe(_ slot: Int, _ stream: OutputChunk.Stream) {
        let descriptor = descriptor(slot, stream)
        if descriptor >= 0 { close(descriptor) }
        switch stream {
        case .stdout: children[slot].stdout.descriptor = -1
        case .stderr: children[slot].stderr.descriptor = -1
        }
    }

    private func descriptor(_ slot: Int, _ stream: OutputChunk.Stream) -> Int32 {
        stream == .stdout ? children[slot].stdout.descriptor : children[slot].stderr.descriptor
    }
}
