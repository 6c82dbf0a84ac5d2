/// Our own arguments as the bytes they are: Swift's strings would repair what is no UTF-8, and file names and
/// inputs need not be.
package enum RawArguments {
    /// The arguments after the program's name.
    package static var current: [[UInt8]] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                var bytes: [UInt8] = []
                var position = 0
                while argument[position] != 0 {
                    bytes.append(UInt8(bitPattern: argument[position]))
                    position += 1
                }
                return bytes
            }
        }
    }
}
