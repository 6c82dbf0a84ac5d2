import Glibc
import RoostModel

/// What the two halves of `roost bridge` tell each other, through two pipes.
///
///     launcher ── secret, token ──▶ serving half      standard input, read to its end
///              ◀── ready PORT ─────                    standard output, closed then
///              ◀── failed CODE, sentence ──            nothing: it died
enum BridgeHandover {
    /// What must not stand in arguments, where everybody on the machine can read it.
    struct Secrets {
        var secret: String
        var token: String?

        var text: String { "\(secret)\n\(token ?? "")\n" }

        init(secret: String, token: String?) {
            self.secret = secret
            self.token = token
        }

        init?(_ text: String) {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.count >= 2, lines[0].count == 32 else { return nil }
            secret = String(lines[0])
            token = lines[1].isEmpty ? nil : String(lines[1])
        }
    }

    enum Answer {
        case ready(port: Int)
        case failed(RoostError)

        var text: String {
            switch self {
            case .ready(let port): "ready \(port)\n"
            case .failed(let error):
                ["failed \(error.code)", error.message, error.cause, error.remedy]
                    .map { $0.split(separator: "\n").joined(separator: " ") }.joined(separator: "\n") + "\n"
            }
        }

        init?(_ text: String) {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let words = (lines.first ?? "").split(separator: " ")
            guard words.count == 2 else { return nil }
            switch words[0] {
            case "ready":
                guard let port = Int(words[1]) else { return nil }
                self = .ready(port: port)
            case "failed":
                guard lines.count >= 4 else { return nil }
                self = .failed(
                    RoostError(.init(name: String(words[1])), lines[1], remedy: lines[3], cause: lines[2]))
            default: return nil
            }
        }
    }

    /// What comes until the other side closes; nil when it has not within the limit.
    static func readAll(_ descriptor: Int32, within limit: Duration) -> String? {
        let end = Clock.now() + limit
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= 1 << 20 {
            let left = (end - Clock.now()).wholeNanoseconds / 1_000_000
            guard left > 0 else { return nil }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, Int32(clamping: left))
            if ready <= 0 { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
        return nil
    }
}
