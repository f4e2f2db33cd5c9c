public import Bytes
import CLinux

/// A file that this process alone appends to, each piece whole or not at all.
///
/// - Shape: regular, locked against other processes for as long as it is open (flock(2)).
/// - Ownership: the descriptor, closed at the end. Of one queue or lock at a time.
/// - Source: ours; a record that was written is never changed again.
public struct RecordFile: ~Copyable {
    public let path: String
    private let mode: UInt32
    private var descriptor: Int32
    public private(set) var byteCount: UInt64
    /// Bytes at the end that are no whole record, since a piece could neither be finished nor taken back.
    public private(set) var fragmentByteCount: UInt64 = 0

    /// Opens the file, and makes it (without its folder) when it is missing.
    ///
    /// - Errors: those of open(2); `EINVAL` when it is no regular file; `EWOULDBLOCK` when another process has it.
    public init(path: String, mode: UInt32) throws(SystemError) {
        self.path = path
        self.mode = mode
        var attempt = 1
        while true {
            do throws(SystemError) {
                (descriptor, byteCount) = try Self.open(path, mode)
                return
            } catch {
                // A process that just ended, or one that was forked and has not begun its program, has the lock a moment
                // longer.
                guard error.code == CLinux_wouldBlock, attempt < 20 else { throw error }
                attempt += 1
                CLinux_pause(25)
            }
        }
    }

    deinit { _ = CLinux_close(descriptor) }

    private static func open(_ path: String, _ mode: UInt32) throws(SystemError) -> (Int32, UInt64) {
        let descriptor = try SystemError.check("open", CLinux_openRecords(path, mode))
        let count = CLinux_fileByteCount(descriptor)
        // What open(2) gives a new file is less than was asked, by the umask of the process.
        if count == 0 { _ = CLinux_setMode(descriptor, mode) }
        let locked = count < 0 ? Int32(count) : CLinux_lockFile(descriptor)
        guard locked >= 0 else {
            _ = CLinux_close(descriptor)
            throw SystemError(call: count < 0 ? "fstat" : "flock", code: -locked)
        }
        return (descriptor, UInt64(count))
    }

    /// The first `limit` bytes, fewer when the file has fewer.
    public func readBeginning(limit: Int) throws(SystemError) -> [UInt8] {
        try read(at: 0, count: min(limit, Int(byteCount)))
    }

    /// The path that the file has now, wherever it was moved; with ` (deleted)` behind it when it has none.
    public var currentPath: String {
        var text = [CChar](repeating: 0, count: 4_096)
        let count = CLinux_pathOf(descriptor, &text, text.count)
        return count > 0
            ? String(decoding: text[..<Int(count)].map(UInt8.init(bitPattern:)), as: UTF8.self) : path
    }

    /// Whether the file is still what its path names.
    public var hasItsName: Bool { CLinux_isNamed(descriptor, path) == 1 }

    /// The last `limit` bytes, fewer when the file has fewer.
    public func readEnd(limit: Int) throws(SystemError) -> [UInt8] {
        let count = min(limit, Int(byteCount))
        return try read(at: Int64(byteCount) - Int64(count), count: count)
    }

    private func read(at start: Int64, count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let answer = bytes.withUnsafeMutableBytes {
                CLinux_readAt(descriptor, $0.baseAddress! + done, count - done, start + Int64(done))
            }
            guard answer > 0 else { throw SystemError(call: "pread", code: answer < 0 ? Int32(-answer) : 5) }
            done += Int(answer)
        }
        return bytes
    }

    /// Appends all of `bytes`, or nothing of them.
    ///
    /// - Errors: the errno value, 0 for none. When what was begun could not be taken back either, it is a fragment.
    public mutating func append(_ bytes: ByteView) -> Int32 {
        var done = 0
        while done < bytes.count {
            let answer = CLinux_write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if answer > 0 {
                done += Int(answer)
                continue
            }
            // Nothing taken and no reason given would otherwise be asked forever.
            let code = answer == 0 ? 5 : Int32(-answer)
            if done > 0, CLinux_truncate(descriptor, Int64(byteCount)) < 0 {
                fragmentByteCount += UInt64(done)
                byteCount += UInt64(done)
            }
            return code
        }
        byteCount += UInt64(bytes.count)
        return 0
    }

    /// Has the disk keep what was written; the errno value, 0 for none.
    public func synchronize() -> Int32 { -CLinux_synchronizeData(descriptor) }

    /// Another descriptor of the file, to synchronize it by while others append; the caller closes it.
    public func duplicate() -> Int32 { CLinux_duplicate(descriptor) }

    /// Gives the file another name, appends `last` to it, and begins an empty one in its place.
    ///
    /// - Returns: the errno value, 0 for none, and whether `last` stands in the file; with an error the file goes on as it is.
    /// - Errors: `EEXIST` for a name that a file has. Of `last` a fragment may be left, as `append` leaves one.
    public mutating func rotate(to other: String, last: ByteView) -> (code: Int32, isEnded: Bool) {
        let renamed = CLinux_rename(path, other)
        guard renamed >= 0 else { return (-renamed, false) }
        let code = append(last)
        guard code == 0 else {
            _ = CLinux_rename(other, path)
            return (code, false)
        }
        do throws(SystemError) {
            let (fresh, count) = try Self.open(path, mode)
            _ = CLinux_close(descriptor)
            (descriptor, byteCount) = (fresh, count)
            fragmentByteCount = 0
            return (0, true)
        } catch {
            _ = CLinux_rename(other, path)
            return (error.code, true)
        }
    }

    /// Synchronizes and closes a descriptor that `duplicate` gave; the errno value, 0 for none.
    public static func synchronizeAndClose(_ descriptor: Int32) -> Int32 {
        let answer = CLinux_synchronizeData(descriptor)
        _ = CLinux_close(descriptor)
        return -answer
    }

    /// Removes a file; the errno value, 0 for none.
    public static func remove(_ path: String) -> Int32 { -CLinux_remove(path) }

    /// Makes new names in a folder last.
    public static func synchronizeFolder(_ path: String) -> Int32 { -CLinux_synchronizeFolder(path) }
}
