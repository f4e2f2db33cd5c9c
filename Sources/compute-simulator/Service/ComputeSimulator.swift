import ArgumentParser
import Dispatch
import Foundation
import Loop

/// The command: reads options and files, starts the service, says where it listens.
@main
struct ComputeSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compute-simulator",
        abstract: "A stand-in for a compute service and its identity service, with faults on demand.")

    @Option(help: "Address of the compute API; port 0 lets the system choose.")
    var listen = "127.0.0.1:18774"

    @Option(help: "Address of the identity API (and of the image and network APIs).")
    var identityListen = "127.0.0.1:15000"

    @Option(help: "Address of the control listener; without it there is none.")
    var controlListen: String?

    @Option(help: "Compute endpoint in service catalogs; %(project_id)s stands for the project.")
    var catalogComputeUrl: String?

    @Option(help: "Identity address that a 401 of the compute API names.")
    var identityUrl: String?

    @Option(help: "How many servers the demo project has at the start.")
    var servers = 25

    @Option(help: "How many seconds a build, an action or a deletion takes.")
    var transitionSeconds = 1.0

    @Option(help: "How many seconds a token is good that is asked for with a password or a credential.")
    var tokenSeconds = 3600.0

    @Option(help: "After how many seconds an idle connection is closed.")
    var idleSeconds = 75.0

    @Option(help: "How many requests the control listener remembers.")
    var requestLog = 2000

    @Option(help: "A fixed token, as TOKEN:PROJECT:ROLE[,ROLE]; may be given several times.")
    var token: [String] = []

    @Option(help: "A file of such tokens, one a line; # begins a comment.")
    var tokenFile: String?

    @Option(help: "A JSON file with a list of fault rules in force from the start.")
    var faults: String?

    @Option(help: "A file to write the bound ports to, as JSON, once the service is ready.")
    var bindPortFile: String?

    func run() throws {
        var settings = Service.Settings()
        settings.nova = try Self.address(listen, "--listen")
        settings.identity = try Self.address(identityListen, "--identity-listen")
        settings.control = try controlListen.map { try Self.address($0, "--control-listen") }
        settings.catalogComputeURL = catalogComputeUrl
        settings.identityURL = identityUrl
        guard (0...1_000_000).contains(servers) else {
            throw ValidationError("--servers is from 0 to 1000000")
        }
        guard transitionSeconds >= 0, idleSeconds > 0, tokenSeconds > 0, tokenSeconds <= Seed.secondsLimit
        else {
            throw ValidationError("seconds must be positive")
        }
        guard (1...1_000_000).contains(requestLog) else {
            throw ValidationError("--request-log is from 1 to 1000000")
        }
        settings.serverCount = servers
        settings.transitionSeconds = transitionSeconds
        settings.tokenSeconds = tokenSeconds
        settings.idleSeconds = idleSeconds
        settings.requestLogCapacity = requestLog
        settings.tokens = token + (try tokenLines())
        for text in settings.tokens where text.split(separator: ":").count != 3 {
            throw ValidationError("not TOKEN:PROJECT:ROLE: \(text)")
        }
        settings.faults = try faultRules()
        try serve(settings)
    }

    private static func address(_ text: String, _ option: String) throws -> SocketAddress {
        guard let address = SocketAddress(parsing: text) else {
            throw ValidationError("\(option): not an address with a port: \(text)")
        }
        return address
    }

    private func tokenLines() throws -> [String] {
        guard let tokenFile else { return [] }
        guard let text = try? String(contentsOfFile: tokenFile, encoding: .utf8) else {
            throw ValidationError("--token-file: cannot read \(tokenFile)")
        }
        return text.split(separator: "\n").map { line in String(line.prefix { $0 != "#" }).trimmed }
            .filter { !$0.isEmpty }
    }

    private func faultRules() throws -> [FaultRule] {
        guard let faults else { return [] }
        guard let data = FileManager.default.contents(atPath: faults) else {
            throw ValidationError("--faults: cannot read \(faults)")
        }
        do { return try FaultPlan.read(Array(data)) } catch {
            throw ValidationError("--faults: \(error.text)")
        }
    }

    private func serve(_ settings: Service.Settings) throws {
        let service: Service
        do { service = try Service(settings) } catch { throw ValidationError("\(error)") }
        SignalSource.ignore(SIGPIPE)
        _ = DescriptorLimit.raise()
        let ended = DispatchSemaphore(value: 0)
        let signals = [SIGTERM, SIGINT].map { number in
            SignalSource(number, queue: service.loop.queue) { service.stop { ended.signal() } }
        }
        service.start()
        let ready =
            JSONWriter.object { writer in
                for listener in Listener.allCases {
                    if let port = service.ports[listener] { writer.member(listener.name, Int(port)) }
                }
            } + [0x0A]
        if let bindPortFile, !FileManager.default.createFile(atPath: bindPortFile, contents: Data(ready)) {
            throw ValidationError("--bind-port-file: cannot write \(bindPortFile)")
        }
        FileHandle.standardOutput.write(Data(ready))
        // Not dispatchMain: it never returns, so the optimizer would end the signal sources before it.
        withExtendedLifetime((service, signals)) { ended.wait() }
    }
}
