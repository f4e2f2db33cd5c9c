internal import Foundation
internal import Glibc

/// Why a file could not be read, in the kernel's words.
struct FileFailure: Error {
    var reason: String
}

/// Questions about files that reading settings asks; cold.
enum FileContent {
    /// The first `limit` bytes of a regular file.
    ///
    /// Opened without waiting, so that a named pipe in place of the file cannot hold up the start or a
    /// reload.
    static func read(_ path: String, limit: Int) -> Result<[UInt8], FileFailure> {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            return .failure(FileFailure(reason: "not a path"))
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(FileFailure(reason: String(cString: strerror(errno)))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return .failure(FileFailure(reason: "not a regular file"))
        }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &block, min(block.count, limit - bytes.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failure(FileFailure(reason: String(cString: strerror(errno)))) }
            if count == 0 { break }
            bytes += block[..<count]
        }
        return .success(bytes)
    }

    static func isRegularFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// Whether two paths are of one file, or would be.
    static func areSame(_ path: String, _ other: String) -> Bool {
        guard path != other else { return true }
        var (one, two) = (stat(), stat())
        guard stat(path, &one) == 0, stat(other, &two) == 0 else { return false }
        return one.st_dev == two.st_dev && one.st_ino == two.st_ino
    }

    /// Whether users other than its owner and group may read the file.
    static func isReadableByAll(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    }

    /// `path` from `directory` when relative, with `.` and `..` folded.
    static func absolutePath(_ path: String, in directory: String) -> String {
        let whole = path.hasPrefix("/") ? path : directory + "/" + path
        return (whole as NSString).standardizingPath
    }
}

/// Runs work on a thread with a stack for deep recursion, and waits for it.
enum DeepStack {
    static let byteCount = 16 << 20

    static func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) -> Value {
        let box = Box<Value>()
        let finished = DispatchSemaphore(value: 0)
        let thread = Thread {
            box.value = work()
            finished.signal()
        }
        thread.stackSize = byteCount
        thread.start()
        finished.wait()
        return box.value!
    }

    // Unchecked: the semaphore orders the one write before the one read.
    private final class Box<Value>: @unchecked Sendable {
        var value: Value?
    }
}
