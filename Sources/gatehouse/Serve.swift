import ArgumentParser
import Gateway
import Logging

/// `gatehouse serve --config FILE`
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves until it is stopped.",
        discussion: "SIGTERM and SIGINT let exchanges in flight finish. SIGHUP re-reads the settings.")

    @Option(help: "The settings file.", completion: .file(extensions: ["yaml"]))
    var config: String

    func run() throws {
        let settings: Settings
        do throws(SettingsMistakes) {
            settings = try SettingsReader().read(file: config)
        } catch {
            StandardError.print(error.description)
            throw ExitCode(1)
        }
        OperationalLog.bootstrap(level: settings.log.level)
        do {
            try Service.run(settings: settings, file: config)
        } catch let mistakes as RuleMistakes {
            StandardError.print(mistakes.text(file: config))
            throw ExitCode(1)
        } catch {
            Logger(label: "gatehouse").critical("cannot serve", metadata: ["reason": "\(error)"])
            throw ExitCode(1)
        }
    }
}
