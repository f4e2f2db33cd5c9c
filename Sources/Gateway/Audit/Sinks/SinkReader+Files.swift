internal import Bytes
internal import Glibc

/// A file of the trail as a sink that comes to it finds it.
struct SinkOpening {
    let path: String
    let identity: TrailEnds.Identity
    /// Whether it has a whole first line.
    private(set) var hasBegun = false
    /// Where to read from: its beginning, unless set.
    var cursor = SinkCursor(file: .none)
    /// What its first line says of the file before; nil when it says nothing.
    private var follows: TrailDigest?
    private var followsName: String?

    var name: String { AuditNames.last(path) }

    init(_ path: String, _ trail: AuditTrail) throws(TrailFailure) {
        self.path = path
        var blocks = try TrailBlocks(path)
        identity = try Self.identity(of: blocks)
        guard let run = try blocks.next(upTo: trail.bound(of: identity)) else { return }
        hasBegun = true
        guard let first = Self.firstLine(of: run) else { return }
        cursor.file = TrailHash().digest(first)
        guard let line = TrailLine(first), line.kind == .rotation || line.kind == .start else { return }
        let control = TrailControl(line.content)
        followsName = control.after.map(TrailControl.text)
        follows = line.kind == .rotation ? control.digest : line.previous
    }

    /// The first line of a file, whose beginning was read; nil when it is too long to be looked at.
    static func firstLine(of run: TrailBlocks.Run) -> ByteView? {
        run.bytes.nextLineFeed(from: 0).map { run.bytes.view(0, $0) }
    }

    /// Looks at the trail's files by their names, and once more when a rotation gave them others meanwhile.
    ///
    /// - Parameter body: gets the rotated files, in their order.
    /// - Errors: those of `body`; the names never stay.
    private static func find<Found>(
        _ trail: AuditTrail, _ body: ([String]) throws(TrailFailure) -> Found
    ) throws(TrailFailure) -> Found {
        let path = trail.settings.file.path
        for _ in 0..<100 {
            let files = AuditNames.rotated(of: path)
            let found: Result<Found, TrailFailure>
            do throws(TrailFailure) { found = .success(try body(files)) } catch { found = .failure(error) }
            if AuditNames.rotated(of: path) == files { return try found.get() }
        }
        throw TrailFailure(path, reason: "it is rotated faster than its files can be found")
    }

    /// Finds the file that a cursor names; nil when there is none.
    static func named(by cursor: SinkCursor, _ trail: AuditTrail) throws(TrailFailure) -> SinkOpening? {
        try find(trail) { files throws(TrailFailure) in
            // The newest first: a sink is seldom far behind.
            for file in [trail.settings.file.path] + files.reversed() {
                let opening = try SinkOpening(file, trail)
                if opening.hasBegun, opening.cursor.file == cursor.file { return opening }
            }
            return nil
        }
    }

    /// Finds where the trail begins.
    static func oldest(of trail: AuditTrail) throws(TrailFailure) -> SinkOpening {
        try find(trail) { files throws(TrailFailure) in
            let path = trail.settings.file.path
            let first = files.isEmpty ? path : try TrailOrder.sorted(files + [path])[0].path
            return try SinkOpening(first, trail)
        }
    }

    private static func identity(of blocks: borrowing TrailBlocks) throws(TrailFailure) -> TrailEnds.Identity
    {
        var facts = stat()
        guard fstat(blocks.descriptor, &facts) == 0 else { throw TrailFailure(blocks.name, code: errno) }
        return TrailEnds.Identity(facts)
    }

    /// Opens the file, at its beginning.
    ///
    /// - Errors: it was rotated since then, among others.
    func blocks() throws(TrailFailure) -> TrailBlocks {
        try TrailBlocks(TrailFile(path: path, identity: identity))
    }

    /// Tells whether the file has the line that a cursor stands behind.
    func has(_ cursor: SinkCursor) -> Bool {
        guard cursor.offset > 0 else { return true }
        let byteCount = Int(cursor.lineByteCount) + 1
        guard byteCount <= TrailBlocks.maxLineByteCount + 1, cursor.offset >= UInt64(byteCount),
            let blocks = try? blocks()
        else { return false }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var done = 0
        while done < byteCount {
            let place = off_t(cursor.offset) - off_t(byteCount) + off_t(done)
            let count = bytes.withUnsafeMutableBytes {
                pread(blocks.descriptor, $0.baseAddress! + done, byteCount - done, place)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        guard bytes[byteCount - 1] == 0x0A else { return false }
        // Of a line that was too long to be looked at, there is no digest.
        guard cursor.lineByteCount > 0 else { return cursor.line == .none }
        return bytes.withUnsafeBufferPointer { TrailHash().digest($0.view(0, byteCount - 1)) } == cursor.line
    }

    /// Finds the file behind one that ended with a line.
    ///
    /// - Returns: nil while there is none with a line; `isCertain` is false where a file between the two is missing.
    static func following(
        _ own: TrailEnds.Identity, _ last: TrailDigest, _ trail: AuditTrail
    ) throws(TrailFailure) -> (file: SinkOpening, isCertain: Bool)? {
        try find(trail) { rotated throws(TrailFailure) in
            try following(own, last, trail, rotated + [trail.settings.file.path])
        }
    }

    private static func following(
        _ own: TrailEnds.Identity, _ last: TrailDigest, _ trail: AuditTrail, _ files: [String]
    ) throws(TrailFailure) -> (file: SinkOpening, isCertain: Bool)? {
        let place = files.firstIndex { TrailEnds.Identity(named: $0) == own }
        let ownName = place.map { AuditNames.last(files[$0]) }
        var next: SinkOpening?
        if let place {
            // Names order files by their times, as a rule.
            for file in files[(place + 1)...] where next == nil {
                let opening = try SinkOpening(file, trail)
                if opening.hasBegun { next = opening } else if file == files.last { return nil }
            }
        }
        // A file that says nothing of the one before begins where a rotation could not write its first line.
        if let next, next.isBehind(ownName, last) || next.follows == nil { return (next, true) }
        // A clock that went back, or a file that is gone.
        let sorted = try TrailOrder.sorted(files.filter { access($0, F_OK) == 0 })
        for file in sorted where file.identity != own {
            let opening = try SinkOpening(file.path, trail)
            if opening.isBehind(ownName, last) { return (opening, true) }
        }
        if let own = sorted.firstIndex(where: { $0.identity == own }), own + 1 < sorted.count {
            return (try SinkOpening(sorted[own + 1].path, trail), false)
        }
        if let next { return (next, false) }
        guard place == nil, let oldest = sorted.first else { return nil }
        return (try SinkOpening(oldest.path, trail), false)
    }

    private func isBehind(_ name: String?, _ last: TrailDigest) -> Bool {
        guard hasBegun, let follows else { return false }
        return follows == last || followsName != nil && followsName == name
    }
}
