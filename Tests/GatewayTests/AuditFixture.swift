import Bytes
import Foundation
import HTTP
import Loop
import OpenStack
import Testing

@testable import Gateway

/// An exchange as the trail finds it when its answer is about to leave, made from what went over the wire.
struct AuditedExchange {
    static let project = "6f70656e737461636b20342065766572"

    /// Without the empty line that ends it.
    var head = "GET /v2.1/servers HTTP/1.1\nHost: compute.test"
    var content = ""
    /// The upstream's answer, in the same form; empty for none.
    var answer = ""
    var answerContent = ""
    var status = 200
    var failure = Failure.none
    /// The answer was made here.
    var isOurs = false
    var hasIdentity = true
    var verdict = CacheVerdict.none
    /// Of the head's fields, the bytes themselves, where they are no text.
    var headBytes: [UInt8]?

    /// A head as it is on the wire.
    static func wire(_ text: String) -> [UInt8] {
        Array((text.replacingOccurrences(of: "\n", with: "\r\n") + "\r\n\r\n").utf8)
    }
}

/// A worker with a trail's policies, which writes events of exchanges that never were.
struct AuditFixture {
    private static let settings = """
        listeners: [{address: "127.0.0.1:1"}]
        apis: [{definition: config/openapi/compute.yaml, upstream: {endpoints: ["http://nova.test:8774"]}}]
        identity:
          provider: static
          static:
            tokens:
              - token: demo
                user: {id: u1, name: "Zoë \\"Z\\""}
                project: {id: \(AuditedExchange.project), name: demo}
                roles: [member, reader]
        """

    /// Compiled once; unsafe only in name, since nothing in these tests changes it.
    nonisolated(unsafe) static let configuration = configuration([
        ["servers.create", "servers.action", "keypairs.create", "volumes_boot.create"], ["PUT"],
    ])

    /// With every content in its event.
    nonisolated(unsafe) static let thorough = configuration([["POST", "PUT"]])

    /// With the contents of what `recorded` names in their events.
    private static func configuration(_ recorded: [[String]]) -> Configuration? {
        do {
            var settings = try SettingsReader(environment: [:]).read(
                Array(Self.settings.utf8), file: "test", directory: SettingsPlaces.root)
            var audit = Settings.Audit(file: Settings.AuditFile(path: "/dev/null"))
            for words in recorded {
                var policy = Settings.AuditPolicy(
                    operations: words.map { Settings.LimitSelector($0) }, record: .each)
                policy.recordsContent = true
                audit.policies.append(policy)
            }
            settings.audit = audit
            let definition = try DefinitionFiles.read(settings.apis[0].definition)
            return try Configuration(
                settings, definitions: [.init(definition: definition, addresses: [:])], hash: .random())
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    let worker: Worker
    let configuration: Configuration
    private let endpoint = Endpoint(url: "http://nova.test:8774", addresses: [])

    init(_ given: Configuration? = configuration) throws {
        configuration = try #require(given)
        worker = try Worker(
            index: 0, shared: Shared(cache: nil, buckets: Buckets(capacity: 8)) {},
            configuration: configuration, maxConnectionCount: 16)
        worker.random = RandomSource(seed: (1, 2, 3, 4))
        worker.auditDigester = AuditDigester(key: Array("an audit key of thirty-two bytes".utf8))
        worker.timeText.removeAll()
        worker.timeText.append("2026-09-01T10:00:00.")
        worker.wallNanoseconds = 123_456_789
    }

    /// Lends an exchange that has got as far as `asked` says.
    func with<Result>(
        _ asked: AuditedExchange, identity: Identity? = nil, _ body: (ExchangePointer) throws -> Result
    ) throws -> Result {
        let exchange = ExchangePointer.allocate(capacity: 1)
        exchange.initialize(to: Exchange(fieldCapacity: 64))
        defer {
            exchange.pointee.reset()
            exchange.deinitialize(count: 1)
            exchange.deallocate()
        }
        let head = (asked.headBytes ?? AuditedExchange.wire(asked.head)).withUnsafeBufferPointer {
            Content($0)
        }
        exchange.pointee.configuration = .passUnretained(configuration)
        exchange.pointee.headBase = head.bytes.baseAddress
        exchange.pointee.client = try #require(withBytes("192.0.2.7") { IPAddress(parsing: $0) })
        exchange.pointee.requestID.renew(&worker.random)
        exchange.pointee.startedAt = worker.now
        let limits = HeadLimits(headByteCount: 65_536, targetByteCount: 32_768, fieldCount: 64)
        let result = exchange.pointee.reader.read(head.bytes, into: &exchange.pointee.head, limits: limits)
        try #require(result == .complete)
        match(exchange, head.bytes)
        if asked.hasIdentity {
            exchange.pointee.adopt(
                identity ?? withBytes("demo") { configuration.tokens?.find($0, wallSeconds: 0) })
        }
        take(asked.content, into: exchange)
        exchange.pointee.status = asked.status
        exchange.pointee.failure = asked.failure
        exchange.pointee.cacheVerdict = asked.verdict
        if asked.isOurs { exchange.pointee.reply.status = asked.status }
        if !asked.answer.isEmpty { try noteAnswer(asked, exchange) }
        return try withExtendedLifetime((configuration, head, endpoint)) { try body(exchange) }
    }

    private func match(_ exchange: ExchangePointer, _ bytes: ByteView) {
        let table = configuration.apis[0].table
        exchange.pointee.api = 0
        exchange.pointee.route = table.match(
            path: bytes.view(exchange.pointee.head.target.path), method: exchange.pointee.head.method)
        if case .operation(let operation) = exchange.pointee.route.outcome {
            exchange.pointee.operation = operation
        }
    }

    /// Content as Validate leaves it, with the action that it names.
    private func take(_ content: String, into exchange: ExchangePointer) {
        guard !content.isEmpty else { return }
        exchange.pointee.isCollected = true
        exchange.pointee.content.enlarge(to: content.utf8.count)
        exchange.pointee.content.append(content)
        guard exchange.pointee.operation >= 0 else { return }
        worker.message.removeAll()
        let verdict = configuration.apis[0].table.validateContent(
            operation: exchange.pointee.operation, mediaType: nil,
            content: exchange.pointee.content.readable, tape: &worker.tape, scratch: &worker.scratch,
            message: &worker.message)
        if case .valid(_, let action?) = verdict { exchange.pointee.action = action }
    }

    private func noteAnswer(_ asked: AuditedExchange, _ exchange: ExchangePointer) throws {
        exchange.pointee.endpoint = .passUnretained(endpoint)
        let bytes = AuditedExchange.wire(asked.answer)
        try bytes.withUnsafeBufferPointer { bytes in
            var head = ResponseHead(fieldCapacity: 32)
            var reader = ResponseReader()
            let result = reader.read(bytes, into: &head, requestMethod: exchange.pointee.head.method)
            try #require(result == .complete)
            worker.noteAnswerHead(exchange, head, bytes)
            guard worker.needsAnswerContent(exchange, head) else { return }
            withBytes(asked.answerContent) { worker.noteAnswerContent(exchange, $0, head, bytes) }
        }
    }

    /// The event of an exchange, with its time here left out.
    func event(_ asked: AuditedExchange, identity: Identity? = nil) throws -> String {
        try with(asked, identity: identity) { try event(of: $0) }
    }

    func event(of exchange: ExchangePointer) throws -> String {
        var buffer = Buffer(capacity: Worker.maxAuditContentEventByteCount)
        worker.appendAuditEvent(exchange, to: &buffer)
        let hasOverflowed = buffer.hasOverflowed
        try #require(!hasOverflowed)
        let text = String(decoding: buffer.readable, as: UTF8.self)
        return text.replacing(/"microseconds":[0-9]+/, with: "\"microseconds\":0")
    }
}

/// An event's members, read by another reader than ours.
func members(_ event: String) throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: Data(event.utf8))
    return try #require(object as? [String: Any])
}

extension [String: Any] {
    /// The value behind some names, such as `target.id`.
    subscript(path path: String) -> Any? {
        var value: Any? = self
        for name in path.split(separator: ".") { value = (value as? [String: Any])?[String(name)] }
        return value
    }

    func text(_ path: String) -> String? { self[path: path] as? String }
}
