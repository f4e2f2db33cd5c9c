import Bytes
import CZlib

/// Puts content codings on and takes them off, a whole content at once; for cached and collected content.
public enum ContentCoder {
    /// Why content could not be decoded.
    public enum Failure: Error, Equatable, Sendable {
        /// The bytes are not of that coding, end early, or go on after its end.
        case corrupt
        /// The decoded content is larger than allowed.
        case tooLarge
        case outOfMemory
    }

    /// Encodes with a zlib level of 1 to 9; nil for identity or when zlib has no memory.
    public static func encode(_ bytes: ByteView, as coding: ContentCoding, level: Int32 = 6) -> [UInt8]? {
        guard coding != .identity else { return nil }
        var stream = z_stream()
        guard CZlib_deflateInit2(&stream, min(max(level, 1), 9), windowBits(coding), 8) == Z_OK else {
            return nil
        }
        defer { deflateEnd(&stream) }
        guard let inputCount = UInt32(exactly: bytes.count),
            let bound = UInt32(exactly: deflateBound(&stream, UInt(bytes.count)))
        else { return nil }
        stream.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
        stream.avail_in = inputCount
        var isWhole = false
        let encoded = [UInt8](unsafeUninitializedCapacity: Int(bound)) { room, count in
            stream.next_out = room.baseAddress
            stream.avail_out = bound
            // The bound makes one call enough.
            isWhole = deflate(&stream, Z_FINISH) == Z_STREAM_END
            count = Int(stream.total_out)
        }
        return isWhole ? encoded : nil
    }

    /// Decodes content of at most `byteLimit` bytes.
    public static func decode(
        _ bytes: ByteView, as coding: ContentCoding, atMost byteLimit: Int
    ) throws(Failure) -> [UInt8] {
        guard coding != .identity else {
            guard bytes.count <= byteLimit else { throw .tooLarge }
            return Array(bytes)
        }
        guard let inputCount = UInt32(exactly: bytes.count) else { throw .tooLarge }
        var stream = z_stream()
        guard CZlib_inflateInit2(&stream, windowBits(coding)) == Z_OK else { throw .outOfMemory }
        defer { inflateEnd(&stream) }
        stream.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
        stream.avail_in = inputCount
        var content: [UInt8] = []
        let pieceCount = 16_384
        while true {
            let before = content.count
            content.append(contentsOf: repeatElement(0, count: pieceCount))
            let status = content.withUnsafeMutableBufferPointer { room in
                stream.next_out = room.baseAddress.map { $0 + before }
                stream.avail_out = UInt32(pieceCount)
                return inflate(&stream, Z_NO_FLUSH)
            }
            content.removeLast(Int(stream.avail_out))
            guard content.count <= byteLimit else { throw .tooLarge }
            if status == Z_STREAM_END { break }
            if status == Z_MEM_ERROR { throw .outOfMemory }
            // Room left over means that the input ended before the stream did.
            guard status == Z_OK, stream.avail_out == 0 else { throw .corrupt }
        }
        guard stream.avail_in == 0 else { throw .corrupt }
        return content
    }

    /// 15 bits of window, plus 16 for zlib to write gzip's wrapping.
    private static func windowBits(_ coding: ContentCoding) -> Int32 { coding == .gzip ? 31 : 15 }
}
