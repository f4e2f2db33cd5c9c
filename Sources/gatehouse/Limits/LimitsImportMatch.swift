/// An operation whose path a regular expression is true of.
struct ImportMatch {
    /// Index of the operation, and of its own unit.
    var operation: Int
    var unit: Int
    /// What capture groups took, without the project and ids in it.
    var taken = ""
    var takesProject = false
    var takesID = false

    /// The operations whose paths, written in one form or another, an expression is true of.
    ///
    /// - Shape: each with its first form; whole paths go before such as a filter has cut.
    /// - Errors: an expression that cannot be compiled or takes too long.
    static func find(
        _ text: String, _ dialect: ImportPattern.Dialect, for result: ImportResult
    ) throws(ImportPattern.Failure) -> [ImportMatch] {
        let operations = result.operations
        let pattern = try ImportPattern(text, dialect, until: result.deadline)
        let whole = try find(pattern, operations.wholePaths, in: operations)
        // Nova's own expressions are about the path below the project.
        if dialect == .java, !whole.isEmpty { return whole }
        let cut = try find(pattern, operations.cutPaths, in: operations)
        return whole.isEmpty || cut.count > whole.count ? cut : whole
    }

    private static func find(
        _ pattern: ImportPattern, _ forms: [[ImportOperations.Path]], in operations: ImportOperations
    ) throws(ImportPattern.Failure) -> [ImportMatch] {
        var found: [Int: ImportMatch] = [:]
        for paths in forms {
            for (index, path) in paths.enumerated() where found[index] == nil {
                guard let groups = try pattern.match(path.text) else { continue }
                var match = ImportMatch(operation: index, unit: operations.ranges[index].lowerBound)
                match.take(groups, path)
                found[index] = match
            }
        }
        return found.values.sorted { $0.operation < $1.operation }
    }

    private mutating func take(_ groups: [Range<Int>], _ path: ImportOperations.Path) {
        let characters = Array(path.text.utf16)
        var parts: [String] = []
        for group in groups where !group.isEmpty {
            if let project = path.project, project.overlaps(group) { takesProject = true }
            if path.ids.contains(where: { $0.overlaps(group) }) { takesID = true }
            let kept = group.filter { place in
                !(path.project?.contains(place) ?? false) && !path.ids.contains { $0.contains(place) }
            }
            parts.append(String(decoding: kept.map { characters[$0] }, as: UTF16.self))
        }
        taken = parts.filter { !$0.isEmpty && $0 != "/" }.joined(separator: " ")
    }
}
