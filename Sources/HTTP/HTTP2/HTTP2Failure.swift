/// Why an HTTP/2 connection is over: a closed list for logs and metrics.
public enum HTTP2Failure: UInt8, CaseIterable, Sendable {
    case none
    /// What RFC 9113 forbids, by the code of the GOAWAY that answered it.
    case badPreface, protocolError, flowControlError, streamClosed, frameSizeError, compressionError
    /// A budget is used up, or something was sent without end.
    case resets, provokedResets, controlFrames, emptyFrames, smallWindows
    case continuations, headTooLarge, unreadFrames
    /// Ours: memory ran out or nghttp2 refused to go on.
    case internalError
    /// The owner ended it.
    case terminated

    /// The word for logs and metrics.
    public var word: StaticString {
        switch self {
        case .none: "none"
        case .badPreface: "bad_preface"
        case .protocolError: "protocol_error"
        case .flowControlError: "flow_control_error"
        case .streamClosed: "stream_closed"
        case .frameSizeError: "frame_size_error"
        case .compressionError: "compression_error"
        case .resets: "resets"
        case .provokedResets: "provoked_resets"
        case .controlFrames: "control_frames"
        case .emptyFrames: "empty_frames"
        case .smallWindows: "small_windows"
        case .continuations: "continuations"
        case .headTooLarge: "head_too_large"
        case .unreadFrames: "unread_frames"
        case .internalError: "internal_error"
        case .terminated: "terminated"
        }
    }

    /// The error code of the GOAWAY that tells the peer (RFC 9113 §7).
    var code: UInt32 {
        switch self {
        case .none, .terminated: HTTP2Code.noError
        case .badPreface, .protocolError: HTTP2Code.protocolError
        case .flowControlError: HTTP2Code.flowControlError
        case .streamClosed: HTTP2Code.streamClosed
        case .frameSizeError: HTTP2Code.frameSizeError
        case .compressionError: HTTP2Code.compressionError
        case .resets, .provokedResets, .controlFrames, .emptyFrames, .smallWindows, .continuations,
            .headTooLarge, .unreadFrames:
            HTTP2Code.enhanceYourCalm
        case .internalError: HTTP2Code.internalError
        }
    }

    /// What a GOAWAY with `code`, which nghttp2 made, says.
    init(code: UInt32) {
        switch code {
        case HTTP2Code.noError: self = .none
        case HTTP2Code.internalError: self = .internalError
        case HTTP2Code.flowControlError: self = .flowControlError
        case HTTP2Code.streamClosed: self = .streamClosed
        case HTTP2Code.frameSizeError: self = .frameSizeError
        case HTTP2Code.compressionError: self = .compressionError
        default: self = .protocolError
        }
    }
}

/// The error codes of RST_STREAM and GOAWAY (RFC 9113 §7).
public enum HTTP2Code {
    public static let noError: UInt32 = 0
    public static let protocolError: UInt32 = 1
    public static let internalError: UInt32 = 2
    public static let flowControlError: UInt32 = 3
    public static let settingsTimeout: UInt32 = 4
    public static let streamClosed: UInt32 = 5
    public static let frameSizeError: UInt32 = 6
    public static let refusedStream: UInt32 = 7
    public static let cancel: UInt32 = 8
    public static let compressionError: UInt32 = 9
    public static let connectError: UInt32 = 10
    public static let enhanceYourCalm: UInt32 = 11
    public static let inadequateSecurity: UInt32 = 12
    public static let http11Required: UInt32 = 13
}
