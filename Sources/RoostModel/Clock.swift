#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The clocks that shells read. Machines never do.
public enum Clock {
    /// CLOCK_BOOTTIME: goes on while the machine sleeps, never jumps.
    public static func now() -> Instant { Instant(nanoseconds: read(CLOCK_BOOTTIME)) }

    /// Nanoseconds since 1970, by the wall.
    public static func unixNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
