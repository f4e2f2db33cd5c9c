internal import Bytes
internal import OpenStack

/// What Keystone said of a token or of a project.
enum Judgement: Sendable {
    /// A token that counts, and whom it stands for.
    case identity(Identity)
    /// No such token: wrong, ended, revoked; nobody tells which.
    case invalid
    /// Whether a project exists.
    case project(exists: Bool)
    /// Keystone could not be asked, or gave no answer of use; try again after so many seconds.
    case unavailable(retryAfterSeconds: Int)

    var isInvalid: Bool {
        if case .invalid = self { true } else { false }
    }
}

/// What the table knows of a question.
enum Known {
    /// Fresh. `renews`: its time is nearly over, and the one who asked shall have it judged anew meanwhile.
    case judgement(Judgement, renews: Bool)
    /// Past its time, but Keystone is in trouble, and this is better than nothing for a read. `renews` as above.
    case stale(Identity, renews: Bool)
    /// Nobody asks yet; with `mayAsk`, the one who asked now has to, and is among those who wait.
    case unknown(hasStale: Bool)
    /// Somebody asks already; the one who asked is now among those who wait.
    case asked(hasStale: Bool)
}

/// How long judgements are good for, in nanoseconds.
struct JudgementTimes: Sendable {
    var maxAge: UInt64
    var negativeMaxAge: UInt64
    var staleMaxAge: UInt64
}

/// What Keystone said, by digest of what was asked; all loops share it.
///
/// - Shape: 16 shards, each an open hash table under a lock held for a look-up. One question at a time is under way for
///   each digest; further ones wait for its answer.
/// - Limits: `maxCount` judgements in all. A full shard lets the one go, of eight, that ends first.
final class IdentityCache: Sendable {
    private let shards: [Guarded<IdentityShard>]
    /// The same, where looking one up counts no reference; unsafe to the compiler alone: written in `init` only.
    private nonisolated(unsafe) let lent: UnsafePointer<Unmanaged<Guarded<IdentityShard>>>
    private let times: JudgementTimes

    init(maxCount: Int, times: JudgementTimes) {
        self.times = times
        shards = (0..<16).map { _ in Guarded(IdentityShard(maxCount: max(8, maxCount / 16))) }
        lent = .frozen(shards.map { .passUnretained($0) })
    }

    deinit { lent.deallocate() }

    private func shard(_ digest: TokenDigest) -> Guarded<IdentityShard> { shards[Int(digest.words[0] & 15)] }

    /// Whom a token stands for about which there is nothing to do or to ask, as most are; with a reference for the caller.
    func lend(_ digest: TokenDigest, now: UInt64, wallSeconds: Int64) -> Unmanaged<Identity>? {
        lent[Int(digest.words[0] & 15)]._withUnsafeGuaranteedRef { shard in
            shard.withLock { $0.lend(digest, now: now, wallSeconds: wallSeconds) }
        }
    }

    /// Looks `digest` up, and joins or begins the asking where it is not known.
    ///
    /// - Parameters:
    ///   - wallSeconds: seconds since 1970, for the end of tokens; nil where a token may be over.
    ///   - mayUseStale: a judgement past its time is better than waiting.
    ///   - mayAsk: false only looks whether asking would begin.
    func look(
        _ digest: TokenDigest, now: UInt64, wallSeconds: Int64?, mayUseStale: Bool, mayAsk: Bool,
        waiter: Waiter
    ) -> Known {
        shard(digest).withLock {
            $0.look(
                digest, now: now, wallSeconds: wallSeconds, mayUseStale: mayUseStale, mayAsk: mayAsk,
                waiter: waiter)
        }
    }

    /// Takes the answer to a question in, and gives those who waited for it.
    ///
    /// - Parameter jitter: 0 to 1; shortens the time by up to a tenth, so that tokens of one moment do not end in one.
    func complete(_ digest: TokenDigest, _ judgement: Judgement, now: UInt64, jitter: Double) -> [Waiter] {
        let times = times
        return shard(digest).withLock {
            $0.complete(digest, judgement, now: now, jitter: jitter, times: times)
        }
    }

    /// Forgets what is known of `digest`, unless it was learned less than a second ago.
    func drop(_ digest: TokenDigest, now: UInt64) { shard(digest).withLock { $0.drop(digest, now: now) } }

    /// How many judgements are kept.
    var count: Int { shards.reduce(0) { $0 + $1.withLock { $0.count } } }
    var evictedCount: UInt64 { shards.reduce(0) { $0 + $1.withLock { $0.evictedCount } } }
}
