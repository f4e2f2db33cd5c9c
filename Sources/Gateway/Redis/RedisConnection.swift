internal import Bytes
internal import Glibc
internal import Loop
internal import TLS

/// One connection to a Redis or a Sentinel, with commands on their way in a row.
///
/// It decides nothing: its owner appends commands, calls `flush` when a round is over and `receive` when the poller says
/// so, then takes the replies one by one.
///
/// - Shape: `commands` holds every command that has no reply yet, so that one can be sent again elsewhere; the first
///   `sentByteCount` of its bytes were handed to the kernel, or to TLS. With TLS `sealedInput` and `sealedOutput` are what
///   the socket carries.
/// - Limits: `maxQuestionCount` commands and `maxCommandByteCount` bytes of them; a reply as `RedisReader` has it.
/// - Ownership: of one loop alone; the descriptor is closed by `close` or with it.
final class RedisConnection {
    enum State: UInt8 {
        case connecting, handshake, open, closed
    }

    /// Why it is of no more use; for the log.
    enum Failure: Error, Equatable {
        case refused(Int32)
        case ended
        case malformed
        case tls(TLSFailure)

        var description: String {
            switch self {
            case .refused(let code): String(cString: strerror(code))
            case .ended: "the connection was closed"
            case .malformed: "the reply is malformed or over 1 MiB"
            case .tls(let failure): failure == .none ? "closed_in_handshake" : "TLS: \(failure.word)"
            }
        }
    }

    static let maxQuestionCount = 1_024
    static let maxCommandByteCount = 262_144

    let address: SocketAddress
    /// As the settings or a redirect named it.
    let host: String
    /// Tells it from every other one of its owner; never 0.
    let serial: UInt32
    private let tag: UInt64
    private var descriptor: Int32
    private(set) var state = State.connecting
    private var interest = Interest.write
    private var tls = TLSConnection()
    private let secret: Secret?

    private(set) var questions = RedisQuestions(capacity: RedisConnection.maxQuestionCount)
    private var commands = Buffer(capacity: 16_384)
    private var sentByteCount = 0
    /// How many of the questions were given to `flush`: their time runs.
    private var startedCount = 0
    private var reader = RedisReader()
    private var input = Buffer(capacity: 16_384)
    private var sealedInput = Buffer()
    private var sealedOutput = Buffer()
    /// When something last came.
    private(set) var receivedAt: UInt64

    /// What TLS needs besides the socket.
    struct Secret {
        let context: TLSContext
        /// The name that the certificate must have.
        let serverName: String
        /// Which endpoint's session to resume.
        let key: UInt64
    }

    /// Begins to connect; nil when the kernel refuses at once, with `errno` in `code`.
    init?(
        to address: SocketAddress, host: String, secret: Secret?, serial: UInt32, tag: UInt64,
        poller: borrowing Poller, now: UInt64, code: inout Int32
    ) {
        let (descriptor, _) = Socket.connect(address)
        self.address = address
        self.host = host
        self.secret = secret
        self.serial = serial
        self.tag = tag
        self.descriptor = descriptor
        receivedAt = now
        guard descriptor >= 0 else {
            code = -descriptor
            return nil
        }
        // A connect that is over already makes the socket writable too, so there is one way on.
        let answer = poller.add(descriptor, .write, tag: tag)
        guard answer == 0 else {
            code = -answer
            close()
            return nil
        }
        if secret != nil {
            input.enlarge(to: 32_768)
            sealedInput.enlarge(to: 32_768)
            sealedOutput.enlarge(to: 32_768)
        }
    }

    deinit { close() }

    /// Ends it, with close_notify where that goes at once; the questions stay for their owner to answer.
    func close() {
        guard descriptor >= 0 else { return }
        if tls.isEstablished {
            sealedOutput.compact()
            tls.close(reply: &sealedOutput)
            _ = push()
        }
        Socket.close(descriptor)
        descriptor = -1
        state = .closed
    }

    // MARK: - Commands

    /// Whether `byteCount` more bytes of commands can be appended now, in `count` commands.
    func hasRoom(_ byteCount: Int, count: Int = 1) -> Bool {
        questions.count + count <= questions.capacity
            && commands.makeRoom(byteCount, limit: Self.maxCommandByteCount)
    }

    /// Appends a command after `hasRoom` said so: `write` appends its bytes.
    func append(_ question: RedisQuestion, _ write: (inout Buffer) -> Void) {
        let before = commands.count
        write(&commands)
        // `hasRoom` was asked for as many bytes.
        precondition(!commands.hasOverflowed)
        var question = question
        question.byteCount = UInt32(commands.count - before)
        questions.append(question)
    }

    /// Appends a command that was made before; false when there is no room for it.
    func append(_ question: RedisQuestion, _ command: [UInt8]) -> Bool {
        guard hasRoom(command.count) else { return false }
        append(question) { buffer in command.withUnsafeBufferPointer { buffer.append($0) } }
        return true
    }

    /// The bytes of the first command without a reply, which is the one that `next` found the reply of.
    var firstCommand: ByteView {
        questions.isEmpty
            ? ByteView(start: nil, count: 0) : commands.readable.view(0, Int(questions[0].byteCount))
    }

    /// Whether something was appended that was not sent.
    var hasUnsent: Bool { sentByteCount < commands.count }

    /// The question at `index` of the row is nobody's any more.
    func abandon(_ index: Int) { questions[index].isAbandoned = true }

    // MARK: - Sending

    /// Sends what was appended, as far as the socket takes it.
    func flush(_ poller: borrowing Poller, now: UInt64) throws(Failure) {
        guard state == .open else { return }
        // What a long round of the loop took is not the server's doing.
        while startedCount < questions.count {
            let waited = now - min(now, questions[startedCount].sentAt)
            questions[startedCount].sentAt += waited
            if questions[startedCount].deadline != 0, questions[startedCount].repeatCount == 0 {
                questions[startedCount].deadline += waited
            }
            startedCount += 1
        }
        while hasUnsent {
            let rest = commands.readable.view(sentByteCount, commands.count - sentByteCount)
            if tls.isActive {
                if sealedOutput.isEmpty { sealedOutput.removeAll() }
                let taken = tls.send(rest, into: &sealedOutput, now: now)
                guard taken >= 0 else { throw .tls(tls.failure) }
                sentByteCount += taken
                guard try pushed(poller) else { return }
            } else {
                let sent = Socket.send(descriptor, rest)
                if sent == -Int(EAGAIN) { return want([.read, .write], poller) }
                guard sent > 0 else { throw Self.failure(sent) }
                sentByteCount += sent
            }
        }
        if tls.isActive, try !pushed(poller) { return }
        want(.read, poller)
    }

    /// Sends what is sealed; false when the kernel took only a part.
    private func pushed(_ poller: borrowing Poller) throws(Failure) -> Bool {
        let answer = push()
        if answer == -Int(EAGAIN) {
            want([.read, .write], poller)
            return false
        }
        guard answer == 0 else { throw Self.failure(answer) }
        return true
    }

    private func push() -> Int {
        while !sealedOutput.isEmpty {
            let sent = Socket.send(descriptor, sealedOutput.readable)
            guard sent > 0 else {
                sealedOutput.compact()
                return sent
            }
            sealedOutput.consume(sent)
        }
        sealedOutput.removeAll()
        return 0
    }

    private static func failure(_ answer: Int) -> Failure {
        switch -answer {
        case 0, Int(EPIPE), Int(ECONNRESET): .ended
        default: .refused(Int32(-answer))
        }
    }

    private func want(_ wanted: Interest, _ poller: borrowing Poller) {
        guard wanted != interest else { return }
        interest = wanted
        _ = poller.change(descriptor, wanted, tag: tag)
    }

    // MARK: - Receiving

    /// Acts on what the kernel says of the socket; the replies are then taken by `next`.
    func ready(_ readiness: Readiness, _ poller: borrowing Poller, now: UInt64) throws(Failure) {
        if state == .connecting {
            let error = Socket.connectError(descriptor)
            guard error == 0 else { throw .refused(-error) }
            guard readiness.isWritable else { return }
            try connected(poller)
        } else if readiness.isWritable, tls.isActive, !sealedOutput.isEmpty {
            _ = try pushed(poller)
        }
        if readiness.isReadable || readiness.isHungUp || readiness.isBroken {
            try receive(poller, now: now)
        }
        try flush(poller, now: now)
    }

    private func connected(_ poller: borrowing Poller) throws(Failure) {
        want(.read, poller)
        guard let secret else {
            state = .open
            return
        }
        guard
            let connection = TLSConnection(
                client: secret.context, serverName: secret.serverName, session: secret.key)
        else { throw .tls(.memory) }
        tls = connection
        state = .handshake
        guard tls.start(reply: &sealedOutput) != .failed else { throw .tls(tls.failure) }
        _ = try pushed(poller)
    }

    /// Takes what the socket has, at most 16 pieces; what is left is reported again.
    func receive(_ poller: borrowing Poller, now: UInt64) throws(Failure) {
        guard state == .open || state == .handshake else { return }
        for _ in 0..<16 {
            let room = tls.isActive ? sealedInput.writable : input.writable
            // A record is shorter than the block, and everything else is taken out at once.
            guard room.count > 0 else { throw .malformed }
            let count = Socket.receive(descriptor, into: room)
            if count == -Int(EAGAIN) { return }
            // What came before the end was fed already, and may still be taken.
            guard count > 0 else { throw count == 0 ? .ended : Self.failure(count) }
            receivedAt = now
            if tls.isActive {
                sealedInput.grow(by: count)
                try open(poller)
            } else {
                input.grow(by: count)
                try feed()
            }
            if count < room.count { return }
        }
    }

    private func open(_ poller: borrowing Poller) throws(Failure) {
        while true {
            let step = tls.receive(&sealedInput, into: &input, reply: &sealedOutput)
            if state == .handshake, tls.isEstablished { state = .open }
            try feed()
            _ = try pushed(poller)
            switch step {
            case .incomplete:
                sealedInput.compact()
                return
            // Room was made by what was fed; a reply that does not go out is the kernel's lack of room, so its end is near.
            case .full: if !sealedOutput.isEmpty { throw .ended }
            case .ended: throw .ended
            case .failed, .plainHTTP: throw .tls(tls.failure)
            }
        }
    }

    private func feed() throws(Failure) {
        guard !input.isEmpty else { return }
        guard reader.feed(input.readable) else { throw .malformed }
        input.removeAll()
    }

    /// Finds the next reply, which is of the first question; nil when there is none.
    ///
    /// `reply` and `firstCommand` are lent until `finish`, which has to follow.
    func next() throws(Failure) -> RedisQuestion? {
        guard state != .closed else { return nil }
        switch reader.next() {
        case .incomplete: return nil
        case .malformed: throw .malformed
        case .reply:
            // A reply to nothing, or before its command was sent whole, has nothing to do with what is asked here.
            guard !questions.isEmpty, Int(questions[0].byteCount) <= sentByteCount else { throw .malformed }
            return questions[0]
        }
    }

    /// The reply that `next` found.
    var reply: UnsafePointer<RedisReply> { reader.reply }

    /// Forgets the first question with its command.
    func finish() {
        let byteCount = Int(questions[0].byteCount)
        questions.removeFirst()
        startedCount -= min(startedCount, 1)
        commands.consume(byteCount)
        sentByteCount -= min(sentByteCount, byteCount)
        if commands.isEmpty { commands.removeAll() }
    }
}
