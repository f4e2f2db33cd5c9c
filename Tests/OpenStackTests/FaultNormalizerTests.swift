import Bytes
import Testing

@testable import OpenStack

/// One upstream answer and what a client must see.
struct UpstreamError: CustomTestStringConvertible, Sendable {
    var shape: String
    var status: Int
    var type: String
    var hasID = true
    var content: String
    var retryAfter: Int?
    /// Nil: passed as it came.
    var expected: String?

    var testDescription: String { shape }
}

private let notFoundPage = """
    <html>
     <head>
      <title>404 Not Found</title>
     </head>
     <body>
      <h1>404 Not Found</h1>
      The resource could not be found.<br /><br />



     </body>
    </html>
    """

private let notFound = #"{"itemNotFound": {"code": 404, "message": "The resource could not be found."}}"#

@Suite struct `Upstream errors` {
    static let rows: [UpstreamError] = [
        UpstreamError(
            shape: "1: Nova's fault", status: 404, type: "application/json; charset=UTF-8",
            content: #"{"itemNotFound": {"code": 404, "message": "Instance x could not be found."}}"#,
            expected: nil),
        UpstreamError(
            shape: "1: an older name", status: 503, type: "application/json",
            content: #"{"serverCapacityUnavailable": {"message": "m", "code": 503}}"#, expected: nil),
        UpstreamError(
            shape: "1: a 500 of Nova's own", status: 500, type: "application/json; charset=UTF-8",
            content:
                #"{"computeFault": {"code": 500, "message": "Unexpected API Error.\n<class 'TypeError'>"}}"#,
            expected: nil),
        UpstreamError(
            shape: "2: token middleware", status: 401, type: "application/json",
            content:
                #"{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}"#,
            expected:
                #"{"unauthorized": {"code": 401, "message": "The request you have made requires authentication."}}"#
        ),
        UpstreamError(
            shape: "3: WebOb JSON", status: 404, type: "application/json",
            content:
                #"{"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found", "title": "Not Found"}"#,
            expected: notFound),
        UpstreamError(
            shape: "4: WebOb page", status: 404, type: "text/html", content: notFoundPage, expected: notFound),
        UpstreamError(
            shape: "4: a page with a script and an escaped tag", status: 400,
            type: "text/html; charset=UTF-8",
            content:
                "<html><body><h1>400 Bad Request</h1><script>x</script>&lt;b&gt; is <b>bad</b> &amp; odd</body></html>",
            expected: #"{"badRequest": {"code": 400, "message": "<b> is bad & odd"}}"#),
        UpstreamError(
            shape: "5: WebOb plain text", status: 404, type: "text/plain",
            content: "404 Not Found\n\nThe resource could not be found.\n\n   ", expected: notFound),
        UpstreamError(
            shape: "6: too large", status: 413, type: "application/json",
            content:
                #"{"message": "Request is too large. Larger than max_request_body_size (%s).<br /><br />\n\n\n", "code": "413 Request Entity Too Large", "title": "Request Entity Too Large"}"#,
            expected:
                #"{"overLimit": {"code": 413, "message": "Request is too large. Larger than max_request_body_size (%s)."}}"#
        ),
        UpstreamError(
            shape: "6: Keystone away", status: 503, type: "text/plain",
            content: "503 Service Unavailable\n\nKeystone at http://10.0.0.5:5000 is away",
            expected:
                #"{"serviceUnavailable": {"code": 503, "message": "The server is currently unavailable. Please try again at a later time."}}"#
        ),
        UpstreamError(
            shape: "7: placement", status: 409, type: "application/json", hasID: false,
            content:
                #"{"errors": [{"status": 409, "request_id": "req-1", "code": "placement.x", "title": "Conflict", "detail": "There was a conflict.\n\n no\n  "}]}"#,
            expected: #"{"conflictingRequest": {"code": 409, "message": "There was a conflict. no"}}"#),
        UpstreamError(
            shape: "7: without detail", status: 404, type: "application/json", hasID: false,
            content: #"{"errors": [{"title": "Not here"}]}"#,
            expected: #"{"itemNotFound": {"code": 404, "message": "Not here"}}"#),
        UpstreamError(
            shape: "8: a limiter", status: 429, type: "application/json", hasID: false,
            content: #"{"error": {"status": "429 Too Many Requests", "message": "Too Many Requests"}}"#,
            retryAfter: 9,
            expected: #"{"overLimit": {"code": 429, "message": "Too Many Requests", "retryAfter": "9"}}"#),
        UpstreamError(
            shape: "8: a limiter that sends JSON in a string", status: 429, type: "application/json",
            hasID: false,
            content:
                #""{\"error\": {\"status\": \"429 Too Many Requests\", \"message\": \"Too Many \\\"Requests\\\"\"}}""#,
            expected: #"{"overLimit": {"code": 429, "message": "Too Many \"Requests\""}}"#),
        UpstreamError(
            shape: "9: HAProxy's page", status: 503, type: "text/html", hasID: false,
            content:
                "<html><body><h1>503 Service Unavailable</h1>\nNo server is available at db-7.internal.\n</body></html>",
            expected:
                #"{"serviceUnavailable": {"code": 503, "message": "The server is currently unavailable. Please try again at a later time."}}"#
        ),
        UpstreamError(
            shape: "9: a page of nobody we know", status: 404, type: "text/html", hasID: false,
            content: "<html><body><h1>404 Not Found</h1><hr>nginx/1.22 on host-3</body></html>",
            expected: notFound),
        UpstreamError(
            shape: "9: nothing", status: 504, type: "", hasID: false, content: "",
            expected: #"{"computeFault": {"code": 504, "message": "The gateway has timed out."}}"#),
        UpstreamError(
            shape: "9: a 500 with a trace as JSON", status: 500, type: "application/json",
            content: #"{"message": "Traceback: secret"}"#,
            expected:
                #"{"computeFault": {"code": 500, "message": "The server has either erred or is incapable of performing the requested operation."}}"#
        ),
        UpstreamError(
            shape: "9: 413 with Retry-After is a limit", status: 413, type: "", hasID: false, content: "",
            retryAfter: 3,
            expected:
                #"{"overLimit": {"code": 413, "message": "This request was rate-limited.", "retryAfter": "3"}}"#
        ),
        UpstreamError(
            shape: "10: version choices", status: 300, type: "application/json", content: #"{"choices": []}"#,
            expected: nil),
        UpstreamError(
            shape: "10: microversion out of range", status: 406, type: "application/json; charset=UTF-8",
            content:
                #"{"computeFault": {"code": 406, "message": "Version 2.999 is not supported by the API."}}"#,
            expected: nil),
        UpstreamError(
            shape: "cut JSON", status: 404, type: "application/json", content: #"{"message": "half"#,
            expected: notFound),
        UpstreamError(
            shape: "JSON of another kind", status: 404, type: "application/json", content: "[1, 2]",
            expected: notFound),
        UpstreamError(
            shape: "an error that is no object", status: 404, type: "application/json",
            content: #"{"error": 7}"#,
            expected: notFound),
        UpstreamError(
            shape: "errors that are no list", status: 404, type: "application/json",
            content: #"{"errors": {}}"#,
            expected: notFound),
        UpstreamError(
            shape: "an empty list of errors", status: 404, type: "application/json",
            content: #"{"errors": [ ]}"#,
            expected: notFound),
    ]

    @Test(arguments: rows)
    func `become Nova's form`(row: UpstreamError) {
        var output = Buffer(capacity: 16_384)
        let outcome = withBytes(row.content) { content in
            withBytes(row.type) { type in
                FaultNormalizer.normalize(
                    status: row.status, contentType: type, hasRequestID: row.hasID, content: content,
                    retryAfterSeconds: row.retryAfter, into: &output)
            }
        }
        #expect(outcome == (row.expected == nil ? .unchanged : .replaced))
        #expect(output.readable.string == row.expected ?? "")
    }

    @Test func `a message of any length is cut between characters`() {
        let long = String(repeating: "ö", count: 5000)
        var output = Buffer(capacity: 16_384)
        let outcome = withBytes("{\"message\": \"\(long)\"}") { content in
            FaultNormalizer.normalize(
                status: 400, contentType: content, hasRequestID: true, content: content, into: &output)
        }
        #expect(outcome == .replaced)
        let hasOverflowed = output.hasOverflowed
        #expect(!hasOverflowed)
        #expect(output.readable.string.hasSuffix(#"\u00f6"}}"#))
        #expect(!output.readable.string.contains("fffd"))
    }
}
