internal import Foundation
internal import Yams

extension SettingsReading {
    /// Reads `audit`; nil, with a mistake, when it has no file.
    ///
    /// - Parameter accessLog: where access lines go.
    func audit(_ group: SettingsMapping, besides accessLog: Settings.AccessLog?) -> Settings.Audit? {
        let (file, sinks) = auditSinks(group, besides: accessLog)
        // Without a file there is nothing to give back, but the other keys' mistakes are told all the same.
        var audit = Settings.Audit(file: file ?? Settings.AuditFile(path: ""))
        audit.sinks = sinks
        audit.durability =
            group.word("durability", among: Settings.Durability.allCases.map { ($0.rawValue, $0) })
            ?? audit.durability
        audit.onFailure =
            group.word("on_failure", among: Settings.OnFailure.allCases.map { ($0.rawValue, $0) })
            ?? audit.onFailure
        audit.key = group.scalar("key") { text throws(ScalarMistake) in
            let path = try keyFile(text)
            if let file, FileContent.areSame(path, file.path) {
                throw ScalarMistake(reason: "is the trail's file")
            }
            return path
        }
        audit.signEveryCount = group.count("sign_every", in: 1...1_000_000, or: audit.signEveryCount)
        if let node = group.node("sign_every"), group.node("key") == nil {
            add(node.mark, "`sign_every` has no use without `key`, with which heads are signed")
        }
        audit.rotation = rotation(group.subgroup("rotation", .rotation))
        audit.fold = group.duration("fold", in: .milliseconds(100) ... .seconds(3_600), or: audit.fold)
        audit.policies = policies(group)
        return file == nil ? nil : audit
    }

    func auditFile(
        _ group: SettingsMapping, besides accessLog: Settings.AccessLog?
    ) -> Settings.AuditFile? {
        let mode = group.scalar("mode", SettingsScalars.mode)
        let path = group.requiredNode("path").flatMap { node in
            scalar(node, "path") { text throws(ScalarMistake) in
                let path = try fileToAppendTo(text)
                guard !FileContent.exists(path) || FileContent.isRegularFile(path) else {
                    throw ScalarMistake(reason: "is not a regular file")
                }
                if let accessLog, FileContent.areSame(path, accessLog.path) {
                    throw ScalarMistake(reason: "is the file of access lines, too")
                }
                return path
            }
        }
        guard let path else { return nil }
        var file = Settings.AuditFile(path: path)
        file.mode = mode ?? file.mode
        return file
    }

    /// The path of a key, whose length is looked at; never its content.
    private func keyFile(_ text: String) throws(ScalarMistake) -> String {
        let path = try readableFile(text)
        let range = Settings.Audit.keyByteCounts
        switch FileContent.read(path, limit: range.upperBound + 1) {
        case .failure(let failure):
            throw ScalarMistake(reason: "cannot be read: \(failure.reason)")
        case .success(let bytes) where range.contains(bytes.count):
            return path
        case .success(let bytes):
            let count = bytes.count > range.upperBound ? "more than \(range.upperBound)" : "\(bytes.count)"
            throw ScalarMistake(
                reason: "has \(count) bytes; a key has \(range.lowerBound) to \(range.upperBound)")
        }
    }

    private func rotation(_ group: SettingsMapping) -> Settings.Rotation {
        var rotation = Settings.Rotation()
        if group.node("size") != nil {
            rotation.byteCount = group.byteCount("size", in: 1 << 16...1 << 40, or: 1 << 30)
        }
        if group.node("age") != nil {
            rotation.age = group.duration(
                "age", in: .seconds(1) ... .seconds(366 * 86_400), or: .seconds(86_400))
        }
        if let node = group.node("keep") {
            rotation.keptFileCount = group.count("keep", in: 1...10_000, or: 1)
            if group.node("size") == nil, group.node("age") == nil {
                add(node.mark, "`keep` has no use without `size` or `age`: nothing is rotated")
            }
        }
        return rotation
    }

    private func policies(_ group: SettingsMapping) -> [Settings.AuditPolicy] {
        var policies: [Settings.AuditPolicy] = []
        var known: Set<String> = []
        for item in group.items("policies", limit: 256, isRequired: false) {
            let group = SettingsMapping(item, .auditPolicy, "policies", self)
            var operations: [Settings.LimitSelector] = []
            if group.requiredNode("operations") != nil {
                operations = selectors(group, meaningOfNone: "a policy is about some")
            }
            for selector in operations where known.contains(selector.text) {
                add(
                    line: selector.line, column: selector.column,
                    "`operations`: `\(selector.text.prefix(80))` is in an earlier policy, which counts")
            }
            known.formUnion(operations.map(\.text))
            let records = Settings.AuditRecord.allCases.map { ($0.rawValue, $0) }
            let recordNode = group.requiredNode("record")
            let record = group.word("record", among: records)
            let recordsContent = group.bool("content", or: false)
            if recordsContent, let record, record != .each {
                add(
                    group.node("content")?.mark,
                    "`content` goes with `record: each` alone, not with \(record.rawValue)")
            }
            guard let record, !operations.isEmpty else { continue }
            var policy = Settings.AuditPolicy(operations: operations, record: record)
            policy.recordsContent = recordsContent
            policy.line = recordNode?.mark?.line ?? 1
            policy.column = recordNode?.mark?.column ?? 1
            policies.append(policy)
        }
        return policies
    }
}

extension SettingsScalars {
    /// A file's permissions as three octal digits, with or without a zero before them.
    static func mode(_ text: String) throws(ScalarMistake) -> UInt16 {
        let digits = text.utf8.count == 4 && text.hasPrefix("0") ? text.dropFirst() : Substring(text)
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ 0x30...0x37 ~= $0 }),
            let mode = UInt16(digits, radix: 8)
        else { throw ScalarMistake(reason: "is not a mode: three octal digits, as 0640") }
        guard mode & 0o600 == 0o600, mode & ~0o664 == 0 else {
            throw ScalarMistake(
                reason:
                    "is no mode of a trail: its owner reads and writes, others at most read, its group may write"
            )
        }
        return mode
    }
}
