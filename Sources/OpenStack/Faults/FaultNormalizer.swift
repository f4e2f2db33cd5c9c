public import Bytes

/// Brings what an upstream, or something before it, says about an error into the one form of Nova's faults.
///
/// - Source: facts §1.4, the ten shapes; Nova's own shape passes byte for byte.
public enum FaultNormalizer {
    public enum Outcome: Equatable, Sendable {
        /// The content is already Nova's form, or no error: send it as it came.
        case unchanged
        /// The output holds the content to send instead, `application/json; charset=UTF-8`.
        case replaced
    }

    /// Most bytes of a message that are taken over.
    static var messageByteCount: Int { 2048 }

    /// Decides about the content of a response and, where it is not Nova's, appends the fault that takes its place.
    ///
    /// - Shape: `content` is the whole content, or its beginning where it was too long to collect; `hasRequestID` tells
    ///   whether the response carries Nova's request id, without which no free text in it is believed.
    /// - Limits: `output` needs 16 KiB of room; allocates one small block.
    /// - Errors: none. The status is kept. Of a 5xx nothing is taken over, whatever the shape, but Nova's own fault.
    public static func normalize(
        status: Int, contentType: ByteView, hasRequestID: Bool, content: ByteView,
        retryAfterSeconds: Int? = nil,
        into output: inout Buffer
    ) -> Outcome {
        guard status >= 400 else { return .unchanged }
        if isNovaFault(content) { return .unchanged }
        var message = Buffer(capacity: messageByteCount)
        if status < 500 {
            let found = readJSON(content, depth: 0, into: &message)
            if !found, hasRequestID { readText(content, contentType, into: &message) }
        }
        trim(&message)
        if message.isEmpty {
            Fault.append(
                status: status, message: standard(status, retryAfterSeconds),
                retryAfterSeconds: retryAfterSeconds,
                to: &output)
        } else {
            Fault.append(
                status: status, message: message.readable, retryAfterSeconds: retryAfterSeconds, to: &output)
        }
        return .replaced
    }

    private static func standard(_ status: Int, _ retryAfterSeconds: Int?) -> StaticString {
        // 413 with Retry-After is a limit, without it the content was too large.
        status == 413 && retryAfterSeconds != nil
            ? Messages.rateLimited : Messages.standard(forStatus: status)
    }

    /// Shape 1: an object of one member, itself an object with a number `code` and a text `message`.
    private static func isNovaFault(_ content: ByteView) -> Bool {
        guard let summary = JSONScanner.scan(content), summary.kind == .object, summary.memberCount == 1
        else {
            return false
        }
        let key = content.view(summary.key)
        guard !key.equals("error"), !key.equals("errors") else { return false }
        let fault = content.view(summary.value)
        guard let first = fault.first, first == 0x7B, let code = JSONScanner.member("code", of: fault),
            let message = JSONScanner.member("message", of: fault)
        else { return false }
        return ASCII.isDigit(fault[code.lower]) && fault[message.lower] == 0x22
    }

    /// Shapes 2, 3, 7 and 8; false when the content is no JSON.
    private static func readJSON(_ content: ByteView, depth: Int, into message: inout Buffer) -> Bool {
        guard let summary = JSONScanner.scan(content) else { return false }
        if summary.kind == .string, depth == 0 {
            // Some limiters answer with JSON inside a JSON string.
            var inner = Buffer(capacity: content.count)
            JSONScanner.appendUnescaped(inside(content.view(summary.value)), to: &inner)
            if !readJSON(inner.readable, depth: 1, into: &message) {
                appendPlain(inner.readable, to: &message)
            }
            return true
        }
        guard summary.kind == .object else { return true }
        if let error = JSONScanner.member("error", of: content) {
            readMember("message", of: content.view(error), orText: true, into: &message)
        } else if let errors = JSONScanner.member("errors", of: content) {
            let list = content.view(errors)
            guard list[0] == 0x5B, let first = JSONScanner.firstElement(of: list) else { return true }
            let error = list.view(first)
            readMember("detail", of: error, orText: true, into: &message)
            if message.isEmpty { readMember("title", of: error, orText: false, into: &message) }
        } else {
            readMember("message", of: content, orText: false, into: &message)
        }
        return true
    }

    /// Appends a text member of an object, or with `orText` the value itself when it is a text.
    private static func readMember(
        _ name: StaticString, of value: ByteView, orText: Bool, into message: inout Buffer
    ) {
        var text = value
        if value[0] == 0x7B {
            guard let range = JSONScanner.member(name, of: value) else { return }
            text = value.view(range)
        } else if !orText {
            return
        }
        guard text[0] == 0x22 else { return }
        var unescaped = Buffer(capacity: text.count)
        JSONScanner.appendUnescaped(inside(text), to: &unescaped)
        appendPlain(unescaped.readable, to: &message)
    }

    private static func inside(_ string: ByteView) -> ByteView { string.view(1, string.count - 2) }

    /// Shapes 4 and 5: WebOb's page and its plain text.
    private static func readText(_ content: ByteView, _ contentType: ByteView, into message: inout Buffer) {
        let text = PythonText.stripped(content)
        guard let first = text.first else { return }
        if first == 0x3C || PlainText.contains(contentType, "html") {
            PlainText.appendPage(text, to: &message)
        } else if contentType.isEmpty || PlainText.contains(contentType, "text/plain") {
            // The first line repeats status and phrase.
            var start = 0
            if ASCII.isDigit(first) {
                while start < text.count, text[start] != 0x0A { start += 1 }
            }
            appendPlain(text.view(start, text.count - start), to: &message)
        }
    }

    private static func appendPlain(_ text: ByteView, to message: inout Buffer) {
        PlainText.append(text, decodingEntities: false, to: &message)
    }

    /// Drops spaces at the end.
    private static func trim(_ message: inout Buffer) {
        while message.count > 0, message.readable[message.count - 1] == 0x20 { message.end -= 1 }
    }
}
