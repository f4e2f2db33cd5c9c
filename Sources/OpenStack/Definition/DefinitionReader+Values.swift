extension DefinitionReader {
    mutating func add(_ message: String, at place: Node.Place) {
        // This bound only keeps a hostile file from filling memory. A part that many refer to is told once.
        guard mistakes.count < 1_000 else { return }
        let mistake = DefinitionMistake(
            file: files[Int(place.file)], line: Int(place.line), column: Int(place.column), message: message)
        if told.insert(mistake).inserted { mistakes.append(mistake) }
    }

    mutating func add(_ message: String, at node: Node) { add(message, at: node.place) }

    /// Lists something that has no effect; a part that many refer to, once.
    mutating func note(_ message: String, at place: Node.Place) {
        let text = "\(files[Int(place.file)]):\(place.line):\(place.column)"
        if noted.insert("\(text) \(message)").inserted { definition.unused.add(message, at: text) }
    }

    mutating func note(_ message: String, at node: Node) { note(message, at: node.place) }

    /// The node of a key itself, for its place.
    func keyNode(_ key: String, of node: Node) -> Node {
        node.index(of: key).flatMap { node.mapping?[$0].key } ?? node
    }

    /// The members of a mapping in their order.
    mutating func pairs(_ node: Node, _ what: String) -> [(key: String, value: Node)] {
        guard let mapping = node.mapping else {
            add("\(what) must be a mapping", at: node)
            return []
        }
        return mapping.map { ($0.key.string ?? "", $0.value) }
    }

    mutating func list(_ node: Node, _ what: String) -> [Node] {
        guard let sequence = node.sequence else {
            add("\(what) must be a list", at: node)
            return []
        }
        return sequence
    }

    mutating func string(_ node: Node, _ what: String) -> String? {
        guard let text = node.scalar?.string, !text.isEmpty else {
            add("\(what) must be a text", at: node)
            return nil
        }
        return text
    }

    mutating func strings(_ node: Node, _ what: String) -> [String] {
        list(node, what).compactMap { string($0, what) }
    }

    mutating func bool(_ node: Node, _ what: String) -> Bool? {
        guard let value = node.bool else {
            add("\(what) must be true or false", at: node)
            return nil
        }
        return value
    }

    mutating func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = node.int, range.contains(value) else {
            add("\(what) must be a number of \(range.lowerBound) to \(range.upperBound)", at: node)
            return nil
        }
        return value
    }

    mutating func version(_ node: Node, _ what: String) -> Microversion? {
        guard let text = node.scalar?.string,
            let version = Array(text.utf8).withUnsafeBufferPointer({ Microversion.read($0) })
        else {
            add("\(what) must be a version such as \"2.90\"", at: node)
            return nil
        }
        return version
    }

    /// An end of a range of versions; `none` for one that is open, whatever the document says.
    mutating func bound(_ node: Node, _ what: String) -> Microversion? {
        node.string == "none" ? nil : version(node, what)
    }
}
