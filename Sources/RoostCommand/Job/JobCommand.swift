import ArgumentParser

/// `roost job`: work that the server keeps.
struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Submit work that the server keeps, and see to it.",
        discussion: """
            JOB is a job's number, or several: 5, 2-9, 5,7, last, all; or one's id, 16 hexadecimal digits. TASK is a task's index, counted from 0.

            EXAMPLES
              roost job submit --name thumbs convert {} -resize 200 {/.}.png ::: *.jpg
              roost job wait last && roost job results last
              roost job attach last              what it prints, until it ends
              roost job explain 5                why nothing runs
              roost job retry 5                  the failed tasks, once more
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "Give and fetch",
                subcommands: [JobSubmit.self, JobAttach.self, JobWait.self, JobResults.self, JobLogs.self, JobForget.self]),
            CommandGroup(name: "Look", subcommands: [JobList.self, JobShow.self, JobExplain.self]),
            CommandGroup(name: "Change", subcommands: [JobCancel.self, JobRetry.self, JobRelease.self]),
        ])
}
