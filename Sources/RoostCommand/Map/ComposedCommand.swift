/// What a node is asked to run for one task.
package enum ComposedCommand: Hashable, Sendable {
    /// A line for a shell: `sh -c LINE`.
    case shell(line: [UInt8])
    /// A program and its arguments, started without a shell; the program is looked for in `PATH`.
    case direct(argv: [[UInt8]])
}
