internal import Bytes
internal import COpenSSL
internal import Logging
internal import Loop
internal import Synchronization

/// The trail's file, which all writers of the process append to, each batch in one piece.
///
/// - Shape: a short lock around each batch, so that lines of several loops never mix and a batch that the disk refuses is
///   taken back whole.
final class AuditTrail: Sendable {
    private struct State: ~Copyable {
        var file: RecordFile
        /// Of the last line there is, whichever writer's; zeros in a new trail.
        var lastDigest: InlineArray<32, UInt8> = .init(repeating: 0)
        /// Wall seconds of the file's first line; 0 before there is one.
        var begunAt: Int64 = 0
    }

    let settings: Settings.Audit
    /// Signs the heads of chains; nil without a key.
    let key: AuditKey?
    /// Names tokens in events.
    let digester: AuditDigester
    /// What another process left at the end of the file, to be marked by the first writer.
    let found: AuditRemains
    /// Names the process in its writers' first lines; 16 hexadecimal digits.
    let process: Content
    let workerCount: Int
    private let state: Guarded<State>
    private let failing = Atomic<Int32>(0)
    private let isBroken = Atomic<Bool>(false)
    let failureCount = Atomic<UInt64>(0)
    let byteCount = Atomic<UInt64>(0)
    let rotationCount = Atomic<UInt64>(0)
    private let log = Logger(label: "gatehouse.audit")

    /// Opens the trail and looks at its end.
    ///
    /// - Errors: `SystemError` when the file cannot be opened, locked or read.
    init(_ settings: Settings.Audit, key: [UInt8]?, workerCount: Int) throws(SystemError) {
        self.settings = settings
        self.key = key.map { AuditKey($0) }
        digester = AuditDigester(key: key)
        self.workerCount = workerCount
        var name = Buffer(capacity: 32)
        var random = RandomSource()
        name.appendHexadecimal(random.next(), width: 16)
        process = Content(name.readable)
        let file = try RecordFile(path: settings.file.path, mode: UInt32(settings.file.mode))
        if file.byteCount == 0, let before = AuditNames.rotated(of: settings.file.path).last {
            // A process may have ended between giving the file its new name and beginning the next one.
            let old = try RecordFile(path: before, mode: UInt32(settings.file.mode))
            found =
                AuditRemains(
                    try old.readEnd(limit: AuditRemains.maxByteCount), byteCount: old.byteCount
                ).ofAnotherFile
        } else {
            found = AuditRemains(
                try file.readEnd(limit: AuditRemains.maxByteCount), byteCount: file.byteCount)
        }
        var state = State(file: file)
        state.lastDigest = found.lastDigest
        self.state = Guarded(state)
    }

    /// The disk said that it lost what was written: nobody can tell what, so that nothing is certain until a restart.
    func fail(_ code: Int32) {
        isBroken.store(true, ordering: .relaxed)
        note(code)
    }

    /// The errno value of the last write or synchronization; 0 when it went well.
    var failureCode: Int32 { failing.load(ordering: .relaxed) }

    /// Appends whole lines, the last of which has `digest`.
    ///
    /// - Returns: the errno value, 0 for none; with another, nothing was appended.
    func append(_ lines: ByteView, digest: InlineArray<32, UInt8>, wallSeconds: Int64) -> Int32 {
        guard !isBroken.load(ordering: .relaxed) else { return failureCode }
        let code = state.withLock { state in
            let code = state.file.append(lines)
            // A piece that could not be taken back is a fragment, which the next start marks.
            if state.file.fragmentByteCount > 0 { isBroken.store(true, ordering: .relaxed) }
            guard code == 0 else { return code }
            state.lastDigest = digest
            if state.begunAt == 0 { state.begunAt = wallSeconds }
            return 0
        }
        note(code)
        if code == 0 { byteCount.wrappingAdd(UInt64(lines.count), ordering: .relaxed) }
        return code
    }

    /// A descriptor to synchronize the file by; negative for none.
    func duplicate() -> Int32 { state.withLock { $0.file.duplicate() } }

    /// Notes how the disk does; each change is one log line.
    func note(_ code: Int32) {
        if code == 0, isBroken.load(ordering: .relaxed) { return }
        let before = failing.exchange(code, ordering: .relaxed)
        if code != 0 { failureCount.wrappingAdd(1, ordering: .relaxed) }
        guard (before == 0) != (code == 0) else { return }
        if code == 0 {
            log.notice("the audit trail is written again", metadata: ["file": "\(settings.file.path)"])
        } else {
            log.critical(
                "the audit trail cannot be written",
                metadata: [
                    "file": "\(settings.file.path)", "reason": "\(SystemError.describe(code))",
                    "on_failure": "\(settings.onFailure.rawValue)",
                ])
        }
    }

    // MARK: - Rotation

    /// Tells whether the file has grown to its size or age.
    func needsRotation(wallSeconds: Int64) -> Bool {
        state.withLock { state in
            if let size = settings.rotation.byteCount, state.file.byteCount >= UInt64(size) { return true }
            guard let age = settings.rotation.age, state.begunAt > 0 else { return false }
            return wallSeconds - state.begunAt >= Int64(age.nanoseconds / 1_000_000_000)
        }
    }

    /// How far a rotation came.
    enum Rotation { case done, onlyEnded, refused }

    /// Ends the file by `last`, gives it its new name, and begins the next one by `first`.
    ///
    /// - Returns: `.onlyEnded` when `last` stands in the file, which goes on all the same; `.refused` when nothing was done.
    func rotate(
        to name: String, wallSeconds: Int64, last: ByteView, lastDigest: InlineArray<32, UInt8>,
        first: ByteView, firstDigest: InlineArray<32, UInt8>
    ) -> Rotation {
        var code: Int32 = 0
        let rotation: Rotation = state.withLock { state in
            code = state.file.append(last)
            guard code == 0 else { return .refused }
            state.lastDigest = lastDigest
            if settings.durability == .synced { code = state.file.synchronize() }
            if code == 0 { code = state.file.rotate(to: name) }
            guard code == 0 else { return .onlyEnded }
            code = state.file.append(first)
            // An empty file is no harm: the next batch begins it, and the names tell that it follows.
            guard code == 0 else { return .onlyEnded }
            state.lastDigest = firstDigest
            state.begunAt = wallSeconds
            return .done
        }
        note(code)
        if rotation == .done { rotationCount.wrappingAdd(1, ordering: .relaxed) }
        return rotation
    }
}

/// The key that signs heads of chains.
final class AuditKey: @unchecked Sendable {
    // Unchecked: written in `init` alone.
    private let state: UnsafeMutablePointer<COpenSSL_hmac>
    /// The first half of the key's SHA-256, by which a signature says whose it is; 16 hexadecimal digits.
    let name: Content

    /// - Parameter bytes: all of the key file.
    init(_ bytes: [UInt8]) {
        var digest = [UInt8](repeating: 0, count: 32)
        COpenSSL_sha256_plain(bytes, bytes.count, &digest)
        // RFC 2104: a key longer than a block is its digest.
        let key = bytes.count > 64 ? digest : bytes
        state = .allocate(capacity: 1)
        state.initialize(to: COpenSSL_hmac())
        COpenSSL_hmac_prepare(state, key, key.count)
        var text = Buffer(capacity: 32)
        for byte in digest.prefix(8) { text.appendHexadecimal(UInt64(byte), width: 2) }
        name = Content(text.readable)
    }

    deinit { state.deallocate() }

    /// Appends the signature of `bytes` in 64 hexadecimal digits.
    func appendSignature(of bytes: ByteView, to buffer: inout Buffer) {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        withUnsafeMutableBytes(of: &digest) {
            COpenSSL_hmac_digest(
                state, bytes.baseAddress, bytes.count, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        for index in 0..<32 { buffer.appendHexadecimal(UInt64(digest[index]), width: 2) }
    }
}
