import Glibc

/// Why a log cannot be read: its name, and the kernel's words.
struct AccessLogFailure: Error, CustomStringConvertible {
    let description: String

    init(_ name: String, _ code: Int32) { description = "\(name): \(String(cString: strerror(code)))" }
}

/// The lines of a file or of standard input, one after the other.
///
/// - Limits: a block of 1 MiB; a line over `maxLineByteCount` is passed over.
final class AccessLogLines {
    static let maxLineByteCount = 65_536
    private static let blockByteCount = 1 << 20

    /// As the operator named it.
    let name: String
    private let descriptor: Int32

    /// Opens the file; `-` is standard input.
    init(_ name: String) throws(AccessLogFailure) {
        let opened = name == "-" ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw AccessLogFailure(name, errno) }
        self.name = name == "-" ? "standard input" : name
        descriptor = opened
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Lends each line without its end, and its number from 1; nil in place of one that is too long.
    func forEach(_ body: (UnsafeBufferPointer<UInt8>?, Int) -> Void) throws(AccessLogFailure) {
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.blockByteCount)
        defer { block.deallocate() }
        var held = 0
        var number = 0
        var isTooLong = false
        /// Gives a line of `count` bytes at `start`, or says that it is too long.
        func give(_ start: Int, _ count: Int) {
            number += 1
            if isTooLong || count > Self.maxLineByteCount {
                body(nil, number)
            } else if count > 0 {
                body(UnsafeBufferPointer(start: block + start, count: count), number)
            }
            isTooLong = false
        }
        while true {
            let count = read(descriptor, block + held, Self.blockByteCount - held)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw AccessLogFailure(name, errno) }
            if count == 0 { break }
            let end = held + count
            var start = 0
            var search = held
            while let found = memchr(block + search, 0x0A, end - search) {
                let place = UnsafeMutablePointer<UInt8>(OpaquePointer(found)) - block
                give(start, place - start)
                start = place + 1
                search = start
            }
            held = end - start
            if held > Self.maxLineByteCount {
                // Its end is looked for, its bytes are not kept.
                isTooLong = true
                held = 0
            } else {
                memmove(block, block + start, held)
            }
        }
        // The last line may have no end, and may have been cut where the program was.
        if held > 0 || isTooLong { give(0, held) }
    }
}
