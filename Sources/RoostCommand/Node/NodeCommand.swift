import ArgumentParser

/// `roost node`: the machines that run tasks.
struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Run a node on this machine, or see to the pool's nodes.",
        subcommands: [NodeStart.self, NodeList.self, NodeShow.self, NodeDrain.self, NodeKill.self])
}
