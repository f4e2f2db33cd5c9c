/// Why a message is not read on: a closed list, each with its status and a sentence for the client.
public enum Refusal: UInt8, Error, CaseIterable, Sendable {
    case badRequestLine, badStatusLine, badFieldLine, obsoleteFold, bareLineFeed, controlByte
    case missingHost, repeatedHost, badHost
    case ambiguousLength, badLength, badTransferCoding, transferCodingUnknown
    case headTooLarge, targetTooLong, tooManyFields, versionNotSupported, pathNotNormal, badTarget
    case methodNotAllowedHere, expectationFailed, chunkedCodingInvalid, trailerTooLarge, trailerFieldRefused
    case secureProtocol, unexpectedUpgrade

    /// The status a client gets; a refused upstream message is 502 whatever this says.
    public var status: Int {
        switch self {
        case .targetTooLong: 414
        case .expectationFailed: 417
        case .headTooLarge, .tooManyFields, .trailerTooLarge: 431
        case .transferCodingUnknown, .methodNotAllowedHere: 501
        case .badStatusLine, .unexpectedUpgrade: 502
        case .versionNotSupported: 505
        default: 400
        }
    }

    /// One sentence for the fault message.
    public var phrase: StaticString {
        switch self {
        case .badRequestLine: "The request line is malformed."
        case .badStatusLine: "The status line is malformed."
        case .badFieldLine: "A field line is malformed."
        case .obsoleteFold: "A field line is folded."
        case .bareLineFeed: "A line ends without a carriage return."
        case .controlByte: "A control byte stands where none may."
        case .missingHost: "The Host field is missing."
        case .repeatedHost: "The Host field is repeated."
        case .badHost: "The host is not a valid host name with an optional port."
        case .ambiguousLength: "The length of the content is given more than once."
        case .badLength: "The Content-Length field is not one number."
        case .badTransferCoding: "The Transfer-Encoding field is malformed or not allowed here."
        case .transferCodingUnknown: "The transfer coding is not supported."
        case .headTooLarge: "The request head is too large."
        case .targetTooLong: "The request target is too long."
        case .tooManyFields: "The request has too many fields."
        case .versionNotSupported: "The protocol version is not supported."
        case .pathNotNormal: "The path is not in normal form."
        case .badTarget: "The request target is malformed."
        case .methodNotAllowedHere: "The method is not supported."
        case .expectationFailed: "The expectation is not supported."
        case .chunkedCodingInvalid: "The chunked coding is malformed."
        case .trailerTooLarge: "The trailer section is too large."
        case .trailerFieldRefused: "The trailer section has a field that may not stand there."
        case .secureProtocol: "A TLS handshake came in where plain HTTP is spoken."
        case .unexpectedUpgrade: "The upstream switched protocols unasked."
        }
    }
}

/// What a head reader knows after the bytes seen so far.
public enum HeadResult: Equatable, Sendable {
    case incomplete
    case complete
    case refused(Refusal)
}

/// How much of a message the readers take.
public struct HeadLimits: Sendable {
    /// The whole head, from its first byte to the empty line; more is 431.
    public var headByteCount = 16_384
    /// The request target; more is 414.
    public var targetByteCount = 8_192
    /// Field lines; more is 431. The capacity of the field section bounds it too.
    public var fieldCount = 100

    /// Makes limits, those of the settings' defaults where none is given.
    public init(headByteCount: Int = 16_384, targetByteCount: Int = 8_192, fieldCount: Int = 100) {
        self.headByteCount = headByteCount
        self.targetByteCount = targetByteCount
        self.fieldCount = fieldCount
    }
}

/// How the end of a message's content is found (RFC 9112 §6.3).
public enum Framing: Equatable, Sendable {
    case none
    case length(UInt64)
    case chunked
    /// The connection's end ends the content; responses only.
    case untilClose
}
