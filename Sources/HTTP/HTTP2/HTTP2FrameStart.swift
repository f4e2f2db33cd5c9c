/// The start of a frame as it is judged: its header and, where these decide, a few bytes more.
struct HTTP2FrameStart {
    enum Kind {
        case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate
        case continuation, priorityUpdate, other
    }

    enum Flag: UInt8 {
        case endStream = 1
        case endHeaders = 4
        case padded = 8
        case priority = 32
    }

    let start: UnsafePointer<UInt8>
    let length: Int

    init(_ start: UnsafePointer<UInt8>) {
        self.start = start
        length = Int(start[0]) << 16 | Int(start[1]) << 8 | Int(start[2])
    }

    init(_ start: UnsafeMutablePointer<UInt8>) { self.init(UnsafePointer(start)) }

    var type: Kind {
        switch start[3] {
        case 0: .data
        case 1: .headers
        case 2: .priority
        case 3: .resetStream
        case 4: .settings
        case 5: .pushPromise
        case 6: .ping
        case 7: .goAway
        case 8: .windowUpdate
        case 9: .continuation
        case 16: .priorityUpdate
        default: .other
        }
    }

    var stream: Int32 { Int32(truncatingIfNeeded: number(5)) }

    /// Tells whether a client may have opened the stream.
    var isOfClient: Bool { start[8] & 1 == 1 }

    func has(_ flag: Flag) -> Bool { start[4] & flag.rawValue != 0 }

    /// How many bytes are looked at before the frame is fed; never more than it has.
    var judgedCount: Int {
        switch type {
        case .headers where has(.priority): 9 + Swift.min(length, has(.padded) ? 5 : 4)
        case .priority, .windowUpdate, .priorityUpdate: 9 + Swift.min(length, 4)
        default: 9
        }
    }

    /// The stream that this one depends on; nil when the frame does not say.
    var dependency: Int32? {
        switch type {
        case .priority: length >= 4 ? Int32(truncatingIfNeeded: number(9)) : nil
        case .headers where has(.priority):
            length >= (has(.padded) ? 5 : 4)
                ? Int32(truncatingIfNeeded: number(has(.padded) ? 10 : 9)) : nil
        default: nil
        }
    }

    /// The stream that a PRIORITY_UPDATE is about; its length is at least 4.
    var prioritized: Int32 { Int32(truncatingIfNeeded: number(9)) }

    /// A WINDOW_UPDATE's increment; its length is 4.
    var increment: Int32 { Int32(truncatingIfNeeded: number(9)) }

    /// A 31-bit number at `offset`.
    private func number(_ offset: Int) -> UInt32 {
        UInt32(start[offset] & 0x7F) << 24 | UInt32(start[offset + 1]) << 16 | UInt32(start[offset + 2]) << 8
            | UInt32(start[offset + 3])
    }
}
