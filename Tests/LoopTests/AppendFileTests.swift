import Bytes
import Dispatch
import Glibc
import Loop
import Synchronization
import Testing

/// A folder of one test, gone at its end.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        let template = "/tmp/gatehouse-loop-XXXXXX"
        path = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { bytes in
            _ = template.withCString { strcpy(bytes.baseAddress!, $0) }
            return String(cString: mkdtemp(bytes.baseAddress!))
        }
    }

    deinit {
        for name in ["log", "log.1", "target", "fifo"] + (0..<32).map({ "log.old\($0)" }) {
            unlink("\(path)/\(name)")
        }
        rmdir(path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

func contents(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { break }
        bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}

func lines(_ path: String) -> [Substring] { contents(path).split(separator: "\n") }

/// One loop that writes lines; everything in it happens on its queue.
final class Writer: @unchecked Sendable {
    let queue: DispatchQueue
    private(set) var buffer: LineBuffer!
    let written = Atomic<UInt64>(0)

    init(_ file: AppendFile, capacity: Int = 65_536, handOverByteCount: Int = 32_768) {
        queue = DispatchQueue(label: "test.writer")
        buffer = file.makeLineBuffer(queue: queue, capacity: capacity, handOverByteCount: handOverByteCount) {
            [weak self] in self?.noteProgress()
        }
    }

    private func noteProgress() { written.store(buffer.writtenByteCount, ordering: .relaxed) }

    func run<Result: Sendable>(_ body: @escaping @Sendable (LineBuffer) -> Result) async -> Result {
        await withCheckedContinuation { done in queue.async { done.resume(returning: body(self.buffer)) } }
    }

    @discardableResult
    func append(_ lines: [String], flush: Bool = true) async -> Int {
        await run { buffer in
            var accepted = 0
            for line in lines where withBytes(line + "\n", { buffer.append($0) }) { accepted += 1 }
            if flush { buffer.flush() }
            return accepted
        }
    }

    func end() async {
        await withCheckedContinuation { done in queue.async { self.buffer.close { done.resume() } } }
    }

    /// Appends all `lines`, in order, as room comes.
    func appendAll(_ lines: [String]) async {
        var next = 0
        while next < lines.count {
            let from = next
            next = await run { buffer in
                var place = from
                while place < lines.count, buffer.hasRoom(for: lines[place].utf8.count + 1) {
                    _ = withBytes(lines[place] + "\n") { buffer.append($0) }
                    place += 1
                }
                buffer.flush()
                return place
            }
        }
    }
}

func close(_ file: AppendFile) async {
    await withCheckedContinuation { done in file.close { done.resume() } }
}

func reopen(_ file: AppendFile) async -> SystemError? {
    await withCheckedContinuation { done in file.reopen { done.resume(returning: $0) } }
}

// One after the other: a planned failure of write or fdatasync has to meet the file it is meant for.
@Suite(.serialized) struct AppendFileTests {
    @Test func `lines of two loops are whole and each loop's are in order`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let writers = [Writer(file, capacity: 4_096, handOverByteCount: 1_024), Writer(file)]
        let count = 20_000
        await withTaskGroup(of: Void.self) { group in
            for (index, writer) in writers.enumerated() {
                group.addTask {
                    await writer.appendAll(
                        (0..<count).map { "\(index) \($0) \(String(repeating: "x", count: $0 % 50))" })
                }
            }
        }
        await close(file)
        var next = [0, 0]
        for line in lines(folder.file("log")) {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            let writer = try #require(Int(parts[0]))
            #expect(Int(parts[1]) == next[writer] && parts[2].count == next[writer] % 50)
            next[writer] += 1
        }
        #expect(next == [count, count])
        #expect(file.droppedLineCount == 0 && file.failureCount == 0)
        #expect(file.writtenByteCount == UInt64(contents(folder.file("log")).utf8.count))
    }

    @Test func `a short line waits for flush, which then reports how far the file has them`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let writer = Writer(file)
        await writer.append(["first"], flush: false)
        #expect(contents(folder.file("log")) == "")
        await writer.append(["second"])
        #expect(await eventually { writer.written.load(ordering: .relaxed) == 13 })
        #expect(await writer.run { $0.appendedByteCount } == 13)
        #expect(contents(folder.file("log")) == "first\nsecond\n")
        await close(file)
    }

    @Test func `when the file does not keep up, whole lines are refused and counted`() async throws {
        let folder = TemporaryFolder()
        // A pipe nobody reads: it takes 64 KiB and then holds the file's queue up.
        #expect(mkfifo(folder.file("fifo"), 0o600) == 0)
        let reader = open(folder.file("fifo"), O_RDONLY | O_NONBLOCK)
        let file = try AppendFile(path: folder.file("fifo"))
        let writer = Writer(file, capacity: 100_000, handOverByteCount: 90_000)
        let texts = (0..<3_000).map { "\($0) " + String(repeating: "y", count: 93) }
        let accepted = await writer.append(texts, flush: false)
        #expect(accepted < texts.count && accepted > 1_800)
        #expect(file.droppedLineCount == UInt64(texts.count - accepted))
        let closing = Task { await close(file) }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let deadline = MonotonicClock.now() + 10_000_000_000
        while MonotonicClock.now() < deadline {
            let count = read(reader, &chunk, chunk.count)
            if count == 0 { break }
            if count > 0 { received += chunk[..<count] } else { await Task.yield() }
        }
        await closing.value
        Glibc.close(reader)
        let expected = texts[..<accepted].map { $0 + "\n" }.joined()
        #expect(String(decoding: received, as: UTF8.self) == expected)
        #expect(await writer.append(["late"]) == 0)
        #expect(file.droppedLineCount == UInt64(texts.count - accepted + 1))
    }

    @Test func `a line longer than the buffer is refused`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let writer = Writer(file, capacity: 16, handOverByteCount: 16)
        #expect(await writer.append([String(repeating: "z", count: 16)]) == 0)
        #expect(await writer.append([String(repeating: "z", count: 15)]) == 1)
        await close(file)
        #expect(lines(folder.file("log")) == ["zzzzzzzzzzzzzzz"])
    }

    @Test func `rotation while lines are written loses none and splits none`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let writer = Writer(file, capacity: 2_048, handOverByteCount: 512)
        let texts = (0..<20_000).map { "line \($0)" }
        let writing = Task { await writer.appendAll(texts) }
        for round in 0..<20 {
            let earlier = file.writtenByteCount
            #expect(await eventually { file.writtenByteCount >= min(earlier + 2_000, 200_000) })
            #expect(rename(folder.file("log"), folder.file("log.old\(round)")) == 0)
            #expect(await reopen(file) == nil)
        }
        await writing.value
        await close(file)
        let all = (0..<20).flatMap { lines(folder.file("log.old\($0)")) } + lines(folder.file("log"))
        #expect(all.map(String.init) == texts)
    }

    @Test func `a path that cannot be reopened keeps the old file, and says so`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let writer = Writer(file)
        #expect(rename(folder.file("log"), folder.file("log.1")) == 0)
        #expect(mkdir(folder.file("log"), 0o700) == 0)
        #expect(await reopen(file) == SystemError(call: "open", code: EISDIR))
        #expect(file.failureCount == 1 && file.failureCode == EISDIR)
        await writer.append(["kept"])
        await close(file)
        rmdir(folder.file("log"))
        #expect(contents(folder.file("log.1")) == "kept\n")
        #expect(file.failureCode == 0, "the next write went well")
    }

    @Test func `a full disk is counted, and what it refused is written once there is room`() async throws {
        let folder = TemporaryFolder()
        #expect(symlink("/dev/full", folder.file("log")) == 0)
        let file = try AppendFile(path: folder.file("log"), retryDelay: .milliseconds(2))
        let writer = Writer(file)
        await writer.append(["one", "two"])
        #expect(await eventually { file.failureCount >= 3 })
        #expect(file.failureCode == ENOSPC && file.droppedLineCount == 0)
        await writer.append(["three"])
        #expect(unlink(folder.file("log")) == 0)
        #expect(await reopen(file) == nil)
        #expect(await eventually { writer.written.load(ordering: .relaxed) == 14 })
        #expect(contents(folder.file("log")) == "one\ntwo\nthree\n")
        #expect(file.failureCode == 0)
        await close(file)
    }

    @Test func `closing on a full disk gives up and counts the lines`() async throws {
        let file = try AppendFile(path: "/dev/full", retryDelay: .milliseconds(2))
        let writer = Writer(file)
        await writer.append(["one", "two"])
        #expect(await eventually { file.failureCount >= 1 })
        await writer.append(["three"])
        await close(file)
        #expect(file.droppedLineCount == 3 && file.writtenByteCount == 0)
    }

    @Test func `a batch cut by an error starts its line anew in the next file`() async throws {
        SignalSource.ignore(SIGPIPE)
        let folder = TemporaryFolder()
        #expect(mkfifo(folder.file("log"), 0o600) == 0)
        let reader = open(folder.file("log"), O_RDONLY | O_NONBLOCK)
        let file = try AppendFile(path: folder.file("log"), retryDelay: .milliseconds(2))
        let writer = Writer(file, capacity: 200_000, handOverByteCount: 200_000)
        let texts = (0..<1_000).map { "\($0) " + String(repeating: "w", count: 96) }
        await writer.append(texts)
        // The pipe is full when nothing more fits; then its reader goes, and the write ends half way.
        let probe = open(folder.file("log"), O_WRONLY | O_NONBLOCK)
        #expect(await eventually { write(probe, "", 1) == -1 && errno == EAGAIN })
        Glibc.close(probe)
        Glibc.close(reader)
        #expect(await eventually { file.failureCount > 0 })
        #expect(file.failureCode == EPIPE && file.writtenByteCount > 0)
        #expect(unlink(folder.file("log")) == 0)
        #expect(await reopen(file) == nil)
        await close(file)
        let rest = lines(folder.file("log")).map(String.init)
        #expect(!rest.isEmpty && rest == Array(texts.suffix(rest.count)))
    }

    @Test func `a line that an earlier process left unfinished is ended first`() async throws {
        let folder = TemporaryFolder()
        let descriptor = open(folder.file("log"), O_WRONLY | O_CREAT, 0o600)
        write(descriptor, "torn", 4)
        Glibc.close(descriptor)
        for line in ["one", "two"] {
            let file = try AppendFile(path: folder.file("log"))
            await Writer(file).append([line])
            await close(file)
        }
        #expect(contents(folder.file("log")) == "torn\none\ntwo\n")
    }

    @Test(.enabled(if: KernelFault.isAvailable))
    func `with synchronizes, a line counts only after fdatasync, and a failed one is written again`()
        async throws
    {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"), synchronizes: true, retryDelay: .milliseconds(2))
        let writer = Writer(file)
        KernelFault.fail(.synchronize, code: EIO, scope: .allThreads)
        await writer.append(["event"])
        #expect(await eventually { writer.written.load(ordering: .relaxed) == 6 })
        #expect(contents(folder.file("log")) == "event\nevent\n")
        #expect(file.failureCount == 1 && file.failureCode == 0)
        await close(file)
    }

    @Test func `a path that cannot be opened or synchronized is refused at once`() {
        #expect(throws: SystemError(call: "open", code: ENOENT)) { try AppendFile(path: "/nowhere/at/all") }
        #expect(throws: SystemError(call: "fdatasync", code: EINVAL)) {
            try AppendFile(path: "/dev/null", synchronizes: true)
        }
    }

    @Test func `closing one loop's buffer leaves the others writing`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        let first = Writer(file)
        let second = Writer(file)
        await first.append(["a"], flush: false)
        await first.end()
        #expect(contents(folder.file("log")) == "a\n")
        await second.append(["b"], flush: false)
        await close(file)
        #expect(contents(folder.file("log")) == "a\nb\n")
    }

    // What this asks is asked by ThreadSanitizer: the file's own list is touched by all loops here.
    @Test func `loops that end at the same time each end once`() async throws {
        let folder = TemporaryFolder()
        let file = try AppendFile(path: folder.file("log"))
        for _ in 0..<50 {
            let writers = (0..<8).map { _ in Writer(file) }
            for writer in writers { await writer.append(["line"], flush: false) }
            await withTaskGroup(of: Void.self) { group in
                for writer in writers { group.addTask { await writer.end() } }
            }
        }
        #expect(file.droppedLineCount == 0 && lines(folder.file("log")).count == 50 * 8)
        await close(file)
    }
}
