import Bytes

/// Reads the field lines of a head or a trailer section, up to and with its empty line, resuming anywhere.
///
/// - Shape: holds places in the bytes only, so the same bytes must be shown again, longer, at each call.
/// - Errors: decided by the first byte that no valid line can have there.
/// - Source: RFC 9112 §5 and §2.2, as strict as §11.2 asks: no bare CR or LF, no fold, no space before the
///   colon.
struct FieldScanner {
    enum Stage: UInt8 { case lineStart, name, valueStart, value, lineFeed, lastLineFeed }

    var stage = Stage.lineStart
    var nameStart = 0
    var colon = 0
    var valueStart = 0
    var valueEnd = 0
    // Class bits of all name bytes seen, for the underscore.
    var nameClasses: UInt8 = 0
    var known = FieldName.other

    /// Reads on from `position` and leaves it behind the last byte taken.
    ///
    /// The stages are written to run into each other: only a shortage of bytes stores one and returns.
    @inline(__always) mutating func read(
        _ base: UnsafePointer<UInt8>, from position: inout Int, to end: Int, into fields: inout FieldSection,
        fieldLimit: Int
    ) -> HeadResult {
        // A local, so that the loops keep it in a register.
        var place = position
        defer { position = place }
        while true {
            switch stage {
            case .lineStart:
                guard place < end else { return .incomplete }
                let byte = base[place]
                guard ByteClass.is(byte, ByteClass.token) else {
                    guard byte == 0x0D else { return .refused(Self.refusal(atLineStart: byte)) }
                    place += 1
                    stage = .lastLineFeed
                    continue
                }
                guard fields.count < fieldLimit else { return .refused(.tooManyFields) }
                nameStart = place
                nameClasses = 0
                // A known name is made of token characters: no need to look at each of them.
                let nameEnd = Self.colon(base, from: place, to: end)
                known = FieldName.find(base + place, count: nameEnd &- place)
                if known != .other { place = nameEnd }
                fallthrough
            case .name:
                var classes = nameClasses
                while place < end {
                    let byteClass = ByteClass.of(base[place])
                    if byteClass & ByteClass.token == 0 { break }
                    classes |= byteClass
                    place += 1
                }
                nameClasses = classes
                guard place < end else {
                    stage = .name
                    return .incomplete
                }
                guard base[place] == 0x3A else { return .refused(Self.refusal(inName: base[place])) }
                colon = place
                if known == .other { known = FieldName.find(base + nameStart, count: place &- nameStart) }
                place += 1
                fallthrough
            case .valueStart:
                while place < end, base[place] == 0x20 || base[place] == 0x09 { place += 1 }
                guard place < end else {
                    stage = .valueStart
                    return .incomplete
                }
                valueStart = place
                fallthrough
            case .value:
                place = Self.skipText(base, from: place, to: end)
                guard place < end else {
                    stage = .value
                    return .incomplete
                }
                guard base[place] == 0x0D else {
                    return .refused(base[place] == 0x0A ? .bareLineFeed : .controlByte)
                }
                var last = place
                while last > valueStart, base[last - 1] == 0x20 || base[last - 1] == 0x09 { last -= 1 }
                valueEnd = last
                place += 1
                fallthrough
            case .lineFeed:
                guard place < end else {
                    stage = .lineFeed
                    return .incomplete
                }
                guard base[place] == 0x0A else { return .refused(.controlByte) }
                place += 1
                stage = .lineStart
                let nameCount = colon - nameStart
                let line = FieldLine(
                    name: ByteRange(start: nameStart, count: nameCount),
                    value: ByteRange(start: valueStart, count: valueEnd - valueStart),
                    known: known,
                    hasUnderscore: nameClasses & ByteClass.underscore != 0)
                guard fields.append(line) else { return .refused(.tooManyFields) }
            case .lastLineFeed:
                guard place < end else { return .incomplete }
                guard base[place] == 0x0A else { return .refused(.controlByte) }
                place += 1
                return .complete
            }
        }
    }

    /// The first colon at or after `start`, or a place short of it when none is near.
    @inline(__always) static func colon(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        let raw = UnsafeRawPointer(base)
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = start
        while end - place >= 8, place - start < FieldName.longestByteCount {
            let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            let flipped = word ^ (ones &* 0x3A)
            let found = (flipped &- ones) & ~flipped & (ones &* 0x80)
            if found != 0 { return place &+ found.trailingZeroBitCount &>> 3 }
            place &+= 8
        }
        return place
    }

    /// The first place at or after `start` whose byte may not stand in a field value.
    @inline(__always) static func skipText(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int
    {
        let raw = UnsafeRawPointer(base)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var place = start
        while end - place >= 8 {
            let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            // Bit 7 of each byte below 0x20 or equal to 0x7F. The wrapping borrow only reaches bytes above a
            // true one, so the lowest bit set is exact.
            let controls = (word &- ones &* 0x20) & ~word & highs
            let flipped = word ^ (ones &* 0x7F)
            let found = controls | ((flipped &- ones) & ~flipped & highs)
            guard found != 0 else {
                place &+= 8  // Cannot overflow: 8 bytes are left before `end`.
                continue
            }
            place &+= found.trailingZeroBitCount &>> 3
            guard base[place] == 0x09 else { return place }
            place &+= 1
        }
        while place < end, ByteClass.is(base[place], ByteClass.fieldText) { place &+= 1 }
        return place
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
