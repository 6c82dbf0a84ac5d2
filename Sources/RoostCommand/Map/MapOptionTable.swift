/// Every option that `roost map` takes, with its short name and whether a value follows: what has to be known to
/// find the end of the options.
struct MapOptionTable {
    struct Entry {
        var long: String
        var short: Character?
        var takesValue: Bool
    }

    static let entries: [Entry] = {
        func value(_ long: String, _ short: Character? = nil) -> Entry {
            Entry(long: long, short: short, takesValue: true)
        }
        func flag(_ long: String, _ short: Character? = nil) -> Entry {
            Entry(long: long, short: short, takesValue: false)
        }
        return [
            value("jobs", "j"), value("pool"), value("token"), value("name"), flag("detach"),
            value("arg-file", "a"), flag("null", "0"), value("delimiter", "d"), value("colsep", "C"),
            value("max-args", "n"), value("max-replace-args", "N"), flag("link"), flag("no-run-if-empty", "r"),
            value("replace", "I"), flag("quote", "q"), flag("dry-run"), value("workdir"), value("env"),
            value("cpus"), value("memory"), value("resource"), value("label"),
            value("retries"), value("timeout"), value("halt"), value("crash-limit"),
            flag("keep-order", "k"), flag("line-buffer"), flag("ungroup", "u"), flag("tag"), value("tagstring"),
            value("results"), value("joblog"), flag("resume"), flag("resume-failed"),
            flag("progress"), flag("eta"), flag("bar"), flag("no-progress"), value("output"), flag("help", "h"),
        ]
    }()

    /// Other spellings, GNU parallel's among them.
    static let aliases = [
        "max-procs": "jobs", "lb": "line-buffer", "linebuffer": "line-buffer", "wd": "workdir", "xapply": "link",
        "tag-string": "tagstring", "keeporder": "keep-order", "dryrun": "dry-run", "group": "group",
        "job-log": "joblog", "halt-on-error": "halt", "res": "results",
    ]

    static let shortAliases: [Character: Character] = ["P": "j"]

    /// Options of GNU parallel that we do not have, and what to do instead.
    static let refused = [
        "delay": "starts are not spaced out; limit how many tasks run at once with -j",
        "pipe": "write the input to files and give those as inputs",
        "pipepart": "write the input to files and give those as inputs",
        "pipe-part": "write the input to files and give those as inputs",
        "sshlogin": "start a node there ('roost node start') and use --pool",
        "sshloginfile": "start nodes there ('roost node start') and use --pool",
        "header": "name columns by number: {1}, {2}, …",
        "retry-failed": "give the same command and inputs again with --joblog FILE --resume-failed",
        "xargs": "put several inputs into one command with -n",
        "memfree": "say what one task needs with --memory",
        "load": "limit how many tasks run at once with -j",
        "shuf": "mix the inputs with shuf(1)",
        "nice": "write nice into the command",
        "files": "keep output in files with --results DIR",
        "semaphore": "use flock(1)",
        "plus": "write the change of the name in the command",
        "rpl": "write the change of the name in the command",
        "trim": "trim the inputs before they arrive",
    ]
    static let refusedShort: [Character: String] = [
        "S": "sshlogin", "X": "xargs", "m": "xargs", "L": "xargs", "s": "xargs",
    ]
}
