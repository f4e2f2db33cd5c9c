public import Bytes
internal import Loop

/// A trail of one writer that takes events which are made already, to measure what the trail itself costs.
///
/// - Ownership: of one thread.
public final class AuditProbe {
    private let writer: AuditWriter

    /// - Errors: those of a trail that cannot be opened or begun.
    public init(file: String, key: [UInt8]?) throws {
        let settings = Settings.Audit(file: Settings.AuditFile(path: file))
        let trail = try AuditTrail(settings, key: key, workerCount: 1)
        var random = RandomSource()
        writer = AuditWriter(trail, worker: 0, random: &random)
        let code = AuditWriter.begin([writer], time: Worker.timeNow, wallSeconds: WallClock.now().seconds)
        guard code == 0 else { throw SystemError(call: "write", code: code) }
    }

    /// Chains `count` events of the same content, signs where it is due, and appends them to the file in one piece.
    ///
    /// - Returns: whether the file has them.
    public func append(_ event: ByteView, count: Int) -> Bool {
        for _ in 0..<count { _ = writer.appendEvent(.read) { $0.append(event) } }
        writer.write(now: 0, wallSeconds: 0)
        return writer.isEmpty && writer.lostCount == 0
    }
}
