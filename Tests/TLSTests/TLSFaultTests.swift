import Glibc
import TLS
import Testing

/// What is told of files that cannot be used: always the file's name and what is wrong with it.
@Suite struct TLSFaultTests {
    /// A folder of its own for files that are wrong.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/tls-tests-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw TLSFault("no folder") }
            path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        deinit {
            for name in names { unlink(path + "/" + name) }
            rmdir(path)
        }

        private var names: [String] = []

        func file(_ name: String, _ parts: [UInt8]...) throws -> String {
            names.append(name)
            let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            guard descriptor >= 0 else { throw TLSFault("no file") }
            defer { close(descriptor) }
            let bytes = parts.flatMap { $0 }
            guard write(descriptor, bytes, bytes.count) == bytes.count else { throw TLSFault("cannot write") }
            return path + "/" + name
        }
    }

    private func content(_ name: String) throws -> [UInt8] {
        let descriptor = open(Fixture.path(name), O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(descriptor, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    /// What is told of a server with these files; nil when it is fine.
    private func fault(_ certificate: String, _ key: String, ocsp: String? = nil, clientCA: String? = nil)
        -> String?
    {
        do throws(TLSFault) {
            _ = try TLSContext.server(
                certificates: [
                    ServerCertificate(certificate: certificate, privateKey: key, ocspResponse: ocsp)
                ],
                clientCA: clientCA, tickets: nil)
            return nil
        } catch {
            return error.reason
        }
    }

    private let good = (Fixture.path("localhost-ecdsa.crt"), Fixture.path("localhost-ecdsa.key"))

    @Test func `a fault keeps the words it was made with`() {
        #expect(TLSFault("server.crt has no certificate").reason == "server.crt has no certificate")
    }

    @Test func `good files are no fault`() {
        #expect(
            fault(
                good.0, good.1, ocsp: Fixture.path("localhost-ecdsa.ocsp"), clientCA: Fixture.path("ca.crt"))
                == nil)
    }

    @Test func `files that are missing are told by name`() {
        let missing = Fixture.path("missing")
        #expect(fault(missing, good.1) == "cannot read \(missing): No such file or directory")
        #expect(fault(good.0, missing) == "cannot read \(missing): No such file or directory")
        #expect(fault(good.0, good.1, ocsp: missing) == "cannot read \(missing): No such file or directory")
        #expect(
            fault(good.0, good.1, clientCA: missing) == "cannot read \(missing): No such file or directory")
        let folder = String(Fixture.folder.dropLast())
        #expect(fault(folder, good.1) == "\(folder) is not a file")
    }

    @Test func `a key of another certificate is told with both names`() {
        let other = Fixture.path("nova.key")
        #expect(fault(good.0, other) == "\(other) is not the key of \(good.0)")
        let rsa = Fixture.path("localhost-rsa.key")
        #expect(fault(good.0, rsa) == "\(rsa) is not the key of \(good.0)")
    }

    @Test func `an encrypted key is told as such and nobody is asked for a passphrase`() {
        let encrypted = Fixture.path("localhost-encrypted.key")
        #expect(
            fault(good.0, encrypted) == "\(encrypted) is encrypted: the key is needed without a passphrase")
    }

    @Test func `certificates that have expired are told with the day`() {
        let expired = Fixture.path("localhost-expired")
        #expect(fault(expired + ".crt", expired + ".key") == "\(expired).crt expired on 2021-01-01")
    }

    @Test func `files that hold something else are told by name`() throws {
        #expect(fault(good.1, good.1) == "\(good.1) has no certificate in PEM form")
        #expect(fault(good.0, good.0) == "\(good.0) has no private key in PEM form")
        #expect(fault(good.0, good.1, clientCA: good.1) == "\(good.1) has no certificate in PEM form")
        #expect(fault(good.0, good.1, ocsp: good.0) == "\(good.0) is not an OCSP response in DER form")
        let folder = try Folder()
        let empty = try folder.file("empty.pem", [])
        #expect(fault(empty, good.1) == "\(empty) has no certificate in PEM form")
        #expect(fault(good.0, empty) == "\(empty) has no private key in PEM form")
        let large = try folder.file("large.pem", [UInt8](repeating: 10, count: 5 << 20))
        #expect(fault(large, good.1) == "\(large) is larger than 4 MiB")
    }

    @Test func `a chain that is damaged is told, not shortened`() throws {
        let folder = try Folder()
        let damaged = try folder.file(
            "chain.crt", content("localhost-ecdsa.crt"),
            bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
        #expect(fault(damaged, good.1) == "\(damaged) has a damaged certificate in its chain")
        let cut = try folder.file("cut.crt", Array(content("localhost-ecdsa.crt").dropLast(200)))
        #expect(fault(cut, good.1) == "\(cut) has no certificate in PEM form")
        let trust = try folder.file(
            "trust.crt", content("ca.crt"),
            bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
        #expect(fault(good.0, good.1, clientCA: trust) == "\(trust) has a damaged certificate")
    }

    @Test func `an OCSP response about another certificate is told`() {
        let other = Fixture.path("nova.ocsp")
        #expect(fault(good.0, good.1, ocsp: other) == "\(other) is not about \(good.0)")
    }

    @Test func `an OCSP response that says revoked is told, one that is too old is warned about`() throws {
        let nova = (Fixture.path("nova.crt"), Fixture.path("nova.key"))
        let revoked = Fixture.path("nova-revoked.ocsp")
        #expect(fault(nova.0, nova.1, ocsp: revoked) == "\(revoked) does not say that \(nova.0) is good")
        let context = try TLSContext.server(
            certificates: [Fixture.certificate("localhost-ecdsa", staple: "localhost-expired.ocsp")],
            tickets: nil)
        #expect(
            context.warnings == [Fixture.path("localhost-expired.ocsp") + " has expired and is not stapled"])
        // The responder could not answer: status 3, tryLater (RFC 6960 §4.2.1).
        let folder = try Folder()
        let later = try folder.file("later.ocsp", [0x30, 3, 0x0A, 1, 3])
        #expect(fault(nova.0, nova.1, ocsp: later) == "\(later) is no answer: its responder reports an error")
    }

    @Test func `text around certificates is no fault, and a key behind them is none`() throws {
        let folder = try Folder()
        let both = try folder.file(
            "both.pem", bytes("our server\n"), content("localhost-ecdsa.crt"), content("localhost-ecdsa.key"))
        #expect(fault(both, both) == nil)
    }

    @Test func `clients tell the same faults`() {
        let missing = Fixture.path("missing")
        #expect(throws: TLSFault.self) { try TLSContext.client(caFile: missing) }
        #expect(throws: TLSFault.self) { try TLSContext.client(caFile: good.1) }
        #expect(throws: TLSFault.self) {
            try TLSContext.client(certificate: (Fixture.path("client.crt"), Fixture.path("client-rsa.key")))
        }
        do throws(TLSFault) {
            _ = try TLSContext.client(
                certificate: (Fixture.path("client-expired.crt"), Fixture.path("client-expired.key")))
            Issue.record("an expired certificate was taken")
        } catch {
            #expect(error.reason == Fixture.path("client-expired.crt") + " expired on 2021-01-01")
        }
    }

    @Test func `a server without a certificate is a fault`() {
        #expect(throws: TLSFault.self) { try TLSContext.server(certificates: [], tickets: nil) }
    }

    @Test func `every failure has a word of its own`() {
        let words = Set(TLSFailure.allCases.map { "\($0.word)" })
        #expect(words.count == TLSFailure.allCases.count)
    }
}
