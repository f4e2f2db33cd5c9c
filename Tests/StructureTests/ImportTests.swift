import Testing

/// Who may import whom: a module imports only modules above it, and only those named.
struct ImportTests {
    /// Libraries of the system and of the toolchain that every module may use.
    static let common: Set = ["Glibc", "Synchronization"]

    /// The modules in dependency order; what a module may import besides `common`.
    static let modules: [(name: String, imports: Set<String>)] = [
        ("CLinux", []),
        ("CNghttp2", []),
        ("COpenSSL", []),
        ("CZlib", []),
        ("CHiredis", []),
        ("CRabbitMQ", []),
        ("Bytes", []),
        ("HTTP", ["Bytes", "CNghttp2", "CZlib"]),
        ("TLS", ["Bytes", "COpenSSL"]),
        ("Loop", ["Bytes", "CLinux", "Dispatch"]),
        ("OpenStack", ["Bytes", "HTTP", "Yams", "Foundation"]),
        (
            "Gateway",
            [
                "Bytes", "HTTP", "TLS", "Loop", "OpenStack", "COpenSSL", "CHiredis", "CRabbitMQ", "Yams",
                "Logging",
                "Dispatch", "Foundation",
            ]
        ),
        (
            "gatehouse",
            [
                "Bytes", "Gateway", "OpenStack", "ArgumentParser", "Logging", "Yams", "Dispatch",
                "Foundation", "FoundationXML",
            ]
        ),
        (
            "compute-simulator",
            [
                "Bytes", "HTTP", "TLS", "Loop", "OpenStack", "COpenSSL", "CZlib", "ArgumentParser",
                "Dispatch",
                "Foundation",
            ]
        ),
        (
            "gatehouse-bench",
            [
                "Bytes", "HTTP", "TLS", "Loop", "OpenStack", "Gateway", "ArgumentParser", "Dispatch",
                "Foundation",
            ]
        ),
    ]

    /// The modules that a file imports, in the order of its lines.
    static func imports(_ file: SourceTree.File) -> [String] {
        file.lines.compactMap { importedModule(String($0)) }
    }

    /// The module that a line imports: after attributes, an access level and, for a single name, its kind.
    static func importedModule(_ line: String) -> String? {
        let pattern =
            /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:(?:struct|class|enum|func|let|var)\s+)?(\w+)/
        return line.firstMatch(of: pattern).map { String($0.1) }
    }

    @Test func `the table has every module of Sources`() {
        let names = Set(Self.modules.map(\.name))
        #expect(!SourceTree.sources.isEmpty)
        for file in SourceTree.files(under: "Sources") {
            #expect(names.contains(file.target), "\(file.target) is not in the table of modules")
        }
    }

    @Test func `the table itself goes one way`() {
        var above: Set<String> = []
        let ours = Set(Self.modules.map(\.name))
        for module in Self.modules {
            #expect(
                module.imports.intersection(ours).isSubset(of: above),
                "\(module.name) imports what is below it")
            above.insert(module.name)
        }
    }

    @Test(arguments: modules.map(\.name))
    func `a module imports only what the table allows it`(module: String) throws {
        let allowed = try #require(Self.modules.first { $0.name == module }).imports.union(Self.common)
        for file in SourceTree.sources where file.target == module {
            for name in Self.imports(file) {
                // FoundationEssentials is the part of Foundation to prefer.
                let asked = name == "FoundationEssentials" ? "Foundation" : name
                #expect(allowed.contains(asked), "\(file) imports \(name)")
            }
        }
    }

    @Test func `the way of a request is free of Foundation`() {
        for file in SourceTree.sources where file.target == "Gateway" && !file.path.contains("/Service/") {
            #expect(!Self.imports(file).contains { $0.hasPrefix("Foundation") }, "\(file) imports Foundation")
        }
    }

    @Test func `an import in a library says who sees it`() {
        for file in SourceTree.sources where file.target == "Gateway" || file.target == "OpenStack" {
            for line in file.lines where line.hasPrefix("import ") {
                Issue.record("\(file): «\(line)» has no access level")
            }
        }
    }

    @Test(arguments: [
        ("import Bytes", "Bytes"), ("internal import Foundation", "Foundation"),
        ("@testable import HTTP", "HTTP"),
        ("  @preconcurrency public import Yams", "Yams"), ("import struct Foundation.Date", "Foundation"),
        ("@_spi(Testing) import Loop // why", "Loop"), ("// import Nothing", nil), ("importance", nil),
    ])
    func `an import line is found however it is written`(line: String, module: String?) {
        #expect(Self.importedModule(line) == module)
    }
}
