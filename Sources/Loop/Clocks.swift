import CLinux

/// The clock for deadlines and durations; it never jumps.
public enum MonotonicClock {
    /// Nanoseconds since some fixed moment, usually the machine's start.
    ///
    /// - Limits: read it once per turn of a loop (style §3.1); 64 bits last 584 years.
    public static func now() -> UInt64 { CLinux_monotonicNanoseconds() }
}

/// The clock that people and other machines read; it may jump.
public enum WallClock {
    /// Time since 1970-01-01T00:00:00Z, without leap seconds.
    public static func now() -> (seconds: Int64, nanoseconds: Int32) {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
        CLinux_wallClock(&seconds, &nanoseconds)
        return (seconds, nanoseconds)
    }
}
