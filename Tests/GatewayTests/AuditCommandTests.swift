import Foundation
import Testing

@testable import Gateway

/// `gatehouse audit verify | search | tail`, run as an operator runs them.
struct AuditCommandTests {
    private static let writer = "00000000000000a1"

    /// Two files of one writer, and the key.
    private static func trail() throws -> (folder: TrailFolder, files: [String], key: String) {
        var trail = MadeTrail(key: MadeTrail.key, signEvery: 3)
        trail.start(writer)
        for id in 0..<10 {
            var event = MadeEvent(id: id, microseconds: 1_788_256_800_000_000 + Int64(id) * 1_000_000)
            event.user = id % 2 == 0 ? "even" : "odd"
            trail.event(writer, event.text)
            if id == 4 { trail.rotate(writer) }
        }
        trail.end(writer)
        let folder = try TrailFolder()
        return (folder, try trail.write(to: folder), try folder.write("audit.key", MadeTrail.key))
    }

    @Test func `a whole trail exits with 0 and its sum`() throws {
        let (folder, files, key) = try Self.trail()
        let outcome = try SettingsCommandTests.run(
            ["audit", "verify", "--key", key, "--complete"] + files.reversed())
        #expect(outcome.status == 0 && outcome.errors.isEmpty)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 3 && lines.last == "whole")
        #expect(
            lines.first?.wholeMatch(
                of: /2 files, 17 lines, 10 events, 1 writer, 0\.0 MB in \d+\.\d\d s: \d+ MB\/s/) != nil)
        #expect(
            lines.dropFirst().first?.hasSuffix(": 17 lines proven, 0 behind their writer's last signature")
                == true)
        withExtendedLifetime(folder) {}
    }

    @Test func `a broken trail exits with 1 and a line for each break`() throws {
        let (folder, files, key) = try Self.trail()
        let text = try String(contentsOfFile: files[1], encoding: .utf8).replacing(
            "000000000007\"", with: "000000000008\"")
        try folder.write("audit.jsonl", Array(text.utf8))
        for options in [["--key", key], []] {
            let outcome = try SettingsCommandTests.run(["audit", "verify"] + options + files)
            #expect(outcome.status == 1)
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.last == "broken: 1 break")
            #expect(
                lines.contains {
                    $0.wholeMatch(
                        of:
                            /.*\/audit\.jsonl:\d+: byte \d+, writer 00000000000000a1, sequence \d+: changed: .*/
                    ) != nil
                })
        }
    }

    @Test func `what cannot be read exits with 1, and what is no command with 64`() throws {
        let (folder, files, key) = try Self.trail()
        for arguments in [
            ["verify", folder.path + "/none"], ["verify", "--key", folder.path + "/none"] + files,
            ["verify", "--key", files[0]] + files, ["search", folder.path], ["tail", folder.path + "/none"],
            ["verify", files[0], files[0]],
        ] {
            let outcome = try SettingsCommandTests.run(["audit"] + arguments)
            #expect(outcome.status == 1 && outcome.errors.hasSuffix("\n"), "\(arguments)")
        }
        for arguments in [["verify"], ["search", "--outcome", "x"] + files, ["tail"] + files] {
            #expect(try SettingsCommandTests.run(["audit"] + arguments).status == 64, "\(arguments)")
        }
        withExtendedLifetime(key) {}
    }

    @Test func `a search prints the events that are asked for, as JSON or as a table`() throws {
        let (folder, files, _) = try Self.trail()
        let json = try SettingsCommandTests.run(
            ["audit", "search", "--user", "odd", "--since", "2026-09-01T10:00:02Z", "--json"]
                + files.reversed())
        #expect(json.status == 0)
        let ids = json.output.split(separator: "\n").compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["id"] as? String
        }
        #expect(ids.map { $0.suffix(1) } == ["3", "5", "7", "9"])
        #expect(json.errors.wholeMatch(of: /4 events in 0\.0 MB in \d+\.\d\d s: \d+ MB\/s\n/) != nil)
        let table = try SettingsCommandTests.run(
            ["audit", "search", "--until", "2026-09-01T10:00:01Z"] + files)
        let lines = table.output.split(separator: "\n")
        #expect(
            lines.count == 2 && lines[0].hasPrefix("TIME ")
                && lines[1].hasPrefix("2026-09-01T10:00:00.000000Z "))
        withExtendedLifetime(folder) {}
    }

    @Test func `a tail prints the last events`() throws {
        let (folder, files, _) = try Self.trail()
        let outcome = try SettingsCommandTests.run([
            "audit", "tail", "-n", "2", "--user", "even", "--table", files[1],
        ])
        let lines = outcome.output.split(separator: "\n")
        #expect(outcome.status == 0 && lines.count == 3 && outcome.errors.isEmpty)
        #expect(lines.dropFirst().map { $0.prefix(19) } == ["2026-09-01T10:00:06", "2026-09-01T10:00:08"])
        withExtendedLifetime(folder) {}
    }
}
