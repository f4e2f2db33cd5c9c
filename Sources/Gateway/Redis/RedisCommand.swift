internal import Bytes
internal import CHiredis

extension Buffer {
    /// Makes room for `byteCount` more bytes: moves what is readable down, or takes a larger block of at most `limit` bytes.
    ///
    /// - Returns: false when that is not enough; nothing was changed then that matters.
    mutating func makeRoom(_ byteCount: Int, limit: Int) -> Bool {
        if room >= byteCount { return true }
        guard count + byteCount <= limit else { return false }
        // Moving is cheap when little is readable; else the block doubles, so that each byte is moved a few times at most.
        if count + byteCount > capacity / 2 {
            enlarge(to: min(limit, max(capacity * 2, count + byteCount)))
        }
        compact()
        return room >= byteCount
    }

    /// Appends the beginning of a command of `count` arguments, its name among them.
    ///
    /// - Source: Redis serialization protocol (RESP 2), «Arrays»; each argument follows by `appendRedis`.
    mutating func appendRedisCommand(argumentCount count: Int) {
        append(0x2A)
        appendDecimal(count)
        append("\r\n")
    }

    /// Appends one argument of a command.
    ///
    /// - Source: RESP 2, «Bulk strings».
    mutating func appendRedis(_ argument: ByteView) {
        appendRedis(byteCount: argument.count)
        append(argument)
        append("\r\n")
    }

    mutating func appendRedis(_ literal: StaticString) {
        appendRedis(ByteView(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends a number as an argument.
    mutating func appendRedis(_ number: UInt64) {
        appendRedis(byteCount: Self.digitCount(number))
        appendDecimal(number)
        append("\r\n")
    }

    /// Appends the length of an argument whose bytes the caller appends, and a line's end after them.
    mutating func appendRedis(byteCount: Int) {
        append(0x24)
        appendDecimal(byteCount)
        append("\r\n")
    }

    private static func digitCount(_ number: UInt64) -> Int {
        var count = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }
}

/// A whole command, made once or rarely; requests write theirs straight into a `Buffer`.
struct RedisCommand {
    let bytes: [UInt8]

    /// - Errors: nil when memory is short.
    init?(_ arguments: [String]) {
        let copies = arguments.map { Array($0.utf8) }
        var target: UnsafeMutablePointer<CChar>?
        let count = Self.withPointers(copies[...], []) { pointers in
            pointers.withUnsafeBufferPointer { pointers in
                copies.map(\.count).withUnsafeBufferPointer { counts in
                    let start = UnsafeMutablePointer(mutating: pointers.baseAddress)
                    return redisFormatCommandArgv(&target, Int32(copies.count), start, counts.baseAddress)
                }
            }
        }
        guard count > 0, let target else { return nil }
        bytes = target.withMemoryRebound(to: UInt8.self, capacity: Int(count)) {
            Array(UnsafeBufferPointer(start: $0, count: Int(count)))
        }
        redisFreeCommand(target)
    }

    /// Lends the bytes of all of `texts` at once.
    private static func withPointers<Result>(
        _ texts: ArraySlice<[UInt8]>, _ found: [UnsafePointer<CChar>?],
        _ body: ([UnsafePointer<CChar>?]) -> Result
    ) -> Result {
        guard let first = texts.first else { return body(found) }
        // Empty arrays lend no address, and hiredis copies from it all the same.
        return (first + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                withPointers(texts.dropFirst(), found + [$0.baseAddress], body)
            }
        }
    }
}
