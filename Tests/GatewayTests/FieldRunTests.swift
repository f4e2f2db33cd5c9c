import Bytes
import HTTP
import Testing

@testable import Gateway

/// Lines of a head that go on, in one piece where they stand as they are written.
struct FieldRunTests {
    /// What goes on of field lines, read as the scanner reads them, when those with a name in `skipped` are left out.
    private static func passed(_ lines: [String], skipped: Set<String> = []) -> String {
        let text = Array(lines.map { $0 + "\r\n" }.joined().utf8)
        return text.withUnsafeBufferPointer { bytes in
            var output = Buffer(capacity: 1_024)
            var run = FieldRun()
            var start = 0
            for line in lines {
                let end = start + line.utf8.count
                let name = bytes.view(start, line.utf8.prefix { $0 != 0x3A }.count)
                let after = bytes.view(start + name.count + 1, end - start - name.count - 1)
                let value = after.trimmed()
                // Where the value begins, or where it would.
                let lead = value.isEmpty ? 0 : after.count - after.drop { $0 == 0x20 || $0 == 0x09 }.count
                if !skipped.contains(name.string) {
                    run.append(
                        FieldLine(
                            name: ByteRange(start: start, count: name.count),
                            value: ByteRange(start: start + name.count + 1 + lead, count: value.count),
                            known: .other, hasUnderscore: false), bytes, to: &output)
                }
                start = end + 2
            }
            run.end(bytes, to: &output)
            return output.readable.string
        }
    }

    @Test(
        arguments: [
            ([], ""), (["A: 1"], "A: 1\r\n"), (["A: 1", "b: 2 3", "C: 4"], "A: 1\r\nb: 2 3\r\nC: 4\r\n"),
            (["A:1", "B: 2"], "A: 1\r\nB: 2\r\n"), (["A: 1", "B:  2", "C: 3"], "A: 1\r\nB: 2\r\nC: 3\r\n"),
            (["A: 1 ", "B: 2\t"], "A: 1\r\nB: 2\r\n"), (["A:", "B: ", "C: 3"], "A: \r\nB: \r\nC: 3\r\n"),
        ] as [([String], String)])
    func `each line goes on once, in order and written in one way`(_ lines: [String], _ expected: String) {
        #expect(Self.passed(lines) == expected)
    }

    @Test func `lines that are left out leave the others as they are`() {
        let lines = ["A: 1", "B: 2", "C: 3", "D: 4"]
        for mask in 0..<16 {
            let skipped = Set((0..<4).filter { mask >> $0 & 1 == 1 }.map { String(lines[$0].prefix(1)) })
            let expected = lines.filter { !skipped.contains(String($0.prefix(1))) }.map { $0 + "\r\n" }
                .joined()
            #expect(Self.passed(lines, skipped: skipped) == expected)
        }
    }
}
