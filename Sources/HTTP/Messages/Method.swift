import Bytes

/// A request method; names are case-sensitive, and any other token is `other`.
///
/// - Source: RFC 9110 §9, RFC 5789.
public enum Method: UInt8, CaseIterable, Sendable {
    case get, head, post, put, delete, patch, options, trace, connect, other

    /// The name on the wire; empty for `other`, whose name is in the head.
    public var name: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .patch: "PATCH"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .connect: "CONNECT"
        case .other: ""
        }
    }

    /// Tells whether the method only reads (RFC 9110 §9.2.1).
    public var isSafe: Bool { self == .get || self == .head || self == .options || self == .trace }

    /// Tells whether the request may be sent again after a lost connection (RFC 9110 §9.2.2).
    public var isIdempotent: Bool { isSafe || self == .put || self == .delete }

    /// Finds a method by its exact name.
    public static func find(_ name: ByteView) -> Method {
        let candidate: Method
        switch name.count {
        case 3: candidate = name[0] == UInt8(ascii: "G") ? .get : .put
        case 4: candidate = name[0] == UInt8(ascii: "P") ? .post : .head
        case 5: candidate = name[0] == UInt8(ascii: "P") ? .patch : .trace
        case 6: candidate = .delete
        case 7: candidate = name[0] == UInt8(ascii: "O") ? .options : .connect
        default: return .other
        }
        return name.equals(candidate.name) ? candidate : .other
    }
}

/// A version of the protocol that Gatehouse speaks.
public enum HTTPVersion: UInt8, Sendable {
    case http10, http11, http2
}
