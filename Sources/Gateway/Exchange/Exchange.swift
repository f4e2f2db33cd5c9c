internal import Bytes
internal import HTTP
internal import Loop
internal import OpenStack

typealias ExchangePointer = UnsafeMutablePointer<Exchange>

/// The stages of an exchange, in the only order there is (design: one written list).
enum Stage: UInt8 {
    case identify, match, authenticate, limit, validate, authorize, lookup, forward, receive, deliver, record

    var name: StaticString {
        switch self {
        case .identify: "identify"
        case .match: "match"
        case .authenticate: "authenticate"
        case .limit: "limit"
        case .validate: "validate"
        case .authorize: "authorize"
        case .lookup: "lookup"
        case .forward: "forward"
        case .receive: "receive"
        case .deliver: "deliver"
        case .record: "record"
        }
    }
}

/// What resumes an exchange that cannot go on now; a closed list, so that a stuck one can be listed.
enum Wait: UInt8 {
    case nothing, head, content, identity, limits, fetch, calls, connection, responseHead, responseContent,
        room,
        admin

    var name: StaticString {
        switch self {
        case .nothing: "nothing"
        case .head: "head"
        case .content: "content"
        case .identity: "identity"
        case .limits: "limits"
        case .fetch: "fetch"
        case .calls: "calls"
        case .connection: "connection"
        case .responseHead: "response_head"
        case .responseContent: "response_content"
        case .room: "room"
        case .admin: "admin"
        }
    }
}

/// What a stage answers.
enum Verdict {
    /// The next stage runs at once.
    case next
    /// Something on this loop resumes the exchange in the same stage.
    case wait(Wait)
    /// The exchange's `reply` is complete: it is written, then Record runs.
    case reply
    /// Straight to Record: nothing can or need be written any more.
    case finish
}

/// How the list cache served an exchange (RFC 9211 §2).
enum CacheVerdict: UInt8 {
    case none, hit, stale, collapsed, uriMiss, forwardedStale, request, method, bypass

    var name: StaticString {
        switch self {
        case .none: "-"
        case .hit: "hit"
        case .stale: "stale"
        case .collapsed: "collapsed"
        case .uriMiss: "uri-miss"
        case .forwardedStale: "fwd-stale"
        case .request: "request"
        case .method: "method"
        case .bypass: "bypass"
        }
    }
}

/// One request and its response.
///
/// - Shape: lives in a slab of its worker and is reset and reused, so that its field table is allocated once.
///   `headBase` points at the head's first byte, in the downstream connection's input block or in the fetch's own copy;
///   it stays valid until the exchange is released.
struct Exchange: ~Copyable {
    var handle = Handle.none
    var stage = Stage.identify
    var wait = Wait.nothing
    /// A stage is running: whoever ends the connection meanwhile leaves the rest to the driver.
    var isAdvancing = false
    /// The downstream connection; `.none` for a fetch, which nobody reads directly.
    var downstream = Handle.none
    var upstream = Handle.none
    var configuration: Unmanaged<Configuration>?
    var fetch: Fetch?
    /// A request of our own, which this exchange carries.
    var call: Call?
    /// The calls whose answers make this exchange's own.
    var translation: Translation?

    // Request.
    var reader = RequestReader()
    var head: RequestHead
    var headBase: UnsafePointer<UInt8>?
    /// Collected content; owns its own growing block, never one of the pool.
    var content = Buffer()
    var contentComplete = true
    /// Content is gathered here before the request goes on, and forwarded with its length.
    var isCollected = false
    var requestContentByteCount: UInt64 = 0

    // What the stages found.
    var requestID = RequestIDBytes()
    var peerIsTrusted = false
    /// It came over TLS, as far as this house sees.
    var isSecure = false
    /// Who asks: the peer, or whom a trusted proxy names.
    var client = IPAddress(v4: 0)
    var api = -1
    var route = RouteMatch()
    var operation = -1
    /// Its API, and what the table says of its operation; lent by the configuration, as long as the exchange is.
    var site: Unmanaged<Configuration.API>?
    var facts: UnsafePointer<OperationFacts>?
    /// The action of an action body, by the table's index; -1 for none.
    var action = -1
    /// Held by the exchange, since another loop may forget it meanwhile.
    private(set) var identity: Unmanaged<Identity>?
    /// What Keystone said of the token or project that this exchange waited for.
    var judgement: Judgement?
    /// The question it waits for; meaningful while it does.
    var awaited = TokenDigest(words: .init(repeating: 0))
    /// Whose service token came beside the user's; held as `identity` is.
    private(set) var service: Unmanaged<Identity>?
    /// It waits for its address's budget of bad tokens, not for Keystone.
    var awaitsBudget = false
    /// Its address was charged with it.
    var isCharged = false
    var microversion = MicroversionRequest.absent
    var queryFacts = QueryFacts()
    var acceptedCoding = ContentCoding.identity
    var validationStep: UInt8 = 0
    /// Its event was made; with the failure it had then.
    var isAudited = false
    var auditedFailure = Failure.none
    /// The buckets of the limits that are about it.
    var charges = LimitCharges()
    var limitStep = LimitStep.start
    /// What the shared store said of them; nil while it is asked, and when it did not answer in time.
    var storeAnswers: StoreAnswers?
    /// How many entries of the list of rates the shared store was asked about.
    var ratesAsked: UInt16 = 0
    /// The rule that refused it, by the limit table's index; -1 for none.
    var limitedBy = -1
    /// The status that a rule would have given had its refusals been more than reported; 0 for none.
    var reportedStatus: UInt16 = 0

    // Response.
    var reply = Reply()
    var failure = Failure.none
    var cacheVerdict = CacheVerdict.none
    /// It waited for a fetch that another exchange had begun.
    var isCollapsed = false
    var fetchOutcome: FetchOutcome?
    /// A stale stored response that may still be served when the fetch fails (RFC 5861 §4).
    var fallback: StoredResponse?
    var status = 0
    var responseHeadSent = false
    var responseIsChunked = false
    var responseByteCount: UInt64 = 0
    var closesDownstream = false
    var attempts: UInt8 = 0
    /// Until when it waits for a connection or for Keystone; 0 while it does not.
    var waitDeadline: UInt64 = 0
    /// Head and content of an upstream's error answer, while it is collected to be brought into one form.
    var errorHead: Content?
    var errorContent = Buffer()
    /// What its audit events need of what is gone when they are written.
    var auditNotes = AuditNotes()
    /// The answer may name the microversion: Nova's route and version checks were passed.
    var versionIsKnown = false
    var endpoint: Unmanaged<Endpoint>?

    // Monotonic nanoseconds; 0 where it did not happen.
    var startedAt: UInt64 = 0
    var forwardedAt: UInt64 = 0
    var responseHeadAt: UInt64 = 0
    var waitingSince: UInt64 = 0

    init(fieldCapacity: Int) { head = RequestHead(fieldCapacity: fieldCapacity) }

    /// Lends the bytes of the head, from its first byte on.
    var headBytes: ByteView { ByteView(start: headBase, count: headBase == nil ? 0 : head.byteCount) }

    /// Takes one reference to whoever asks, and gives the one before back.
    mutating func adopt(_ identity: Identity?) {
        self.identity?.release()
        self.identity = identity.map { .passRetained($0) }
    }

    /// Takes over a reference that somebody else counted.
    mutating func adopt(lent identity: Unmanaged<Identity>) {
        self.identity?.release()
        self.identity = identity
    }

    mutating func adoptService(_ service: Identity?) {
        self.service?.release()
        self.service = service.map { .passRetained($0) }
    }

    /// Makes the slot fit for its next exchange; blocks and references are given up.
    mutating func reset() {
        handle = .none
        stage = .identify
        wait = .nothing
        isAdvancing = false
        downstream = .none
        upstream = .none
        configuration = nil
        if fetch != nil { fetch = nil }
        if call != nil { call = nil }
        if translation != nil { translation = nil }
        reader.reset()
        head.reset()
        headBase = nil
        if content.hasBlock { content.free() }
        contentComplete = true
        isCollected = false
        requestContentByteCount = 0
        peerIsTrusted = false
        isSecure = false
        api = -1
        operation = -1
        site = nil
        facts = nil
        action = -1
        adopt(nil)
        if judgement != nil { judgement = nil }
        adoptService(nil)
        awaitsBudget = false
        isCharged = false
        microversion = .absent
        queryFacts = QueryFacts()
        acceptedCoding = .identity
        validationStep = 0
        isAudited = false
        auditedFailure = .none
        charges.removeAll()
        limitStep = .start
        storeAnswers = nil
        ratesAsked = 0
        limitedBy = -1
        reportedStatus = 0
        reply.reset()
        failure = .none
        cacheVerdict = .none
        isCollapsed = false
        if fetchOutcome != nil { fetchOutcome = nil }
        if fallback != nil { fallback = nil }
        status = 0
        responseHeadSent = false
        responseIsChunked = false
        responseByteCount = 0
        closesDownstream = false
        attempts = 0
        waitDeadline = 0
        if errorHead != nil { errorHead = nil }
        if errorContent.hasBlock { errorContent.free() }
        auditNotes.removeAll()
        versionIsKnown = false
        endpoint = nil
        startedAt = 0
        forwardedAt = 0
        responseHeadAt = 0
        waitingSince = 0
    }
}

/// A request id, `req-` and a UUID, always 40 bytes (facts: Nova's own form).
struct RequestIDBytes {
    var bytes: InlineArray<40, UInt8> = .init(repeating: 0)

    /// Makes a new id from `random`.
    mutating func renew(_ random: inout RandomSource) {
        withUnsafeMutableBytes(of: &bytes) { RequestID.write(&random, to: $0) }
    }

    /// Appends the id.
    func append(to buffer: inout Buffer) {
        withUnsafeBytes(of: bytes) { buffer.append($0.bindMemory(to: UInt8.self)) }
    }
}
