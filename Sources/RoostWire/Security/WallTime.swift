import Glibc

/// A moment by the calendar, for things that people date: tokens and certificates.
package struct WallTime: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Seconds since 1970, UTC.
    package var unixSeconds: Int64

    package init(unixSeconds: Int64) { self.unixSeconds = unixSeconds }

    /// The system's clock, read by shells only.
    package static func now() -> WallTime { WallTime(unixSeconds: Int64(time(nil))) }

    package static func < (a: WallTime, b: WallTime) -> Bool { a.unixSeconds < b.unixSeconds }

    package static func + (moment: WallTime, duration: Duration) -> WallTime {
        WallTime(unixSeconds: moment.unixSeconds + duration.components.seconds)
    }

    package static func - (moment: WallTime, duration: Duration) -> WallTime {
        WallTime(unixSeconds: moment.unixSeconds - duration.components.seconds)
    }

    /// `2026-01-31 23:59 UTC`.
    package var description: String {
        let (day, second) = (unixSeconds.flooredDivision(by: 86_400), unixSeconds.flooredRemainder(by: 86_400))
        // Days are counted in eras of 400 years that begin on the first of March, so that the leap day comes last.
        let shifted = day + 719_468
        let era = shifted.flooredDivision(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let civilMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(year)-\(two(civilMonth))-\(two(dayOfMonth)) \(two(second / 3600)):\(two(second / 60 % 60)) UTC"
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
        self / divisor - (self % divisor < 0 ? 1 : 0)
    }
    fileprivate func flooredRemainder(by divisor: Int64) -> Int64 { self - flooredDivision(by: divisor) * divisor }
}
