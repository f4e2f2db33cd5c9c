public import Bytes
public import HTTP

extension OperationTable {
    /// Finds the operation of a path and a method.
    ///
    /// - Shape: `path` begins with a slash and is in normal form (`PathForm.isNormal`). Percent-encoded characters are
    ///   decoded for comparing. After a root a segment of `[0-9a-f-]+` may stand for the project.
    /// - Source: Nova's routes, facts §1.1 and §3.1; a literal segment wins over a parameter method by method, so that
    ///   `DELETE /servers/detail` is the deletion of a server of that name, as Nova has it.
    public func match(path: ByteView, method: Method) -> RouteMatch {
        var match = RouteMatch()
        for index in 0..<discoveryCount where Self.equalsDecoded(path, view(discovery[index].path)) {
            match.version = discovery[index].version
            match.isDiscovery = true
            guard discoveryOperation >= 0 else { return match }
            let isRead = method == .get || method == .head
            match.outcome =
                isRead
                ? .operation(discoveryOperation)
                : .methodNotAllowed(allow: 1 << Int(Method.get.rawValue) | 1 << Int(Method.head.rawValue))
            return match
        }
        for index in 0..<rootCount {
            guard let rest = Self.skipPrefix(path, view(roots[index].path)) else { continue }
            match.version = roots[index].version
            resolve(path, rest, method, &match)
            return match
        }
        return match
    }

    private func resolve(_ path: ByteView, _ rest: Int, _ method: Method, _ match: inout RouteMatch) {
        var allowed: UInt16 = 0
        if walk(0, path, rest, method, &match, &allowed) { return }
        if allowed == 0, let end = Self.projectEnd(path, rest), end < path.count {
            match.project = ByteRange(start: rest + 1, count: end - rest - 1)
            if walk(0, path, end, method, &match, &allowed) { return }
        }
        match.outcome =
            allowed == 0 ? .unknown : .methodNotAllowed(allow: Int(allowed) & (Self.allowValueCount - 1))
        if allowed == 0 { match.project = nil }
    }

    /// Goes down the trie from `node`; `offset` is at the slash before the next segment, or at the end.
    private func walk(
        _ node: Int, _ path: ByteView, _ offset: Int, _ method: Method, _ match: inout RouteMatch,
        _ allowed: inout UInt16
    ) -> Bool {
        let here = nodes[node]
        guard offset < path.count else {
            allowed |= here.methods
            for index in Int(here.firstMethod)..<Int(here.firstMethod + here.methodCount)
            where methods[index].method == method {
                match.outcome = .operation(Int(methods[index].operation))
                return true
            }
            return false
        }
        let start = offset + 1
        var end = start
        while end < path.count, path[end] != 0x2F { end += 1 }
        if let child = findEdge(here, path.view(start, end - start)),
            walk(child, path, end, method, &match, &allowed)
        {
            return true
        }
        guard here.parameterChild >= 0, end > start, match.parameterCount < RouteMatch.maximumParameterCount
        else {
            return false
        }
        match.parameters[match.parameterCount] = ByteRange(start: start, count: end - start)
        match.parameterCount += 1
        if walk(Int(here.parameterChild), path, end, method, &match, &allowed) { return true }
        match.parameterCount -= 1
        return false
    }

    /// Finds the child for a segment by binary search.
    private func findEdge(_ node: RouteNode, _ segment: ByteView) -> Int? {
        var low = Int(node.firstEdge)
        var high = low + Int(node.edgeCount)
        while low < high {
            let middle = (low + high) / 2
            let order = Self.compareDecoded(segment, view(edges[middle].name))
            if order == 0 { return Int(edges[middle].child) }
            if order < 0 { high = middle } else { low = middle + 1 }
        }
        return nil
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
    private static func compareDecoded(_ segment: ByteView, _ literal: ByteView) -> Int {
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

    private static func equalsDecoded(_ path: ByteView, _ literal: ByteView) -> Bool {
        compareDecoded(path, literal) == 0
    }

    /// Where the path goes on after a root, at a slash or at the end; nil when it is under another root.
    private static func skipPrefix(_ path: ByteView, _ root: ByteView) -> Int? {
        var index = 0
        for byte in root {
            guard index < path.count, nextByte(path, &index) == byte else { return nil }
        }
        return index == path.count || path[index] == 0x2F ? index : nil
    }

    /// Reads one byte, decoding a triple, and steps over it.
    private static func nextByte(_ bytes: ByteView, _ index: inout Int) -> UInt8 {
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
