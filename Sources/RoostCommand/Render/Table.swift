/// A table for people: a header, aligned columns, two blanks between them.
///
///     JOB     TASKS  NAME
///     a1b2        5  resize
///     c3d4  120,000  …
///
/// Widths count characters, not bytes. When the table is wider than the terminal, the widest left-aligned
/// columns are cut, with `…`.
package struct Table: Sendable {
    package enum Alignment: Sendable { case left, right }

    package struct Column: Sendable {
        package var title: String
        package var alignment: Alignment

        package init(_ title: String, _ alignment: Alignment = .left) {
            self.title = title
            self.alignment = alignment
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row; missing cells are empty, control characters are shown as `?` so that no input can disturb the
    /// terminal.
    package mutating func add(_ cells: [String]) {
        rows.append(
            columns.indices.map { index in
                guard index < cells.count else { return "" }
                return String(
                    String.UnicodeScalarView(
                        cells[index].unicodeScalars.map { $0.value < 32 || (127..<160).contains($0.value) ? "?" : $0 }))
            })
    }

    package var count: Int { rows.count }

    /// The table as text, each line ended. `width` is the terminal's; nil for no limit.
    package func render(width: Int? = nil) -> String {
        var widths = columns.indices.map { index in
            max(columns[index].title.count, rows.map { $0[index].count }.max() ?? 0)
        }
        if let width { shrink(&widths, to: width) }
        var text = ""
        for cells in [columns.map(\.title)] + rows {
            var line = ""
            for (index, cell) in cells.enumerated() {
                let shown = Self.cut(cell, to: widths[index])
                let pad = String(repeating: " ", count: max(0, widths[index] - shown.count))
                if index > 0 { line += "  " }
                line += columns[index].alignment == .right ? pad + shown : shown + pad
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    private func shrink(_ widths: inout [Int], to width: Int) {
        var excess = widths.reduce(0, +) + 2 * max(0, columns.count - 1) - width
        while excess > 0 {
            let candidates = columns.indices.filter { columns[$0].alignment == .left && widths[$0] > 4 }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] -= 1
            excess -= 1
        }
    }

    private static func cut(_ cell: String, to width: Int) -> String {
        cell.count <= width ? cell : String(cell.prefix(max(0, width - 1))) + "…"
    }
}
