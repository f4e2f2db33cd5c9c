import Bytes

/// One field line as places in its head, without surrounding white space.
///
/// - Shape: offsets count from the first byte of the view the head was read from.
public struct FieldLine: Sendable {
    public var name: ByteRange
    public var value: ByteRange
    public var known: FieldName
    /// Whether the name contains `_`, which CGI-style servers read as `-`: never forwarded.
    public var hasUnderscore: Bool

    /// Makes a line of its parts.
    @inlinable public init(name: ByteRange, value: ByteRange, known: FieldName, hasUnderscore: Bool) {
        self.name = name
        self.value = value
        self.known = known
        self.hasUnderscore = hasUnderscore
    }
}

/// The field lines of one head in their order, and an index by known name.
///
/// - Shape: one block, allocated at the start and reused after `reset()`; it never grows.
/// - Limits: `capacity` lines, at most 65,534.
public struct FieldSection: ~Copyable {
    @usableFromInline let lines: UnsafeMutablePointer<FieldLine>
    // Index of the first line with the name, plus one; zero is none.
    @usableFromInline let firsts: UnsafeMutablePointer<UInt16>
    @usableFromInline let counts: UnsafeMutablePointer<UInt16>
    public let capacity: Int
    @usableFromInline var lineCount = 0

    /// Makes an empty section with room for `capacity` lines.
    public init(capacity: Int) {
        precondition(capacity >= 0 && capacity < Int(UInt16.max))
        self.capacity = capacity
        lines = .allocate(capacity: max(capacity, 1))
        lines.initialize(
            repeating: FieldLine(name: .empty, value: .empty, known: .other, hasUnderscore: false),
            count: max(capacity, 1))
        firsts = .allocate(capacity: FieldName.knownCount * 2)
        firsts.initialize(repeating: 0, count: FieldName.knownCount * 2)
        counts = firsts + FieldName.knownCount
    }

    deinit {
        lines.deallocate()
        firsts.deallocate()
    }

    /// How many lines there are.
    @inlinable public var count: Int { lineCount }

    /// The line at `index`, counted from 0; traps past the end.
    @inlinable public subscript(_ index: Int) -> FieldLine {
        precondition(index >= 0 && index < lineCount)
        return lines[index]
    }

    /// The name that the next line had in the head that was read into this section before; `other` for none.
    ///
    /// A peer sends much the same head each time, so that it is worth looking whether it does again. There must be room
    /// for a line.
    @inline(__always) var expected: FieldName { lines[lineCount].known }

    /// Tells whether some line carries the name.
    @inlinable public func has(_ name: FieldName) -> Bool { counts[Int(name.rawValue)] != 0 }

    /// The value of the first line that carries the name.
    @inlinable public func find(_ name: FieldName) -> ByteRange? {
        let first = Int(firsts[Int(name.rawValue)])
        return first == 0 ? nil : lines[first - 1].value
    }

    /// How many lines carry the name.
    @inlinable public func count(of name: FieldName) -> Int { Int(counts[Int(name.rawValue)]) }

    /// The index of the next line that carries the name, at `start` or after it.
    @inlinable public func index(of name: FieldName, from start: Int = 0) -> Int? {
        let first = Int(firsts[Int(name.rawValue)])
        guard first != 0 else { return nil }
        var index = max(start, first - 1)
        while index < lineCount {
            if lines[index].known == name { return index }
            index += 1
        }
        return nil
    }

    /// The value of the first line of a name that has no number, `literal` in lower case; walks all lines.
    public func find(_ literal: StaticString, in bytes: ByteView) -> ByteRange? {
        for index in 0..<lineCount where bytes.view(lines[index].name).equalsIgnoringCase(literal) {
            return lines[index].value
        }
        return nil
    }

    /// Adds a line; false, and nothing added, when `capacity` lines are there.
    @inlinable public mutating func append(_ line: FieldLine) -> Bool {
        guard lineCount < capacity else { return false }
        take(line)
        return true
    }

    /// Adds a line for which there is room, as the caller knows.
    @inlinable @inline(__always) mutating func take(_ line: FieldLine) {
        lines[lineCount] = line
        lineCount &+= 1  // Cannot overflow: it is at most `capacity`.
        let known = Int(line.known.rawValue)
        if counts[known] == 0 { firsts[known] = UInt16(truncatingIfNeeded: lineCount) }
        counts[known] &+= 1  // Cannot wrap: `capacity` is below 65,535.
    }

    /// Forgets all lines.
    @inlinable public mutating func reset() {
        for index in 0..<lineCount {
            let known = Int(lines[index].known.rawValue)
            firsts[known] = 0
            counts[known] = 0
        }
        lineCount = 0
    }
}
