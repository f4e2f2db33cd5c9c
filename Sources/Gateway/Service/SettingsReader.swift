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
        let bytes: [UInt8]
        switch FileContent.read(file, limit: SettingsDocument.maxByteCount + 1) {
        case .success(let content): bytes = content
        case .failure(let failure):
            let message = "the settings file cannot be read: \(failure.reason)"
            throw SettingsMistakes([SettingsMistake(file: file, line: 1, column: 1, message: message)])
        }
        let absolute = FileContent.absolutePath(file, in: FileManager.default.currentDirectoryPath)
        return try read(bytes, file: file, directory: (absolute as NSString).deletingLastPathComponent)
    }

    /// Reads settings from bytes, naming them `file` in mistakes and resolving paths against `directory`.
    public func read(_ bytes: [UInt8], file: String, directory: String) throws(SettingsMistakes) -> Settings {
        // Reading goes down once per level of nesting; a Dispatch thread's stack is too small for the deepest
        // file.
        let result = DeepStack.run { () -> Result<Settings, SettingsMistakes> in
            do throws(SettingsMistakes) {
                let root = try SettingsDocument.read(bytes, file: file)
                let reading = SettingsReading(file: file, directory: directory, environment: environment)
                guard let root, !SettingsReading.isNull(root) else {
                    reading.add(nil, "the file has no settings")
                    throw reading.takeMistakes()!
                }
                let settings = reading.settings(SettingsMapping(root, .root, "", reading))
                if let mistakes = reading.takeMistakes() { throw mistakes }
                return .success(settings)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
