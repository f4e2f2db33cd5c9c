import ArgumentParser
import Foundation
import Gateway

/// `gatehouse audit verify [--key FILE]… [--complete] FILES…`
struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Finds what is not in an audit trail as it was written.",
        discussion: """
            Give all files of the trail, rotated ones too, in any order. Every line that was changed, taken out, put in, \
            repeated, moved among its writer's, or cut is told with its place, a line each; so are missing files. \
            Notes are no breaks: writers without an end, repaired fragments, a last line that is not whole, earlier files \
            that were not given.

            Without --key, a trail is whole when its chains are: changes by somebody who makes them anew, or at a \
            writer's last line, are not found. With --key, everything up to each writer's last signature is as it was \
            written, and its end is signed too. What is cut off behind a line at the end of the newest file looks like \
            a writer that was killed, with or without a key; for a trail that is not written any more, --complete calls \
            that a break.

            Exits with 0 when the trail is whole, and with 1 when it is broken or cannot be read.
            """)

    @Option(
        name: .customLong("key"), parsing: .singleValue,
        help: "The file of the key that signed the trail; several, if it was changed.", completion: .file())
    var keys: [String] = []

    @Flag(help: "Nobody writes the trail any more: every writer must have ended.")
    var complete = false

    @Argument(help: "The files of the trail.", completion: .file())
    var files: [String]

    /// Findings that are printed; the rest is counted.
    private static let printedCount = 1_000

    func run() throws {
        let keys = try keys.map(Self.key)
        var found = 0
        let start = ContinuousClock.now
        let verifier = TrailVerifier(keys: keys, expectsEnds: complete) { finding in
            found += 1
            if found <= Self.printedCount { print(finding.description) }
        }
        do throws(TrailFailure) {
            let order = try TrailOrder.sorted(files)
            for (index, file) in order.enumerated() {
                try verifier.read(file, isNewest: index == order.count - 1)
            }
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
        let verdict = verifier.finish()
        if found > Self.printedCount { print("and \(found - Self.printedCount) more") }
        print(
            AuditVerdictText.text(
                verdict, fileCount: files.count, keys: keys, after: ContinuousClock.now - start))
        if !verdict.isWhole { throw ExitCode(1) }
    }

    private static func key(_ file: String) throws -> TrailKey {
        guard let handle = FileHandle(forReadingAtPath: file),
            let data = try? handle.read(upToCount: 4_097)
        else {
            StandardError.print("\(file): cannot be read")
            throw ExitCode(1)
        }
        guard let key = TrailKey(Array(data)) else {
            StandardError.print("\(file): a key has 32 to 4096 bytes")
            throw ExitCode(1)
        }
        return key
    }
}
