extension Settings {
    /// What is kept of who did what, how surely, and what happens when it cannot be kept.
    public struct Audit: Sendable, Equatable {
        /// `sinks`: exactly one file, which is the trail.
        public var file: AuditFile
        /// `sinks`: the others, at most 15.
        public var sinks: [AuditSink] = []
        public var durability = Durability.written
        public var onFailure = OnFailure.refuseWrites
        /// Absolute path of a file of `keyByteCounts` bytes, all of which count, a line feed at the end too: it signs the heads
        /// of chains and names tokens. nil: nothing is signed, and tokens are named under a random key.
        public var key: String?
        /// `sign_every`: events of a writer between two signed heads; means nothing without `key`.
        public var signEveryCount = 1_000
        public var rotation = Rotation()
        /// `fold`: the window in which equal reads of one user become one event.
        public var fold: Duration = .seconds(60)
        /// The first that names an operation counts; what none names is recorded folded when it is a read, else each.
        public var policies: [AuditPolicy] = []

        /// How long the content of `key` may be.
        public static let keyByteCounts = 32...4_096

        public init(file: AuditFile) { self.file = file }
    }

    /// The file of the trail.
    public struct AuditFile: Sendable, Equatable {
        /// Absolute; opened for appending, made when it is not there.
        public var path: String
        /// What a new file's permissions are, whatever the process's umask; at least `rw` of the owner, at most `0664`.
        public var mode: UInt16 = 0o640

        public init(path: String) { self.path = path }
    }

    /// What an event has behind it before the first byte of its answer leaves: the closed list of `durability`.
    public enum Durability: String, Sendable, CaseIterable {
        /// The kernel has it: a killed process loses none.
        case written
        /// The disk has it: a power cut loses none.
        case synced
        /// Nothing: what does not fit the buffer is dropped and counted.
        case bestEffort = "best_effort"
    }

    /// What becomes of requests whose events cannot be kept: the closed list of `on_failure`.
    public enum OnFailure: String, Sendable, CaseIterable {
        /// Those that change state are answered 503; reads go on.
        case refuseWrites = "refuse_writes"
        /// All are answered 503.
        case refuse
        /// All go on; what is lost is counted.
        case `continue`
    }

    /// When the trail goes on in a new file; with neither size nor age, never.
    public struct Rotation: Sendable, Equatable {
        /// `size`: the file that has grown to this is the last before the new one.
        public var byteCount: Int?
        /// Counted from the file's first line.
        public var age: Duration?
        /// `keep`: rotated files that stay, the oldest of more is deleted; nil: all stay.
        public var keptFileCount: Int?

        public init() {}
    }

    /// What is recorded of some operations.
    public struct AuditPolicy: Sendable, Equatable {
        /// At least one; the words of `LimitRule.operations`.
        public var operations: [LimitSelector]
        public var record: AuditRecord
        /// `content`: the request's content is part of the event, without its secrets; only with `each`.
        public var recordsContent = false
        /// Where `record` stands, since only the definitions tell whether its operations change state; both count from 1.
        public var line = 1
        public var column = 1

        public init(operations: [LimitSelector], record: AuditRecord) {
            self.operations = operations
            self.record = record
        }
    }

    /// The closed list of `policies[].record`.
    public enum AuditRecord: String, Sendable, CaseIterable {
        /// An event for each exchange.
        case each
        /// One event for equal reads of one user in a window; not for what changes state.
        case folded
        /// No event; not for what changes state.
        case off
    }
}
