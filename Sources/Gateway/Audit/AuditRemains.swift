internal import Bytes
internal import COpenSSL
internal import OpenStack

/// What stands at the end of a trail that is opened: its last whole line, and what is none behind it.
///
/// - Limits: 5 MiB are looked at, more than the longest line.
struct AuditRemains {
    static let maxByteCount = 5 << 20
    static let maxFragmentCount = 1_000

    /// A line that was begun and is none: cut off by a crash or a full disk.
    struct Fragment {
        let offset: UInt64
        let byteCount: Int
        let digest: InlineArray<32, UInt8>
    }

    /// Of the last whole line; zeros in a new trail.
    private(set) var lastDigest: InlineArray<32, UInt8> = .init(repeating: 0)
    /// Its writer; empty in a new trail.
    private(set) var lastWriter: [UInt8] = []
    /// Those that no line marks, in the order of the file: behind the last whole line, or among the first lines of a process
    /// that ended before it had marked all that it found.
    private(set) var fragments: [Fragment] = []
    /// It is an empty file, or one with lines of a trail at its end; false for other files, which are left alone.
    private(set) var isTrail = true
    /// The end is no line feed, whether a line or a fragment stands before it.
    let lacksLineFeed: Bool

    /// - Parameter byteCount: of the whole file, of which `end` is the end.
    init(_ end: [UInt8], byteCount: UInt64) {
        var isFound = false
        var markedOffsets: Set<UInt64> = []
        lacksLineFeed = end.last.map { $0 != 0x0A } ?? false
        var behind = lacksLineFeed ? end.count : max(0, end.count - 1)
        while behind > 0 {
            let start = end[..<behind].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            let line = end[start..<behind]
            let offset = byteCount - UInt64(end.count) + UInt64(start)
            if Self.isLine(line) {
                if !isFound {
                    isFound = true
                    lastDigest = Self.digest(line)
                    lastWriter = Array(line.dropFirst(11).prefix(16))
                }
                guard Self.isOpening(line, &markedOffsets) else { break }
            } else if !line.isEmpty, !markedOffsets.contains(offset) {
                fragments.append(Fragment(offset: offset, byteCount: line.count, digest: Self.digest(line)))
            }
            guard start > 0, fragments.count <= Self.maxFragmentCount else { break }
            behind = start - 1
        }
        fragments.reverse()
        // A first line that was cut short is all that a trail may have of its own.
        isTrail = isFound || fragments.count <= 1 && Self.mayBegin(end)
    }

    /// The wall seconds that a file's first line tells, or 0.
    static func beginning(_ bytes: [UInt8]) -> Int64 {
        let text = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        guard let place = text.range(of: "\"time\":\"") else { return 0 }
        return UTCTime.seconds((text[place.upperBound...].prefix(19) + "Z").utf8) ?? 0
    }

    /// The same for a file without a whole line, which follows another one.
    func following(_ before: AuditRemains) -> AuditRemains {
        var found = self
        found.lastDigest = before.lastDigest
        found.lastWriter = before.lastWriter
        return found
    }

    /// Whether a file's bytes, of which there are few, could be the beginning of a trail's first line.
    private static func mayBegin(_ bytes: [UInt8]) -> Bool {
        let beginning = Array("{\"writer\":\"".utf8)
        return bytes.prefix(beginning.count).elementsEqual(beginning.prefix(bytes.count))
    }

    /// One JSON object that begins as the lines of a trail do.
    private static func isLine(_ line: ArraySlice<UInt8>) -> Bool {
        let name = line.dropFirst(11).prefix(16)
        return line.starts(with: Array("{\"writer\":\"".utf8)) && name.count == 16
            && name.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }
            && line.withUnsafeBufferPointer { JSONScanner.scan($0) != nil }
    }

    /// Whether it is of what a process writes first: a start, or a repair, whose offset is noted.
    private static func isOpening(_ line: ArraySlice<UInt8>, _ markedOffsets: inout Set<UInt64>) -> Bool {
        line.withUnsafeBufferPointer { bytes in
            guard let line = TrailLine(bytes), line.kind == .start || line.kind == .repair else {
                return false
            }
            if line.kind == .repair, let offset = TrailControl(line.content).offset {
                markedOffsets.insert(offset)
            }
            return true
        }
    }

    private static func digest(_ bytes: ArraySlice<UInt8>) -> InlineArray<32, UInt8> {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        bytes.withUnsafeBufferPointer { bytes in
            withUnsafeMutableBytes(of: &digest) {
                COpenSSL_sha256_plain(
                    bytes.baseAddress, bytes.count, $0.bindMemory(to: UInt8.self).baseAddress)
            }
        }
        return digest
    }
}
