internal import Bytes
internal import HTTP
public import OpenStack

/// The audit policies of the settings, compiled against the APIs' operations: of each operation and action, what is kept
/// and where the parts of an event come from.
///
/// - Shape: flat arrays of trivial structs, made once; asking allocates and retains nothing.
/// - Ownership: immutable; a reload makes another one.
// Unchecked because of the pointers: what they point to is never written after `init`.
public final class AuditTable: @unchecked Sendable {
    /// What no operation matches: the first for methods that read, the second for the others.
    private let unmatched: UnsafePointer<AuditRule>
    private let operations: UnsafePointer<AuditRule>
    private let actions: UnsafePointer<AuditRule>
    /// Of each API, where its operations and actions begin.
    private let bases: UnsafePointer<(operations: Int32, actions: Int32)>
    private let apiCount: Int
    private let secrets: UnsafePointer<SecretPath>
    private let words: UnsafePointer<ByteRange>
    private let bytes: UnsafePointer<UInt8>
    private let byteCount: Int

    /// The path of a secret: `words` from the member's own name outwards, through the members that hold it.
    struct SecretPath {
        var first: Int32
        var count: Int32
    }

    /// Compiles the policies of `audit` for the APIs' tables, in their order.
    ///
    /// - Errors: words that name no operation, and `folded` or `off` for what changes state; each with its line and column.
    public static func compile(
        _ audit: Settings.Audit, tables: [OperationTable]
    ) throws(RuleMistakes) -> AuditTable {
        var builder = AuditTableBuilder(audit, tables: tables)
        builder.build()
        if !builder.mistakes.isEmpty { throw RuleMistakes(list: builder.mistakes) }
        return AuditTable(builder)
    }

    private init(_ builder: AuditTableBuilder) {
        unmatched = .frozen([builder.unmatched.read, builder.unmatched.other])
        operations = .frozen(builder.operations)
        actions = .frozen(builder.actions)
        bases = .frozen(builder.bases)
        apiCount = builder.bases.count
        secrets = .frozen(builder.secrets)
        words = .frozen(builder.words)
        bytes = .frozen(builder.bytes)
        byteCount = builder.bytes.count
    }

    deinit {
        unmatched.deallocate()
        operations.deallocate()
        actions.deallocate()
        bases.deallocate()
        secrets.deallocate()
        words.deallocate()
        bytes.deallocate()
    }

    /// The rule for an operation, or for an action of it; both -1 for none.
    func rule(api: Int, operation: Int, action: Int, method: Method) -> AuditRule {
        lend(api: api, operation: operation, action: action, method: method).pointee
    }

    /// Lends the same without a copy; valid as long as the table is.
    func lend(api: Int, operation: Int, action: Int, method: Method) -> UnsafePointer<AuditRule> {
        guard operation >= 0, api >= 0, api < apiCount else { return unmatched + (method.isSafe ? 0 : 1) }
        let base = bases[api]
        return action >= 0
            ? actions + Int(base.actions) + action : operations + Int(base.operations) + operation
    }

    func text(_ range: ByteRange) -> ByteView { ByteView(start: bytes, count: byteCount).view(range) }

    /// The paths of the secrets that a rule's content may hold.
    func secrets(of rule: borrowing AuditRule) -> AuditSecrets {
        AuditSecrets(
            paths: UnsafeBufferPointer(start: secrets + Int(rule.firstSecret), count: Int(rule.secretCount)),
            words: words, bytes: ByteView(start: bytes, count: byteCount))
    }
}

/// What the trail keeps of the exchanges of one operation, or of one action, and where an event's parts come from.
///
/// - Shape: trivial; the ranges are texts of the `AuditTable`.
struct AuditRule {
    var record = Settings.AuditRecord.each
    var recordsContent = false
    /// Its method says so, or its CADF action does: some of Nova's GET do reboot hosts.
    var changesState = true
    /// In the words of the settings: `servers.list`, `servers.action:reboot`; empty for what no operation matches.
    var operation = ByteRange.empty
    /// CADF's, such as `read/list`.
    var action = ByteRange.empty
    /// Of the target, such as `compute/servers/interfaces`.
    var typeURI = ByteRange.empty
    /// The parameter of the path that names the target, and the one that names what the target is part of; -1 for none.
    var targetParameter: Int8 = -1
    var parentParameter: Int8 = -1
    /// A bit for each parameter of the path that is a secret itself.
    var secretParameters: UInt8 = 0
    /// The member of a success's content that names what was made, one object within the top one, or with
    /// `createdTypeURI` in the top one; empty for none.
    var idName = ByteRange.empty
    /// Of what is made out of the target and is not the target, such as an image of a server; empty for none.
    var createdTypeURI = ByteRange.empty
    var firstSecret: Int32 = 0
    var secretCount: Int32 = 0

    /// Its answer names what it made.
    var isCreation: Bool { !idName.isEmpty }
}

/// How an exchange ended, in CADF's words.
enum AuditOutcome: UInt8 {
    case success, failure
    /// It has begun, and what comes of it is not known yet.
    case pending
    /// Its client left before there was an answer.
    case unknown

    /// What a status means.
    init(status: Int) {
        switch status {
        case 200..<400: self = .success
        case 400...: self = .failure
        default: self = .unknown
        }
    }

    var name: StaticString {
        switch self {
        case .success: "success"
        case .failure: "failure"
        case .pending: "pending"
        case .unknown: "unknown"
        }
    }
}
