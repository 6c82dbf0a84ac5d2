import RoostModel

/// Tasks per second, smoothed over about ten seconds.
struct SmoothedRate: Sendable {
    private var lastTime: Instant?
    private var lastDone = 0
    private(set) var perSecond: Double?

    mutating func update(done: Int, start: Instant, now: Instant) {
        let elapsed = (now - (lastTime ?? start)).inSeconds
        // Shorter samples would be mostly noise.
        guard elapsed >= 0.2, done > 0 else { return }
        let sample = Double(done - lastDone) / elapsed
        lastTime = now
        lastDone = done
        guard let old = perSecond else {
            perSecond = sample
            return
        }
        // The weight of a sample grows with the time it covers: 1 - e^(-t/10), without a library for exp.
        let weight = elapsed / (elapsed + 10)
        perSecond = old + (sample - old) * weight
    }
}
