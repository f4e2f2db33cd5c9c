internal import Foundation
internal import Glibc
internal import Yams

/// Reads a settings file and says everything that is wrong with it.
///
/// - Shape: a value without state; a reload makes another one, so that it sees the environment of then.
/// - Limits: 1 MiB a file, 16 aliases, nesting of 1,000; each sequence has its own bound.
/// - Errors: `SettingsMistakes` with every mistake: syntax, unknown keys, wrong types, values out of range,
///   duplicates, missing keys, files and environment variables, and features that this version does not have.
/// - Source: ours (design.md §5).
public struct SettingsReader: Sendable {
    private let environment: [String: String]

    /// Makes a reader that replaces `${NAME}` in values from the process's environment.
    public init() { self.init(environment: ProcessInfo.processInfo.environment) }

    /// Makes a reader that replaces `${NAME}` in values from `environment`.
    public init(environment: [String: String]) {
        self.environment = environment
    }

    /// Reads the file at a path; paths inside it are relative to its directory.
    public func read(file: String) throws(SettingsMistakes) -> Settings {
        try Self.settings(inspect(file: file))
    }

    /// Reads settings from bytes, naming them `file` in mistakes and resolving paths against `directory`.
    public func read(_ bytes: [UInt8], file: String, directory: String) throws(SettingsMistakes) -> Settings {
        try Self.settings(inspect(bytes, file: file, directory: directory))
    }

    /// Reads the file at a path as far as it goes: `gatehouse check` looks at the definitions of a file with
    /// mistakes too.
    ///
    /// - Shape: with mistakes the settings are not to be used: defaults stand where something could not be
    ///   read, and an API may be without endpoints.
    public func inspect(file: String) -> (settings: Settings, mistakes: SettingsMistakes?) {
        switch FileContent.read(file, limit: SettingsDocument.maxByteCount + 1) {
        case .success(let bytes):
            let absolute = FileContent.absolutePath(file, in: FileManager.default.currentDirectoryPath)
            return inspect(bytes, file: file, directory: (absolute as NSString).deletingLastPathComponent)
        case .failure(let failure):
            let message = "the settings file cannot be read: \(failure.reason)"
            let mistake = SettingsMistake(file: file, line: 1, column: 1, message: message)
            return (Settings(), SettingsMistakes([mistake]))
        }
    }

    private func inspect(
        _ bytes: [UInt8], file: String, directory: String
    ) -> (settings: Settings, mistakes: SettingsMistakes?) {
        let environment = environment
        // Reading goes down once per level of nesting; a Dispatch thread's stack is too small for the deepest
        // file.
        return DeepStack.run {
            do throws(SettingsMistakes) {
                let root = try SettingsDocument.read(bytes, file: file)
                let reading = SettingsReading(file: file, directory: directory, environment: environment)
                guard let root, !SettingsReading.isNull(root) else {
                    reading.add(nil, "the file has no settings")
                    return (Settings(), reading.takeMistakes())
                }
                let settings = reading.settings(SettingsMapping(root, .root, "", reading))
                return (settings, reading.takeMistakes())
            } catch {
                return (Settings(), error)
            }
        }
    }

    private static func settings(
        _ found: (settings: Settings, mistakes: SettingsMistakes?)
    ) throws(SettingsMistakes) -> Settings {
        if let mistakes = found.mistakes { throw mistakes }
        return found.settings
    }
}
