public import Bytes
internal import OpenStack

/// An event of the trail, as far as somebody looks for it or lists it.
///
/// - Shape: views of values without their quotes, still escaped; empty for what is not there.
/// - Ownership: the views are of the line.
public struct TrailEvent {
    /// All of it, a JSON object.
    public var text: ByteView
    public var time = ByteView(start: nil, count: 0)
    public var outcome = ByteView(start: nil, count: 0)
    /// The answer's status.
    public var status = ByteView(start: nil, count: 0)
    public var action = ByteView(start: nil, count: 0)
    public var user = ByteView(start: nil, count: 0)
    public var userName = ByteView(start: nil, count: 0)
    /// The project that the token was for.
    public var project = ByteView(start: nil, count: 0)
    public var target = ByteView(start: nil, count: 0)
    /// What the target belongs to, such as the server of an interface.
    public var targetParent = ByteView(start: nil, count: 0)
    /// What an action made out of the target, such as an image of a server.
    public var created = ByteView(start: nil, count: 0)
    public var targetProject = ByteView(start: nil, count: 0)
    /// Ours; the client's own; that of the service behind.
    public var requestID = ByteView(start: nil, count: 0)
    public var clientRequestID = ByteView(start: nil, count: 0)
    public var upstreamRequestID = ByteView(start: nil, count: 0)
    /// When the first and the last were that it stands for, if it stands for several.
    public var first = ByteView(start: nil, count: 0)
    public var last = ByteView(start: nil, count: 0)

    /// Reads a JSON object; nil when it is none.
    public init?(_ text: ByteView) {
        var event = TrailEvent(of: text)
        let isWhole = JSONScanner.forEachMember(of: text) { key, value in
            switch key {
            case _ where key.equals("eventTime"): event.time = Self.inside(value)
            case _ where key.equals("outcome"): event.outcome = Self.inside(value)
            case _ where key.equals("action"): event.action = Self.inside(value)
            case _ where key.equals("reason"):
                if let code = JSONScanner.member("reasonCode", of: value) {
                    event.status = Self.inside(value.view(code))
                }
            case _ where key.equals("initiator"): event.readInitiator(value)
            case _ where key.equals("target"): event.readTarget(value)
            case _ where key.equals("gatehouse"): event.readOwn(value)
            default: break
            }
        }
        guard isWhole else { return nil }
        self = event
    }

    private init(of text: ByteView) { self.text = text }

    private mutating func readInitiator(_ object: ByteView) {
        var event = self
        _ = JSONScanner.forEachMember(of: object) { key, value in
            switch key {
            case _ where key.equals("id"): event.user = Self.inside(value)
            case _ where key.equals("name"): event.userName = Self.inside(value)
            case _ where key.equals("project_id"): event.project = Self.inside(value)
            case _ where key.equals("request_id"): event.requestID = Self.inside(value)
            case _ where key.equals("global_request_id"): event.clientRequestID = Self.inside(value)
            default: break
            }
        }
        self = event
    }

    private mutating func readTarget(_ object: ByteView) {
        var event = self
        _ = JSONScanner.forEachMember(of: object) { key, value in
            switch key {
            case _ where key.equals("id"): event.target = Self.inside(value)
            case _ where key.equals("parent_id"): event.targetParent = Self.inside(value)
            case _ where key.equals("project_id"): event.targetProject = Self.inside(value)
            default: break
            }
        }
        self = event
    }

    private mutating func readOwn(_ object: ByteView) {
        var event = self
        _ = JSONScanner.forEachMember(of: object) { key, value in
            switch key {
            case _ where key.equals("status") && event.status.isEmpty: event.status = Self.inside(value)
            case _ where key.equals("created"):
                if let id = JSONScanner.member("id", of: value) {
                    event.created = Self.inside(value.view(id))
                }
            case _ where key.equals("upstream_request_id"): event.upstreamRequestID = Self.inside(value)
            case _ where key.equals("first"): event.first = Self.inside(value)
            case _ where key.equals("last"): event.last = Self.inside(value)
            default: break
            }
        }
        self = event
    }

    /// The inside of a string, or a number as it stands; empty for null and the rest.
    private static func inside(_ value: ByteView) -> ByteView {
        switch value.first ?? 0 {
        case 0x22: value.view(1, value.count - 2)
        case 0x2D, 0x30...0x39: value
        default: value.view(0, 0)
        }
    }

    /// A value's text, escapes resolved.
    public static func text(_ inside: ByteView) -> String { TrailControl.text(inside) }
}
