import Testing

/// Length and names of files and types.
struct FileTests {
    /// Files of more than 400 lines that are better whole, each with the reason. None is longer than 600.
    static let longFiles: [String: String] = [:]

    static let refusedWords = [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Handler", "Base", "Impl", "Context",
    ]

    /// The one exception: what OpenSSL calls a TLS context.
    static let allowedTypes: Set = ["TLSContext"]

    @Test func `no file is longer than it reads well`() {
        #expect(SourceTree.written.count > 50)
        for file in SourceTree.written {
            let count = file.text.utf8.count { $0 == UInt8(ascii: "\n") }
            #expect(count <= 600, "\(file) has \(count) lines")
            if count > 400 {
                #expect(Self.longFiles[file.path] != nil, "\(file) has \(count) lines: split it")
            } else {
                #expect(
                    Self.longFiles[file.path] == nil,
                    "\(file) has \(count) lines: it is no exception any more")
            }
        }
    }

    @Test func `no file is named after a word that says nothing`() {
        for file in SourceTree.written {
            let stem = file.name.prefix { $0 != "." && $0 != "+" }
            for word in Self.refusedWords where !Self.allowedTypes.contains(String(stem)) {
                #expect(!stem.hasSuffix(word), "\(file) is a \(word)")
            }
        }
    }

    @Test func `no type is named after a word that says nothing`() {
        let words = Self.refusedWords.joined(separator: "|")
        guard
            let pattern = try? Regex(
                "\\b(?:class|struct|enum|actor|protocol|typealias) (\\w*(?:\(words)))\\b")
        else {
            Issue.record("the pattern is wrong")
            return
        }
        for file in SourceTree.sources {
            for line in file.lines where !line.trimmingPrefix(while: \.isWhitespace).hasPrefix("//") {
                guard let match = line.firstMatch(of: pattern), let name = match.output[1].substring else {
                    continue
                }
                #expect(Self.allowedTypes.contains(String(name)), "\(file): \(name)")
            }
        }
    }

    @Test func `nothing is left for later in a comment`() {
        for file in SourceTree.written where !file.path.hasPrefix("Tests/StructureTests/") {
            for (number, line) in file.lines.enumerated() where line.contains(/\b(?:TODO|FIXME|XXX)\b/) {
                Issue.record("\(file):\(number + 1): \(line)")
            }
        }
    }
}
