// The canonical spelling of each known name and the table that finds a name by its bytes.
// `slots` is a perfect hash: four bytes of the name choose one slot, one comparison decides. A test looks up
// every name; a new name may need new multipliers, found by trying.

extension FieldName {
    /// The name as it is usually spelled, for writing in HTTP/1.1; empty for `other`.
    @inline(__always) public var canonical: StaticString {
        switch self {
        case .other: ""
        case .host: "Host"
        case .connection: "Connection"
        case .contentLength: "Content-Length"
        case .contentType: "Content-Type"
        case .contentEncoding: "Content-Encoding"
        case .contentLanguage: "Content-Language"
        case .contentLocation: "Content-Location"
        case .contentRange: "Content-Range"
        case .contentDisposition: "Content-Disposition"
        case .transferEncoding: "Transfer-Encoding"
        case .te: "TE"
        case .trailer: "Trailer"
        case .upgrade: "Upgrade"
        case .keepAlive: "Keep-Alive"
        case .proxyConnection: "Proxy-Connection"
        case .proxyAuthenticate: "Proxy-Authenticate"
        case .proxyAuthorization: "Proxy-Authorization"
        case .proxyAuthenticationInfo: "Proxy-Authentication-Info"
        case .http2Settings: "HTTP2-Settings"
        case .expect: "Expect"
        case .maxForwards: "Max-Forwards"
        case .date: "Date"
        case .server: "Server"
        case .via: "Via"
        case .forwarded: "Forwarded"
        case .xForwardedFor: "X-Forwarded-For"
        case .xForwardedHost: "X-Forwarded-Host"
        case .xForwardedProto: "X-Forwarded-Proto"
        case .xForwardedPort: "X-Forwarded-Port"
        case .xForwardedPrefix: "X-Forwarded-Prefix"
        case .xForwardedServer: "X-Forwarded-Server"
        case .xRealIP: "X-Real-IP"
        case .accept: "Accept"
        case .acceptEncoding: "Accept-Encoding"
        case .acceptLanguage: "Accept-Language"
        case .acceptCharset: "Accept-Charset"
        case .acceptRanges: "Accept-Ranges"
        case .age: "Age"
        case .allow: "Allow"
        case .authorization: "Authorization"
        case .cacheControl: "Cache-Control"
        case .pragma: "Pragma"
        case .expires: "Expires"
        case .etag: "ETag"
        case .ifMatch: "If-Match"
        case .ifNoneMatch: "If-None-Match"
        case .ifModifiedSince: "If-Modified-Since"
        case .ifUnmodifiedSince: "If-Unmodified-Since"
        case .ifRange: "If-Range"
        case .lastModified: "Last-Modified"
        case .vary: "Vary"
        case .range: "Range"
        case .retryAfter: "Retry-After"
        case .location: "Location"
        case .wwwAuthenticate: "WWW-Authenticate"
        case .userAgent: "User-Agent"
        case .referer: "Referer"
        case .origin: "Origin"
        case .cookie: "Cookie"
        case .setCookie: "Set-Cookie"
        case .link: "Link"
        case .warning: "Warning"
        case .cacheStatus: "Cache-Status"
        case .proxyStatus: "Proxy-Status"
        case .xAuthToken: "X-Auth-Token"
        case .xStorageToken: "X-Storage-Token"
        case .xServiceToken: "X-Service-Token"
        case .xSubjectToken: "X-Subject-Token"
        case .openStackAPIVersion: "OpenStack-API-Version"
        case .xOpenStackNovaAPIVersion: "X-OpenStack-Nova-API-Version"
        case .xOpenStackRequestID: "X-OpenStack-Request-ID"
        case .xComputeRequestID: "X-Compute-Request-ID"
        case .xGatehouseRequestID: "X-Gatehouse-Request-ID"
        case .xIdentityStatus: "X-Identity-Status"
        case .xServiceIdentityStatus: "X-Service-Identity-Status"
        case .xDomainID: "X-Domain-Id"
        case .xDomainName: "X-Domain-Name"
        case .xProjectID: "X-Project-Id"
        case .xProjectName: "X-Project-Name"
        case .xProjectDomainID: "X-Project-Domain-Id"
        case .xProjectDomainName: "X-Project-Domain-Name"
        case .xUserID: "X-User-Id"
        case .xUserName: "X-User-Name"
        case .xUserDomainID: "X-User-Domain-Id"
        case .xUserDomainName: "X-User-Domain-Name"
        case .xRoles: "X-Roles"
        case .xServiceDomainID: "X-Service-Domain-Id"
        case .xServiceDomainName: "X-Service-Domain-Name"
        case .xServiceProjectID: "X-Service-Project-Id"
        case .xServiceProjectName: "X-Service-Project-Name"
        case .xServiceProjectDomainID: "X-Service-Project-Domain-Id"
        case .xServiceProjectDomainName: "X-Service-Project-Domain-Name"
        case .xServiceUserID: "X-Service-User-Id"
        case .xServiceUserName: "X-Service-User-Name"
        case .xServiceUserDomainID: "X-Service-User-Domain-Id"
        case .xServiceUserDomainName: "X-Service-User-Domain-Name"
        case .xServiceRoles: "X-Service-Roles"
        case .xServiceCatalog: "X-Service-Catalog"
        case .xIsAdminProject: "X-Is-Admin-Project"
        case .openStackSystemScope: "OpenStack-System-Scope"
        case .xUser: "X-User"
        case .xTenant: "X-Tenant"
        case .xTenantID: "X-Tenant-Id"
        case .xTenantName: "X-Tenant-Name"
        case .xRole: "X-Role"
        }
    }

    static let slots: [512 of UInt8] = [
        0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 11,
        0, 0, 0, 85, 0, 0, 36, 0, 0, 54, 33, 4, 0, 0, 0, 0,
        86, 0, 0, 0, 0, 0, 81, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 84, 0, 0, 0, 92, 0, 0, 12, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 62, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0,
        0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 87,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 9, 0, 0, 0,
        46, 0, 75, 0, 0, 0, 0, 0, 0, 37, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 27, 59, 105, 74, 34, 0, 0, 0, 0,
        48, 0, 0, 0, 103, 0, 71, 0, 0, 0, 68, 0, 0, 18, 30, 0,
        44, 0, 0, 0, 0, 0, 0, 79, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 63, 0, 0, 96, 0, 0, 43, 0, 0, 29, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0,
        0, 52, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0,
        0, 65, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 91, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0,
        0, 0, 0, 0, 55, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 26,
        32, 0, 0, 69, 0, 95, 0, 0, 0, 0, 0, 0, 0, 98, 0, 0,
        0, 0, 0, 0, 1, 0, 0, 45, 0, 0, 0, 0, 3, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 104, 70, 0, 13,
        28, 73, 0, 0, 19, 0, 0, 0, 0, 0, 49, 90, 0, 0, 0, 72,
        77, 0, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 83, 94, 35,
        0, 42, 0, 0, 0, 0, 0, 61, 0, 0, 21, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 50, 0, 0, 38,
        93, 0, 15, 0, 0, 56, 0, 31, 0, 0, 100, 0, 0, 0, 101, 0,
        0, 0, 64, 0, 0, 0, 0, 76, 0, 0, 47, 0, 0, 67, 0, 82,
        0, 0, 0, 0, 0, 0, 0, 39, 57, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 66, 89, 0, 0, 0,
        0, 78, 0, 0, 0, 0, 0, 0, 88, 0, 0, 58, 14, 0, 0, 0,
        0, 0, 0, 0, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 80, 97, 0, 0, 0, 41, 0, 20, 0, 0, 102, 0, 0,
    ]
}
