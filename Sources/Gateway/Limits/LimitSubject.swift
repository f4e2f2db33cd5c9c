public import Bytes
public import Loop

/// Who asks for what, as far as limits can tell.
///
/// - Ownership: the views are borrowed for as long as the identity is held that they are of, or for one call.
public struct LimitSubject {
    /// False while nobody has said who asks: rules per project or user do not apply then.
    public var hasIdentity = false
    /// Empty for a token without a project, which counts by its user.
    public var project = ByteView(start: nil, count: 0)
    public var user = ByteView(start: nil, count: 0)
    /// `Identity.hash(of:)` of both; 0 where it is not known yet.
    public var projectHash: UInt64 = 0
    public var userHash: UInt64 = 0
    /// `LimitTable.name` of the address; 0 where it is not known yet.
    var addressHash: UInt64 = 0
    /// The identity's roles in lower case, joined by commas.
    public var roles = ByteView(start: nil, count: 0)
    public var address = IPAddress(v4: 0)
    /// What tells tokens apart; 0 for none.
    public var token: UInt64 = 0
    public var api = 0
    /// Index in the API's table, or -1 where nothing matched.
    public var operation = -1
    /// Index in the API's table, or -1.
    public var action = -1

    public init() {}

    /// The address by which a client counts: an IPv6 network of 64 bits is one.
    public static func network(_ address: IPAddress) -> IPAddress {
        let plain = address.unmapped
        return plain.family == .v4 ? plain : IPAddress(v6: plain.high, 0)
    }
}
