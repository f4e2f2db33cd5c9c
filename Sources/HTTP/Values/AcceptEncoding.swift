import Bytes

/// A content coding that Gatehouse makes; `deflate` is the zlib format (RFC 9110 §8.4.1.2).
public enum ContentCoding: UInt8, CaseIterable, Sendable {
    case identity, gzip, deflate

    /// The name in Content-Encoding.
    public var name: StaticString {
        switch self {
        case .identity: "identity"
        case .gzip: "gzip"
        case .deflate: "deflate"
        }
    }

    /// Finds a coding by its name in any case; `x-gzip` means gzip.
    public static func find(_ name: ByteView) -> ContentCoding? {
        switch name.count {
        case 4: name.equalsIgnoringCase("gzip") ? .gzip : nil
        case 6: name.equalsIgnoringCase("x-gzip") ? .gzip : nil
        case 7: name.equalsIgnoringCase("deflate") ? .deflate : nil
        case 8: name.equalsIgnoringCase("identity") ? .identity : nil
        default: nil
        }
    }
}

/// Chooses a content coding by the Accept-Encoding lines of a request.
///
/// - Source: RFC 9110 §12.5.3 and §12.4.2.
public enum AcceptEncoding {
    /// The coding of the highest weight, gzip before deflate before identity; nil when the client refuses all
    /// three.
    ///
    /// Without the field the answer is identity. A member that is malformed is as if absent.
    public static func choose(_ fields: borrowing FieldSection, _ bytes: ByteView) -> ContentCoding? {
        guard let value = fields.find(.acceptEncoding) else { return .identity }
        // One coding alone is the choice: of the others none is acceptable, or only identity, which comes last.
        if fields.count(of: .acceptEncoding) == 1, let only = ContentCoding.find(bytes.view(value)) {
            return only
        }
        var weights = Weights()
        var next = fields.index(of: .acceptEncoding)
        while let index = next {
            weights.read(bytes.view(fields[index].value))
            next = fields.index(of: .acceptEncoding, from: index + 1)
        }
        return weights.choice
    }

    /// The same for one field value.
    public static func choose(_ value: ByteView) -> ContentCoding? {
        var weights = Weights()
        weights.read(value)
        return weights.choice
    }

    /// Weights in thousandths; nil where the client said nothing.
    private struct Weights {
        var gzip: Int?
        var deflate: Int?
        var identity: Int?
        var any: Int?

        mutating func read(_ value: ByteView) {
            var list = FieldList(value)
            while let member = list.next() { readMember(value.view(member)) }
        }

        mutating func readMember(_ member: ByteView) {
            var end = 0
            while end < member.count, member[end] != UInt8(ascii: ";") { end += 1 }
            let name = member.view(0, end).trimmed()
            var weight = 1_000
            if end < member.count {
                guard let given = Weight.read(member.view(end + 1, member.count - end - 1).trimmed()) else {
                    return
                }
                weight = given
            }
            if name.equals("*") { return any = weight }
            switch ContentCoding.find(name) {
            case .gzip: gzip = weight
            case .deflate: deflate = weight
            case .identity: identity = weight
            case nil: break
            }
        }

        var choice: ContentCoding? {
            let gzip = self.gzip ?? any ?? 0
            let deflate = self.deflate ?? any ?? 0
            if gzip > 0, gzip >= deflate, gzip >= identity ?? 0 { return .gzip }
            if deflate > 0, deflate >= identity ?? 0 { return .deflate }
            return identity ?? any ?? 1 > 0 ? .identity : nil
        }
    }
}

/// Reads the weight parameter of content negotiation.
///
/// - Source: RFC 9110 §12.4.2.
enum Weight {
    /// Reads `q=0.5` and such in thousandths; nil for anything else.
    static func read(_ parameter: ByteView) -> Int? {
        guard parameter.count >= 3, parameter.count <= 7, parameter[0] | 0x20 == UInt8(ascii: "q"),
            parameter[1] == UInt8(ascii: "="), parameter[2] == 0x30 || parameter[2] == 0x31
        else { return nil }
        var weight = Int(parameter[2] - 0x30) * 1_000
        guard parameter.count > 3 else { return weight }
        guard parameter[3] == UInt8(ascii: ".") else { return nil }
        var unit = 100
        for index in 4..<parameter.count {
            guard ASCII.isDigit(parameter[index]) else { return nil }
            weight += Int(parameter[index] - 0x30) * unit
            unit /= 10
        }
        return weight <= 1_000 ? weight : nil
    }
}
