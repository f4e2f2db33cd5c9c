public import Bytes

/// One thing that an application credential may be used for.
///
/// - Shape: `path` is a pattern: `*` and `{name}` are one segment, `**` anything, a dot any byte.
/// - Source: identity API v3, application credentials, `access_rules`; read as keystonemiddleware's auth_token does.
public struct AccessRule: Equatable, Sendable {
    public let service: String
    public let method: [UInt8]
    let pattern: [Piece]

    enum Piece: Equatable, Sendable {
        case byte(UInt8)
        case segment
        case anything
    }

    public init(service: String, method: String, path: String) {
        self.service = service
        self.method = Array(method.utf8)
        var pieces: [Piece] = []
        let bytes = Array(path.utf8)
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case 0x7B:
                // Without its end it is no tag, and stands for nothing.
                if let end = bytes[index...].firstIndex(of: 0x7D) {
                    pieces.append(.segment)
                    index = end
                }
            case 0x7D: break
            case 0x2A:
                if index + 1 < bytes.count, bytes[index + 1] == 0x2A {
                    pieces.append(.anything)
                    index += 1
                } else {
                    pieces.append(.segment)
                }
            default: pieces.append(.byte(bytes[index]))
            }
            index += 1
        }
        pattern = pieces
    }

    /// Tells whether the rule allows `method` on `path` of `service`.
    public func allows(service: String, method: ByteView, path: ByteView) -> Bool {
        guard self.service == service, self.method.withUnsafeBufferPointer({ method.equals($0) }) else {
            return false
        }
        // Which pieces may come next, all at once: no pattern makes this slower than pieces times bytes.
        var reached = [Bool](repeating: false, count: pattern.count + 1)
        reached[0] = true
        spread(&reached)
        for byte in path {
            var next = [Bool](repeating: false, count: pattern.count + 1)
            for (index, piece) in pattern.enumerated() where reached[index] {
                switch piece {
                case .byte(let wanted): if wanted == byte || wanted == 0x2E { next[index + 1] = true }
                case .segment:
                    // At least one byte, then as many as there are.
                    guard byte != 0x2F else { continue }
                    next[index] = true
                    next[index + 1] = true
                case .anything: next[index] = true
                }
            }
            spread(&next)
            reached = next
        }
        return reached[pattern.count]
    }

    /// What `anything` can skip.
    private func spread(_ reached: inout [Bool]) {
        for (index, piece) in pattern.enumerated() where reached[index] && piece == .anything {
            reached[index + 1] = true
        }
    }
}
