internal import Bytes
internal import HTTP
internal import OpenStack

/// What a list of virtual interfaces is made of: below the server's own path.
enum ServerPart {
    case interfaces, addresses

    var segment: StaticString {
        switch self {
        case .interfaces: "os-interface"
        // Has the labels too, at two fifths of what the server's own document costs Nova.
        case .addresses: "ips"
        }
    }
}

/// The calls whose answers become one list; owned by the exchange that waits for them.
final class Translation {
    let form: VirtualInterfaces.Form
    /// The interfaces first, then the addresses where the form has them.
    var calls: [Call] = []
    var openCount = 0
    /// The first that brought no answer of use.
    var failed: Call?

    init(_ form: VirtualInterfaces.Form) { self.form = form }
}

/// How Forward serves lists that Nova has no more, where the settings say so: it asks for what Nova has, and the answer is made
/// of that. An exchange of a client and one that fetches for the cache go the same way.
extension Worker {
    /// Whether the exchange's operation is translated by its API.
    ///
    /// A version that the upstream would refuse gets here where validation is off, and goes upstream to be refused.
    func translates(_ exchange: ExchangePointer) -> Bool {
        guard let site = exchange.pointee.site,
            site._withUnsafeGuaranteedRef({
                $0.virtualInterfaces?.contains(exchange.pointee.operation) == true
            })
        else { return false }
        switch exchange.pointee.microversion {
        case .absent, .version, .latest: return true
        case .malformed, .outOfRange: return false
        }
    }

    /// Whether the exchange's answer is a translated list, now or when it was stored.
    func isTranslated(_ exchange: ExchangePointer) -> Bool {
        exchange.pointee.failure == .none && (200..<400).contains(exchange.pointee.status)
            && translates(exchange)
    }

    /// Asks the upstream for the parts, all at once; then makes the answer of them.
    func translate(_ exchange: ExchangePointer) -> Verdict {
        if let translation = exchange.pointee.translation { return conclude(exchange, translation) }
        guard let form = form(of: exchange) else {
            exchange.pointee.failure = .routeUnknown
            return failUpstream(exchange)
        }
        let house = configuration(of: exchange)
        let pool = pool(of: exchange).takeUnretainedValue()
        let translation = Translation(form)
        let handle = exchange.pointee.handle
        for part in form == .document ? [ServerPart.interfaces, .addresses] : [.interfaces] {
            var request = Buffer(capacity: max(32_768, 2 * house.limits.headByteCount))
            appendUpstreamHead(exchange, to: &request, keepsAlive: pool.keepsAlive, part: part)
            if request.hasOverflowed { return refuseLongHead(exchange) }
            translation.calls.append(
                Call(
                    pool, .get, request.readable, maxByteCount: Self.maxPartByteCount, keepsHead: true
                ) { worker, call in worker.partCame(handle, call) })
        }
        translation.openCount = translation.calls.count
        exchange.pointee.translation = translation
        exchange.pointee.forwardedAt = now
        // Before the calls start, which may fail at once and then look for the one who waits.
        exchange.pointee.wait = .calls
        counters.translations += 1
        for call in translation.calls { start(call, house) }
        return .wait(.calls)
    }

    /// Bytes of one answer; what a server has takes a few hundred for each interface.
    private static var maxPartByteCount: Int { 1 << 20 }

    /// The form that the request asks for; nil where Nova had no such list any more.
    private func form(of exchange: ExchangePointer) -> VirtualInterfaces.Form? {
        guard let table = table(of: exchange),
            let operations = configuration(of: exchange).apis[exchange.pointee.api].virtualInterfaces,
            operations.nova == exchange.pointee.operation
        else { return .document }
        let version = exchange.pointee.route.version
        let microversion = version == .v21 ? judgedVersion(exchange, table) : .base
        guard microversion < VirtualInterfaces.novaEnd else { return nil }
        var window = VirtualInterfaces.Window()
        if exchange.pointee.head.target.hasQuery {
            let query = exchange.pointee.headBytes.view(exchange.pointee.head.target.query)
            window = VirtualInterfaces.Window(query: query, scratch: &scratch)
        }
        return .nova(
            network: VirtualInterfaces.NetworkMember(version: version, microversion: microversion),
            window: window)
    }

    /// Takes an answer in; one that is of no use ends the waiting, since the others cannot make up for it.
    private func partCame(_ handle: Handle, _ call: Call) {
        guard let exchange = exchanges.find(handle), let translation = exchange.pointee.translation,
            exchange.pointee.wait == .calls
        else { return }
        translation.openCount -= 1
        if call.status != 200, translation.failed == nil { translation.failed = call }
        if translation.failed != nil || translation.openCount == 0 { resume(handle) }
    }

    private func conclude(_ exchange: ExchangePointer, _ translation: Translation) -> Verdict {
        if let failed = translation.failed {
            abandonTranslation(exchange)
            exchange.pointee.endpoint = failed.endpoint
            return answerFailure(exchange, failed)
        }
        guard translation.openCount == 0 else { return .wait(.calls) }
        exchange.pointee.endpoint = translation.calls[0].endpoint
        var content = Buffer()
        guard
            VirtualInterfaces.append(
                interfaces: translation.calls[0].content.readable,
                addresses: translation.calls.count > 1 ? translation.calls[1].content.readable : nil,
                form: translation.form, to: &content)
        else {
            exchange.pointee.failure = .responseInvalid
            return failUpstream(exchange)
        }
        exchange.pointee.responseHeadAt = now
        if let fetch = exchange.pointee.fetch {
            return endFetch(exchange, fetch, translation, content.readable)
        }
        exchange.pointee.reply.kind = .made
        exchange.pointee.reply.status = 200
        exchange.pointee.reply.made = Content(content.readable)
        return .reply
    }

    /// Hands the list to those who wait for the fetch; it is kept unless one of the answers forbids it.
    private func endFetch(
        _ exchange: ExchangePointer, _ fetch: Fetch, _ translation: Translation, _ content: ByteView
    ) -> Verdict {
        var head = ResponseHead(fieldCapacity: 128)
        for call in translation.calls {
            guard let bytes = read(call, into: &head) else { continue }
            if forbidsStoring(head, bytes) { fetch.forbidsStoring = true }
        }
        fetch.fields.enlarge(to: 1_024)
        appendTranslationFields(exchange, to: &fetch.fields)
        exchange.pointee.status = 200
        return endFetch(exchange, fetch, head, content)
    }

    private func endFetch(
        _ exchange: ExchangePointer, _ fetch: Fetch, _ head: borrowing ResponseHead, _ content: ByteView
    ) -> Verdict {
        guard let cache = shared.cache, fetch.collect(content, maxByteCount: cache.maxObjectByteCount) else {
            finishFetch(exchange, .forwardYourself)
            return .finish
        }
        return endFetch(exchange, fetch, head)
    }

    // MARK: - Failures

    /// Answers as the upstream answered the call, or as its silence is answered.
    private func answerFailure(_ exchange: ExchangePointer, _ call: Call) -> Verdict {
        var head = ResponseHead(fieldCapacity: 128)
        guard call.status >= 400, let bytes = read(call, into: &head) else {
            // Any other answer than a list or an error is none to what was asked.
            let failure = call.status == 0 ? call.failure : .responseInvalid
            exchange.pointee.failure = failure
            guard failure == .noEndpoint, exchange.pointee.fetch == nil else { return failUpstream(exchange) }
            return fail(exchange, failure, retryAfterSeconds: call.pool.retryAfterSeconds(now))
        }
        exchange.pointee.status = call.status
        exchange.pointee.responseHeadAt = now
        if call.status == 401 { forgetToken(exchange) }
        // Longer than any fault: only its status is of use, as with every error.
        let isFault = call.content.count <= Self.maxErrorByteCount
        let content = isFault ? call.content.readable : ByteView(start: nil, count: 0)
        if let fetch = exchange.pointee.fetch {
            takeFields(fetch, exchange, head, bytes)
            return endFetch(exchange, fetch, head, content)
        }
        exchange.pointee.errorHead = call.head
        exchange.pointee.errorContent.enlarge(to: max(1, content.count))
        exchange.pointee.errorContent.append(content)
        writeError(exchange, head)
        return .finish
    }

    /// Reads the head of a call's answer once more; it was read before, so it can be.
    private func read(_ call: Call, into head: inout ResponseHead) -> ByteView? {
        guard let bytes = call.head?.bytes else { return nil }
        var reader = ResponseReader()
        guard
            reader.read(bytes, into: &head, requestMethod: .get, limits: Self.responseLimits) == .complete
        else { return nil }
        return bytes
    }

    /// Gives up what is still asked for an exchange that is over.
    func abandonTranslation(_ exchange: ExchangePointer) {
        guard let translation = exchange.pointee.translation else { return }
        for call in translation.calls { abandon(call) }
    }

    // MARK: - Fields

    /// The target of a part: the last segment of the request's path is replaced, and there is no query.
    func appendTarget(of part: ServerPart, _ path: ByteView, to output: inout Buffer) {
        var end = path.count
        while end > 0, path[end - 1] != 0x2F { end -= 1 }
        output.append("GET ")
        output.append(path.view(0, end))
        output.append(part.segment)
    }

    /// What a translated list says besides what every answer says.
    ///
    /// - Source: RFC 9745, the date being that of Nova's release 15.0.0, whose microversion 2.44 names the successor;
    ///   RFC 5829 §3.2. The reference is relative, so that it holds behind any prefix.
    func appendTranslationFields(_ exchange: ExchangePointer, to output: inout Buffer) {
        output.append("Content-Type: application/json\r\n")
        appendVersionFields(exchange, to: &output)
        output.append("Deprecation: @1487721600\r\n")
        output.append("Link: <os-interface>; rel=\"successor-version\"\r\n")
    }

    /// Writes a version field of a part's answer as of the version that the client asked for; false for other answers.
    func appendAskedVersion(
        _ name: FieldName, _ exchange: ExchangePointer, to output: inout Buffer
    ) -> Bool {
        guard exchange.pointee.translation != nil, exchange.pointee.route.version == .v21 else {
            return false
        }
        output.append(name.canonical)
        output.append(name == .openStackAPIVersion ? ": compute " : ": ")
        appendVersion(exchange, to: &output)
        output.append("\r\n")
        return true
    }
}
