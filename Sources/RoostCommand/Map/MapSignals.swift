import CRoostLinux
import Glibc

/// The signals that `roost map` understands, as a descriptor to be polled.
///
/// They are blocked before the first thread is made, so that no thread is interrupted by them; tasks are started
/// with nothing blocked. A signal that was ignored when we were started (`nohup`, a shell's `&`) stays ignored.
struct MapSignals {
    let descriptor: Int32

    init() throws(MapError) {
        signal(SIGPIPE, SIG_IGN)
        var wanted = sigset_t()
        sigemptyset(&wanted)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&wanted, number) }
        pthread_sigmask(SIG_BLOCK, &wanted, nil)
        descriptor = signalfd(-1, &wanted, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw MapError(.roostFailed, "cannot wait for signals: \(SystemError(code: errno).message)")
        }
    }

    /// The next signal that came; nil when there is none.
    func next() -> Int32? {
        var news = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        return read(descriptor, &news, size) == size ? Int32(news.ssi_signo) : nil
    }
}
