internal import Bytes
internal import HTTP

extension Worker {
    /// Where sessions get the content of streams from: the output of the stream's slot, then its stored content.
    ///
    /// Called by a session in the middle of its sending, so nothing here may end a connection or run a stage.
    var streamSource: HTTP2Source {
        HTTP2Source(
            owner: Unmanaged.passUnretained(self).toOpaque(),
            available: { owner, user, limit in
                Unmanaged<Worker>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                    $0.streamContentCount(user, limit)
                }
            },
            take: { owner, user, place, count in
                Unmanaged<Worker>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                    $0.takeStreamContent(user, to: place, count)
                }
            })
    }

    private func streamContentCount(_ user: UInt64, _ limit: Int) -> Int {
        guard let slot = downstreams.find(Handle(bits: user)), slot.pointee.state != .closed,
            !slot.pointee.isBroken
        else { return HTTP2Source.broken }
        let count = slot.pointee.plainByteCount
        if count > limit { return limit }
        guard slot.pointee.exchange.isNone else { return count > 0 ? count : HTTP2Source.later }
        slot.pointee.isEndGiven = true
        touch(slot)
        return count | HTTP2Source.lastBit
    }

    private func takeStreamContent(_ user: UInt64, to place: UnsafeMutablePointer<UInt8>, _ count: Int) {
        guard let slot = downstreams.find(Handle(bits: user)) else { return }
        slot.pointee.progressByteCount += count
        let head = slot.pointee.output.readable
        let fromOutput = min(count, head.count)
        if fromOutput > 0 {
            place.update(from: head.baseAddress!, count: fromOutput)
            slot.pointee.output.consume(fromOutput)
            if slot.pointee.output.isEmpty { slot.pointee.output.removeAll() }
        }
        let rest = count - fromOutput
        if rest > 0 {
            // There is as much as was said to be: nothing else takes from a stream.
            place.advanced(by: fromOutput).update(from: pendingView(slot).baseAddress!, count: rest)
            slot.pointee.pendingOffset += rest
            dropPendingIfSent(slot)
        }
        touch(slot)
    }
}
