public import Bytes

/// Nova's messages, word by word; each appends raw UTF-8, to be escaped by `Fault.append`.
///
/// - Source: facts §2.1, §2.3, §3.1, measured on a real Nova.
public enum Messages {
    /// 400, when the path's project is not the token's; pass the path's segment decoded.
    ///
    /// - Shape: an empty `token` is a token scoped to no project, which Nova shows as `None`.
    public static func appendProjectMismatch(path: ByteView, token: ByteView, to message: inout Buffer) {
        message.append("Malformed request URL: URL's project_id '")
        message.append(path)
        message.append("' doesn't match Context's project_id '")
        if token.isEmpty { message.append("None") } else { message.append(token) }
        message.append("'")
    }

    /// 400, for a version that is not of the form `MajorNum.MinorNum`.
    public static func appendMalformedVersion(_ asked: ByteView, to message: inout Buffer) {
        message.append("API Version String ")
        message.append(asked)
        message.append(" is of invalid format. Must be of format MajorNum.MinorNum.")
    }

    /// 406, for a version outside what the upstream has.
    public static func appendVersionOutOfRange(
        _ asked: ByteView, minimum: Microversion, maximum: Microversion, to message: inout Buffer
    ) {
        message.append("Version ")
        message.append(asked)
        message.append(" is not supported by the API. Minimum is ")
        minimum.append(to: &message)
        message.append(" and maximum is ")
        maximum.append(to: &message)
        message.append(".")
    }

    /// 400, for a key of an action body that names no action.
    public static func appendUnknownAction(_ name: ByteView, to message: inout Buffer) {
        message.append("There is no such action: ")
        message.append(name)
    }

    /// 404, when no route fits.
    public static var notFound: StaticString { "The resource could not be found." }
    /// 405; Nova itself answers 404.
    public static var methodNotAllowed: StaticString { "The method is not allowed for this resource." }
    /// 415.
    public static var unsupportedContentType: StaticString { "Unsupported Content-Type" }
    /// 400, for content that is no JSON, and for an action body without exactly one key.
    public static var malformedContent: StaticString { "Malformed request body" }
    /// 400, before every other check of a query.
    public static var queryNotUTF8: StaticString { "Query string is not UTF-8 encoded" }
    /// 403, for `status=deleted` of a member.
    public static var deletedListingForbidden: StaticString {
        "Only administrators may list deleted instances"
    }
    /// 413, for content longer than the API takes; Nova's words to the letter, with the `%s` that nobody fills in.
    public static var contentTooLarge: StaticString {
        "Request is too large. Larger than max_request_body_size (%s)."
    }
    /// 413 or 429, by a limit.
    public static var rateLimited: StaticString { "This request was rate-limited." }

    /// What WebOb says for a status when nobody said anything else.
    public static func standard(forStatus status: Int) -> StaticString {
        switch status {
        case 400:
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        case 401: "The request you have made requires authentication."
        case 403: "Access was denied to this resource."
        case 404: notFound
        case 405: methodNotAllowed
        case 406: "The resource could not be generated that was acceptable to your browser."
        case 408: "The server has waited too long for the request to be sent by the client."
        case 409: "There was a conflict when trying to complete your request."
        case 410: "This resource is no longer available. No forwarding address is given."
        case 411: "Content-Length header required."
        case 412: "Request precondition failed."
        case 413: contentTooLarge
        case 414: "The request URI was too long for this server."
        case 415: unsupportedContentType
        case 417: "Expectation failed."
        case 429: rateLimited
        case 431: "The request's fields are too large for this server."
        case 500: "The server has either erred or is incapable of performing the requested operation."
        case 501: "The request method is not implemented for this server."
        case 502: "Bad gateway."
        case 503: "The server is currently unavailable. Please try again at a later time."
        case 504: "The gateway has timed out."
        case 505: "The HTTP version is not supported."
        case 400..<500: "The request could not be processed."
        default: "The server is unable to answer the request."
        }
    }
}
