internal import Bytes
internal import CRabbitMQ

/// The methods that a publisher sends and meets: class and method in 16 bits each.
///
/// - Source: AMQP 0-9-1 §1.4 ff. of its reference; `confirm`, `connection.blocked` and `basic.nack` are RabbitMQ's.
enum RabbitMethod: UInt32 {
    case connectionStart = 0x000A_000A
    case connectionStartOK = 0x000A_000B
    case connectionTune = 0x000A_001E
    case connectionTuneOK = 0x000A_001F
    case connectionOpen = 0x000A_0028
    case connectionOpenOK = 0x000A_0029
    case connectionClose = 0x000A_0032
    case connectionCloseOK = 0x000A_0033
    case connectionBlocked = 0x000A_003C
    case connectionUnblocked = 0x000A_003D
    case channelOpen = 0x0014_000A
    case channelOpenOK = 0x0014_000B
    case channelClose = 0x0014_0028
    case channelCloseOK = 0x0014_0029
    case exchangeDeclare = 0x0028_000A
    case exchangeDeclareOK = 0x0028_000B
    case queueDeclare = 0x0032_000A
    case queueDeclareOK = 0x0032_000B
    case queueBind = 0x0032_0014
    case queueBindOK = 0x0032_0015
    case basicPublish = 0x003C_0028
    case basicReturn = 0x003C_0032
    case basicAck = 0x003C_0050
    case basicNack = 0x003C_0078
    case confirmSelect = 0x0055_000A
    case confirmSelectOK = 0x0055_000B
}

/// A frame of AMQP 0-9-1.
///
/// - Shape: kind, channel (16 bits), payload size (32 bits), payload, `0xCE`; numbers have their high byte first.
/// - Ownership: the payload is a view of what it was read from.
struct RabbitFrame {
    enum Kind: UInt8 {
        case method = 1
        case header = 2
        case body = 3
        case heartbeat = 8
    }

    /// Bytes of a frame besides its payload.
    static let overhead = 8
    /// What every peer takes before more is agreed on.
    static let minimumLimit = 4_096
    static let end: UInt8 = 0xCE
    /// What a connection begins with.
    static let protocolHeader: StaticString = "AMQP\u{0}\u{0}\u{9}\u{1}"

    let kind: Kind
    let channel: UInt16
    let payload: ByteView

    var byteCount: Int { payload.count + Self.overhead }

    /// The method that it calls or answers; nil for another kind of frame, and for one that is none of ours.
    var method: RabbitMethod? {
        guard kind == .method, payload.count >= 4 else { return nil }
        return RabbitMethod(rawValue: UInt32(truncatingIfNeeded: Self.number(payload.view(0, 4))))
    }

    init(kind: Kind, channel: UInt16, payload: ByteView) {
        self.kind = kind
        self.channel = channel
        self.payload = payload
    }

    /// Reads the frame that `bytes` begin with; nil when they are too few.
    ///
    /// - Errors: it is no frame, or takes more than `limit` bytes.
    init?(_ bytes: ByteView, limit: Int) throws(SinkFailure) {
        guard let first = bytes.first else { return nil }
        guard let kind = Kind(rawValue: first) else {
            throw SinkFailure("what answers does not speak AMQP 0-9-1")
        }
        guard bytes.count >= 7 else { return nil }
        let size = Self.number(bytes.view(3, 4))
        guard size <= limit - Self.overhead else {
            throw SinkFailure("the broker sent a frame of \(size) bytes")
        }
        guard bytes.count >= size + Self.overhead else { return nil }
        guard bytes[size + 7] == Self.end else { throw SinkFailure("the broker sent a malformed frame") }
        self.init(
            kind: kind, channel: UInt16(Self.number(bytes.view(1, 2))), payload: bytes.view(7, size))
    }

    private static func number(_ bytes: ByteView) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
}

extension Buffer {
    /// Appends a method with what librabbitmq has for its arguments.
    ///
    /// - Limits: the frame takes at most `RabbitFrame.minimumLimit` bytes.
    /// - Errors: a name of more than 255 bytes, or arguments that are too long together.
    mutating func appendRabbitMethod<Arguments: BitwiseCopyable>(
        _ method: RabbitMethod, channel: UInt16, _ arguments: Arguments
    ) throws(SinkFailure) {
        var arguments = arguments
        try appendRabbitMethod(method, channel: channel) { room in
            amqp_encode_method(method.rawValue, &arguments, room)
        }
    }

    /// The same with arguments that `encode` writes; it answers how many bytes it wrote, or what is below 0.
    mutating func appendRabbitMethod(
        _ method: RabbitMethod, channel: UInt16, _ encode: (amqp_bytes_t) -> Int32
    ) throws(SinkFailure) {
        let start = beginRabbitFrame(.method, channel: channel, room: RabbitFrame.minimumLimit)
        appendNumber(UInt64(method.rawValue), byteCount: 4)
        let room = RabbitFrame.minimumLimit - RabbitFrame.overhead - 4
        let count = encode(CRabbitMQ_bytes(writable.baseAddress, room))
        guard count >= 0 else {
            end = start
            throw SinkFailure("\(method): a name is longer than 255 bytes, or all are too long together")
        }
        grow(by: Int(count))
        endRabbitFrame(start)
    }

    /// Appends a message's header and its content, in as many frames as `limit` bytes each make necessary.
    ///
    /// - Limits: an id of at most 255 bytes.
    mutating func appendRabbitContent(
        _ content: ByteView, id: ByteView, seconds: UInt64, channel: UInt16, limit: Int
    ) throws(SinkFailure) {
        let start = beginRabbitFrame(.header, channel: channel, room: RabbitFrame.minimumLimit)
        appendNumber(UInt64(AMQP_BASIC_CLASS), byteCount: 2)
        appendNumber(0, byteCount: 2)
        appendNumber(UInt64(content.count), byteCount: 8)
        let count = CRabbitMQ_encodeProperties(
            CRabbitMQ_bytes(id.baseAddress, id.count), seconds,
            CRabbitMQ_bytes(writable.baseAddress, RabbitFrame.minimumLimit - RabbitFrame.overhead - 12))
        guard count >= 0 else {
            end = start
            throw SinkFailure("the event's id is longer than 255 bytes")
        }
        grow(by: Int(count))
        endRabbitFrame(start)
        var rest = content
        while !rest.isEmpty {
            let piece = rest.view(0, min(rest.count, limit - RabbitFrame.overhead))
            let start = beginRabbitFrame(.body, channel: channel, room: piece.count + RabbitFrame.overhead)
            append(piece)
            endRabbitFrame(start)
            rest = rest.view(piece.count, rest.count - piece.count)
        }
    }

    /// Makes room for a frame of `room` bytes and appends what stands before its payload; where that begins.
    private mutating func beginRabbitFrame(_ kind: RabbitFrame.Kind, channel: UInt16, room: Int) -> Int {
        if self.room < room {
            compact()
            enlarge(to: max(end + room, 2 * capacity))
        }
        let start = end
        append(kind.rawValue)
        appendNumber(UInt64(channel), byteCount: 2)
        appendNumber(0, byteCount: 4)
        return start
    }

    private mutating func endRabbitFrame(_ start: Int) {
        let (frameEnd, size) = (end, end - start - 7)
        end = start + 3
        appendNumber(UInt64(size), byteCount: 4)
        end = frameEnd
        append(RabbitFrame.end)
    }

    private mutating func appendNumber(_ value: UInt64, byteCount: Int) {
        for index in (0..<byteCount).reversed() { append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
}

/// Reads the arguments of methods.
///
/// - Ownership: texts and tables in what it gives are of the frame and of its pool, until the next is read.
final class RabbitArguments {
    private var pool = amqp_pool_t()

    init() { init_amqp_pool(&pool, 4_096) }

    deinit { empty_amqp_pool(&pool) }

    /// The arguments of the method in `frame`, of which `Arguments` is librabbitmq's type.
    func read<Arguments: BitwiseCopyable>(_ frame: RabbitFrame, as _: Arguments.Type) throws(SinkFailure)
        -> Arguments
    {
        recycle_amqp_pool(&pool)
        var decoded: UnsafeMutableRawPointer?
        guard let method = frame.method,
            amqp_decode_method(
                method.rawValue, &pool,
                CRabbitMQ_bytes(frame.payload.baseAddress! + 4, frame.payload.count - 4), &decoded) == 0,
            let decoded
        else { throw SinkFailure("the broker sent a malformed method") }
        return decoded.load(as: Arguments.self)
    }

    /// The message that a basic.ack is about, and whether of all before it too.
    func readConfirm(_ frame: RabbitFrame) throws(SinkFailure) -> (number: UInt64, isMultiple: Bool) {
        let ack = try read(frame, as: amqp_basic_ack_t.self)
        return (ack.delivery_tag, ack.multiple != 0)
    }
}

extension amqp_bytes_t {
    /// Copies into a String, bad UTF-8 replaced.
    var string: String {
        String(decoding: UnsafeRawBufferPointer(start: bytes, count: len), as: UTF8.self)
    }
}

/// A name in the form that librabbitmq takes; lives as long as this.
final class RabbitName {
    let bytes: amqp_bytes_t
    private let block: UnsafeMutableBufferPointer<UInt8>

    init(_ text: [UInt8]) {
        block = .allocate(capacity: text.count)
        _ = block.initialize(from: text)
        bytes = CRabbitMQ_bytes(block.baseAddress, text.count)
    }

    convenience init(_ text: String) { self.init(Array(text.utf8)) }

    deinit { block.deallocate() }
}
