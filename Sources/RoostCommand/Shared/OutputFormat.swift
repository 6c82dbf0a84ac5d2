import ArgumentParser

/// How a command prints what it found.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case text, json }

/// `--output text|json`.
struct OutputOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("How to print: text for people, json for programs.", valueName: "text|json"))
    var output = OutputFormat.text

    var isJSON: Bool { output == .json }
}
