package import ArgumentParser

/// The manual page of `roost map`: what `--help` prints, and what completions and the list of commands are made
/// of. It never parses a command line; ``MapArguments`` does, because ArgumentParser knows no `:::`.
package struct MapManual: ParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Run a command once for each input, many at a time, here or in a pool.",
        usage: """
            roost map [OPTIONS] COMMAND [ARGUMENTS] ::: INPUT ...
            roost map [OPTIONS] COMMAND [ARGUMENTS] :::: FILE ...
            roost map [OPTIONS] COMMAND [ARGUMENTS] < FILE
            roost map [OPTIONS] < FILE-WITH-COMMANDS
            """,
        discussion: """
            Options stand before the command; what follows the command's name belongs to it. Without a command \
            each input is a command line itself.

            INPUTS
              ::: A B          these, from the command line
              :::: FILE        the lines of a file; so does -a FILE
              :::+ A B         in step with the source before
              ::::+ FILE       the same, from a file
            Several sources are combined, each with each, the first varying slowest; --link takes them in step. \
            With none of them the lines of standard input are the inputs, read as they come: \
            'tail -f log | roost map ...' starts a task for each line that arrives.

            REPLACEMENT STRINGS
              {}     the input                   dir/a.tar.gz
              {.}    without its extension       dir/a.tar
              {/}    the name                    a.tar.gz
              {//}   the directory               dir
              {/.}   the name, no extension      a.tar
              {2}    of the second source or column; {-1} of the last
              {2.}   a part of it; so {2/} {2//} {2/.}
              {#}    the task's number, from 1
              {%}    the number of its slot, from 1
            Without any of them the inputs are added at the end. Inputs are quoted for the shell, so no character \
            in them can do harm. A command that needs no shell is started without one.

            EXAMPLES
              Compress all logs, as many at a time as there are CPUs:
                roost map gzip -9 ::: *.log

              Every photo in three sizes, into names made from theirs:
                roost map convert -resize {2} {1} {1.}-{2}.jpg ::: *.png ::: 200 800 1600

              Inputs from a pipe, odd file names included:
                find . -name '*.wav' -print0 | roost map -0 flac --silent {}

              Columns of a table, output in order, 30 s each, three tries:
                roost map -k --colsep '\\t' --timeout 30s --retries 3 \\
                  ./simulate --alpha {1} --beta {2} :::: runs.tsv

              A run that can be continued after a crash or a change:
                roost map --joblog log --resume-failed ./analyse {} :::: names

              The same on the nodes of a pool, two CPUs and 4 GiB each:
                roost map --pool roost://head:7117 --cpus 2 --memory 4G \\
                  ./analyse {} :::: names

              Look before running:
                roost map --dry-run mv {} {.}.bak ::: *

            EXIT STATUS
              0        all tasks succeeded
              1-100    that many failed; 101 for more
              64       wrong usage
              69, 77   the pool cannot be reached, or refused us
              130      Ctrl-C
              255      Roost itself could not go on
            With --halt ...=1 it is the status of the task that decided, with --halt ...=N% the percentage that failed.

            Ctrl-C cancels the tasks and prints the summary; a second one kills them.
            """)

    @OptionGroup package var options: MapOptions
}
