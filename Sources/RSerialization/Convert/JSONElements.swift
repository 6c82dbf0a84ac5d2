/// The elements of one atomic vector, ready to be written as JSON in any order.
struct JSONElements {
    private enum Form { case plain, date, time }

    private let value: RValue
    private let levels: [String]?
    private let form: Form

    init(_ value: RValue) {
        self.value = value
        levels = value.levels
        form = value.inherits("Date") ? .date : value.inherits("POSIXct") ? .time : .plain
    }

    func write(_ index: Int, to writer: inout JSONWriter) {
        switch value {
        case .logical(let vector):
            let element = vector.elements[index]
            writer.append(element == RNumbers.naInteger ? "null" : element != 0 ? "true" : "false")
        case .integer(let vector):
            let element = vector.elements[index]
            if element == RNumbers.naInteger { return writer.append("null") }
            if let levels {
                if element > 0, Int(element) <= levels.count { writer.string(levels[Int(element) - 1]) } else { writer.append("null") }
            } else if form == .plain {
                writer.append(String(element))
            } else {
                write(Double(element), to: &writer)
            }
        case .double(let vector): write(vector.elements[index], to: &writer)
        case .complex(let vector):
            let element = vector.elements[index]
            if RNumbers.isNA(element.real) || RNumbers.isNA(element.imaginary) { return writer.append("null") }
            let imaginary = RNumbers.text(element.imaginary)
            writer.string(RNumbers.text(element.real) + (imaginary.hasPrefix("-") ? "" : "+") + imaginary + "i")
        case .string(let vector):
            if let text = vector.elements[index].text { writer.string(text) } else { writer.append("null") }
        case .raw(let vector): writer.string(Base64.text([vector.elements[index]]))
        default: writer.append("null")
        }
    }

    private func write(_ number: Double, to writer: inout JSONWriter) {
        if RNumbers.isNA(number) { return writer.append("null") }
        guard number.isFinite else { return writer.string(number.isNaN ? "NaN" : number < 0 ? "-Inf" : "Inf") }
        switch form {
        case .plain:
            if let integer = number.exactInteger, integer.magnitude < 1 << 53 {
                writer.append(integer == 0 && number.sign == .minus ? "-0" : String(integer))
            } else {
                writer.append(number.description)
            }
        case .date:
            if let text = CalendarText.date(days: number) { writer.string(text) } else { writer.append(number.description) }
        case .time:
            if let text = CalendarText.time(seconds: number) { writer.string(text) } else { writer.append(number.description) }
        }
    }
}

/// Days and seconds since 1970 as text, in UTC.
enum CalendarText {
    /// R prints years of four digits; beyond them numbers stay numbers.
    private static let days = -719_162.0...2_932_896.0

    static func date(days: Double) -> String? {
        guard self.days.contains(days) else { return nil }
        return date(floor(days))
    }

    /// Source: Howard Hinnant's `civil_from_days`.
    private static func date(_ days: Int) -> String {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return "\(padded(year, 4))-\(padded(month < 10 ? month + 3 : month - 9, 2))-\(padded(day, 2))"
    }

    static func time(seconds: Double) -> String? {
        guard days.contains(seconds / 86_400) else { return nil }
        // Microseconds are what a double of today's dates can tell.
        let micros = floor((seconds - Double(floor(seconds))) * 1e6 + 0.5)
        let whole = floor(seconds) + (micros == 1_000_000 ? 1 : 0)
        let day = (whole >= 0 ? whole : whole - 86_399) / 86_400
        let second = whole - day * 86_400
        var fraction = ""
        if micros > 0, micros < 1_000_000 {
            fraction = "." + padded(micros, 6)
            while fraction.hasSuffix("0") { fraction.removeLast() }
        }
        return "\(date(day))T\(padded(second / 3600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))\(fraction)Z"
    }

    /// - Precondition: the number is small; callers have looked.
    private static func floor(_ number: Double) -> Int {
        let integer = Int(number)
        return Double(integer) > number ? integer - 1 : integer
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

/// Bytes as text in base 64.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let left = bytes.count - index
            let word = Int(bytes[index]) << 16 | (left > 1 ? Int(bytes[index + 1]) << 8 : 0) | (left > 2 ? Int(bytes[index + 2]) : 0)
            text.append(alphabet[word >> 18])
            text.append(alphabet[word >> 12 & 63])
            text.append(left > 1 ? alphabet[word >> 6 & 63] : 0x3D)
            text.append(left > 2 ? alphabet[word & 63] : 0x3D)
            index += 3
        }
        return String(decoding: text, as: UTF8.self)
    }
}
