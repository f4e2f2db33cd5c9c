import Bytes
import Dispatch
import Glibc
import Loop

@testable import compute_simulator

/// A service on ports of its own, ended with the object.
// Unchecked: the service is touched on its queue alone once it runs.
final class RunningService: @unchecked Sendable {
    private let service: Service

    init(idleSeconds: Double = 30) throws {
        var settings = Service.Settings()
        settings.nova = .loopback(port: 0)
        settings.identity = .loopback(port: 0)
        settings.control = .loopback(port: 0)
        settings.transitionSeconds = 0
        settings.idleSeconds = idleSeconds
        service = try Service(settings)
        service.start()
    }

    deinit {
        let ended = DispatchSemaphore(value: 0)
        service.loop.queue.sync { service.stop { ended.signal() } }
        ended.wait()
    }

    func connect(_ listener: Listener = .nova) throws -> TestClient {
        try TestClient(port: service.ports[listener] ?? 0)
    }

    /// Sends one control request and gives its answer's content.
    func control(_ method: String, _ path: String, _ body: String = "") throws -> JSONValue? {
        let client = try connect(.control)
        client.send(
            "\(method) \(path) HTTP/1.1\r\nHost: c\r\nConnection: close\r\nContent-Length: "
                + "\(body.utf8.count)\r\n\r\n\(body)"
        )
        let answer = client.readToEnd().bytes
        guard let split = answer.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        return JSONParser.read(Array(answer[split.upperBound...]))
    }

    /// Asks the compute API for one thing on a connection of its own, closed at the end or after `seconds`
    /// of silence.
    func ask(_ path: String, fields: String = "", seconds: Double = 10) throws -> TestClient.Answer {
        let client = try connect()
        client.send(
            "GET \(path) HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\nConnection: close\r\n\(fields)\r\n")
        return client.readToEnd(seconds: seconds)
    }
}

/// A plain blocking client with deadlines, so that a test that fails does not hang.
final class TestClient {
    struct Answer {
        enum End: Equatable { case closed, reset, silence }
        var bytes: [UInt8] = []
        var end = End.silence
        var text: String { String(decoding: bytes, as: UTF8.self) }
        var status: Int { Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    }

    private let descriptor: Int32
    private var pending: [UInt8] = []

    init(port: UInt16) throws {
        let (descriptor, isInProgress) = Socket.connect(.loopback(port: port))
        guard descriptor >= 0 else { throw SystemError(call: "connect", code: -descriptor) }
        self.descriptor = descriptor
        if isInProgress { _ = wait(Int16(POLLOUT), seconds: 10) }
    }

    deinit { Socket.close(descriptor) }

    private func wait(_ events: Int16, seconds: Double) -> Bool {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        return poll(&entry, 1, Int32(seconds * 1000)) > 0
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBufferPointer {
                Socket.send(descriptor, $0.view(sent, bytes.count - sent))
            }
            if count > 0 {
                sent += count
            } else if count != -Int(EAGAIN) || !wait(Int16(POLLOUT), seconds: 10) {
                return
            }
        }
    }

    /// Reads until the other side ends, or until it was silent for `seconds`.
    func readToEnd(seconds: Double = 10) -> Answer { read(seconds: seconds) { _ in false } }

    /// Reads until `text` was received; what came after it stays for the next call.
    func read(until text: String, seconds: Double = 10) -> Answer {
        let wanted = Array(text.utf8)
        var answer = read(seconds: seconds) { $0.firstRange(of: wanted) != nil }
        if let range = answer.bytes.firstRange(of: wanted) {
            pending = Array(answer.bytes[range.upperBound...])
            answer.bytes.removeSubrange(range.upperBound...)
        }
        return answer
    }

    private func read(seconds: Double, until isEnough: ([UInt8]) -> Bool) -> Answer {
        var answer = Answer(bytes: pending)
        pending = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while !isEnough(answer.bytes) {
            guard wait(Int16(POLLIN), seconds: seconds) else { return answer }
            let count = block.withUnsafeMutableBufferPointer { Socket.receive(descriptor, into: $0) }
            if count > 0 {
                answer.bytes += block.prefix(count)
            } else if count != -Int(EAGAIN) {
                answer.end = count == 0 ? .closed : .reset
                return answer
            }
        }
        return answer
    }
}
