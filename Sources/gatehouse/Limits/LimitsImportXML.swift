import Foundation
import FoundationXML

/// An element of an XML file, with its place.
struct ImportElement {
    /// Without its prefix.
    var name: String
    var attributes: [String: String]
    var children: [ImportElement] = []
    /// Of its start tag; both count from 1.
    var line: Int
    var column: Int
}

/// Reads the elements of an XML file; their text is left out, for formats that have all in attributes.
///
/// - Limits: 20,000 elements, 64 levels. A document type declaration is refused before anything is parsed, and with it
///   entities and whatever lies elsewhere: nothing is opened, nothing grows.
/// - Errors: the first place that is not well-formed, another encoding than UTF-8.
enum ImportXML {
    static let maxElementCount = 20_000
    static let maxDepth = 64

    static func read(_ text: String, file: String) throws(LimitsImportMistake) -> ImportElement {
        let scan = try StartTags.scan(text, file: file)
        let parser = XMLParser(data: Data(text.utf8))
        parser.shouldResolveExternalEntities = false
        let reading = Reading(scan)
        parser.delegate = reading
        let isWhole = withExtendedLifetime(reading) { parser.parse() }
        if let mistake = reading.mistake {
            throw LimitsImportMistake(
                file: file, line: mistake.line, column: mistake.column, message: mistake.message)
        }
        guard isWhole, let root = reading.root else {
            throw LimitsImportMistake(
                file: file, line: max(parser.lineNumber, 1), column: max(parser.columnNumber, 1),
                message: "the XML is not well-formed")
        }
        return root
    }

    /// Where something is in a text.
    struct Place {
        var line = 1
        var column = 1
    }

    /// Puts the elements together as the parser tells of them.
    private final class Reading: NSObject, XMLParserDelegate {
        private let places: [Place]
        private var open: [ImportElement] = []
        private var count = 0
        private(set) var root: ImportElement?
        private(set) var mistake: (line: Int, column: Int, message: String)?

        init(_ places: [Place]) { self.places = places }

        func parser(
            _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?,
            qualifiedName qName: String?, attributes attributeDict: [String: String] = [:]
        ) {
            // Start tags are told of in their order, so this is the next one that the scan found.
            let place = count < places.count ? places[count] : Place()
            count += 1
            guard mistake == nil else { return }
            if open.count >= maxDepth {
                mistake = (place.line, place.column, "more than \(maxDepth) elements are inside each other")
                parser.abortParsing()
                return
            }
            let name = elementName.split(separator: ":").last.map(String.init) ?? elementName
            open.append(
                ImportElement(name: name, attributes: attributeDict, line: place.line, column: place.column))
        }

        func parser(
            _ parser: XMLParser, didEndElement elementName: String, namespaceURI: String?,
            qualifiedName qName: String?
        ) {
            guard mistake == nil, let element = open.popLast() else { return }
            if open.isEmpty {
                root = element
            } else {
                open[open.count - 1].children.append(element)
            }
        }
    }

    /// Finds where start tags are, which the parser does not tell, and what is refused.
    private struct StartTags {
        private let bytes: [UInt8]
        private let file: String
        private var index = 0
        private var place = Place()
        private var found: [Place] = []

        static func scan(_ text: String, file: String) throws(LimitsImportMistake) -> [Place] {
            var tags = StartTags(bytes: Array(text.utf8), file: file)
            try tags.scan()
            return tags.found
        }

        private init(bytes: [UInt8], file: String) {
            self.bytes = bytes
            self.file = file
        }

        private mutating func scan() throws(LimitsImportMistake) {
            while index < bytes.count {
                guard bytes[index] == UInt8(ascii: "<") else {
                    step()
                    continue
                }
                if starts("<!--") {
                    skip(past: "-->")
                } else if starts("<![CDATA[") {
                    skip(past: "]]>")
                } else if starts("<?") {
                    try readInstruction()
                } else if starts("<!") {
                    throw mistake("document type declarations and entities are not read")
                } else {
                    if !starts("</") { found.append(place) }
                    if found.count > maxElementCount {
                        throw mistake("there are more than \(maxElementCount) elements")
                    }
                    step()
                }
            }
        }

        /// A processing instruction; of the declaration at the beginning only the encoding matters.
        private mutating func readInstruction() throws(LimitsImportMistake) {
            let beginning = mistake("the encoding is not UTF-8")
            let start = index
            skip(past: "?>")
            let text = String(decoding: bytes[start..<index], as: UTF8.self)
            guard text.hasPrefix("<?xml"),
                let encoding = text.firstMatch(of: /encoding\s*=\s*["']([^"']*)["']/)
            else { return }
            guard ["utf-8", "utf8", "us-ascii", "ascii"].contains(encoding.1.lowercased()) else {
                throw beginning
            }
        }

        private func mistake(_ message: String) -> LimitsImportMistake {
            LimitsImportMistake(file: file, line: place.line, column: place.column, message: message)
        }

        private func starts(_ text: String) -> Bool { bytes[index...].starts(with: text.utf8) }

        private mutating func skip(past end: String) {
            while index < bytes.count, !starts(end) { step() }
            for _ in 0..<min(end.utf8.count, bytes.count - index) { step() }
        }

        private mutating func step() {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") {
                place.line += 1
                place.column = 1
            } else if byte & 0xC0 != 0x80 {
                place.column += 1
            }
        }
    }
}
