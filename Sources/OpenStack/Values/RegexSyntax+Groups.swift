internal import Bytes

extension RegexParser {
    /// Reads a group after its parenthesis; `isItem` is false for what cannot be repeated because it is nothing.
    mutating func readGroup(
        _ verbose: inout Bool, depth: Int, mayHoldGlobalFlags: Bool
    ) -> (width: RegexWidth, isItem: Bool)? {
        guard take(0x3F) else { return readContents(isCapturing: true, name: .empty, verbose, depth) }
        guard let kind = peek() else { return nil }
        index += 1
        switch kind {
        case 0x50: return readNamed(verbose, depth)
        case 0x3A, 0x3E: return readContents(isCapturing: false, name: .empty, verbose, depth)
        case 0x23:
            while let byte = peek() {
                index += byte == 0x5C ? 2 : 1
                if byte == 0x29 { return (.zero, false) }
            }
            return nil
        case 0x3D, 0x21, 0x3C: return readAssertion(kind, verbose, depth)
        case 0x28: return readConditional(verbose, depth)
        default: return readFlags(kind, &verbose, depth, mayHoldGlobalFlags)
        }
    }

    /// Reads a group's contents and its closing parenthesis.
    private mutating func readContents(
        isCapturing: Bool, name: ByteRange, _ verbose: Bool, _ depth: Int
    ) -> (width: RegexWidth, isItem: Bool)? {
        let group = groupCount
        if isCapturing {
            guard groupCount < 100 else {
                gaveUp = true
                return nil
            }
            groupCount += 1
            groupNames[group] = name
        }
        guard let width = readBranches(isVerbose: verbose, depth: depth + 1), take(0x29) else { return nil }
        if isCapturing {
            groupWidths[group] = width
            groupIsClosed[group] = true
        }
        return (width, true)
    }

    /// Reads `P<name>…)` or `P=name)`.
    private mutating func readNamed(_ verbose: Bool, _ depth: Int) -> (width: RegexWidth, isItem: Bool)? {
        if take(0x3C) {
            guard let name = readUntil(0x3E), isIdentifier(name), findGroup(name) == nil else { return nil }
            return readContents(isCapturing: true, name: name, verbose, depth)
        }
        guard take(0x3D), let name = readUntil(0x29), isIdentifier(name), let group = findGroup(name),
            mayRefer(to: group)
        else { return nil }
        return (groupWidths[group], true)
    }

    private mutating func readAssertion(
        _ kind: UInt8, _ verbose: Bool, _ depth: Int
    ) -> (width: RegexWidth, isItem: Bool)? {
        let isBehind = kind == 0x3C
        if isBehind {
            guard take(0x3D) || take(0x21) else { return nil }
        }
        let outer = lookBehindGroups
        if isBehind, outer < 0 { lookBehindGroups = groupCount }
        guard let width = readBranches(isVerbose: verbose, depth: depth + 1) else { return nil }
        lookBehindGroups = outer
        guard take(0x29) else { return nil }
        if isBehind, width.low != width.high { return nil }
        return (.zero, true)
    }

    /// Reads `(1)yes|no)` or `(name)yes|no)` after the second parenthesis.
    private mutating func readConditional(_ verbose: Bool, _ depth: Int) -> (width: RegexWidth, isItem: Bool)?
    {
        guard let name = readUntil(0x29) else { return nil }
        let group: Int
        if isIdentifier(name) {
            guard let found = findGroup(name) else { return nil }
            group = found
        } else {
            guard case .positive = PythonText.readInteger(bytes.view(name)) else { return nil }
            var value = 0
            for byte in bytes.view(name) where ASCII.isDigit(byte) {
                value = min(value * 10 + Int(byte - 0x30), 1 << 30)
            }
            group = value
            highestCondition = max(highestCondition, group)
        }
        if lookBehindGroups >= 0, !mayRefer(to: group) { return nil }
        // Two branches at most: they are told apart here because Python counts a third as an error.
        guard let branches = readTwoBranches(verbose, depth), take(0x29) else { return nil }
        return (branches, true)
    }

    private mutating func readTwoBranches(_ verbose: Bool, _ depth: Int) -> RegexWidth? {
        guard depth < 100 else { return giveUp() }
        guard let yes = readAlternative(verbose, depth + 1) else { return nil }
        guard take(0x7C) else { return RegexWidth(low: 0, high: yes.high) }
        guard let no = readAlternative(verbose, depth + 1), peek() != 0x7C else { return nil }
        return RegexWidth(low: min(yes.low, no.low), high: max(yes.high, no.high))
    }

    /// Reads `imsx-imsx:…)` or `imsx)`, whose first letter was `first`.
    private mutating func readFlags(
        _ first: UInt8, _ verbose: inout Bool, _ depth: Int, _ mayBeGlobal: Bool
    ) -> (width: RegexWidth, isItem: Bool)? {
        var letter = first
        var added: UInt8 = 0
        var removed: UInt8 = 0
        if letter != 0x2D {
            while true {
                guard let bit = flagBit(letter) else { return nil }
                added |= bit
                // ASCII and Unicode at once are incompatible.
                if added & 0x30 == 0x30 { return nil }
                guard let next = peek() else { return nil }
                index += 1
                letter = next
                if letter == 0x29 || letter == 0x2D || letter == 0x3A { break }
            }
        }
        if letter == 0x29 {
            guard mayBeGlobal else { return nil }
            if added & 8 != 0 { verbose = true }
            return (.zero, false)
        }
        if letter == 0x2D {
            guard let next = peek() else { return nil }
            index += 1
            letter = next
            while true {
                guard let bit = flagBit(letter), bit & 0x30 == 0 else { return nil }
                removed |= bit
                guard let next = peek() else { return nil }
                index += 1
                letter = next
                if letter == 0x3A { break }
            }
        }
        guard added & removed == 0 else { return nil }
        let isVerbose = (verbose || added & 8 != 0) && removed & 8 == 0
        return readContents(isCapturing: false, name: .empty, isVerbose, depth)
    }

    private func flagBit(_ letter: UInt8) -> UInt8? {
        switch letter {
        case 0x69: 1  // i
        case 0x6D: 2  // m
        case 0x73: 4  // s
        case 0x78: 8  // x
        case 0x61: 0x10  // a
        case 0x75: 0x20  // u
        default: nil
        }
    }

    /// Reads a name and its end; nil for an empty name or none.
    private mutating func readUntil(_ end: UInt8) -> ByteRange? {
        let start = index
        while let byte = peek() {
            if byte == end {
                index += 1
                let count = index - 1 - start
                return count > 0 ? ByteRange(start: start, count: count) : nil
            }
            index += byte == 0x5C ? 2 : 1
        }
        return nil
    }

    /// Python's `isidentifier`, all characters outside ASCII taken for letters.
    private func isIdentifier(_ range: ByteRange) -> Bool {
        let name = bytes.view(range)
        for (place, byte) in name.enumerated() {
            let isLetter = (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == 0x5F || byte >= 0x80
            guard isLetter || place > 0 && ASCII.isDigit(byte) else { return false }
        }
        return !name.isEmpty
    }

    private func findGroup(_ name: ByteRange) -> Int? {
        let wanted = bytes.view(name)
        for group in 1..<max(groupCount, 1) where !groupNames[group].isEmpty {
            if bytes.view(groupNames[group]).equals(wanted) { return group }
        }
        return nil
    }
}
