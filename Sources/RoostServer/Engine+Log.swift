import Logging
import RoostModel
import RoostScheduler

extension Engine {
    /// Tells the operator what the scheduler found worth telling.
    func report(_ notice: Notice) {
        switch notice {
        case .nodeJoined(let name, let slots):
            log.info("node joined", metadata: ["node": "\(name)", "slots": "\(slots)"])
        case .nodeReturned(let name):
            log.info("node returned", metadata: ["node": "\(name)"])
        case .nodeSuspect(let name):
            log.warning("node out of contact", metadata: ["node": "\(name)"])
        case .nodeLost(let name, let reason, let tasks):
            log.warning("node lost", metadata: ["node": "\(name)", "reason": "\(reason)", "tasks": "\(tasks)"])
        case .nodeQuarantined(let name, let tasks):
            log.warning(
                "node drained: tasks crash there that succeed elsewhere", metadata: ["node": "\(name)", "tasks": "\(tasks)"])
        case .nodeLeft(let name, let reason):
            log.info("node left", metadata: ["node": "\(name)", "reason": "\(reason)"])
        case .jobOpened(let number, let user):
            log.info("job opened", metadata: ["job": "\(number)", "user": "\(user)"])
        case .jobEnded(let number, let progress):
            log.info(
                "job ended",
                metadata: [
                    "job": "\(number)", "tasks": "\(progress.tasks)", "succeeded": "\(progress.succeeded)",
                    "failed": "\(progress.failed)", "cancelled": "\(progress.cancelled)", "held": "\(progress.held)",
                    "retried": "\(progress.retried)", "late": "\(progress.late)",
                ])
        case .taskHeld(let number, let task, let reason):
            log.warning("task held", metadata: ["job": "\(number)", "task": "\(task)", "reason": "\(reason)"])
        case .jobCutShort(let number, let tasks):
            log.warning("job closed without its client", metadata: ["job": "\(number)", "tasks": "\(tasks)"])
        case .jobRestored(let number, let tasks, let done):
            log.info("job restored", metadata: ["job": "\(number)", "tasks": "\(tasks)", "done": "\(done)"])
        case .jobDamaged(let number, let reason):
            log.error("job damaged on disk", metadata: ["job": "\(number)", "reason": "\(reason)"])
        case .recovered(let waited, let nodesMissing):
            log.info(
                "recovered", metadata: ["seconds": "\(waited.inSeconds)", "nodes-missing": "\(nodesMissing)"])
        case .sessionLost(let description, let jobs):
            log.info("session ended without its client", metadata: ["client": "\(description)", "jobs": "\(jobs)"])
        }
    }
}
