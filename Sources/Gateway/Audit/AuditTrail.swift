internal import Bytes
internal import COpenSSL
internal import Glibc
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
        /// A rotation failed, and is not tried before.
        var rotationRestsUntil: Int64 = 0
        /// What sinks know the file by; nil until one asks.
        var identity: TrailEnds.Identity?
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
    /// Of each sink of the settings, the file that it is in; nil while nobody knows. Files from there on stay.
    let heldFiles = Guarded<[String: TrailEnds.Identity?]>([:])
    /// Writers whose lines the disk does not take.
    private let failing = Guarded(0)
    private let broken = Atomic<Bool>(false)
    let failureCount = Atomic<UInt64>(0)
    let byteCount = Atomic<UInt64>(0)
    let rotationCount = Atomic<UInt64>(0)
    private let log = Logger(label: "gatehouse.audit")

    /// Opens the trail and looks at its end.
    ///
    /// - Errors: `SystemError` when the file cannot be opened, locked or read; `ServiceError` when it is no trail.
    init(_ settings: Settings.Audit, key: [UInt8]?, workerCount: Int) throws {
        self.settings = settings
        self.key = key.map { AuditKey($0) }
        digester = AuditDigester(key: key)
        self.workerCount = workerCount
        var name = Buffer(capacity: 32)
        var random = RandomSource()
        name.appendHexadecimal(random.next(), width: 16)
        process = Content(name.readable)
        let file = try RecordFile(path: settings.file.path, mode: UInt32(settings.file.mode))
        var found = AuditRemains(
            try file.readEnd(limit: AuditRemains.maxByteCount), byteCount: file.byteCount)
        if found.lastWriter.isEmpty, let before = AuditNames.rotated(of: settings.file.path).last {
            // A process may have ended between giving the file its new name and a whole line in the next one.
            let old = try RecordFile(path: before, mode: UInt32(settings.file.mode))
            found = found.following(
                AuditRemains(try old.readEnd(limit: AuditRemains.maxByteCount), byteCount: old.byteCount))
        }
        guard found.isTrail else { throw ServiceError("the file is not an audit trail") }
        self.found = found
        let begunAt = AuditRemains.beginning(try file.readBeginning(limit: 1_024))
        var state = State(file: file)
        state.lastDigest = found.lastDigest
        state.begunAt = begunAt
        if settings.durability == .synced {
            _ = RecordFile.synchronizeFolder(AuditNames.folder(settings.file.path))
        }
        self.state = Guarded(state)
    }

    /// Nobody can tell any more what the disk has, or the file is gone: nothing is certain until a restart.
    var isBroken: Bool { broken.load(ordering: .relaxed) }

    func breakOff(_ reason: String) {
        failureCount.wrappingAdd(1, ordering: .relaxed)
        guard !broken.exchange(true, ordering: .relaxed) else { return }
        log.critical(
            "the audit trail is broken until a restart",
            metadata: [
                "file": "\(settings.file.path)", "reason": "\(reason)",
                "on_failure": "\(settings.onFailure.rawValue)",
            ])
    }

    /// Appends whole lines, the last of which has `digest`.
    ///
    /// - Returns: the errno value, 0 for none; with another, nothing was appended.
    func append(_ lines: ByteView, digest: InlineArray<32, UInt8>, wallSeconds: Int64) -> Int32 {
        guard !isBroken || settings.onFailure == .continue else { return EIO }
        var isFragment = false
        let code = state.withLock { state in
            let code = state.file.append(lines)
            isFragment = state.file.fragmentByteCount > 0
            guard code == 0 else { return code }
            state.lastDigest = digest
            if state.begunAt == 0 { state.begunAt = wallSeconds }
            byteCount.wrappingAdd(UInt64(lines.count), ordering: .relaxed)
            return 0
        }
        // The next start marks it; lines behind it would be none.
        if isFragment { breakOff("a piece could be neither written nor taken back") }
        if code != 0 { failureCount.wrappingAdd(1, ordering: .relaxed) }
        return code
    }

    /// A descriptor to synchronize the file by; negative for none.
    func duplicate() -> Int32 { state.withLock { $0.file.duplicate() } }

    /// Notes that a writer's lines are not taken any more, or are again; the first and the last are log lines.
    func noteFailing(_ code: Int32) {
        let (before, after) = failing.withLock { count in
            let before = count
            count += code == 0 ? -1 : 1
            return (before, count)
        }
        if after == 0 {
            log.notice("the audit trail is written again", metadata: ["file": "\(settings.file.path)"])
        } else if before == 0 {
            log.critical(
                "the audit trail cannot be written",
                metadata: [
                    "file": "\(settings.file.path)", "reason": "\(SystemError.describe(code))",
                    "on_failure": "\(settings.onFailure.rawValue)",
                ])
        }
    }

    /// Notes that lines are lost at the end.
    func noteLost(_ count: Int) {
        log.critical(
            "lines of the audit trail were not written",
            metadata: ["file": "\(settings.file.path)", "bytes": "\(count)"])
    }

    /// Tells whether the file is still the one of its name; looked at now and then.
    func lookForFile() {
        guard state.withLock({ !$0.file.hasItsName }) else { return }
        breakOff("the file was moved or removed; a restart begins a new one")
    }

    // MARK: - Rotation

    /// Tells whether the file has grown to its size or age.
    func needsRotation(wallSeconds: Int64) -> Bool { state.withLock { isDue($0, wallSeconds) } }

    private func isDue(_ state: borrowing State, _ wallSeconds: Int64) -> Bool {
        guard wallSeconds >= state.rotationRestsUntil else { return false }
        if let size = settings.rotation.byteCount, state.file.byteCount >= UInt64(size) { return true }
        guard let age = settings.rotation.age, state.begunAt > 0 else { return false }
        return wallSeconds - state.begunAt >= Int64(age.nanoseconds / 1_000_000_000)
    }

    /// How far a rotation came.
    enum Rotation { case done, onlyEnded, refused }

    /// What a rotation writes: the line that ends the file, and the one that begins the next.
    struct Lines {
        let last: Content
        let lastDigest: InlineArray<32, UInt8>
        let first: Content
        let firstDigest: InlineArray<32, UInt8>
    }

    /// Ends the file, gives it a new name, and begins the next one, where it has still grown to its size or age.
    ///
    /// Asked and done under one lock, so that of several loops one does it.
    /// - Returns: `.onlyEnded` when the last line stands in the file, which goes on all the same; `.refused` when nothing was
    ///   done, nor any line made.
    func rotate(time: String, wallSeconds: Int64, _ make: (String) -> Lines) -> Rotation {
        guard !isBroken else { return .refused }
        let path = settings.file.path
        var code: Int32 = 0
        let rotation: Rotation = state.withLock { state in
            guard isDue(state, wallSeconds), let name = AuditNames.rotated(path, time: time) else {
                return .refused
            }
            let lines = make(name)
            let old = settings.durability == .synced ? state.file.duplicate() : -1
            defer { if old >= 0 { settle(old) } }
            var isEnded = false
            (code, isEnded) = state.file.rotate(to: name, last: lines.last.bytes)
            if isEnded { state.lastDigest = lines.lastDigest }
            guard code == 0 else {
                state.rotationRestsUntil = wallSeconds + 60
                return isEnded ? .onlyEnded : .refused
            }
            byteCount.wrappingAdd(UInt64(lines.last.count), ordering: .relaxed)
            state.begunAt = wallSeconds
            state.identity = nil
            code = state.file.append(lines.first.bytes)
            // An empty file is no harm: the next batch begins it, and a start looks at the file before it.
            guard code == 0 else { return .onlyEnded }
            byteCount.wrappingAdd(UInt64(lines.first.count), ordering: .relaxed)
            state.lastDigest = lines.firstDigest
            return .done
        }
        if code != 0 {
            log.error(
                "the audit trail could not go on in a new file; tried again in a minute",
                metadata: ["file": "\(path)", "reason": "\(SystemError.describe(code))"])
        }
        if code != 0 { failureCount.wrappingAdd(1, ordering: .relaxed) }
        guard rotation == .done else { return rotation }
        rotationCount.wrappingAdd(1, ordering: .relaxed)
        removeOldest()
        return .done
    }

    /// Removes rotated files of more than `keep`, but none that a sink still needs.
    func removeOldest() {
        guard let kept = settings.rotation.keptFileCount else { return }
        AuditQueue.run { [self] in
            let held = heldFiles.withLock { Array($0.values) }
            guard !held.contains(where: { $0 == nil }) else { return }
            AuditNames.removeOldest(settings.file.path, keeping: kept, from: Set(held.compactMap { $0 }))
        }
    }

    /// The file that is written now, how far whatever stands in it is whole and stays, and what this process has written to
    /// all files until then.
    var standing: (file: TrailEnds.Identity?, byteCount: UInt64, written: UInt64) {
        state.withLock {
            if $0.identity == nil { $0.identity = TrailEnds.Identity(named: settings.file.path) }
            return ($0.identity, $0.file.byteCount, byteCount.load(ordering: .relaxed))
        }
    }

    /// Has the disk keep a file that was rotated, and its name, before anything of the next one counts as kept: the queue
    /// does one after the other.
    private func settle(_ descriptor: Int32) {
        AuditQueue.run { [self] in
            let code = RecordFile.synchronizeAndClose(descriptor)
            if code != 0 { breakOff("fdatasync: \(SystemError.describe(code))") }
            _ = RecordFile.synchronizeFolder(AuditNames.folder(settings.file.path))
        }
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
