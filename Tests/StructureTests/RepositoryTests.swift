import Testing

/// What lies in the repository, and whether its guide is true.
struct RepositoryTests {
    static let topLevel: Set = ["Package.swift", "Sources", "Tests", "config", "deploy", "README.md"]

    @Test func `the top level holds nothing but what belongs there`() throws {
        let tracked = try #require(SourceTree.tracked, "not a clone, or no git")
        for path in tracked.map(\.path) {
            let first = path.split(separator: "/")[0]
            #expect(
                first.hasPrefix(".") || Self.topLevel.contains(String(first)), "\(path) is at the top level")
        }
    }

    @Test func `nothing that a build makes is tracked`() throws {
        let tracked = try #require(SourceTree.tracked, "not a clone, or no git")
        for path in tracked.map(\.path) {
            let parts = path.split(separator: "/").map(String.init)
            #expect(
                !parts.contains { $0.hasPrefix(".build") || $0.hasPrefix(".venv") || $0 == "__pycache__" },
                "\(path)")
            #expect(parts.last != "Package.resolved", "\(path)")
        }
    }

    @Test func `commands can be executed`() throws {
        let tracked = try #require(SourceTree.tracked, "not a clone, or no git")
        for (mode, path) in tracked where SourceTree.text(path).hasPrefix("#!") {
            #expect(mode == "100755", "\(path) begins with #! and is not executable")
        }
        let commands = ["deploy/packages", "deploy/run", "deploy/test", ".ci/run"]
        for command in commands { #expect(tracked.contains { $0.path == command }, "\(command) is missing") }
    }

    @Test func `the guide names every module and no path that is not there`() {
        let guide = SourceTree.text("README.md")
        for target in Set(SourceTree.sources.map(\.target)) {
            #expect(guide.contains("`\(target)`"), "README.md says nothing of \(target)")
        }
        for match in guide.matches(of: /`((?:Sources|Tests|config|deploy)\/[\w.\/+-]*)/) {
            #expect(SourceTree.exists(String(match.1)), "README.md names \(match.1)")
        }
    }

    @Test func `every test target has a module, or a purpose of its own`() {
        let ofTheirOwn: Set = ["StructureTests", "ScenarioTests", "SimulatorTests"]
        let modules = Set(SourceTree.files(under: "Sources").map(\.target))
        for file in SourceTree.files(under: "Tests", endings: ["swift"]) where file.target.hasSuffix("Tests")
        {
            let module = String(file.target.dropLast("Tests".count))
            #expect(
                ofTheirOwn.contains(file.target) || modules.contains(module), "\(file.target) mirrors nothing"
            )
        }
    }
}
