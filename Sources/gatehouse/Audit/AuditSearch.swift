import ArgumentParser
import Gateway

/// `gatehouse audit search [FILTERS] [--json|--table] FILES…`
struct AuditSearch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Prints the events of an audit trail that are asked for.",
        discussion: """
            Reads the files of the trail, rotated ones too, from the oldest to the newest, in whichever order they are \
            given. All that is named must be so. An event that stands for several equal reads is there from the first of \
            them to the last. How many there were, and how fast they were found, is printed on standard error.

            Exits with 0, whether or not there is one, and with 1 when a file cannot be read.
            """)

    @OptionGroup var options: AuditFilterOptions

    @Argument(help: "The files of the trail.", completion: .file())
    var files: [String]

    func run() throws {
        let start = ContinuousClock.now
        var output = AuditOutput(isJSON: options.json)
        var search = TrailSearch(options.filter)
        var byteCount: UInt64 = 0
        do throws(TrailFailure) {
            for file in try TrailOrder.sorted(files) {
                var blocks = try TrailBlocks(file)
                while let run = try blocks.next() {
                    byteCount += run.byteCount
                    search.search(run.bytes) { output.append($0) }
                }
            }
        } catch {
            output.flush()
            StandardError.print(error.description)
            throw ExitCode(1)
        }
        output.flush()
        let found = search.matchCount == 1 ? "1 event" : "\(search.matchCount) events"
        StandardError.print("\(found) in \(AuditSpeed.text(byteCount, ContinuousClock.now - start))")
        if search.unreadableCount > 0 {
            StandardError.print(
                "\(search.unreadableCount) lines are not readable; `gatehouse audit verify` tells why")
        }
    }
}
