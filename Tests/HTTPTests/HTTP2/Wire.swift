/// Frames as they are on the wire, written and read here by hand: never by nghttp2, which is what is being tested.
enum Wire {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    enum Kind: UInt8 {
        case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate,
            continuation
        case priorityUpdate = 16
    }

    static let endStream: UInt8 = 1
    static let ack: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let padded: UInt8 = 8
    static let priority: UInt8 = 32

    static func number(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    static func frame(type: UInt8, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        let count = UInt32(payload.count)
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags] + number(stream)
            + payload
    }

    static func frame(_ kind: Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        frame(type: kind.rawValue, flags, stream, payload)
    }

    /// An HPACK integer with a prefix of `bits` (RFC 7541 §5.1).
    static func integer(_ value: Int, bits: Int, first: UInt8 = 0) -> [UInt8] {
        let most = 1 << bits - 1
        if value < most { return [first | UInt8(value)] }
        var bytes = [first | UInt8(most)]
        var rest = value - most
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// A field section of literals without indexing, names and values as they are (RFC 7541 §6.2.2).
    static func section(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { name, value in
            [0] + integer(name.latin1.count, bits: 7) + name.latin1 + integer(value.latin1.count, bits: 7)
                + value.latin1
        }
    }

    static let get: [(String, String)] = [
        (":method", "GET"), (":scheme", "https"), (":authority", "nova.example"), (":path", "/v2.1/servers"),
    ]
    static let post: [(String, String)] = [
        (":method", "POST"), (":scheme", "https"), (":authority", "nova.example"), (":path", "/v2.1/servers"),
    ]

    static func headers(_ stream: UInt32, _ fields: [(String, String)], isEnd: Bool = true) -> [UInt8] {
        frame(.headers, endHeaders | (isEnd ? endStream : 0), stream, section(fields))
    }

    static func data(_ stream: UInt32, _ text: String, isEnd: Bool = false) -> [UInt8] {
        frame(.data, isEnd ? endStream : 0, stream, text.latin1)
    }

    static func resetStream(_ stream: UInt32, _ code: UInt32) -> [UInt8] {
        frame(.resetStream, 0, stream, number(code))
    }

    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> [UInt8] {
        frame(.windowUpdate, 0, stream, number(increment))
    }

    static func settings(_ pairs: [(UInt16, UInt32)] = []) -> [UInt8] {
        frame(.settings, 0, 0, pairs.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] + number($1) })
    }

    /// What a client says first.
    static let greeting = preface + settings()

    /// A frame that was read.
    struct Frame: Equatable, CustomStringConvertible {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        var kind: Kind? { Kind(rawValue: type) }

        /// The number at `offset` of the payload.
        func number(_ offset: Int = 0) -> UInt32 {
            payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }

        var description: String {
            switch kind {
            case .resetStream: "reset \(stream) \(number())"
            case .goAway: "goaway \(number()) \(number(4))"
            case .windowUpdate: "window \(stream) \(number())"
            case .data: "data \(stream) \(payload.count)" + (flags & 1 == 1 ? " end" : "")
            case .headers: "headers \(stream)" + (flags & 1 == 1 ? " end" : "")
            case .settings: flags & 1 == 1 ? "settings ack" : "settings"
            case .ping: flags & 1 == 1 ? "ping ack" : "ping"
            default: "type \(type) on \(stream), \(payload.count) bytes"
            }
        }
    }

    /// Divides bytes into frames; what is left of a last one that is not whole.
    static func frames(_ bytes: [UInt8]) -> (frames: [Frame], rest: Int) {
        var frames: [Frame] = []
        var place = 0
        while bytes.count - place >= 9 {
            let count = Int(bytes[place]) << 16 | Int(bytes[place + 1]) << 8 | Int(bytes[place + 2])
            guard bytes.count - place >= 9 + count else { break }
            let stream = bytes[place + 5..<place + 9].reduce(0) { $0 << 8 | UInt32($1) }
            frames.append(
                Frame(
                    type: bytes[place + 3], flags: bytes[place + 4], stream: stream,
                    payload: Array(bytes[place + 9..<place + 9 + count])))
            place += 9 + count
        }
        return (frames, bytes.count - place)
    }
}
