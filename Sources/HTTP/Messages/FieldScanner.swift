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
                place = Self.takeUsualLines(base, from: place, to: end, into: &fields, fieldLimit: fieldLimit)
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
                // Only here is the name whole: what came so far may be the beginning of another.
                known = FieldName.find(base + nameStart, count: place &- nameStart)
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

    /// Takes the lines from `start` on that are whole and have nothing rare about them; answers where the next one starts.
    ///
    /// What it leaves, and whatever may be wrong with that, is for the stages of `read`, which look at each byte.
    @inline(__always) private static func takeUsualLines(
        _ base: UnsafePointer<UInt8>, from start: Int, to end: Int, into fields: inout FieldSection,
        fieldLimit: Int
    ) -> Int {
        let raw = UnsafeRawPointer(base)
        let lineEnd: UInt16 = 0x0A0D
        var place = start
        let lineLimit = min(fieldLimit, fields.capacity)
        while fields.count < lineLimit {
            // No addition or subtraction here can overflow: all are places from 0 to `end`, or two behind one.
            var known = fields.expected
            let spelling = known.canonical
            var colon = place &+ spelling.utf8CodeUnitCount
            var classes: UInt8 = 0
            if known == .other || colon >= end || base[colon] != 0x3A
                || !FieldName.isSpelled(base + place, spelling)
            {
                colon = Self.colon(base, from: place, to: end)
                guard colon < end, base[colon] == 0x3A else { break }
                known = FieldName.find(base + place, count: colon &- place)
                if known == .other {
                    classes = nameClasses(base, from: place, to: colon)
                    guard classes & ByteClass.token != 0 else { break }
                }
            }
            guard end &- colon > 2 else { break }
            let valueStart = base[colon &+ 1] == 0x20 ? colon &+ 2 : colon &+ 1
            let valueEnd = skipText(base, from: valueStart, to: end)
            guard end &- valueEnd >= 2,
                UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: valueEnd, as: UInt16.self)) == lineEnd,
                // An empty value is left, too: the byte before its end is white space or the colon.
                base[valueEnd &- 1] > 0x20, base[valueStart] > 0x20
            else { break }
            fields.take(
                FieldLine(
                    name: ByteRange(start: place, count: colon &- place),
                    value: ByteRange(start: valueStart, count: valueEnd &- valueStart), known: known,
                    hasUnderscore: classes & ByteClass.underscore != 0))
            place = valueEnd &+ 2
        }
        return place
    }

    /// What the bytes of a name are: `token` when all are token characters, `underscore` when one is that.
    private static func nameClasses(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> UInt8 {
        guard start < end else { return 0 }
        var all = ByteClass.token
        var some: UInt8 = 0
        for place in start..<end {
            let byteClass = ByteClass.of(base[place])
            all &= byteClass
            some |= byteClass
        }
        return all | some & ByteClass.underscore
    }

    /// The first colon at or after `start`, or a place short of it when none is near.
    @inline(__always) static func colon(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
        let raw = UnsafeRawPointer(base)
        var place = start
        // Cannot overflow: places from 0 to `end`, and a step only where that many bytes are left.
        while end &- place >= 16, place &- start < FieldName.longestByteCount {
            let lanes = raw.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self)
            // Bit 7 of each colon, which the exclusive or makes 0.
            let flipped = lanes ^ 0x3A
            if let offset = ByteLanes.firstMarked((flipped &- 1) & ~flipped & 0x80) { return place &+ offset }
            place &+= 16
        }
        while place < end, place &- start < FieldName.longestByteCount, base[place] != 0x3A { place &+= 1 }
        return place
    }

    /// The first place at or after `start` whose byte may not stand in a field value.
    @inline(__always) static func skipText(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int
    {
        let raw = UnsafeRawPointer(base)
        var place = start
        // Cannot overflow: a step is only made where that many bytes are left before `end`.
        while end &- place >= 16 {
            let found = controls(raw.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self))
            if let offset = ByteLanes.firstMarked(found) {
                place &+= offset
                guard base[place] == 0x09 else { return place }
                place &+= 1
                continue
            }
            place &+= 16
            // Long values are mostly tokens: two blocks a round.
            while end &- place >= 32 {
                let first = controls(raw.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self))
                let second = controls(raw.loadUnaligned(fromByteOffset: place &+ 16, as: SIMD16<UInt8>.self))
                if ByteLanes.isMarked(first | second) { break }
                place &+= 32
            }
        }
        while place < end, ByteClass.is(base[place], ByteClass.fieldText) { place &+= 1 }
        return place
    }

    /// Bit 7 of each byte below 0x20 or equal to 0x7F: of those without bit 7, taking 0x20 away or adding 1 sets it.
    @inline(__always) private static func controls(_ lanes: SIMD16<UInt8>) -> SIMD16<UInt8> {
        ((lanes &- 0x20) | (lanes &+ 1)) & ~lanes & 0x80
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
