public import Bytes
public import HTTP

#if canImport(Glibc)
    internal import Glibc
#endif

/// One way down the trie: what is looked for and what was found so far.
private struct RouteWalk {
    let path: ByteView
    let method: Method
    /// Whether the path has no triple, so that its bytes are what they stand for.
    let isPlain: Bool
    var match = RouteMatch()
    /// A bit for each method of the paths that matched otherwise.
    var allowed: UInt16 = 0

    init(path: ByteView, method: Method, isPlain: Bool) {
        self.path = path
        self.method = method
        self.isPlain = isPlain
    }

    @inline(__always) static func hasTriple(_ path: ByteView) -> Bool {
        guard let base = path.baseAddress else { return false }
        return memchr(base, 0x25, path.count) != nil
    }

    @inline(__always) func isWhole(_ literal: ByteView) -> Bool {
        isPlain ? path.equals(literal) : OperationTable.compareDecoded(path, literal) == 0
    }

    /// Where the path goes on after a root, at a slash or at the end; nil when it is under another root.
    @inline(__always) func skip(_ root: ByteView) -> Int? {
        guard root.count <= path.count else { return nil }
        var index = root.count
        if isPlain {
            guard path.view(0, index).equals(root) else { return nil }
        } else {
            index = 0
            for byte in root {
                guard index < path.count, OperationTable.nextByte(path, &index) == byte else { return nil }
            }
        }
        return index == path.count || path[index] == 0x2F ? index : nil
    }

    /// The slash behind the segment that begins at `start`, or the end.
    @inline(__always) func segmentEnd(from start: Int) -> Int {
        guard start < path.count, let base = path.baseAddress,
            let slash = memchr(base + start, 0x2F, path.count - start)
        else { return path.count }
        return UnsafeRawPointer(slash) - UnsafeRawPointer(base)
    }
}

extension OperationTable {
    /// Finds the operation of a path and a method.
    ///
    /// - Shape: `path` begins with a slash and is in normal form (`PathForm.isNormal`). Percent-encoded characters are
    ///   decoded for comparing. After a root a segment of `[0-9a-f-]+` may stand for the project.
    /// - Source: Nova's routes, facts §1.1 and §3.1; a literal segment wins over a parameter method by method, so that
    ///   `DELETE /servers/detail` is the deletion of a server of that name, as Nova has it.
    public func match(path: ByteView, method: Method) -> RouteMatch {
        var walk = RouteWalk(path: path, method: method, isPlain: !RouteWalk.hasTriple(path))
        for index in 0..<discoveryCount where walk.isWhole(view(discovery[index].path)) {
            walk.match.version = discovery[index].version
            walk.match.isDiscovery = true
            guard discoveryOperation >= 0 else { return walk.match }
            let isRead = method == .get || method == .head
            walk.match.outcome =
                isRead
                ? .operation(discoveryOperation)
                : .methodNotAllowed(allow: 1 << Int(Method.get.rawValue) | 1 << Int(Method.head.rawValue))
            return walk.match
        }
        for index in 0..<rootCount {
            guard let rest = walk.skip(view(roots[index].path)) else { continue }
            walk.match.version = roots[index].version
            resolve(rest, &walk)
            return walk.match
        }
        return walk.match
    }

    private func resolve(_ rest: Int, _ walk: inout RouteWalk) {
        if step(0, rest, &walk) { return }
        if walk.allowed == 0, let end = Self.projectEnd(walk.path, rest), end < walk.path.count {
            walk.match.project = ByteRange(start: rest + 1, count: end - rest - 1)
            if step(0, end, &walk) { return }
        }
        walk.match.outcome =
            walk.allowed == 0
            ? .unknown : .methodNotAllowed(allow: Int(walk.allowed) & (Self.allowValueCount - 1))
        if walk.allowed == 0 { walk.match.project = nil }
    }

    /// Goes down the trie from `node`; `offset` is at the slash before the next segment, or at the end.
    private func step(_ node: Int, _ offset: Int, _ walk: inout RouteWalk) -> Bool {
        let here = nodes + node
        guard offset < walk.path.count else {
            walk.allowed |= here.pointee.methods
            for index in Int(
                here.pointee.firstMethod)..<Int(here.pointee.firstMethod + here.pointee.methodCount)
            where (methods + index).pointee.method == walk.method {
                walk.match.outcome = .operation(Int((methods + index).pointee.operation))
                return true
            }
            return false
        }
        let start = offset + 1
        let end = walk.segmentEnd(from: start)
        let child = here.pointee.edgeCount > 0 ? findEdge(here, start, end, walk) : -1
        if child >= 0, step(child, end, &walk) { return true }
        let count = walk.match.parameterCount
        guard here.pointee.parameterChild >= 0, end > start, count < RouteMatch.maximumParameterCount else {
            return false
        }
        walk.match.parameters[count] = ByteRange(start: start, count: end - start)
        walk.match.parameterCount = count + 1
        if step(Int(here.pointee.parameterChild), end, &walk) { return true }
        walk.match.parameterCount = count
        return false
    }

    /// Finds the child for a segment by binary search; -1 for none.
    private func findEdge(
        _ node: UnsafePointer<RouteNode>, _ start: Int, _ end: Int, _ walk: borrowing RouteWalk
    ) -> Int {
        let segment = walk.path.view(start, end - start)
        let key = walk.isPlain ? TextKey.of(segment) : 0
        var low = Int(node.pointee.firstEdge)
        var high = low + Int(node.pointee.edgeCount)
        while low < high {
            let middle = (low + high) / 2
            let edge = edges + middle
            let name = view(edge.pointee.name)
            let order =
                walk.isPlain
                ? TextKey.order(segment, key, name, edge.pointee.key) : Self.compareDecoded(segment, name)
            if order == 0 { return Int(edge.pointee.child) }
            if order < 0 { high = middle } else { low = middle + 1 }
        }
        return -1
    }

    /// Where the project segment that starts at the slash `offset` ends; nil when it cannot be one.
    private static func projectEnd(_ path: ByteView, _ offset: Int) -> Int? {
        guard offset < path.count else { return nil }
        var index = offset + 1
        while index < path.count, path[index] != 0x2F {
            guard UUIDForm.isProjectSegment(nextByte(path, &index)) else { return nil }
        }
        return index > offset + 1 ? index : nil
    }

    /// Compares a percent-encoded segment with a literal, byte by byte: below, at or above zero.
    fileprivate static func compareDecoded(_ segment: ByteView, _ literal: ByteView) -> Int {
        var index = 0
        var place = 0
        while index < segment.count {
            guard place < literal.count else { return 1 }
            let byte = nextByte(segment, &index)
            if byte != literal[place] { return byte < literal[place] ? -1 : 1 }
            place += 1
        }
        return place < literal.count ? -1 : 0
    }

    /// Reads one byte, decoding a triple, and steps over it.
    fileprivate static func nextByte(_ bytes: ByteView, _ index: inout Int) -> UInt8 {
        let byte = bytes[index]
        index += 1
        guard byte == 0x25, index + 1 < bytes.count, let high = ASCII.hexValue(bytes[index]),
            let low = ASCII.hexValue(bytes[index + 1])
        else { return byte }
        index += 2
        return high << 4 | low
    }

    /// Tells whether a project segment, still percent-encoded, is the project `id`.
    public static func segment(_ segment: ByteView, isProject id: ByteView) -> Bool {
        compareDecoded(segment, id) == 0
    }
}
