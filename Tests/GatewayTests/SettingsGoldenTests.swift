import Foundation
import Gateway
import Testing

/// Settings files with the mistakes that are to be found in them: the text, a line of dashes, a mistake a
/// line.
///
/// Places are `line:column`. `GATEHOUSE_ACCEPT=1 swift test --filter SettingsGoldenTests` rewrites what is
/// expected.
struct SettingsGoldenTests {
    static let directory = SettingsPlaces.root + "/Tests/Golden/settings"
    static let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
        .filter { $0.hasSuffix(".golden") }.sorted()

    @Test func `there are golden files`() {
        #expect(Self.names.count >= 30)
    }

    @Test(arguments: names)
    func `a settings file gives exactly the mistakes written below it`(_ name: String) throws {
        let path = Self.directory + "/" + name
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let parts = text.components(separatedBy: "\n-----\n")
        try #require(parts.count == 2, "one line of five dashes")

        let reader = SettingsReader(environment: ["WORKERS": "3", "SECRET": "hush"])
        var lines: [String] = []
        do throws(SettingsMistakes) {
            _ = try reader.read(Array((parts[0] + "\n").utf8), file: "", directory: Self.directory)
        } catch {
            lines = error.list.map { "\($0.line):\($0.column): \($0.message)" }
        }
        let found = lines.map { $0.replacingOccurrences(of: Self.directory, with: "DIRECTORY") + "\n" }
            .joined().replacingOccurrences(of: SettingsPlaces.root, with: "ROOT")
        if ProcessInfo.processInfo.environment["GATEHOUSE_ACCEPT"] != nil {
            try (parts[0] + "\n-----\n" + found).write(toFile: path, atomically: true, encoding: .utf8)
            return
        }
        #expect(found == parts[1], "to accept: GATEHOUSE_ACCEPT=1 swift test --filter SettingsGoldenTests")
        #expect(!found.contains("secret") && !found.contains("hush"), "a mistake shows no secret")
    }
}
