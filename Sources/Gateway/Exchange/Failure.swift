internal import Bytes
internal import OpenStack

/// Why an answer was made here, or why there was none: the closed list.
///
/// - Shape: `error` is RFC 9209's word where it has one, and stands in the access line and in the metrics.
enum Failure: UInt8, CaseIterable {
    case none
    case unreadableRequest, headTimeout, contentTimeout, contentTooLarge, tooManyExchanges
    case unauthorized, tooManyBadTokens, identityUnavailable, rateLimited
    case routeUnknown, methodNotAllowed, microversionInvalid, mediaTypeUnsupported
    case contentMalformed, contentInvalid, projectMismatch, projectUnknown, parameterInvalid, ended, forbidden
    case auditUnavailable
    case noEndpoint, connectTimeout, connectFailed, upstreamClosed, responseHeadTimeout, responseInvalid
    case responseIncomplete, responseProgressTimeout, onlyIfCached
    case tlsProtocolError, tlsCertificateError, tlsAlertReceived
    case clientGone, writeTimeout, draining, internalError

    var error: StaticString {
        switch self {
        case .none: "-"
        case .unreadableRequest: "http_request_error"
        case .headTimeout: "request_head_timeout"
        case .contentTimeout: "request_content_timeout"
        case .contentTooLarge: "request_too_large"
        case .tooManyExchanges: "connection_limit_reached"
        case .unauthorized: "unauthorized"
        case .tooManyBadTokens: "too_many_bad_tokens"
        case .identityUnavailable: "identity_unavailable"
        case .rateLimited: "rate_limited"
        case .routeUnknown: "route_unknown"
        case .methodNotAllowed: "method_not_allowed"
        case .microversionInvalid: "microversion_invalid"
        case .mediaTypeUnsupported: "media_type_unsupported"
        case .contentMalformed: "content_malformed"
        case .contentInvalid: "content_invalid"
        case .projectMismatch: "project_mismatch"
        case .projectUnknown: "project_unknown"
        case .parameterInvalid: "parameter_invalid"
        case .ended: "ended"
        case .forbidden: "http_request_denied"
        case .auditUnavailable: "audit_unavailable"
        case .noEndpoint: "destination_unavailable"
        case .connectTimeout: "connection_timeout"
        case .connectFailed: "connection_refused"
        case .upstreamClosed: "connection_terminated"
        case .responseHeadTimeout: "http_response_timeout"
        case .responseInvalid: "http_protocol_error"
        case .responseIncomplete: "http_response_incomplete"
        case .responseProgressTimeout: "connection_read_timeout"
        case .onlyIfCached: "only_if_cached"
        case .tlsProtocolError: "tls_protocol_error"
        case .tlsCertificateError: "tls_certificate_error"
        case .tlsAlertReceived: "tls_alert_received"
        case .clientGone: "client_gone"
        case .writeTimeout: "connection_write_timeout"
        case .draining: "draining"
        case .internalError: "proxy_internal_error"
        }
    }

    /// The status this failure is answered with, and its message; nil where the refusing stage words it itself.
    var answer: (status: Int, message: StaticString)? {
        switch self {
        // Of content that was being passed on; a refused head is worded by its reader.
        case .unreadableRequest: (400, "The request content could not be read.")
        case .headTimeout: (408, "The server timed out waiting for the request head.")
        case .contentTimeout: (408, "The server timed out waiting for the request content.")
        case .contentTooLarge: (413, Messages.contentTooLarge)
        case .tooManyBadTokens: (429, "Too many requests with tokens that are not valid.")
        case .tooManyExchanges, .draining, .auditUnavailable, .noEndpoint, .connectFailed,
            .identityUnavailable:
            (503, "The server is currently unavailable. Please try again at a later time.")
        case .unauthorized: (401, "The request you have made requires authentication.")
        case .routeUnknown, .projectUnknown: (404, "The resource could not be found.")
        case .methodNotAllowed: (405, "The method is not allowed for this resource.")
        case .connectTimeout: (504, "The compute service could not be reached in time.")
        case .responseHeadTimeout, .responseProgressTimeout:
            (504, "The compute service did not answer in time.")
        case .upstreamClosed, .responseInvalid, .responseIncomplete:
            (502, "The compute service gave an answer that could not be used.")
        case .tlsProtocolError, .tlsCertificateError, .tlsAlertReceived:
            (502, "The compute service could not be reached securely.")
        case .onlyIfCached: (504, "No stored response can be used, and the request asks for no other.")
        case .internalError: (500, "Unexpected API Error.")
        default: nil
        }
    }
}

/// An answer made here, until it is written.
///
/// - Shape: for a fault, `status` and either the failure's own message or the worker's `message` buffer, written in the
///   same turn; for a stored response, the object itself; for a list that was translated, its content.
struct Reply {
    enum Kind: UInt8 { case fault, stored, made, empty }
    var kind = Kind.fault
    var status = 0
    /// Seconds for Retry-After; 0 for none.
    var retryAfterSeconds = 0
    /// Index of the matching row of the operation table's Allow values; -1 for none.
    var allowIndex = -1
    var stored: StoredResponse?
    var made: Content?

    mutating func reset() {
        kind = .fault
        status = 0
        retryAfterSeconds = 0
        allowIndex = -1
        // Giving back nothing is a call all the same.
        if stored != nil { stored = nil }
        if made != nil { made = nil }
    }
}
