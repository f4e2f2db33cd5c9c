import Foundation

/// The built `gatehouse`, serving for one scenario on ports that the kernel chose.
final class GatewayProcess: @unchecked Sendable {
    // Unchecked: written in `init` and `start`, which return before any role's thread begins.
    let directory: String
    private let process = Process()
    private(set) var port: UInt16 = 0
    private(set) var adminPort: UInt16 = 0

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/gatehouse-scenario-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    func write(settings: String) throws {
        try settings.write(toFile: directory + "/gatehouse.yaml", atomically: true, encoding: .utf8)
    }

    /// Starts serving and reads the ports from the log.
    func start() throws {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(
            path: "gatehouse")
        process.arguments = ["serve", "--config", directory + "/gatehouse.yaml"]
        process.environment = ProcessInfo.processInfo.environment.filter { $0.key.hasSuffix("SAN_OPTIONS") }
        process.standardInput = FileHandle.nullDevice
        for name in ["/log", "/output"] {
            guard FileManager.default.createFile(atPath: directory + name, contents: nil) else {
                throw SocketFailure("cannot make \(directory + name)")
            }
        }
        let handles = ["/log", "/output"].map { FileHandle(forWritingAtPath: directory + $0) }
        process.standardError = handles[0]
        process.standardOutput = handles[1]
        try process.run()
        // `Process` keeps them open, and is kept itself: with a thousand of them it reads past the list of descriptors.
        for handle in handles { try handle?.close() }
        let pattern = #/serving admin=127\.0\.0\.1:(\d+) listeners="?127\.0\.0\.1:(\d+)/#
        let served = until { log.contains(pattern) || !process.isRunning }
        guard served, let match = log.firstMatch(of: pattern), let admin = UInt16(match.1),
            let port = UInt16(match.2)
        else { throw SocketFailure("the gateway does not serve:\n\(log)") }
        self.port = port
        adminPort = admin
    }

    var log: String { text(of: "log") }

    func text(of file: String) -> String {
        (try? String(contentsOfFile: directory + "/" + file, encoding: .utf8)) ?? ""
    }

    func signal(_ number: Int32) {
        // Of one that was never started it is 0, which would mean this process and its whole group.
        guard process.processIdentifier > 0 else { return }
        kill(process.processIdentifier, number)
    }

    var isRunning: Bool { process.isRunning }

    /// Waits for the end and answers the exit status; nil when it did not end, or was ended by a signal.
    func waitForExit() -> Int32? {
        guard until({ !process.isRunning }), process.terminationReason == .exit else { return nil }
        return process.terminationStatus
    }

    /// The text of `/metrics`.
    func metrics() throws -> String {
        let socket = try PlainSocket.connect(port: adminPort)
        try socket.send(Array("GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".utf8))
        return try PlainMessage.read(socket, isAnswer: true).contentText
    }

    /// One sample of the metrics, named as it stands there, labels included; nil when there is none.
    static func sample(_ name: String, in metrics: String) -> Double? {
        for line in metrics.split(separator: "\n") where line.hasPrefix(name + " ") {
            return Double(line.dropFirst(name.count + 1))
        }
        return nil
    }
}

/// Waits until `condition` holds; false when it did not in time.
func until(patience: TimeInterval = PlainSocket.patience, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = Date(timeIntervalSinceNow: patience)
    while true {
        if try condition() { return true }
        if Date() > end { return false }
        // What is waited for tells nobody; it is looked at again after a moment.
        usleep(5_000)
    }
}
