internal import Bytes
internal import Glibc
internal import Loop

/// Names of the trail's files: `audit.jsonl.20260901T100000Z-1` is what `audit.jsonl` was until then.
enum AuditNames {
    /// A name that no file has yet, for the moment `2026-09-01T10:00:00…`; nil when a thousand have it.
    static func rotated(_ path: String, time: String) -> String? {
        let stem = "\(path).\(time.prefix(19).filter { $0 != "-" && $0 != ":" })Z-"
        // Behind the last one: a number that a deleted file had would be before those that are older.
        let last = rotated(of: path).last { $0.hasPrefix(stem) }
        let first = last.flatMap { Int($0.dropFirst(stem.count)) }.map { $0 + 1 } ?? 1
        guard first <= 1_000 else { return nil }
        return (first...1_000).lazy.map { "\(stem)\($0)" }.first { access($0, F_OK) != 0 }
    }

    /// The part behind the last slash.
    static func last(_ path: String) -> String {
        String(path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...])
    }

    /// The part before the last slash.
    static func folder(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Rotated files of a trail in the order of their names, which is that of their times; with their folder.
    static func rotated(of path: String) -> [String] {
        let folder = folder(path)
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var found: [(moment: Substring, number: Int, name: String)] = []
        let prefix = last(path) + "."
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(prefix) else { continue }
            let parts = name.dropFirst(prefix.count).split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].utf8.count == 16, parts[0].hasSuffix("Z"),
                let number = Int(parts[1])
            else { continue }
            found.append((parts[0], number, folder + "/" + name))
        }
        return found.sorted { ($0.moment, $0.number) < ($1.moment, $1.number) }.map(\.name)
    }

    /// Removes rotated files until `kept` are left, the oldest first, and none from the first of `needed` on.
    static func removeOldest(_ path: String, keeping kept: Int, from needed: Set<TrailEnds.Identity> = []) {
        for file in rotated(of: path).dropLast(kept) {
            if let identity = TrailEnds.Identity(named: file), needed.contains(identity) { return }
            _ = RecordFile.remove(file)
        }
    }
}
