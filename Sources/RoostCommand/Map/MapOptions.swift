package import ArgumentParser

/// The options of `roost map`.
///
/// They arrive here in their long form, `--name=value`, because ``MapArguments/split(_:)`` has already found out
/// where the options end and the command begins. Values are still text; ``MapPlan`` makes sense of them.
package struct MapOptions: ParsableArguments {
    package init() {}

    // MARK: Where and how many

    @Option(
        name: [.customShort("j"), .customLong("jobs")],
        help: ArgumentHelp(
            "How many tasks run at once: 8, 50% or +2/-1 of the CPUs, 0 for as many as possible.", valueName: "n"))
    package var jobs: String?

    @Option(help: ArgumentHelp("Run in this pool instead of on this machine.", valueName: "roost://host:port"))
    package var pool: String?

    @Option(
        help: ArgumentHelp(
            "The pool's token; else ROOST_TOKEN, else the file in ~/.config/roost.", valueName: "token"))
    package var token: String?

    @Option(help: "A name for the job, shown by 'roost job list'.")
    package var name: String?

    @Flag(help: "Submit, print the job's id and return; read the results later with 'roost job results'.")
    package var detach = false

    // MARK: Inputs

    @Option(
        name: [.customShort("a"), .customLong("arg-file")],
        help: ArgumentHelp("Read inputs from a file; - is standard input. May be repeated.", valueName: "file"))
    package var argFile: [String] = []

    @Flag(name: [.customShort("0"), .customLong("null")], help: "Inputs end with a NUL byte, as from find -print0.")
    package var null = false

    @Option(
        name: [.customShort("d"), .customLong("delimiter")],
        help: ArgumentHelp(
            "Inputs end with this text; \\n, \\t, \\0 and octal \\123 are understood.", valueName: "text"))
    package var delimiter: String?

    @Option(
        name: [.customShort("C"), .customLong("colsep")],
        help: ArgumentHelp("Cut each input into columns at this regular expression: {1}, {2}, …", valueName: "regex"))
    package var colsep: String?

    @Option(
        name: [.customShort("n"), .customLong("max-args")],
        help: ArgumentHelp("Put so many inputs into one command.", valueName: "n"))
    package var maxArgs: String?

    @Option(
        name: [.customShort("N"), .customLong("max-replace-args")],
        help: ArgumentHelp("The same; 0 runs the command once an input without putting it in.", valueName: "n"))
    package var maxReplaceArgs: String?

    @Flag(help: "Take the sources of inputs in step instead of combining each with each.")
    package var link = false

    @Flag(name: [.customShort("r"), .customLong("no-run-if-empty")], help: "Skip blank inputs.")
    package var noRunIfEmpty = false

    // MARK: The command

    @Option(
        name: [.customShort("I"), .customLong("replace")],
        help: ArgumentHelp("Use this text instead of {}.", valueName: "text"))
    package var replace: String?

    @Flag(name: [.customShort("q"), .customLong("quote")], help: "Quote the command's words for the shell too.")
    package var quote = false

    @Flag(help: "Print the commands, run nothing.")
    package var dryRun = false

    @Option(
        name: [.customLong("workdir"), .customLong("wd")],
        help: ArgumentHelp("Run tasks in this directory of the node.", valueName: "dir"))
    package var workdir: String?

    @Option(
        help: ArgumentHelp("Give this variable of our environment to the tasks. May be repeated.", valueName: "name"))
    package var env: [String] = []

    // MARK: What a task needs

    @Option(help: ArgumentHelp("CPUs of one task, also fractions.", valueName: "n"))
    package var cpus: String?

    @Option(help: ArgumentHelp("Memory of one task, and its limit: 500M, 2G, 512KiB.", valueName: "size"))
    package var memory: String?

    @Option(help: ArgumentHelp("Another resource of one task: gpus=1. May be repeated.", valueName: "name=amount"))
    package var resource: [String] = []

    @Option(help: ArgumentHelp("Run only on nodes with this label. May be repeated.", valueName: "key=value"))
    package var label: [String] = []

    // MARK: When something goes wrong

    @Option(help: ArgumentHelp("Try a failed task again, so many times in all; 1 is no retry.", valueName: "n"))
    package var retries: String?

    @Option(help: ArgumentHelp("Stop a task that runs longer: 90, 90s, 1.5h, 2d3h, 12:00:00.", valueName: "duration"))
    package var timeout: String?

    @Option(help: ArgumentHelp("Stop early: never, now|soon,fail|success|done=N or N%.", valueName: "when"))
    package var halt: String?

    @Option(help: ArgumentHelp("Hold a task that has killed so many workers (default 3).", valueName: "n"))
    package var crashLimit: String?

    // MARK: Output

    @Flag(name: [.customShort("k"), .customLong("keep-order")], help: "Print output in the order of the inputs.")
    package var keepOrder = false

    @Flag(
        name: [.customLong("line-buffer"), .customLong("lb")],
        help: "Print whole lines as they come instead of each task's output at its end.")
    package var lineBuffer = false

    @Flag(name: [.customShort("u"), .customLong("ungroup")], help: "Print output as it comes, even parts of lines.")
    package var ungroup = false

    @Flag(help: "Begin each line of output with the task's inputs and a tab.")
    package var tag = false

    @Option(
        help: ArgumentHelp("Begin each line with this text and a tab; {} {#} {1} … are replaced.", valueName: "text"))
    package var tagstring: String?

    @Option(help: ArgumentHelp("Write output into files below this directory instead.", valueName: "dir"))
    package var results: String?

    @Option(help: ArgumentHelp("Write a line for each task to this file; +FILE appends.", valueName: "file"))
    package var joblog: String?

    @Flag(help: "Skip what --joblog or --results says is done.")
    package var resume = false

    @Flag(help: "The same, but do failed tasks again.")
    package var resumeFailed = false

    @Flag(help: "Show progress, also when standard error is not a terminal.")
    package var progress = false

    @Flag(help: "The same as --progress; the estimate is always shown.")
    package var eta = false

    @Flag(help: "The same as --progress.")
    package var bar = false

    @Flag(help: "Show no progress and no summary.")
    package var noProgress = false

    @Option(help: ArgumentHelp("text, or json: one object a task.", valueName: "text|json"))
    package var output: String = "text"
}
