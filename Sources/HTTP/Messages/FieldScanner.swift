import Bytes

/// Reads the field lines of a head or a trailer section, up to and with its empty line, resuming anywhere.
///
/// - Shape: holds places in the bytes only, so the same bytes must be shown again, longer, at each call.
/// - Errors: decided by the first byte that no valid line can have there.
/// - Source: RFC 9112 §5 and §2.2, as strict as §11.2 asks: no bare CR or LF, no fold, no space before the colon.
struct FieldScanner {
    enum Stage: UInt8 { case lineStart, name, valueStart, value, lineFeed, lastLineFeed }

    var stage = Stage.lineStart
    var nameStart = 0
    var colon = 0
    var valueStart = 0
    var valueEnd = 0
    // Class bits of all name bytes seen, for the underscore.
    var nameClasses: UInt8 = 0

    /// Reads on from `position` and leaves it behind the last byte taken.
    ///
    /// The stages are written to run into each other: only a shortage of bytes stores one and returns.
    @inline(__always) mutating func read(
        _ base: UnsafePointer<UInt8>, from position: inout Int, to end: Int, into fields: inout FieldSection,
        fieldLimit: Int
    ) -> HeadResult {
        while true {
            switch stage {
            case .lineStart:
                guard position < end else { return .incomplete }
                let byte = base[position]
                guard ByteClass.is(byte, ByteClass.token) else {
                    guard byte == 0x0D else { return .refused(Self.refusal(atLineStart: byte)) }
                    position += 1
                    stage = .lastLineFeed
                    continue
                }
                guard fields.count < fieldLimit else { return .refused(.tooManyFields) }
                nameStart = position
                nameClasses = 0
                fallthrough
            case .name:
                var classes = nameClasses
                while position < end {
                    let byteClass = ByteClass.of(base[position])
                    if byteClass & ByteClass.token == 0 { break }
                    classes |= byteClass
                    position += 1
                }
                nameClasses = classes
                guard position < end else {
                    stage = .name
                    return .incomplete
                }
                guard base[position] == 0x3A else { return .refused(Self.refusal(inName: base[position])) }
                colon = position
                position += 1
                fallthrough
            case .valueStart:
                while position < end, base[position] == 0x20 || base[position] == 0x09 { position += 1 }
                guard position < end else {
                    stage = .valueStart
                    return .incomplete
                }
                valueStart = position
                fallthrough
            case .value:
                position = Self.skipText(base, from: position, to: end)
                guard position < end else {
                    stage = .value
                    return .incomplete
                }
                guard base[position] == 0x0D else {
                    return .refused(base[position] == 0x0A ? .bareLineFeed : .controlByte)
                }
                var last = position
                while last > valueStart, base[last - 1] == 0x20 || base[last - 1] == 0x09 { last -= 1 }
                valueEnd = last
                position += 1
                fallthrough
            case .lineFeed:
                guard position < end else {
                    stage = .lineFeed
                    return .incomplete
                }
                guard base[position] == 0x0A else { return .refused(.controlByte) }
                position += 1
                stage = .lineStart
                let nameCount = colon - nameStart
                let line = FieldLine(
                    name: ByteRange(start: nameStart, count: nameCount),
                    value: ByteRange(start: valueStart, count: valueEnd - valueStart),
                    known: FieldName.find(token: base + nameStart, count: nameCount),
                    hasUnderscore: nameClasses & ByteClass.underscore != 0)
                guard fields.append(line) else { return .refused(.tooManyFields) }
            case .lastLineFeed:
                guard position < end else { return .incomplete }
                guard base[position] == 0x0A else { return .refused(.controlByte) }
                position += 1
                return .complete
            }
        }
    }

    /// The first place at or after `start` whose byte may not stand in a field value.
    @inline(__always) static func skipText(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int
    {
        let raw = UnsafeRawPointer(base)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var position = start
        while true {
            while position + 8 <= end {
                let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                // Bit 7 of each byte below 0x20 or equal to 0x7F. The wrapping borrow only reaches bytes above a
                // true one, so the lowest bit set is exact.
                let controls = (word &- ones &* 0x20) & ~word & highs
                let flipped = word ^ (ones &* 0x7F)
                let found = controls | ((flipped &- ones) & ~flipped & highs)
                if found != 0 {
                    position += found.trailingZeroBitCount / 8
                    break
                }
                position += 8
            }
            while position < end, ByteClass.is(base[position], ByteClass.fieldText) {
                position += 1
                // A tab brought us here: go on by words.
                if base[position - 1] == 0x09 { break }
            }
            if position >= end || !ByteClass.is(base[position], ByteClass.fieldText) { return position }
        }
    }

    @inline(never) static func refusal(atLineStart byte: UInt8) -> Refusal {
        switch byte {
        case 0x20, 0x09: .obsoleteFold
        case 0x0A: .bareLineFeed
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badFieldLine
        }
    }

    @inline(never) static func refusal(inName byte: UInt8) -> Refusal {
        switch byte {
        case 0x0A: .bareLineFeed
        case 0x20, 0x09, 0x0D: .badFieldLine
        default: byte < 0x20 || byte == 0x7F ? .controlByte : .badFieldLine
        }
    }
}
