import Foundation

/// The files of this repository, as they lie on disk.
enum SourceTree {
    /// The repository, from this file's place in it.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A text file, with its path from the repository's root.
    struct File: Sendable, CustomStringConvertible {
        let path: String
        var description: String { path }
        /// The module or test target it belongs to: the second part of its path.
        var target: String { String(path.split(separator: "/")[1]) }
        var name: String { String(path.split(separator: "/").last ?? "") }
        var text: String { SourceTree.text(path) }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    /// The Swift files of Sources.
    static let sources = files(under: "Sources", endings: ["swift"])
    /// Everything written by hand that a reader reads: programs and tests in every language.
    static let written =
        ["Sources", "Tests"].flatMap { files(under: $0, endings: ["swift", "c", "h", "py", "sh"]) }

    /// The text of a file; empty when there is none.
    static func text(_ path: String) -> String {
        (try? String(contentsOf: root.appending(path: path), encoding: .utf8)) ?? ""
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// The files under a folder whose names end in one of `endings`, or all of them; hidden ones are left out.
    static func files(under folder: String, endings: Set<String>? = nil) -> [File] {
        let enumerator = FileManager.default.enumerator(
            at: root.appending(path: folder), includingPropertiesForKeys: [.isRegularFileKey],
            options: .skipsHiddenFiles)
        var files: [File] = []
        for case let url as URL in enumerator ?? .init() {
            guard (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true,
                endings?.contains(url.pathExtension) ?? true
            else { continue }
            let parts = url.standardizedFileURL.pathComponents.dropFirst(root.pathComponents.count)
            files.append(File(path: parts.joined(separator: "/")))
        }
        return files.sorted { $0.path < $1.path }
    }

    /// What git tracks: mode and path of each file; nil where this is no clone or there is no git.
    static let tracked: [(mode: String, path: String)]? = {
        guard exists(".git") else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "-C", root.path, "ls-files", "--stage", "-z"]
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return String(decoding: data, as: UTF8.self).split(separator: "\0").compactMap { line in
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            return (String(parts[0].prefix(6)), String(parts[1]))
        }
    }()
}
