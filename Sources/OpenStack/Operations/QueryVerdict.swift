public import Bytes

/// Which rules count where a document asks for more than Nova does.
public enum RuleProfile: String, Sendable, CaseIterable {
    /// Nova's rules and the stricter rows of the documents.
    case document
    /// Exactly what Nova takes.
    case nova
}

/// Who asks, as far as it is known here.
public enum Caller: Sendable {
    /// The upstream knows; what depends on roles is its to judge.
    case unknown
    case member, administrator
}

/// What a valid query asks for that later stages must know.
public struct QueryFacts: Equatable, Sendable {
    /// `status` names deleted servers and nothing else that exists: for administrators only.
    public var asksDeleted = false
    /// `all_tenants` is on.
    public var asksAllTenants = false
    /// How many parameters are unknown to the operation at this microversion, and so dropped by Nova.
    public var unknownCount = 0

    public init() {}
}

/// What a check of a query found.
public enum QueryVerdict: Equatable, Sendable {
    case valid(QueryFacts)
    /// The status; the words are in the message buffer.
    case refused(status: Int)
}

/// What a check of content found.
public enum ContentVerdict: Equatable, Sendable {
    /// The key of an action body as it stands between its quotes, and the action's index; nil where there are no actions.
    case valid(actionKey: ByteRange?, action: Int?)
    /// The status; the words are in the message buffer.
    case refused(status: Int)
}

/// What a check of the request as a whole found: nothing, or the status, with the words in the message buffer.
public enum RuleVerdict: Equatable, Sendable {
    case valid
    case refused(status: Int)
}
