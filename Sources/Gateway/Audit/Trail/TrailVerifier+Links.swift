internal import Bytes

extension TrailVerifier {
    /// Looks at the first line of a file: whether it follows the file before, or what lies before the first.
    func checkOpening(_ line: TrailLine, _ control: TrailControl?, _ spot: Spot) {
        let after = control?.after.map(TrailControl.text)
        if files.count == 1 {
            if line.kind == .rotation || line.kind == .start, let after {
                isOpen = true
                report(.continued, spot, line, "goes on after \(after), which was not given")
            }
        } else if line.kind == .rotation, let after, control?.digest != lastDigest {
            report(
                .missing, spot, line,
                "follows \(after), whose last line is not the last one of \(files[files.count - 2]): a file between "
                    + "them is not there, or lines at its end")
        }
    }

    /// Looks at what a line names besides its writer's own: the file's lines, other files, fragments.
    func checkLinks(_ line: TrailLine, _ control: TrailControl, _ spot: Spot) {
        switch line.kind {
        case .event, .head, .end: break
        case .start: checkStart(line, control, spot)
        case .repair: checkRepair(line, control, spot)
        case .rotation:
            if let from = control.from {
                rotation = (spot, line.writer, line.sequence, TrailControl.text(from))
            } else if spot.offset != 0 {
                report(.misplaced, spot, line, "the first line of a file, and it is not")
            }
        }
    }

    private func checkStart(_ line: TrailLine, _ control: TrailControl, _ spot: Spot) {
        // The first line of a file in place of one that was moved: its process goes on.
        let isOpening = control.after != nil && spot.offset == 0
        if line.previous != lastDigest, !(isOpening && files.count == 1) {
            let detail =
                line.previous == .none
                ? "begins a new trail, and there are lines before it"
                : lastDigest == .none
                    ? "names a line before it, and there is none"
                    : "the line before it is not the one that it names: that was changed, or lines were put in or "
                        + "taken out"
            report(.missing, spot, line, detail)
        }
        if !isOpening { isOpen = false }
        guard let process = control.process, let count = control.workerCount else { return }
        if processes[process] == nil {
            guard processes.count < Self.maxWriterCount else { return }
            processes[process] = Process(started: 0, expected: count, first: spot)
        }
        processes[process]?.started += 1
    }

    private func checkRepair(_ line: TrailLine, _ control: TrailControl, _ spot: Spot) {
        guard let offset = control.offset, let byteCount = control.byteCount, let digest = control.digest
        else { return }
        func isMarked(_ fragment: Fragment) -> Bool {
            fragment.spot.file == spot.file && fragment.spot.offset == offset
                && fragment.byteCount == byteCount && fragment.digest == digest
        }
        guard let index = fragments.firstIndex(where: isMarked) else {
            report(
                .changed, spot, line,
                "the \(byteCount) bytes at byte \(offset) that it marks as a fragment are not these")
            return
        }
        report(
            .repaired, fragments[index].spot, line,
            "\(byteCount) bytes are a fragment, which \(place(spot).text) marks")
        fragments.remove(at: index)
    }
}
