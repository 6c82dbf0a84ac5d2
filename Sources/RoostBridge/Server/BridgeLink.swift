/// A connection to R, as the server writes to it.
protocol BridgeLink: AnyObject {
    /// Whether what is sent goes out at once, or nearly.
    var isWritable: Bool { get }
    func send(_ frames: [OutgoingFrame])
    func close()
}
