internal import Bytes
internal import OpenStack

/// What a line of the trail says that is no event.
///
/// - Ownership: views are of the line; text is still escaped.
struct TrailControl {
    /// Of a start.
    var continues: UInt64?
    var process: UInt64?
    var workerCount: UInt64?
    var signEvery: UInt64?
    /// Of a rotation: names without a folder. `after` stands in the first line of a file, the other two in a last one.
    var from: ByteView?
    var to: ByteView?
    var after: ByteView?
    /// Of a repair and of a rotation.
    var digest: TrailDigest?
    /// Of a repair.
    var offset: UInt64?
    var byteCount: UInt64?
    /// Of a signed line.
    var key: UInt64?
    var signature: TrailDigest?
    /// Each known member that is there has a value of its form, and is there once.
    var isWellFormed = true

    /// Reads the object of a line that was scanned.
    init(_ content: ByteView) {
        var result = Self()
        // Beside the result, which is changed in place meanwhile.
        var isWhole = true
        _ = JSONScanner.forEachMember(of: content) { key, value in
            let inside = Self.inside(value)
            func take<Value>(_ place: inout Value?, _ found: Value?) {
                if place != nil || found == nil { isWhole = false }
                place = found
            }
            switch key {
            case _ where key.equals("continues"):
                take(&result.continues, inside.flatMap(TrailHexadecimal.read))
            case _ where key.equals("process"): take(&result.process, inside.flatMap(TrailHexadecimal.read))
            case _ where key.equals("workers"): take(&result.workerCount, Decimal.read(value))
            case _ where key.equals("sign_every"): take(&result.signEvery, Decimal.read(value))
            case _ where key.equals("from"): take(&result.from, inside)
            case _ where key.equals("to"): take(&result.to, inside)
            case _ where key.equals("after"): take(&result.after, inside)
            case _ where key.equals("sha256"): take(&result.digest, inside.flatMap(TrailDigest.init))
            case _ where key.equals("offset"): take(&result.offset, Decimal.read(value))
            case _ where key.equals("byteCount"): take(&result.byteCount, Decimal.read(value))
            case _ where key.equals("key"): take(&result.key, inside.flatMap(TrailHexadecimal.read))
            case _ where key.equals("signature"): take(&result.signature, inside.flatMap(TrailDigest.init))
            default: break
            }
        }
        result.isWellFormed = isWhole && (result.key == nil) == (result.signature == nil)
        self = result
    }

    private init() {}

    /// Says what `kind` must have, in the words of a finding; nil when it is all there.
    func lack(of kind: TrailLine.Kind) -> String? {
        guard isWellFormed else { return "a member has another form" }
        switch kind {
        case .event, .start, .end: return nil
        case .head: return signature == nil ? "a head without a signature" : nil
        case .repair:
            return offset == nil || byteCount == nil || digest == nil
                ? "a repair without offset, byteCount and sha256" : nil
        case .rotation:
            let isLast = from != nil && to != nil && after == nil && digest == nil
            let isFirst = from == nil && to == nil && after != nil && digest != nil
            return isLast || isFirst
                ? nil : "a rotation with neither `from` and `to` nor `after` and `sha256`"
        }
    }

    /// The inside of a string; nil for any other value.
    private static func inside(_ value: ByteView) -> ByteView? {
        guard value.count >= 2, value[0] == 0x22 else { return nil }
        return value.view(1, value.count - 2)
    }

    /// The text of a string's inside, escapes resolved.
    static func text(_ inside: ByteView) -> String {
        guard inside.contains(0x5C) else { return inside.string }
        var buffer = Buffer(capacity: inside.count * 3 + 4)
        JSONScanner.appendUnescaped(inside, to: &buffer)
        return buffer.readable.string
    }
}

/// What of a signed line its signature covers.
///
/// - Shape: a line that is signed ends with `,"key":"<16 hex>","signature":"<64 hex>"}}`; the signature is of all bytes before
///   `,"signature":`, so of the chain up to here, of what the line says, and of the key's name.
enum TrailSignature {
    /// Bytes of `,"signature":"…"}}`.
    private static let tailByteCount = 81

    /// Tells whether `signature`, which `line` has, stands at its end and is by `key`.
    static func isValid(_ line: ByteView, _ signature: TrailDigest, by key: TrailKey) -> Bool {
        guard line.count > tailByteCount else { return false }
        let start = line.count - tailByteCount
        guard line.view(start, 14).equals(",\"signature\":\""),
            TrailDigest(line.view(start + 14, 64)) == signature, line.view(start + 78, 3).equals("\"}}")
        else { return false }
        return key.signature(of: line.view(0, start)) == signature
    }
}
