import Foundation
import Testing

/// `gatehouse limits import`, run as an operator runs it.
struct LimitsImportCommandTests {
    /// A file that is gone when the test is over.
    private struct Scratch: ~Copyable {
        let path = FileManager.default.temporaryDirectory.path + "/gatehouse-import-\(UUID().uuidString)"

        init(_ text: String) throws {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private static let limits =
        "limits = (POST, \"*/servers\", ^/servers$, 50, DAY);(GET, \"*\", .*since.*, 1, DAY)\n"

    @Test(arguments: [
        [], ["--format", "nova"], ["--config", "config/gatehouse.yaml"],
        ["--definition", "config/openapi/compute.yaml"],
    ])
    func `a file gives limits that check takes, and the count of what is left out`(_ options: [String]) throws
    {
        let file = try Scratch(Self.limits)
        let outcome = try SettingsCommandTests.run(["limits", "import", file.path] + options)
        #expect(outcome.status == 0)
        #expect(
            outcome.errors
                == "\(file.path): 1 rule; 1 thing has no equivalent, told in the last comments\n")
        #expect(
            outcome.output.contains(
                "\n      operations: [servers.create]\n      per: user\n      rate: 50/day\n"))
        let settings = try Scratch(
            """
            listeners: [{address: "127.0.0.1:8774"}]
            apis:
              - definition: \(SettingsPlaces.root)/config/openapi/compute.yaml
                upstream: {endpoints: ["http://127.0.0.1:18774"]}
            identity: {provider: static, static: {tokens: [{token: t, user: {id: u, name: u}, roles: [reader],
              project: {id: a1, name: p}}]}}

            """ + outcome.output)
        let checked = try SettingsCommandTests.run(["check", settings.path])
        #expect(checked.status == 0, "\(checked.output)")
    }

    @Test func `standard input is read through -`() throws {
        let file = try Scratch(Self.limits)
        let outcome = try SettingsCommandTests.run(["limits", "import", "-"], input: file.path)
        #expect(outcome.status == 0)
        #expect(outcome.errors.hasPrefix("standard input: 1 rule; "))
        #expect(outcome.output.contains("# from standard input:1: (POST, "))
    }

    @Test func `what cannot be imported ends with 1 and its place`() throws {
        let file = try Scratch("[a]\nb = c\n")
        let unknown = try SettingsCommandTests.run(["limits", "import", file.path])
        #expect(unknown.status == 1)
        #expect(unknown.output.isEmpty)
        #expect(unknown.errors.hasPrefix("\(file.path):1:1: these are no limits of Repose, "))
        let missing = try SettingsCommandTests.run(["limits", "import", "/nowhere"])
        #expect(missing.status == 1)
        #expect(missing.errors == "/nowhere:1:1: the file cannot be read\n")
    }

    @Test(arguments: [
        ["limits", "import"], ["limits", "import", "--format", "envoy", "a"],
        ["limits", "import", "--config", "a", "--definition", "b", "c"],
    ])
    func `a wrong use ends with 64`(_ arguments: [String]) throws {
        let outcome = try SettingsCommandTests.run(arguments)
        #expect(outcome.status == 64)
        #expect(outcome.output.isEmpty)
    }
}
