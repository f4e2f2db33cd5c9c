import ArgumentParser
import Foundation

/// `gatehouse limits import [--format repose|sap|nova] FILE`
struct LimitsImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Prints the `limits` of the settings that mean what limits of another program mean.",
        discussion: """
            Reads Repose's rate-limiting.cfg.xml, the ratelimit.yaml of SAP's middleware, and limits as Nova had \
            them in api-paste.ini.
            """)

    @Argument(help: "The file with the limits, or - for standard input.", completion: .file())
    var file: String

    func run() throws {
        let bytes: [UInt8]
        do throws(LimitsImportMistake) {
            bytes = try LimitsImportInput.read(file)
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
        guard let format = LimitsImportFormat(recognizing: bytes) else {
            StandardError.print("\(LimitsImportInput.name(of: file)):1:1: these are limits of no known kind")
            throw ExitCode(1)
        }
        StandardError.print("\(LimitsImportInput.name(of: file)): limits as \(format.owner) has them")
    }
}
