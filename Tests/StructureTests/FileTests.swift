import Testing

/// Length and names of files and types.
struct FileTests {
    /// Files of more than 400 lines that are better whole, each with the reason. None is longer than 600.
    static let longFiles: [String: String] = [:]

    static let refusedWords = [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Handler", "Base", "Impl", "Context",
    ]

    /// What OpenSSL calls a TLS context; what links begin with, which nothing inherits from.
    static let allowedTypes: Set = ["TLSContext", "LinkBase"]

    static let kinds: Set<Substring> = ["class", "struct", "enum", "actor", "protocol", "typealias"]

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
        for file in SourceTree.sources {
            for line in file.lines {
                let words = line.split(
                    maxSplits: 12, whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" })
                guard !line.trimmingPrefix(while: \.isWhitespace).hasPrefix("//"),
                    let kind = words.firstIndex(where: { Self.kinds.contains($0) }), kind + 1 < words.count
                else { continue }
                let name = words[kind + 1]
                for word in Self.refusedWords where !Self.allowedTypes.contains(String(name)) {
                    #expect(!name.hasSuffix(word), "\(file): \(name) is a \(word)")
                }
            }
        }
    }

    @Test func `nothing is left for later in a comment`() {
        for file in SourceTree.written {
            for (number, line) in file.lines.enumerated()
            where line.contains("TODO") || line.contains("FIXME") {
                let isComment = line.contains(/(?:\/\/|#|\*).*\b(?:TODO|FIXME)\b/)
                #expect(!isComment || file.target == "StructureTests", "\(file):\(number + 1): \(line)")
            }
        }
    }

    @Test func `every lock is one that ThreadSanitizer sees`() {
        for file in SourceTree.sources {
            for (number, line) in file.lines.enumerated() {
                #expect(!line.contains(/\bMutex\b\s*[<(]/), "\(file):\(number + 1): use Guarded: \(line)")
            }
        }
    }
}
