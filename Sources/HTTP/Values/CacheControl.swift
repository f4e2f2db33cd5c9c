import Bytes

/// The Cache-Control directives of a request or a response.
///
/// - Shape: numbers are seconds, at most 2^31; nil where absent. Of a repeated number the smallest counts.
/// - Errors: none: an unknown directive is skipped; a malformed number counts as 0, which is never fresher
///   than meant.
/// - Source: RFC 9111 §5.2 and §1.2.2, RFC 5861.
public struct CacheControl: Equatable, Sendable {
    public var noCache = false
    public var noStore = false
    public var noTransform = false
    public var isPublic = false
    public var isPrivate = false
    public var mustRevalidate = false
    public var proxyRevalidate = false
    public var mustUnderstand = false
    public var onlyIfCached = false
    public var maxAge: UInt64?
    public var sMaxAge: UInt64?
    public var minFresh: UInt64?
    /// Without a number: any staleness will do, told as 2^31.
    public var maxStale: UInt64?
    public var staleWhileRevalidate: UInt64?
    public var staleIfError: UInt64?

    /// What larger numbers count as (RFC 9111 §1.2.2).
    public static let secondsLimit: UInt64 = 1 << 31

    /// Makes directives that say nothing.
    public init() {}

    /// Reads all Cache-Control lines; without any, `Pragma: no-cache` counts as `no-cache` (RFC 9111 §5.4).
    public init(reading fields: borrowing FieldSection, _ bytes: ByteView) {
        var next = fields.index(of: .cacheControl)
        if next == nil, FieldList.contains("no-cache", of: .pragma, in: fields, bytes) { noCache = true }
        while let index = next {
            read(bytes.view(fields[index].value))
            next = fields.index(of: .cacheControl, from: index + 1)
        }
    }

    /// Reads one field value into what is already there.
    public mutating func read(_ value: ByteView) {
        var list = FieldList(value)
        while let member = list.next() { readDirective(value.view(member)) }
    }

    private mutating func readDirective(_ directive: ByteView) {
        var equals = 0
        while equals < directive.count, directive[equals] != UInt8(ascii: "=") { equals += 1 }
        let name = directive.view(0, equals).trimmed()
        let argument: ByteView? =
            equals < directive.count
            ? directive.view(equals + 1, directive.count - equals - 1).trimmed() : nil
        if name.equalsIgnoringCase("no-cache") {
            noCache = true
        } else if name.equalsIgnoringCase("no-store") {
            noStore = true
        } else if name.equalsIgnoringCase("no-transform") {
            noTransform = true
        } else if name.equalsIgnoringCase("public") {
            isPublic = true
        } else if name.equalsIgnoringCase("private") {
            // With field names it would allow storing the rest; a shared cache may always store less.
            isPrivate = true
        } else if name.equalsIgnoringCase("must-revalidate") {
            mustRevalidate = true
        } else if name.equalsIgnoringCase("proxy-revalidate") {
            proxyRevalidate = true
        } else if name.equalsIgnoringCase("must-understand") {
            mustUnderstand = true
        } else if name.equalsIgnoringCase("only-if-cached") {
            onlyIfCached = true
        } else if name.equalsIgnoringCase("max-age") {
            maxAge = Self.smaller(maxAge, argument)
        } else if name.equalsIgnoringCase("s-maxage") {
            sMaxAge = Self.smaller(sMaxAge, argument)
        } else if name.equalsIgnoringCase("max-stale") {
            maxStale =
                argument == nil
                ? min(maxStale ?? Self.secondsLimit, Self.secondsLimit) : Self.smaller(maxStale, argument)
        } else if name.equalsIgnoringCase("stale-while-revalidate") {
            staleWhileRevalidate = Self.smaller(staleWhileRevalidate, argument)
        } else if name.equalsIgnoringCase("stale-if-error") {
            staleIfError = Self.smaller(staleIfError, argument)
        } else if name.equalsIgnoringCase("min-fresh") {
            // Here the larger demand is the stricter one, and a malformed one demands all.
            minFresh = max(minFresh ?? 0, Self.seconds(argument) ?? Self.secondsLimit)
        }
    }

    private static func smaller(_ known: UInt64?, _ argument: ByteView?) -> UInt64 {
        min(known ?? .max, seconds(argument) ?? 0)
    }

    /// Reads delta-seconds, perhaps quoted; too large a number is 2^31.
    private static func seconds(_ argument: ByteView?) -> UInt64? {
        guard var digits = argument else { return nil }
        if digits.count >= 2, digits[0] == UInt8(ascii: "\""), digits[digits.count - 1] == UInt8(ascii: "\"")
        {
            digits = digits.view(1, digits.count - 2)
        }
        guard digits.count > 0 else { return nil }
        for index in 0..<digits.count where !ASCII.isDigit(digits[index]) { return nil }
        return min(Decimal.read(digits) ?? secondsLimit, secondsLimit)
    }
}
