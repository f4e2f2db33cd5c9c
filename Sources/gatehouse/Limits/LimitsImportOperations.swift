import OpenStack

/// The operations of the definitions, against which limits of elsewhere are matched.
///
/// - Shape: a unit is an operation, or one action of it, as a row of `gatehouse operations`; rules name sets of them.
struct ImportOperations {
    struct Unit {
        var operation: OpenStack.Operation
        /// Nil: the operation itself.
        var action: Action?
        var limitClass: String { action?.limitClass ?? operation.limitClass }
    }

    let units: [Unit]
    /// Of each operation, its own unit and then those of its actions.
    let ranges: [Range<Int>]
    /// What need not be in a set to be all, and may be: `GET …/limits`, which rules leave alone unless they name it; the
    /// version documents; what names no action where one is due, which is refused.
    let free: Set<Int>
    /// The words that rules may use, with what each means.
    let words: [(text: String, rank: Int, units: Set<Int>)]
    /// Of each form, the path of each operation: whole ones, and such as a filter has cut the root off.
    let wholePaths: [[Path]]
    let cutPaths: [[Path]]

    init(_ operations: [OpenStack.Operation]) {
        var units: [Unit] = []
        var ranges: [Range<Int>] = []
        for operation in operations {
            let first = units.count
            units.append(Unit(operation: operation))
            units += operation.actions.map { Unit(operation: operation, action: $0) }
            ranges.append(first..<units.count)
        }
        self.units = units
        self.ranges = ranges
        free = Set(
            units.indices.filter {
                units[$0].operation.id == Self.limitsID || units[$0].operation.isDiscovery
                    || (units[$0].action == nil && !units[$0].operation.actions.isEmpty)
            })
        words = Self.words(units, ranges)
        // The forms of whole paths have all that limiters in front of Nova may have seen.
        wholePaths = Self.forms(roots: ["/v2.1", "/v2", "/v1.1", "/compute/v2.1", "/compute/v2"]).map {
            form in
            operations.map { Self.path(of: $0, form) }
        }
        cutPaths = Self.forms(roots: [""]).map { form in operations.map { Self.path(of: $0, form) } }
    }

    private static let limitsID = "limits.show"

    private static func words(
        _ units: [Unit], _ ranges: [Range<Int>]
    ) -> [(text: String, rank: Int, units: Set<Int>)] {
        var order: [String] = []
        var found: [String: (rank: Int, units: Set<Int>)] = [:]
        func add(_ text: String, _ rank: Int, _ unit: Int) {
            if found[text] == nil { order.append(text) }
            found[text, default: (rank, [])].units.insert(unit)
        }
        for index in ranges.indices {
            for place in ranges[index] {
                let unit = units[place]
                add(unit.operation.id, 0, place)
                if let action = unit.action {
                    add("\(unit.operation.id):\(action.key)", 1, place)
                    add(action.key, 2, place)
                }
                // Only its id means it, by the rules' own reading.
                if unit.operation.id == limitsID { continue }
                add(unit.operation.method.name.description, 3, place)
                for tag in unit.operation.tags { add("tag:\(tag)", 4, place) }
                add("class:\(unit.limitClass)", 5, place)
            }
        }
        return order.map { ($0, found[$0]?.rank ?? 0, found[$0]?.units ?? []) }
    }

    // MARK: - Paths

    /// A path that an operation may be asked by, and where the parts are that differ from request to request.
    struct Path {
        var text = ""
        var project: Range<Int>?
        var ids: [Range<Int>] = []

        mutating func append(_ part: String) { text += part }

        /// Appends a part and answers where it is, in UTF-16 as regular expressions count.
        mutating func mark(_ part: String) -> Range<Int> {
            let start = text.utf16.count
            text += part
            return start..<text.utf16.count
        }
    }

    /// How a path is written: below which root, with which project, with ids of which kind.
    private struct PathForm {
        var root: String
        var project: String?
        var id: String
    }

    /// Projects as Keystone has them, as numbers, and none; ids of every kind that Nova has.
    private static func forms(roots: [String]) -> [PathForm] {
        roots.flatMap { root in
            ["6f70656e737461636b20342065766572", "123456", nil].flatMap { project in
                ["5f2b6c1e-93d4-4a7f-8e01-2d3c4b5a6978", "42", "name"].map {
                    PathForm(root: root, project: project, id: $0)
                }
            }
        }
    }

    private static func path(of operation: OpenStack.Operation, _ form: PathForm) -> Path {
        var path = Path()
        path.append(form.root)
        if operation.isDiscovery {
            path.append("/")
            return path
        }
        if let project = form.project {
            path.append("/")
            path.project = path.mark(project)
        }
        for segment in operation.path.split(separator: "/") {
            path.append("/")
            if segment.hasPrefix("{") {
                path.ids.append(path.mark(form.id))
            } else {
                path.append(String(segment))
            }
        }
        return path
    }

    // MARK: - The shortest selection

    /// The fewest words that mean exactly `wanted`; none when that is everything.
    ///
    /// - Shape: greedily the word that means most of what is still missing, an id before a class where both mean as much;
    ///   in the end without those that turned out to be needless.
    func selection(of wanted: Set<Int>) -> [String] {
        let all = Set(units.indices)
        if wanted.union(free) == all { return [] }
        let allowed = wanted.union(free)
        var missing = wanted.subtracting(free)
        if missing.isEmpty { missing = wanted }
        var chosen: [Int] = []
        let usable = words.indices.filter { words[$0].units.isSubset(of: allowed) }
        while !missing.isEmpty {
            let best = usable.max { left, right in
                let (less, more) = (words[left].units, words[right].units)
                let counts = (less.intersection(missing).count, more.intersection(missing).count)
                if counts.0 != counts.1 { return counts.0 < counts.1 }
                // Of equals the first one wins.
                return (words[left].rank, left) > (words[right].rank, right)
            }
            guard let best, !words[best].units.isDisjoint(with: missing) else { break }
            chosen.append(best)
            missing.subtract(words[best].units)
        }
        for word in chosen.reversed() {
            let others = chosen.filter { $0 != word }.reduce(into: Set<Int>()) {
                $0.formUnion(words[$1].units)
            }
            if words[word].units.intersection(wanted).subtracting(free).isSubset(of: others), chosen.count > 1
            {
                chosen.removeAll { $0 == word }
            }
        }
        return chosen.sorted { (words[$0].rank < 3 ? 1 : 0, $0) < (words[$1].rank < 3 ? 1 : 0, $1) }.map {
            words[$0].text
        }
    }
}
