internal import Bytes
internal import Glibc
internal import Loop
internal import OpenStack

/// How far a sink's receiver has the trail: a place in one of its files, behind a line.
///
/// - Shape: files are known by their first line, since they get other names, and may be copied.
struct SinkCursor: Equatable {
    /// SHA-256 of the file's first line, without its line feed.
    var file: TrailDigest
    /// Behind the line feed of the last line that was settled; 0 before there is one in this file.
    var offset: UInt64 = 0
    /// Bytes of that line, without its line feed, and its SHA-256.
    var lineByteCount: UInt64 = 0
    var line = TrailDigest.none
    /// Of that line; for people.
    var writer: UInt64 = 0
    var sequence: UInt64 = 0

    init(file: TrailDigest) { self.file = file }

    // MARK: - The file

    /// More than a cursor ever has.
    private static let maxByteCount = 4_096

    /// `cursor.<sink>.<name of the trail>` in the trail's folder.
    static func path(of sink: String, trail: String) -> String {
        let folder = AuditNames.folder(trail)
        return "\(folder == "/" ? "" : folder)/cursor.\(sink).\(AuditNames.last(trail))"
    }

    /// Reads a cursor; nil when there is no file.
    ///
    /// - Errors: it cannot be read, or is none.
    static func read(_ path: String) throws(SinkFailure) -> SinkCursor? {
        guard access(path, F_OK) == 0 || errno != ENOENT else { return nil }
        switch FileContent.read(path, limit: maxByteCount + 1) {
        case .failure(let failure): throw SinkFailure("\(path): \(failure.reason)")
        case .success(let bytes):
            guard let cursor = bytes.withUnsafeBufferPointer({ SinkCursor($0) }) else {
                throw SinkFailure("\(path): it is not a cursor")
            }
            return cursor
        }
    }

    /// Puts the cursor in the place of the one before, all of it or nothing.
    ///
    /// - Parameter mode: of the file, when it is made.
    /// - Errors: the errno value, 0 for none.
    func write(_ path: String, mode: UInt16, trailName: String) -> Int32 {
        var text = Buffer(capacity: Self.maxByteCount)
        append(to: &text, trailName: trailName)
        let fresh = path + ".new"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode_t(mode))
        guard descriptor >= 0 else { return errno }
        var code: Int32 = 0
        let count = Glibc.write(descriptor, text.readable.baseAddress, text.count)
        if count != text.count { code = count < 0 ? errno : ENOSPC }
        if code == 0, fdatasync(descriptor) != 0 { code = errno }
        close(descriptor)
        if code == 0, rename(fresh, path) != 0 { code = errno }
        if code != 0 { unlink(fresh) }
        return code
    }

    // MARK: - Text

    private func append(to text: inout Buffer, trailName: String) {
        text.append("{\"trail\":\"")
        let name = Content(text: String(trailName.unicodeScalars.prefix(128)))
        text.appendJSONEscaped(name.bytes)
        text.append("\",\"file\":\"\(file.text)\",\"offset\":")
        text.appendDecimal(offset)
        text.append(",\"byteCount\":")
        text.appendDecimal(lineByteCount)
        text.append(
            ",\"line\":\"\(line.text)\",\"writer\":\"\(TrailHexadecimal.text(writer))\",\"sequence\":")
        text.appendDecimal(sequence)
        text.append("}\n")
    }

    /// Reads all of `text`: one JSON object and a line feed; nil when a member is missing or has another form.
    init?(_ text: ByteView) {
        guard text.last == 0x0A else { return nil }
        var file: TrailDigest?
        var line: TrailDigest?
        var numbers: [UInt64?] = [nil, nil, nil]
        var writer: UInt64?
        let isWhole = JSONScanner.forEachMember(of: text.view(0, text.count - 1)) { key, value in
            let inside = value.count >= 2 && value[0] == 0x22 ? value.view(1, value.count - 2) : nil
            switch key {
            case _ where key.equals("file"): file = inside.flatMap(TrailDigest.init)
            case _ where key.equals("offset"): numbers[0] = Decimal.read(value)
            case _ where key.equals("byteCount"): numbers[1] = Decimal.read(value)
            case _ where key.equals("line"): line = inside.flatMap(TrailDigest.init)
            case _ where key.equals("writer"): writer = inside.flatMap(TrailHexadecimal.read)
            case _ where key.equals("sequence"): numbers[2] = Decimal.read(value)
            default: break
            }
        }
        guard isWhole, let file, let line, let writer, let offset = numbers[0],
            let lineByteCount = numbers[1], let sequence = numbers[2],
            // So that sums of them never overflow.
            offset < 1 << 62, lineByteCount < 1 << 30
        else { return nil }
        self.init(file: file)
        self.offset = offset
        self.lineByteCount = lineByteCount
        self.line = line
        self.writer = writer
        self.sequence = sequence
    }
}
