public import Bytes

/// The name under which a fault stands in its body.
///
/// - Source: Nova's `Fault`; every status without a name of its own is `computeFault`.
public enum FaultName: UInt8, CaseIterable, Sendable {
    case badRequest, unauthorized, forbidden, itemNotFound, badMethod, conflictingRequest, overLimit,
        badMediaType
    case notImplemented, serviceUnavailable, computeFault

    /// The name for a status.
    public static func name(forStatus status: Int) -> FaultName {
        switch status {
        case 400: .badRequest
        case 401: .unauthorized
        case 403: .forbidden
        case 404: .itemNotFound
        case 405: .badMethod
        case 409: .conflictingRequest
        case 413, 429: .overLimit
        case 415: .badMediaType
        case 501: .notImplemented
        case 503: .serviceUnavailable
        default: .computeFault
        }
    }

    /// The name on the wire.
    public var wire: StaticString {
        switch self {
        case .badRequest: "badRequest"
        case .unauthorized: "unauthorized"
        case .forbidden: "forbidden"
        case .itemNotFound: "itemNotFound"
        case .badMethod: "badMethod"
        case .conflictingRequest: "conflictingRequest"
        case .overLimit: "overLimit"
        case .badMediaType: "badMediaType"
        case .notImplemented: "notImplemented"
        case .serviceUnavailable: "serviceUnavailable"
        case .computeFault: "computeFault"
        }
    }
}

/// Writes the error bodies that Nova and its token middleware write.
public enum Fault {
    /// Appends `{"badRequest": {"code": 400, "message": "…"}}`, spaced as Nova spaces it.
    ///
    /// - Shape: `message` and `details` are UTF-8 as a reader sees it; escaping is done here. Empty details are left out.
    ///   `retryAfterSeconds` is written for 413 and 429 only, as a string.
    /// - Source: Nova's `Fault`; facts §1.3, §3.1 form 1.
    public static func append(
        status: Int, message: ByteView, details: ByteView = ByteView(start: nil, count: 0),
        retryAfterSeconds: Int? = nil, to buffer: inout Buffer
    ) {
        buffer.append("{\"")
        buffer.append(FaultName.name(forStatus: status).wire)
        buffer.append("\": {\"code\": ")
        buffer.appendDecimal(status)
        buffer.append(", \"message\": \"")
        buffer.appendJSONEscaped(message)
        buffer.append("\"")
        if !details.isEmpty {
            buffer.append(", \"details\": \"")
            buffer.appendJSONEscaped(details)
            buffer.append("\"")
        }
        if let retryAfterSeconds, status == 413 || status == 429 {
            buffer.append(", \"retryAfter\": \"")
            buffer.appendDecimal(retryAfterSeconds)
            buffer.append("\"")
        }
        buffer.append("}}")
    }

    /// The same with a fixed message.
    public static func append(
        status: Int, message: StaticString, retryAfterSeconds: Int? = nil, to buffer: inout Buffer
    ) {
        let view = ByteView(start: message.utf8Start, count: message.utf8CodeUnitCount)
        append(status: status, message: view, retryAfterSeconds: retryAfterSeconds, to: &buffer)
    }
}
