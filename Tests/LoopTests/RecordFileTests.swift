import Bytes
import Foundation
import Testing

@testable import Loop

/// A file that one process alone appends to, each piece whole or not at all.
struct RecordFileTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("records-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func append(_ text: String, to file: inout RecordFile) -> Int32 {
        Array(text.utf8).withUnsafeBufferPointer { file.append($0) }
    }

    private static func rotate(
        _ file: inout RecordFile, to name: String, last: String
    ) -> (code: Int32, isEnded: Bool) {
        Array(last.utf8).withUnsafeBufferPointer { file.rotate(to: name, last: $0) }
    }

    @Test func `what is appended stands behind what was there`() throws {
        try Self.withFolder { folder in
            let path = folder + "/records"
            var file = try RecordFile(path: path, mode: 0o640)
            #expect(file.byteCount == 0)
            #expect(Self.append("one\n", to: &file) == 0)
            #expect(Self.append("two\n", to: &file) == 0)
            #expect(file.byteCount == 8)
            #expect(Self.text(path) == "one\ntwo\n")
            #expect(try file.readEnd(limit: 5) == Array("\ntwo\n".utf8))
            #expect(try file.readEnd(limit: 500) == Array("one\ntwo\n".utf8))
        }
    }

    @Test func `a second one who wants the file is refused until the first is done`() throws {
        try Self.withFolder { folder in
            let path = folder + "/records"
            do {
                let first = try RecordFile(path: path, mode: 0o640)
                let error = #expect(throws: SystemError.self) { _ = try RecordFile(path: path, mode: 0o640) }
                #expect(error?.call.description == "flock")
                #expect(first.byteCount == 0)
            }
            _ = try RecordFile(path: path, mode: 0o640)
        }
    }

    @Test func `what is no regular file is refused`() throws {
        try Self.withFolder { folder in
            #expect(mkfifo(folder + "/pipe", 0o600) == 0)
            for path in [folder + "/pipe", "/dev/null"] {
                #expect(throws: SystemError.self) { _ = try RecordFile(path: path, mode: 0o640) }
            }
        }
    }

    @Test func `another name for the file, and an empty one in its place`() throws {
        try Self.withFolder { folder in
            let path = folder + "/records"
            var file = try RecordFile(path: path, mode: 0o640)
            #expect(Self.append("old\n", to: &file) == 0)
            let rotated = Self.rotate(&file, to: path + ".1", last: "end\n")
            #expect(rotated.code == 0 && rotated.isEnded)
            #expect(file.byteCount == 0)
            #expect(Self.append("new\n", to: &file) == 0)
            #expect(Self.text(path + ".1") == "old\nend\n")
            #expect(Self.text(path) == "new\n")
            // A name that cannot be given leaves everything as it is.
            let refused = Self.rotate(&file, to: folder + "/missing/records", last: "end\n")
            #expect(refused.code == ENOENT && !refused.isEnded)
            let taken = Self.rotate(&file, to: path + ".1", last: "end\n")
            #expect(taken.code == EEXIST && !taken.isEnded)
            #expect(Self.append("more\n", to: &file) == 0)
            #expect(Self.text(path) == "new\nmore\n")
        }
    }

    @Test func `a piece that the disk takes only a part of is taken back`() throws {
        try Self.withFolder { folder in
            let path = folder + "/records"
            var file = try RecordFile(path: path, mode: 0o640)
            #expect(Self.append("whole\n", to: &file) == 0)
            KernelFault.fail(.write, code: ENOSPC)
            #expect(Self.append("nothing\n", to: &file) == ENOSPC)
            KernelFault.clear()
            #expect(file.byteCount == 6)
            #expect(file.fragmentByteCount == 0)
            #expect(Self.append("again\n", to: &file) == 0)
            #expect(Self.text(path) == "whole\nagain\n")
        }
    }

    @Test func `what can be neither finished nor taken back is a fragment, of a last record too`() throws {
        try #require(KernelFault.isAvailable)
        try Self.withFolder { folder in
            let path = folder + "/records"
            var file = try RecordFile(path: path, mode: 0o640)
            #expect(Self.append("whole\n", to: &file) == 0)
            KernelFault.tear(code: EIO)
            let rotated = Self.rotate(&file, to: path + ".1", last: "last\n\n")
            #expect(Self.append("more\n", to: &file) == EIO)
            KernelFault.clear()
            #expect(rotated.code == EIO && !rotated.isEnded)
            #expect(file.fragmentByteCount == 3 && file.byteCount == 9)
            #expect(Self.text(path) == "whole\nlas" && file.hasItsName)
        }
    }

    @Test func `a file knows where it was moved`() throws {
        try Self.withFolder { folder in
            let path = folder + "/records"
            let file = try RecordFile(path: path, mode: 0o640)
            let end = file.currentPath.lastIndex(of: "/")
            #expect(end.map { String(file.currentPath[$0...]) } == "/records" && file.hasItsName)
            try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
            #expect(file.currentPath.hasSuffix("/records.1") && !file.hasItsName)
            try FileManager.default.removeItem(atPath: path + ".1")
            #expect(file.currentPath.hasSuffix("/records.1 (deleted)"))
        }
    }
}
