/// A refusal by Nova, in one of the forms that its layers give.
///
/// - Source: facts measured on a running Nova: its own faults, keystonemiddleware's 401, and WebOb's pages
///   for routes
///   and sizes, which follow `Accept`.
enum NovaFault: Error, Equatable {
    case nova(Int, String)
    case unauthorized
    case webob(Int, String)

    static func badRequest(_ message: String) -> NovaFault { .nova(400, message) }
    static func notFound(_ message: String) -> NovaFault { .nova(404, message) }
    static func conflict(_ message: String) -> NovaFault { .nova(409, message) }
    static let noRoute = NovaFault.webob(404, "The resource could not be found.")
    static let notAtThisVersion = NovaFault.nova(404, "The resource could not be found.")
    static let gone = NovaFault.nova(
        410, "This resource is no longer available. No forwarding address is given.")

    static func forbidden(_ policy: String) -> NovaFault {
        .nova(403, "Policy doesn't allow os_compute_api:\(policy) to be performed.")
    }

    /// The status that the fault answers with.
    var status: Int {
        switch self {
        case .nova(let status, _), .webob(let status, _): status
        case .unauthorized: 401
        }
    }

    /// The name of the one member of a Nova fault body.
    static func name(_ status: Int) -> String {
        switch status {
        case 400: "badRequest"
        case 401: "unauthorized"
        case 403: "forbidden"
        case 404: "itemNotFound"
        case 405: "badMethod"
        case 409: "conflictingRequest"
        case 413, 429: "overLimit"
        case 415: "badMediaType"
        case 501: "notImplemented"
        case 503: "serviceUnavailable"
        default: "computeFault"
        }
    }

    static func novaContent(_ status: Int, _ message: String) -> [UInt8] {
        JSONWriter.object { writer in
            writer.member(name(status)) { fault in
                fault.member("code", status)
                fault.member("message", message)
            }
        }
    }

    static let unauthorizedContent = JSONWriter.object { writer in
        writer.member("error") { error in
            error.member("code", 401)
            error.member("title", "Unauthorized")
            error.member("message", "The request you have made requires authentication.")
        }
    }

    /// WebOb's page in the form that `accept` asks for, with its content type.
    static func webobContent(_ status: Int, _ text: String, accept: String?) -> (
        type: String, content: [UInt8]
    ) {
        let title =
            status == 413 ? "Request Entity Too Large" : status == 404 ? "Not Found" : Phrases.phrase(status)
        let accept = accept?.lowercased() ?? ""
        if accept.contains("text/html") || accept.contains("*/*") || accept.contains("text/*") {
            let page = """
                <html>
                 <head>
                  <title>\(status) \(title)</title>
                 </head>
                 <body>
                  <h1>\(status) \(title)</h1>
                  \(text)<br /><br />



                 </body>
                </html>
                """
            return ("text/html; charset=UTF-8", Array(page.utf8))
        }
        if accept.contains("application/json") || accept.contains("application/*") {
            let content = JSONWriter.object { writer in
                writer.member("message", text + "<br /><br />\n\n\n")
                writer.member("code", "\(status) \(title)")
                writer.member("title", title)
            }
            return ("application/json", content)
        }
        return ("text/plain; charset=UTF-8", Array("\(status) \(title)\n\n\(text)\n\n   ".utf8))
    }
}

/// Reason phrases of the statuses that the simulator gives.
enum Phrases {
    static func phrase(_ status: Int) -> String {
        switch status {
        case 100: "Continue"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 300: "Multiple Choices"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 413: "Request Entity Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Unknown"
        }
    }
}
