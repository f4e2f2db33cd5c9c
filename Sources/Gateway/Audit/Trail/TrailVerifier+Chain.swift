internal import Bytes

extension TrailVerifier {
    /// Takes the next line, without its line feed.
    func read(_ bytes: ByteView, _ spot: Spot) throws(TrailFailure) {
        let digest = hash.digest(bytes)
        let isFirst = spot.offset == 0
        guard bytes.count <= TrailBlocks.maxLineByteCount, let line = TrailLine(bytes) else {
            if fragments.count == Self.maxFragmentCount { reportUnreadable(fragments.removeFirst()) }
            return fragments.append(Fragment(spot: spot, byteCount: UInt64(bytes.count), digest: digest))
        }
        verdict.lineCount += 1
        if let rotation {
            report(
                .unrotated, rotation.spot, rotation.writer, rotation.sequence, "the file went on all the same"
            )
            self.rotation = nil
        }
        if line.kind == .event {
            verdict.eventCount += 1
            if isFirst { checkOpening(line, nil, spot) }
            try advance(line, digest, spot)
            signedPart(line, spot, nil, isSigned: false)
        } else {
            let control = TrailControl(line.content)
            if let lack = control.lack(of: line.kind) { report(.unreadable, spot, line, lack) }
            if isFirst { checkOpening(line, control, spot) }
            checkLinks(line, control, spot)
            try advance(line, digest, spot)
            signedPart(line, spot, control, isSigned: isSigned(bytes, line, control, spot))
        }
        lastDigest = digest
        lastWriter = line.writer
    }

    // MARK: - The chain of a writer

    /// Puts the line to its writer's chain.
    private func advance(_ line: TrailLine, _ digest: TrailDigest, _ spot: Spot) throws(TrailFailure) {
        guard var writer = writers[line.writer] else { return try begin(line, digest, spot) }
        if writer.hasEnded {
            report(.inserted, spot, line, "stands after its writer's end at \(place(writer.last).text)")
        } else if line.kind == .start {
            report(.inserted, spot, line, "its writer began before")
        }
        if line.sequence < writer.next {
            report(
                .misplaced, spot, line,
                "stands again, or in another place: its writer is at sequence \(writer.next - 1) since "
                    + place(writer.last).text)
            return
        }
        if line.sequence > writer.next {
            let lacking =
                line.sequence - 1 == writer.next
                ? "\(writer.next)" : "\(writer.next) to \(line.sequence - 1)"
            report(
                .missing, spot, line, "sequence \(lacking) is not there, after \(place(writer.last).text)")
        } else if line.previous != writer.digest {
            report(
                .changed, writer.last, line.writer, line.sequence - 1,
                "is not the line that \(place(spot).text) names as the one before it")
        }
        writer.next = line.sequence + 1
        writer.digest = digest
        writer.last = spot
        if line.kind == .end { writer.hasEnded = true }
        writers[line.writer] = writer
    }

    /// Takes the first line of a writer.
    private func begin(_ line: TrailLine, _ digest: TrailDigest, _ spot: Spot) throws(TrailFailure) {
        guard writers.count < Self.maxWriterCount else {
            throw TrailFailure(place(spot).text, reason: "more than \(Self.maxWriterCount) writers")
        }
        if line.kind == .start {
            if line.sequence != 0 { report(.missing, spot, line, "a start has sequence 0") }
        } else if line.sequence == 0 {
            report(.missing, spot, line, "its writer's start is not there")
        } else if isOpen {
            report(.continued, spot, line, "its writer began in a file that was not given")
        } else {
            report(.missing, spot, line, "its writer's lines before it are not there")
        }
        writers[line.writer] = Writer(
            next: line.sequence + 1, digest: digest, last: spot, hasEnded: line.kind == .end)
    }

    // MARK: - Signatures

    /// Tells whether the line is signed by one of the keys, and says when it should be and is not.
    private func isSigned(
        _ bytes: ByteView, _ line: TrailLine, _ control: TrailControl, _ spot: Spot
    ) -> Bool {
        guard let signature = control.signature, let name = control.key else {
            if !keys.isEmpty { report(.unsigned, spot, line, "there is no signature") }
            return false
        }
        guard !keys.isEmpty else {
            if verdict.uncheckedSignatureCount == 0 {
                report(.unchecked, spot, line, "it and others are signed, and no key was given")
            }
            verdict.uncheckedSignatureCount += 1
            return false
        }
        let text = TrailHexadecimal.text(name)
        guard keys.contains(where: { $0.name == name }) else {
            report(.forged, spot, line, "signed by the key \(text), which was not given")
            return false
        }
        guard keys.contains(where: { $0.name == name && TrailSignature.isValid(bytes, signature, by: $0) })
        else {
            report(.forged, spot, line, "its signature is not by the key \(text)")
            return false
        }
        verdict.signatureCount += 1
        return true
    }

    /// Counts what of the writer's lines no signature covers.
    private func signedPart(_ line: TrailLine, _ spot: Spot, _ control: TrailControl?, isSigned: Bool) {
        guard let place = writers.index(forKey: line.writer) else { return }
        if isSigned {
            writers.values[place].unsignedLines = 0
            writers.values[place].unsignedEvents = 0
            if let every = control?.signEvery { writers.values[place].signEvery = every }
            // A start names the line before it, whichever writer's, and so covers that one's lines.
            if line.kind == .start, let lastWriter { writers[lastWriter]?.unsignedLines = 0 }
            return
        }
        writers.values[place].unsignedLines += 1
        guard line.kind == .event else { return }
        writers.values[place].unsignedEvents += 1
        let writer = writers.values[place]
        // A head stands right behind the last event that may go without one.
        if writer.signEvery > 0, !writer.missesHead, writer.unsignedEvents > writer.signEvery {
            writers.values[place].missesHead = true
            report(.unsigned, spot, line, "\(writer.unsignedEvents) events of its writer without a signature")
        }
    }
}
