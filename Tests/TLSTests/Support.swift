import Bytes
import TLS
import Testing

/// Paths of the fixtures in Tests/Certificates.
enum Fixture {
    static let folder = String(#filePath.dropLast("TLSTests/Support.swift".count)) + "Certificates/"

    static func path(_ name: String) -> String { folder + name }

    static func certificate(_ name: String, staple: String? = nil) -> ServerCertificate {
        ServerCertificate(
            certificate: path(name + ".crt"), privateKey: path(name + ".key"), ocspResponse: staple.map(path))
    }

    static func server(
        _ names: [String] = ["localhost-ecdsa"], clientCA: String? = nil, requires: Bool = false,
        version: TLSVersion = .tls12, tickets: TLSTicketKeys? = nil, offersHTTP2: Bool = true
    ) throws(TLSFault) -> TLSContext {
        try .server(
            certificates: names.map { certificate($0) }, clientCA: clientCA.map(path),
            requiresClientCertificate: requires, minimumVersion: version, tickets: tickets,
            offersHTTP2: offersHTTP2)
    }

    static func client(
        ca: String? = "ca.crt", certificate: String? = nil, verifies: Bool = true, offersHTTP2: Bool = true
    ) throws(TLSFault) -> TLSContext {
        try .client(
            caFile: ca.map(path), certificate: certificate.map { (path($0 + ".crt"), path($0 + ".key")) },
            verifies: verifies, offersHTTP2: offersHTTP2)
    }
}

/// One end of a link: a connection, what has to go to the peer, and what came.
final class End {
    var connection: TLSConnection
    var outgoing = Buffer(capacity: 1 << 16)
    var plaintext = Buffer(capacity: 1 << 16)
    var steps: [TLSStep] = []

    init(_ connection: consuming TLSConnection) { self.connection = connection }

    // The connection itself cannot be copied, and so not stand in #expect.
    var isEstablished: Bool { connection.isEstablished }
    var isResumed: Bool { connection.isResumed }
    var hasEnded: Bool { connection.hasEnded }
    var hasMore: Bool { connection.hasMore }
    var failure: TLSFailure { connection.failure }
    var alert: UInt8 { connection.alert }
    var agreed: TLSProtocol { connection.negotiatedProtocol }
    var version: String { connection.version.string }
    var cipherSuite: String { connection.cipherSuite.string }

    /// The subject of the peer's certificate.
    var peerSubject: String {
        var text = Buffer(capacity: 1 << 12)
        connection.appendPeerSubject(to: &text)
        return text.readable.string
    }

    /// How much ciphertext waits to be carried, and how much plaintext to be taken.
    var outgoingByteCount: Int { outgoing.count }
    var plaintextByteCount: Int { plaintext.count }
    var isActive: Bool { connection.isActive }

    /// Takes all ciphertext that has to be sent.
    func takeOutgoing() -> [UInt8] {
        let bytes = Array(outgoing.readable)
        outgoing.removeAll()
        return bytes
    }

    func close() { connection.close(reply: &outgoing) }

    /// Feeds ciphertext to the connection; answers what it came to.
    func receive(_ input: inout Buffer) -> TLSStep {
        let step = connection.receive(&input, into: &plaintext, reply: &outgoing)
        if steps.last != step { steps.append(step) }
        return step
    }

    /// Seals all of `bytes`, one record after another.
    func send(_ bytes: [UInt8], now: UInt64 = 0) {
        bytes.withUnsafeBufferPointer { view in
            var place = 0
            while place < view.count {
                let count = connection.send(view.view(place, view.count - place), into: &outgoing, now: now)
                guard count > 0 else { return }
                place += count
            }
        }
    }

    /// Takes all plaintext that came.
    func take() -> [UInt8] {
        let bytes = Array(plaintext.readable)
        plaintext.removeAll()
        return bytes
    }
}

/// A client and a server that hand each other their ciphertext through memory.
final class Link {
    let client: End
    let server: End
    /// How many bytes go over at a time, at most.
    var pieceByteCount = Int.max

    init(_ client: TLSContext, _ server: TLSContext, name: String = "localhost", session: UInt64 = 1) throws {
        guard let made = TLSConnection(client: client, serverName: name, session: session),
            let accepted = TLSConnection(server: server)
        else { throw TLSFault("no connection") }
        self.client = End(made)
        self.server = End(accepted)
        _ = self.client.connection.start(reply: &self.client.outgoing)
    }

    /// Carries bytes both ways until neither side has any.
    func run() {
        while !client.outgoing.isEmpty || !server.outgoing.isEmpty {
            Self.carry(&client.outgoing, to: server, pieceByteCount)
            Self.carry(&server.outgoing, to: client, pieceByteCount)
        }
    }

    static func carry(_ output: inout Buffer, to end: End, _ pieceByteCount: Int) {
        let bytes = Array(output.readable)
        output.removeAll()
        feed(bytes, to: end, pieceByteCount)
    }

    static func feed(_ bytes: [UInt8], to end: End, _ pieceByteCount: Int = .max) {
        var place = 0
        while place < bytes.count {
            let count = min(pieceByteCount, bytes.count - place)
            var piece = Buffer(capacity: count)
            bytes[place..<place + count].withUnsafeBufferPointer { piece.append($0) }
            let step = end.receive(&piece)
            if step == .failed || step == .plainHTTP { return }
            place += count
        }
    }

    var isEstablished: Bool { client.isEstablished && server.isEstablished }
}

/// The bytes of a text.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
