import Bytes

/// Reads one HTTP/1.1 request head from bytes that come in pieces.
///
/// - Shape: each `read` gets everything from the head's first byte on, and looks at each byte once.
///   After `.complete` or `.refused` it must be reset for the next head.
/// - Limits: `HeadLimits`; two empty lines before the request line; a method of 24 bytes.
/// - Errors: a refusal at the earliest byte that decides, the same however the bytes were cut.
/// - Source: RFC 9112 §2 to §6 and §11.2.
public struct RequestReader {
    enum Stage: UInt8 {
        case start, startLineFeed, method, targetStart, target, version, lineFeed, fields
    }

    var stage = Stage.start
    var position = 0
    // Where the element that `stage` reads begins.
    var mark = 0
    var emptyLineCount = 0
    var scanner = FieldScanner()

    static let emptyLineLimit = 2
    static let methodByteLimit = 24

    /// Makes a reader that is before the first byte of a head.
    public init() {}

    /// Prepares for the next head, whose first byte will be the first of the next view.
    @inlinable public mutating func reset() { self = RequestReader() }

    /// Tells whether a byte of a head, empty lines aside, was seen: a closed connection then cut a request
    /// short.
    public var hasBegun: Bool { stage != .start && stage != .startLineFeed }

    /// Reads on in `bytes`, which begins at the head's first byte and has all earlier bytes unchanged.
    ///
    /// `head` must be the same at each call for one head; it is reset at the first.
    public mutating func read(
        _ bytes: ByteView, into head: inout RequestHead, limits: HeadLimits = HeadLimits()
    ) -> HeadResult {
        if position == 0 { head.reset() }
        guard let base = bytes.baseAddress else { return .incomplete }
        // Bytes past the limit are not looked at, so that the answer does not depend on how much came at
        // once.
        let end = min(bytes.count, limits.headByteCount)
        let result = readLine(base, to: end, into: &head, targetLimit: limits.targetByteCount)
        guard result == .complete else { return conclude(result, end, limits) }
        let fieldsResult = scanner.read(
            base, from: &position, to: end, into: &head.fields, fieldLimit: limits.fieldCount)
        guard fieldsResult == .complete else { return conclude(fieldsResult, end, limits) }
        head.byteCount = position
        if let refusal = head.settle(ByteView(start: base, count: position)) { return .refused(refusal) }
        return .complete
    }

    @inline(__always) func conclude(_ result: HeadResult, _ end: Int, _ limits: HeadLimits) -> HeadResult {
        if result == .incomplete, end >= limits.headByteCount { return .refused(.headTooLarge) }
        return result
    }

    /// Reads on in the request line; `.complete` once its end was seen, in this call or an earlier one.
    @inline(__always) private mutating func readLine(
        _ base: UnsafePointer<UInt8>, to end: Int, into head: inout RequestHead, targetLimit: Int
    ) -> HeadResult {
        // A local, so that the loops keep it in a register.
        var place = position
        defer { position = place }
        while true {
            switch stage {
            case .startLineFeed:
                guard place < end else { return .incomplete }
                guard base[place] == 0x0A else { return .refused(.controlByte) }
                place += 1
                stage = .start
                continue
            case .start:
                guard place < end else { return .incomplete }
                let byte = base[place]
                guard ByteClass.is(byte, ByteClass.token) else {
                    guard byte == 0x0D, emptyLineCount < Self.emptyLineLimit else {
                        return .refused(Self.refusal(atStart: byte))
                    }
                    emptyLineCount += 1
                    place += 1
                    stage = .startLineFeed
                    continue
                }
                mark = place
                stage = .method
                fallthrough
            case .method:
                let bound = min(end, mark + Self.methodByteLimit)
                while place < bound, ByteClass.is(base[place], ByteClass.token) { place += 1 }
                guard place < end else { return .incomplete }
                guard base[place] == 0x20 else { return .refused(Self.refusal(inLine: base[place])) }
                head.methodName = ByteRange(start: mark, count: place - mark)
                head.method = Method.find(ByteView(start: base + mark, count: place - mark))
                if head.method == .connect { return .refused(.methodNotAllowedHere) }
                place += 1
                stage = .targetStart
                fallthrough
            case .targetStart:
                guard place < end else { return .incomplete }
                // Exactly one space: a second one is no target byte.
                guard ByteClass.is(base[place], ByteClass.target) else {
                    return .refused(Self.refusal(inTarget: base[place]))
                }
                mark = place
                stage = .target
                fallthrough
            case .target:
                // A limit near Int.max must not overflow the sum.
                let bound = targetLimit < end - mark ? mark + targetLimit : end
                place = Self.skipTarget(base, from: place, to: bound)
                guard place < end else { return .incomplete }
                guard base[place] == 0x20 else {
                    if place - mark >= targetLimit { return .refused(.targetTooLong) }
                    return .refused(Self.refusal(inTarget: base[place]))
                }
                let target = ByteRange(start: mark, count: place - mark)
                if let refusal = head.settleTarget(base, target) { return .refused(refusal) }
                place += 1
                mark = place
                stage = .version
                fallthrough
            case .version:
                // The usual spelling at once; everything else byte by byte.
                if end - mark > 8, place == mark, base[mark + 8] == 0x0D,
                    UnsafeRawPointer(base + mark).loadUnaligned(as: UInt64.self).littleEndian
                        == Self.version11
                {
                    place = mark + 9
                }
                while place < end, place - mark < 9 {
                    if let refusal = Self.refusal(of: base[place], inVersionAt: place - mark) {
                        return .refused(refusal)
                    }
                    place += 1
                }
                guard place - mark == 9 else { return .incomplete }
                head.version = base[mark + 7] == UInt8(ascii: "1") ? .http11 : .http10
                stage = .lineFeed
                fallthrough
            case .lineFeed:
                guard place < end else { return .incomplete }
                guard base[place] == 0x0A else { return .refused(.controlByte) }
                place += 1
                stage = .fields
                fallthrough
            case .fields:
                return .complete
            }
        }
    }

    // «HTTP/1.1», its first byte lowest.
    static let version11: UInt64 = 0x312E_312F_5054_5448

    /// The first place at or after `start` whose byte may not stand in a target.
    @inline(__always) private static func skipTarget(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int
    ) -> Int {
        var place = ByteLanes.skip(base, from: start, to: end) { lanes in
            // Bit 7 of each byte below 0x21, equal to `#` or DEL, or above it.
            let sign = lanes ^ 0x23
            return (lanes &- 0x21) | (lanes &+ 1) | ((sign &- 1) & ~sign) | lanes
        }
        while place < end, ByteClass.is(base[place], ByteClass.target) { place &+= 1 }
        return place
    }

    /// Judges one byte of `HTTP/1.x` and the carriage return after it by its place.
    @inline(__always) static func refusal(of byte: UInt8, inVersionAt index: Int) -> Refusal? {
        let expected: UInt8
        switch index {
        case 0: expected = UInt8(ascii: "H")
        case 1, 2: expected = UInt8(ascii: "T")
        case 3: expected = UInt8(ascii: "P")
        case 4: expected = UInt8(ascii: "/")
        case 5:
            if byte == UInt8(ascii: "1") { return nil }
            return ASCII.isDigit(byte) ? .versionNotSupported : refusal(inLine: byte)
        case 6: expected = UInt8(ascii: ".")
        case 7:
            if byte == UInt8(ascii: "0") || byte == UInt8(ascii: "1") { return nil }
            return ASCII.isDigit(byte) ? .versionNotSupported : refusal(inLine: byte)
        default: expected = 0x0D
        }
        return byte == expected ? nil : refusal(inLine: byte)
    }

    @inline(never) static func refusal(atStart byte: UInt8) -> Refusal {
        switch byte {
        case 0x16: .secureProtocol
        case 0x0A: .bareLineFeed
        case 0x0D: .badRequestLine
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badRequestLine
        }
    }

    @inline(never) static func refusal(inLine byte: UInt8) -> Refusal {
        switch byte {
        case 0x0A: .bareLineFeed
        case 0x0D, 0x09: .badRequestLine
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badRequestLine
        }
    }

    @inline(never) static func refusal(inTarget byte: UInt8) -> Refusal {
        switch byte {
        case 0x20, 0x0D: .badRequestLine
        case 0x0A: .bareLineFeed
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badTarget
        }
    }
}
