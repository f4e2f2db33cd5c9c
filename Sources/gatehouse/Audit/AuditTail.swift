import ArgumentParser
import Gateway
import Glibc

/// `gatehouse audit tail [-f] [-n N] [FILTERS] [--json|--table] FILE`
struct AuditTail: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Prints the last events of a file, and those to come.",
        discussion: """
            With -f, it goes on with what is written, through rotations, until it is stopped. Lines that it could not \
            see, because a file was cut or removed, are told on standard error.
            """)

    /// Between two looks at the file.
    private static let milliseconds: UInt32 = 200
    private static let maxCount = 100_000

    @Flag(name: .shortAndLong, help: "Goes on with what is written from now on.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "How many events of those there are.")
    var count = 10

    @OptionGroup var options: AuditFilterOptions

    @Argument(help: "The file that is written.", completion: .file())
    var file: String

    func validate() throws {
        guard (0...Self.maxCount).contains(count) else {
            throw ValidationError("--count is 0 to \(Self.maxCount).")
        }
    }

    func run() throws {
        var output = AuditOutput(isJSON: options.json)
        let filter = options.filter
        do throws(TrailFailure) {
            var follower = try TrailFollower(file)
            for text in try follower.last(count, filter) {
                text.withUnsafeBufferPointer { bytes in
                    if let event = TrailEvent(bytes) { output.append(event) }
                }
            }
            output.flush()
            guard follow else { return }
            var search = TrailSearch(filter)
            while true {
                try follower.poll(
                    { run in search.search(run) { output.append($0) } }, told: StandardError.print)
                output.flush()
                usleep(Self.milliseconds * 1_000)
            }
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
    }
}
