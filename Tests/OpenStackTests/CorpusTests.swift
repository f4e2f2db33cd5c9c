import Bytes
import Foundation
import Testing

@testable import OpenStack

/// Rows `[verdict, text]`, made by running the Python code that Nova runs.
private func rows(_ name: String) throws -> [(Bool, String)] {
    let file = packageRoot.appending(path: "Tests/Corpora/OpenStack/\(name)")
    return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
        let row = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Any]
        return try (#require(row?[0] as? Bool), #require(row?[1] as? String))
    }
}

@Suite struct `What Python says` {
    @Test func `a regex passes exactly when re.compile of CPython 3.11 takes it`() throws {
        let all = try rows("python-re.jsonl")
        #expect(all.count > 3000)
        for (expected, pattern) in all {
            let found = withBytes(pattern) { RegexSyntax.isValid($0) }
            #expect(found == expected, "\(pattern.debugDescription)")
        }
    }

    @Test func `a date passes exactly when iso8601 2.1 takes it`() throws {
        let all = try rows("iso8601.jsonl")
        #expect(all.count > 3000)
        for (expected, text) in all {
            let found = withBytes(text) { ISO8601.isDate($0) }
            #expect(found == expected, "\(text.debugDescription)")
        }
    }

    @Test func `an access rule covers a path exactly when keystonemiddleware 13 says so`() throws {
        let all = try rows("access-rules.jsonl")
        #expect(all.count > 3000)
        for (expected, text) in all {
            let parts = text.split(separator: " ").map(String.init)
            try #require(parts.count == 2)
            let rule = AccessRule(service: "compute", method: "GET", path: parts[0])
            let found = withBytes(parts[1]) { path in
                withBytes("GET") { rule.allows(service: "compute", method: $0, path: path) }
            }
            #expect(found == expected, "\(parts[0]) and \(parts[1])")
        }
    }
}
