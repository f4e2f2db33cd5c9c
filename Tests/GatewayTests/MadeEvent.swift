import Foundation

@testable import Gateway

/// An event as the trail has it, made up; what a search should find is told by its fields.
struct MadeEvent {
    var id = 0
    var microseconds: Int64 = 1_788_256_800_000_000
    var user = "u1"
    var userName = "alice"
    var project = "p1"
    var targetProject = "p1"
    var target = "t1"
    var targetParent: String?
    var created: String?
    var action = "read/list"
    var outcome = "success"
    var status = 200
    var requestID = "req-1"
    var clientRequestID: String?
    var upstreamRequestID: String?
    /// When the first and the last were that it stands for.
    var several: (first: Int64, last: Int64)?

    /// In quotes, with JSON's escapes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// By Foundation's calendar.
    static func time(_ microseconds: Int64) -> String {
        let formatter = ISO8601DateFormatter()
        formatter.timeZone = TimeZone(identifier: "UTC")
        let text = formatter.string(from: Date(timeIntervalSince1970: Double(microseconds / 1_000_000)))
        return text.dropLast() + String(format: ".%06d+00:00", Int(microseconds % 1_000_000))
    }

    var text: String {
        func q(_ text: String) -> String { Self.quoted(text) }
        func optional(_ name: String, _ value: String?) -> String {
            value.map { ",\"\(name)\":\(q($0))" } ?? ""
        }
        let own =
            several.map {
                ",\"count\":3,\"first\":\(q(Self.time($0.first))),\"last\":\(q(Self.time($0.last)))"
            } ?? ""
        return "{\"typeURI\":\"http://schemas.dmtf.org/cloud/audit/1.0/event\",\"eventType\":\"activity\","
            + "\"id\":\"00000000-0000-4000-8000-\(String(format: "%012d", id))\",\"eventTime\":\(q(Self.time(microseconds))),"
            + "\"action\":\(q(action)),\"outcome\":\(q(outcome)),"
            + "\"reason\":{\"reasonType\":\"HTTP\",\"reasonCode\":\"\(status)\"},"
            + "\"initiator\":{\"typeURI\":\"service/security/account/user\",\"id\":\(q(user)),\"name\":\(q(userName)),"
            + "\"project_id\":\(q(project)),\"host\":{\"address\":\"192.0.2.1\"},\"request_id\":\(q(requestID))"
            + optional("global_request_id", clientRequestID) + "},"
            + "\"target\":{\"typeURI\":\"compute/servers\",\"id\":\(q(target))"
            + optional("parent_id", targetParent)
            + ",\"project_id\":\(q(targetProject))},\"requestPath\":\"/v2.1/servers?limit=5\","
            + "\"gatehouse\":{\"operation\":\"servers.list\""
            + (created.map { ",\"created\":{\"typeURI\":\"compute/images\",\"id\":\(q($0))}" } ?? "")
            + optional("upstream_request_id", upstreamRequestID)
            + ",\"status\":\(status)\(own)}}"
    }

    /// Whether it is what `filter` asks for, told from the fields and not from the text.
    func isMet(_ filter: TrailFilter) -> Bool {
        let first = several?.first ?? microseconds
        let last = several?.last ?? microseconds
        return (filter.user.map { $0 == user || $0 == userName } ?? true)
            && (filter.project.map { $0 == project || $0 == targetProject } ?? true)
            && (filter.target.map { [target, targetParent, created].contains($0) } ?? true)
            && (filter.action.map { $0 == action || action.hasPrefix("\($0)/") } ?? true)
            && (filter.outcome.map { $0 == outcome } ?? true)
            && (filter.requestID.map { [requestID, clientRequestID, upstreamRequestID].contains($0) } ?? true)
            && (filter.since.map { last >= $0 } ?? true) && (filter.until.map { first < $0 } ?? true)
    }
}
