internal import Bytes
internal import COpenSSL
internal import HTTP

/// Bytes that never change once made, shared by both loops and freed by the last reader.
final class Content: @unchecked Sendable {
    // Unchecked: the pointer is written in `init` alone and freed in `deinit` alone.
    private let base: UnsafeMutablePointer<UInt8>
    let count: Int

    init(_ bytes: ByteView) {
        base = .allocate(capacity: max(1, bytes.count))
        count = bytes.count
        if let source = bytes.baseAddress { base.update(from: source, count: bytes.count) }
    }

    deinit { base.deallocate() }

    /// Lends the bytes; valid while the object is held.
    var bytes: ByteView { ByteView(start: base, count: count) }
}

/// A content with its strong validator and its coded forms, each made once.
///
/// - Shape: `tag` is the entity tag with its quotes, from SHA-256 of the identity form; a coded form's tag has the
///   coding's name before the closing quote, since a strong tag names one sequence of bytes (RFC 9110 §8.8.3).
final class Representation: Sendable {
    /// Contents under this size are not worth a coding: the saved packet is none.
    static let codingThreshold = 1_024
    /// Above this size the coding is made beside the loop (more than 1 ms of work); until then identity is sent.
    static let inlineCodingThreshold = 48 * 1_024

    private enum Form: Sendable {
        case absent, beingMade, refused
        case made(Content)
    }

    let content: Content
    let tag: Content
    private let forms: Guarded<(gzip: Form, deflate: Form)>

    /// Takes the bytes in; a representation of the same bytes gives its content and its coded forms on.
    init(_ bytes: ByteView, reusing old: Representation?) {
        tag = Self.tag(of: bytes)
        if let old, old.tag.bytes.equals(tag.bytes) {
            content = old.content
            let known = old.forms.withLock { $0 }
            forms = Guarded((Self.settled(known.gzip), Self.settled(known.deflate)))
        } else {
            content = Content(bytes)
            forms = Guarded((.absent, .absent))
        }
    }

    /// A form that is being made goes to its own representation only.
    private static func settled(_ form: Form) -> Form {
        if case .beingMade = form { return .absent }
        return form
    }

    /// The content in `coding` if it exists or can be made at once; otherwise nil, and it is being made.
    func form(_ coding: ContentCoding) -> Content? {
        guard coding != .identity else { return content }
        guard content.count >= Self.codingThreshold else { return nil }
        let found: Form = forms.withLock { forms in
            let current = coding == .gzip ? forms.gzip : forms.deflate
            if case .absent = current {
                if coding == .gzip { forms.gzip = .beingMade } else { forms.deflate = .beingMade }
            }
            return current
        }
        switch found {
        case .made(let coded): return coded
        case .beingMade, .refused: return nil
        case .absent:
            if content.count <= Self.inlineCodingThreshold { return make(coding) }
            SideQueue.run { [self] in _ = make(coding) }
            return nil
        }
    }

    private func make(_ coding: ContentCoding) -> Content? {
        let coded = ContentCoder.encode(content.bytes, as: coding, level: 5)
            .flatMap { $0.count < content.count ? $0.withUnsafeBufferPointer { Content($0) } : nil }
        forms.withLock { forms in
            let form = coded.map { Form.made($0) } ?? .refused
            if coding == .gzip { forms.gzip = form } else { forms.deflate = form }
        }
        return coded
    }

    private static func tag(of bytes: ByteView) -> Content {
        var digest: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let made = withUnsafeMutableBytes(of: &digest) {
            COpenSSL_sha256(bytes.baseAddress, bytes.count, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        precondition(made == 1, "SHA-256 is part of every OpenSSL")
        var text = Buffer(capacity: 40)
        text.append(0x22)
        // 128 bits of the digest are enough to tell apart what one resource ever held.
        text.appendHexadecimal(digest.0.bigEndian, width: 16)
        text.appendHexadecimal(digest.1.bigEndian, width: 16)
        text.append(0x22)
        return Content(text.readable)
    }
}

/// A response of the upstream as the list cache keeps it (RFC 9111 §3).
///
/// - Shape: `fields` are the end-to-end field lines ready to send, each with CRLF, without those this house writes itself
///   (framing, Date, request ids, Via, validators, Age). Times are monotonic nanoseconds.
final class StoredResponse: Sendable {
    let status: Int
    /// What stays the same of the answers' heads, as it goes out.
    let head: StoredHead
    let representation: Representation
    /// Its content as it is, and its tag.
    let content: Content
    let tag: Content
    /// When the request that brought it was sent: ages count from there, the careful side (RFC 9111 §4.2.3).
    let requestedAt: UInt64
    let freshUntil: UInt64
    let staleUntil: UInt64
    let errorUntil: UInt64
    /// Whether the store may keep it; what is only handed to those who waited is no stored response.
    let isStorable: Bool
    /// Some cell did not answer, and its servers are named without their state: true for now, but never kept.
    let isPartial: Bool
    private let fieldsByteCount: Int

    init(
        status: Int, fields: Content, representation: Representation, requestedAt: UInt64, freshUntil: UInt64,
        staleUntil: UInt64, errorUntil: UInt64, isStorable: Bool, isPartial: Bool
    ) {
        self.status = status
        self.representation = representation
        content = representation.content
        tag = representation.tag
        self.requestedAt = requestedAt
        self.freshUntil = freshUntil
        self.staleUntil = staleUntil
        self.errorUntil = errorUntil
        self.isStorable = isStorable && !isPartial
        self.isPartial = isPartial
        fieldsByteCount = fields.count
        head = StoredHead(
            status: status, fields: fields.bytes,
            tag: isStorable || isPartial ? representation.tag.bytes : nil,
            contentByteCount: representation.content.count)
    }

    /// It may be sent in a coding and be asked for by its validator; what may not be kept passes as it came.
    var isCodable: Bool { isStorable || isPartial }

    /// Bytes it is charged with in the cache: content, fields and a flat share for coded forms and book-keeping.
    var byteCount: Int {
        representation.content.count + representation.content.count / 4 + fieldsByteCount + 512
    }
}

/// The lines of a stored response's head that do not change, in one piece: status line, fields, validator and `Vary` where
/// it has one, `Content-Length`.
///
/// - Ownership: lent by the stored response that it is part of; the views are valid while that is held.
struct StoredHead: ~Copyable, Sendable {
    private let lines: Content
    private let fieldsStart: Int
    private let fieldsEnd: Int
    private let lengthStart: Int

    init(status: Int, fields: ByteView, tag: ByteView?, contentByteCount: Int) {
        var lines = Buffer(capacity: fields.count + 256)
        lines.appendStatusLine(status)
        fieldsStart = lines.count
        lines.append(fields)
        fieldsEnd = lines.count
        if let tag {
            lines.append("ETag: ")
            lines.append(tag)
            lines.append("\r\nVary: Accept-Encoding\r\n")
        }
        lengthStart = lines.count
        lines.appendContentLength(UInt64(contentByteCount))
        precondition(!lines.hasOverflowed, "a tag is 34 bytes")
        self.lines = Content(lines.readable)
    }

    /// All of it: the head of the content as it is.
    var whole: ByteView { lines.bytes }

    /// Behind the status line and before the length: what a 304 has, too (RFC 9110 §15.4.5).
    var unchanged: ByteView { lines.bytes.view(fieldsStart, lengthStart - fieldsStart) }

    /// Status line and fields: what the head of a coded form begins with.
    var coded: ByteView { lines.bytes.view(0, fieldsEnd) }

    /// The fields alone.
    var fields: ByteView { lines.bytes.view(fieldsStart, fieldsEnd - fieldsStart) }
}
