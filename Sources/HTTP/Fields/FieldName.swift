import Bytes

/// A field name that Gatehouse knows, as a number; every other name is `other`.
///
/// - Shape: raw values count up from 0 without a gap, so they index tables.
/// - Source: RFC 9110 §18.4, RFC 9111, RFC 9211, RFC 7239; the identity fields are keystonemiddleware's
///   auth_token.
public enum FieldName: UInt8, CaseIterable, Sendable {
    case other = 0
    case host, connection, contentLength, contentType, contentEncoding, contentLanguage, contentLocation
    case contentRange, contentDisposition, transferEncoding, te, trailer, upgrade, keepAlive
    case proxyConnection, proxyAuthenticate, proxyAuthorization, proxyAuthenticationInfo, http2Settings
    case expect, maxForwards, date, server, via, forwarded, xForwardedFor, xForwardedHost, xForwardedProto
    case xForwardedPort, xForwardedPrefix, xForwardedServer, xRealIP, accept, acceptEncoding, acceptLanguage
    case acceptCharset, acceptRanges, age, allow, authorization, cacheControl, pragma, expires, etag
    case ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange, lastModified, vary, range
    case retryAfter, location, wwwAuthenticate, userAgent, referer, origin, cookie, setCookie, link, warning
    case cacheStatus, proxyStatus, xAuthToken, xStorageToken, xServiceToken, xSubjectToken
    case openStackAPIVersion, xOpenStackNovaAPIVersion, xOpenStackRequestID, xComputeRequestID
    case xGatehouseRequestID, xIdentityStatus, xServiceIdentityStatus, xDomainID, xDomainName, xProjectID
    case xProjectName, xProjectDomainID, xProjectDomainName, xUserID, xUserName, xUserDomainID
    case xUserDomainName, xRoles, xServiceDomainID, xServiceDomainName, xServiceProjectID
    case xServiceProjectName, xServiceProjectDomainID, xServiceProjectDomainName, xServiceUserID
    case xServiceUserName, xServiceUserDomainID, xServiceUserDomainName, xServiceRoles, xServiceCatalog
    case xIsAdminProject, openStackSystemScope, xUser, xTenant, xTenantID, xTenantName, xRole

    /// How many raw values there are, `other` included.
    public static let knownCount = Int(FieldName.xRole.rawValue) + 1

    /// Tells whether the field belongs to one connection and is never forwarded (RFC 9110 §7.6.1).
    public var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade,
            .http2Settings,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo:
            true
        default: false
        }
    }

    /// Tells whether the value is a comma-separated list, so that several lines read as one (RFC 9110 §5.3).
    public var isList: Bool {
        switch self {
        case .connection, .contentEncoding, .contentLanguage, .transferEncoding, .te, .trailer, .upgrade,
            .via,
            .forwarded, .xForwardedFor, .accept, .acceptEncoding, .acceptLanguage, .acceptCharset,
            .acceptRanges,
            .allow, .cacheControl, .pragma, .ifMatch, .ifNoneMatch, .vary, .wwwAuthenticate,
            .proxyAuthenticate,
            .link, .warning, .cacheStatus, .proxyStatus, .expect, .openStackAPIVersion:
            true
        default: false
        }
    }

    /// Tells whether the value is a secret: never logged, never shown.
    public var isSensitive: Bool {
        switch self {
        case .authorization, .proxyAuthorization, .cookie, .setCookie, .xAuthToken, .xStorageToken,
            .xServiceToken,
            .xSubjectToken:
            true
        default: false
        }
    }

    /// Tells whether Nova trusts the field as the verified identity, so that no client may send it.
    public var isIdentity: Bool {
        switch self {
        case .xIdentityStatus, .xServiceIdentityStatus, .xDomainID, .xDomainName, .xProjectID, .xProjectName,
            .xProjectDomainID, .xProjectDomainName, .xUserID, .xUserName, .xUserDomainID, .xUserDomainName,
            .xRoles,
            .xServiceDomainID, .xServiceDomainName, .xServiceProjectID, .xServiceProjectName,
            .xServiceProjectDomainID, .xServiceProjectDomainName, .xServiceUserID, .xServiceUserName,
            .xServiceUserDomainID, .xServiceUserDomainName, .xServiceRoles, .xServiceCatalog,
            .xIsAdminProject,
            .openStackSystemScope, .xUser, .xTenant, .xTenantID, .xTenantName, .xRole:
            true
        default: false
        }
    }

    /// Tells whether the field may stand in a trailer section: only one that routes, frames and decides
    /// nothing.
    ///
    /// - Source: RFC 9110 §6.5.1; of the known fields only ETag is defined for it (§8.8.3).
    public var isAllowedInTrailer: Bool { self == .other || self == .etag }

    /// Finds the number of a name, ASCII case ignored; `other` for any other bytes.
    public static func find(_ name: ByteView) -> FieldName {
        guard let base = name.baseAddress else { return .other }
        return find(base, count: name.count)
    }

    @inline(__always) static func find(_ name: UnsafePointer<UInt8>, count: Int) -> FieldName {
        guard count > 1, count <= longestByteCount else { return .other }
        let last = UInt32(name[count &- 1] | 0x20)
        let third = UInt32(name[(count &* 3) &>> 2] | 0x20) << 8
        let first = UInt32(name[count &>> 2] | 0x20) << 16
        let key = last | third | first | UInt32(truncatingIfNeeded: count) << 24
        // Wraps: a multiplicative hash; the multiplier was found by trying and makes the slots free of
        // collisions.
        let slot = slots[Int((key &* 3_554_895_725) >> 23)]
        guard slot != 0 else { return .other }
        // Every slot holds a raw value, as a test shows; the checked way costs a call for each field line.
        let candidate = unsafeBitCast(slot, to: FieldName.self)
        let spelling = candidate.canonical
        guard spelling.utf8CodeUnitCount == count else { return .other }
        return isSpelled(name, spelling.utf8Start, count) ? candidate : .other
    }

    /// X-Service-Project-Domain-Name and what may come.
    static let longestByteCount = 40

    /// Tells whether a name, of as many bytes as a canonical spelling has, is spelled so.
    @inline(__always) static func isSpelled(_ name: UnsafePointer<UInt8>, _ spelling: StaticString) -> Bool {
        isSpelled(name, spelling.utf8Start, spelling.utf8CodeUnitCount)
    }

    /// Compares `count` bytes, two to 40, to a canonical spelling: letters may differ in case, nothing else may.
    ///
    /// A spelling has letters, digits and hyphens, of which bit 6 marks the letters: only there may bit 5
    /// differ. The last word overlaps the one before, which spares a loop over single bytes.
    @inline(__always) private static func isSpelled(
        _ name: UnsafePointer<UInt8>, _ spelling: UnsafePointer<UInt8>, _ count: Int
    ) -> Bool {
        let one = UnsafeRawPointer(name)
        let two = UnsafeRawPointer(spelling)
        @inline(__always) func difference(at offset: Int) -> UInt64 {
            let wanted = two.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            return (one.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ wanted)
                & ~(wanted &>> 1 & 0x2020_2020_2020_2020)
        }
        if count >= 8 {
            var all = difference(at: 0) | difference(at: count &- 8)
            // At most `longestByteCount`, of which the first and the last eight are looked at.
            var offset = 8
            while offset < count &- 8 {
                all |= difference(at: offset)
                offset &+= 8
            }
            return all == 0
        }
        if count >= 4 {
            let low = two.loadUnaligned(as: UInt32.self)
            let high = two.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            let lowDifference = one.loadUnaligned(as: UInt32.self) ^ low
            let highDifference = one.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self) ^ high
            return lowDifference & ~(low &>> 1 & 0x2020_2020)
                | highDifference & ~(high &>> 1 & 0x2020_2020) == 0
        }
        for index in 0..<count {
            if (name[index] ^ spelling[index]) & ~(spelling[index] &>> 1 & 0x20) != 0 { return false }
        }
        return true
    }
}
