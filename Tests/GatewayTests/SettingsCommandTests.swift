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
    static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(
            path: "gatehouse")
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: SettingsPlaces.root)
        let output = Pipe()
        let errors = Pipe()
        process.standardInput = FileHandle.nullDevice
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
        let outcome = try Self.run("version")
        #expect(outcome.status == 0)
        #expect(outcome.output.wholeMatch(of: /gatehouse \d+\.\d+\.\d+\n/) != nil)
    }

    @Test func `check of the working settings prints one line and exits 0`() throws {
        let outcome = try Self.run("check", "config/gatehouse.yaml")
        #expect(outcome.status == 0)
        #expect(outcome.output.hasPrefix("config/gatehouse.yaml: OK"))
        #expect(outcome.output.split(separator: "\n").count == 1)
        #expect(outcome.errors.isEmpty)
    }

    @Test func `check prints every mistake with its place and exits 1`() throws {
        let file = FileManager.default.temporaryDirectory.path + "/gatehouse-check-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "workers: two\ncolour: red\n".write(toFile: file, atomically: true, encoding: .utf8)
        let outcome = try Self.run("check", file)
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
        let missing = try Self.run("check", "config/examples/all-keys.yaml")
        #expect(missing.status == 1)
        #expect(missing.output.contains("the environment variable GATEHOUSE_EXAMPLE_TOKEN is not set"))
        let token = ["GATEHOUSE_EXAMPLE_TOKEN": "example"]
        #expect(try Self.run("check", "config/examples/all-keys.yaml", environment: token).status == 0)
    }

    @Test func `serve with a file that is not there says so and exits 1`() throws {
        let outcome = try Self.run("serve", "--config", "/nowhere/gatehouse.yaml")
        #expect(outcome.status == 1)
        #expect(
            outcome.errors
                == "/nowhere/gatehouse.yaml:1:1: the settings file cannot be read: No such file or directory\n"
        )
    }
}
