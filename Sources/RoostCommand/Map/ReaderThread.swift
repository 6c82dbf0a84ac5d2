import Glibc

/// The thread that reads inputs: it may sleep in a silent pipe for ever.
enum ReaderThread {
    /// What the thread is given.
    private final class Start {
        let plan: MapPlan
        let inbox: MapInbox

        init(plan: MapPlan, inbox: MapInbox) {
            self.plan = plan
            self.inbox = inbox
        }

        func run() {
            do throws(MapError) {
                let reader = try MapTaskReader(plan)
                var hasWarned = false
                while let task = try reader.next() {
                    if reader.replacedNUL && !hasWarned {
                        hasWarned = true
                        inbox.post(
                            .inputsWarned("an input has a NUL byte, written as \\0; with -0 inputs end at NUL bytes"))
                    }
                    guard inbox.put(task) else { return }
                }
                inbox.post(.inputsEnded)
            } catch {
                inbox.post(.inputsFailed(error))
            }
        }
    }

    /// Nobody waits for the thread: it ends with the inputs, or with the process.
    static func start(_ plan: MapPlan, inbox: MapInbox) throws(MapError) {
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(plan: plan, inbox: inbox))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw MapError(.roostFailed, "cannot start a thread: \(SystemError(code: code).message)")
        }
        pthread_detach(thread)
    }
}
