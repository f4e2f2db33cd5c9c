import Foundation
import Testing

/// The built `gatehouse`, run as an operator runs it.
struct SettingsCommandTests {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs the command that was built beside these tests, with the repository as the working directory.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil
    ) throws -> Outcome {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(
            path: "gatehouse")
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: SettingsPlaces.root)
        let output = Pipe()
        let errors = Pipe()
        process.standardInput = input.flatMap { FileHandle(forReadingAtPath: $0) } ?? FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Standard error stays under a pipe's 64 KiB here, so reading one after the other cannot block.
        let outputData = output.fileHandleForReading.readDataToEndOfFile()
        let errorData = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
            errors: String(decoding: errorData, as: UTF8.self))
    }

    @Test func `version prints one line`() throws {
        let outcome = try Self.run(["version"])
        #expect(outcome.status == 0)
        #expect(outcome.output.wholeMatch(of: /gatehouse \d+\.\d+\.\d+\n/) != nil)
    }

    @Test func `check of the working settings prints one line and exits 0`() throws {
        let outcome = try Self.run(["check", "config/gatehouse.yaml"])
        #expect(outcome.status == 0)
        #expect(
            outcome.output.wholeMatch(
                of: /config\/gatehouse\.yaml: OK, \d+ operations on 127\.0\.0\.1:8774\n/) != nil)
        #expect(outcome.errors.isEmpty)
    }

    @Test func `check prints every mistake with its place and exits 1`() throws {
        let file = FileManager.default.temporaryDirectory.path + "/gatehouse-check-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "workers: two\ncolour: red\n".write(toFile: file, atomically: true, encoding: .utf8)
        let outcome = try Self.run(["check", file])
        #expect(outcome.status == 1)
        #expect(
            outcome.output == """
                \(file):1:1: `listeners` is missing
                \(file):1:1: `apis` is missing
                \(file):1:1: `identity` is missing
                \(file):1:10: `workers`: `two` is not a whole number
                \(file):2:1: unknown key `colour`

                """)
    }

    @Test func `check takes environment variables from the process`() throws {
        let missing = try Self.run(["check", "config/examples/all-keys.yaml"])
        #expect(missing.status == 1)
        #expect(missing.output.contains("the environment variable KEYSTONE_PASSWORD is not set"))
        let token = ["KEYSTONE_PASSWORD": "example"]
        #expect(try Self.run(["check", "config/examples/all-keys.yaml"], environment: token).status == 0)
    }

    @Test func `check reports a definition's mistakes beside those of the settings`() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/gatehouse-check-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try "openapi: 2.0\n".write(toFile: directory + "/api.yaml", atomically: true, encoding: .utf8)
        let text = """
            listeners: [{address: "127.0.0.1:8774"}]
            apis: [{definition: api.yaml, upstream: {endpoints: [nova]}}]
            identity: {provider: none}
            """
        try text.write(toFile: directory + "/gatehouse.yaml", atomically: true, encoding: .utf8)
        let outcome = try Self.run(["check", directory + "/gatehouse.yaml"])
        #expect(outcome.status == 1)
        #expect(
            outcome.output.contains(
                "\(directory)/gatehouse.yaml:2:54: `endpoints`: `nova` is not an endpoint"))
        #expect(outcome.output.contains("\(directory)/api.yaml:1:"))
    }

    @Test func `check wants lists to translate in the definition of an API that translates`() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/gatehouse-check-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = directory + "/gatehouse.yaml"
        func check(list: String, _ choice: String) throws -> (status: Int32, output: String) {
            let definition = """
                openapi: 3.1.0
                info: {title: Small, version: "2.90"}
                x-gatehouse:
                  roots: [{path: /v2.1, version: v2.1}]
                  max_content: 1000
                  media_types: [application/json]
                  discovery: ["/v2.1/"]
                  limit_classes: {read: 10/min}
                paths:
                  "/": {get: {operationId: versions.show, x-gatehouse: {discovery: true}}}
                  /servers/{id}/\(list):
                    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
                    get: {operationId: things.list}
                """
            try definition.write(toFile: directory + "/api.yaml", atomically: true, encoding: .utf8)
            let text = """
                listeners: [{address: "127.0.0.1:8774"}]
                apis:
                  - definition: api.yaml
                    virtual_interfaces: \(choice)
                    upstream: {endpoints: ["http://127.0.0.1:18774"]}
                identity: {provider: none}
                """
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            let outcome = try Self.run(["check", file])
            return (outcome.status, outcome.output)
        }
        let without = try check(list: "os-interface", "translate")
        #expect(without.status == 1)
        #expect(
            without.output.contains(
                "\(directory)/api.yaml:1:1: there is nothing for `virtual_interfaces: translate`"))
        #expect(try check(list: "os-interface", "pass").status == 0)
        #expect(try check(list: "os-virtual-interfaces", "translate").status == 0)
        #expect(try check(list: "os-virtual-interfacesv2", "translate").status == 0)
    }

    private static let generated = "Tests/Corpora/OpenAPI/generated.yaml"
    private static let overlay = "config/openapi/compute-overlay.yaml"

    @Test
    func `check and operations take a generated definition with an overlay and list what has no effect`()
        throws
    {
        let directory = FileManager.default.temporaryDirectory.path + "/gatehouse-check-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let root = SettingsPlaces.root + "/"
        let file = directory + "/gatehouse.yaml"
        let text = """
            listeners: [{address: "127.0.0.1:8774"}]
            apis:
              - definition: \(root)\(Self.generated)
                overlay: OVERLAY
                upstream: {endpoints: ["http://127.0.0.1:1"]}
            identity: {provider: none}
            """
        try text.replacing("OVERLAY", with: root + Self.overlay)
            .write(toFile: file, atomically: true, encoding: .utf8)
        let outcome = try Self.run(["check", file])
        #expect(outcome.status == 0)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("\(file): OK, ") == true)
        #expect(lines.dropFirst().first?.hasSuffix(" parts of the definitions have no effect:") == true)
        #expect(
            lines.contains {
                $0.contains("generated.yaml:") && $0.contains(": not used: max-ver of the parameter")
            })

        let options = ["--definition", Self.generated, "--overlay", Self.overlay]
        let rows = try Self.run(["operations"] + options)
        #expect(rows.status == 0)
        #expect(rows.output.contains("\nservers.action:os-start "))
        #expect(
            rows.errors.contains("compute-overlay.yaml:") && rows.errors.contains("nothing has this target"))

        try "overlay: 2.0.0\n".write(toFile: directory + "/overlay.yaml", atomically: true, encoding: .utf8)
        try text.replacing("OVERLAY", with: "overlay.yaml").write(
            toFile: file, atomically: true, encoding: .utf8)
        let refused = try Self.run(["check", file])
        #expect(refused.status == 1)
        #expect(refused.output.contains("\(directory)/overlay.yaml:1:10: overlay must be 1.0\n"))
    }

    @Test func `an overlay needs a definition`() throws {
        let outcome = try Self.run(["operations", "--overlay", "a"])
        #expect(outcome.status == 64)
        #expect(outcome.errors.contains("--overlay needs --definition."))
    }

    @Test(arguments: [
        [], ["--config", "config/gatehouse.yaml"], ["--definition", "config/openapi/compute.yaml"],
    ])
    func `operations prints a row for each operation and action`(_ options: [String]) throws {
        let outcome = try Self.run(["operations"] + options)
        #expect(outcome.status == 0)
        let lines = outcome.output.split(separator: "\n")
        let columns = lines.map { $0.split(separator: " ").map(String.init) }
        #expect(columns.first == ["ID", "METHOD", "PATH", "CACHE", "LIMIT", "AUDIT", "VERSIONS"])
        #expect(columns.count > 200)
        #expect(columns.allSatisfy { $0.count == 7 })
        #expect(
            columns.contains {
                $0[0...5] == ["servers.list", "GET", "/servers", "list", "list", "read/list"]
            })
        #expect(columns.contains { $0[0] == "servers.action:reboot" && $0[1] == "POST" })
        #expect(Set(columns.map { $0[0] }).count == columns.count, "ids are unique")
    }

    @Test func `operations prints the same rows as JSON`() throws {
        struct Row: Decodable {
            var id: String
            var method: String
            var path: String
        }
        let definition = ["--definition", "config/openapi/compute.yaml"]
        let json = try Self.run(["operations", "--json"] + definition).output
        let rows = try JSONDecoder().decode([Row].self, from: Data(json.utf8))
        let lines = try Self.run(["operations"] + definition).output.split(separator: "\n").dropFirst()
        #expect(rows.map(\.id) == lines.map { String($0.prefix { $0 != " " }) })
        #expect(
            rows.contains {
                $0.id == "servers.show" && $0.method == "GET" && $0.path == "/servers/{server_id}"
            })
    }

    @Test(
        arguments: [
            (
                ["operations", "--definition", "/nowhere.yaml"],
                "/nowhere.yaml:1:1: the definition cannot be read\n", 1
            ),
            (["operations", "--definition", "/"], "/:1:1: the definition cannot be read\n", 1),
            (
                ["operations", "--config", "/nowhere.yaml"],
                "/nowhere.yaml:1:1: the settings file cannot be read: No such file or directory\n", 1
            ),
            (
                ["serve", "--config", "/nowhere.yaml"],
                "/nowhere.yaml:1:1: the settings file cannot be read: No such file or directory\n", 1
            ),
        ] as [([String], String, Int32)])
    func `a file that is not there is named on standard error`(
        _ arguments: [String], _ errors: String, _ status: Int32
    ) throws {
        let outcome = try Self.run(arguments)
        #expect(outcome.status == status)
        #expect(outcome.errors == errors)
        #expect(outcome.output.isEmpty)
    }

    @Test func `config and definition together are a wrong use`() throws {
        let outcome = try Self.run(["operations", "--config", "a", "--definition", "b"])
        #expect(outcome.status == 64)
        #expect(outcome.errors.contains("--config and --definition exclude each other."))
    }
}
