internal import Bytes
internal import HTTP

extension Worker {
    /// Deliver: the response's content to the client, as it comes and as the client takes it.
    ///
    /// In memory are at most one block read from the upstream and one block to be sent; a full one stops the reading.
    func deliver(_ exchange: ExchangePointer) -> Verdict {
        guard let connection = downstreams.find(exchange.pointee.downstream) else { return .finish }
        if exchange.pointee.failure != .none {
            abandonUpstream(exchange)
            abortDownstream(exchange)
            return .finish
        }
        guard let upstream = upstreams.find(exchange.pointee.upstream) else {
            return cutShort(exchange, .upstreamClosed)
        }
        blocks.attach(to: &connection.pointee.output)
        while true {
            let room = connection.pointee.output.room - Self.chunkOverhead
            let piece = upstream.pointee.content.next(upstream.pointee.input.readable, limit: room)
            switch piece {
            case .bytes(let bytes, _):
                if exchange.pointee.responseIsChunked {
                    connection.pointee.output.appendChunkHead(byteCount: bytes.count)
                }
                connection.pointee.output.append(bytes)
                if exchange.pointee.responseIsChunked { connection.pointee.output.append("\r\n") }
                exchange.pointee.responseByteCount += UInt64(bytes.count)
            case .skipped: break
            case .ended:
                upstream.pointee.input.consume(upstream.pointee.content.consume(piece))
                return endDelivery(exchange, connection)
            case .refused: return cutShort(exchange, .responseIncomplete)
            case .needMore:
                if room <= 0 {
                    guard flush(connection) else { return .finish }
                    if connection.pointee.output.isEmpty { continue }
                    connection.pointee.output.compact()
                    if connection.pointee.output.room > Self.chunkOverhead + 4_096 { continue }
                    if upstream.pointee.input.room == 0 { setInterest(upstream, reading: false) }
                    if connection.pointee.deadline == 0 {
                        setDeadline(connection, now + configuration.contentProgressNanoseconds)
                    }
                    return .wait(.room)
                }
                if upstream.pointee.peerEnded {
                    guard upstream.pointee.endsWithPeer else {
                        return cutShort(exchange, .responseIncomplete)
                    }
                    upstream.pointee.content.isEnded = true
                    return endDelivery(exchange, connection)
                }
                if !upstream.pointee.interest.contains(.read) || upstream.pointee.deadline == 0 {
                    setInterest(upstream, reading: true)
                    setDeadline(
                        upstream,
                        upstream.pointee.pool._withUnsafeGuaranteedRef { now + $0.progressNanoseconds })
                }
                return .wait(.responseContent)
            }
            upstream.pointee.input.consume(upstream.pointee.content.consume(piece))
        }
    }

    /// Size line and CRLF of a chunk, and the last chunk that must still fit.
    private static var chunkOverhead: Int { 32 }

    private func endDelivery(_ exchange: ExchangePointer, _ connection: DownstreamPointer) -> Verdict {
        if exchange.pointee.responseIsChunked { connection.pointee.output.appendChunkedEnd() }
        releaseUpstream(exchange)
        return .finish
    }

    private func cutShort(_ exchange: ExchangePointer, _ failure: Failure) -> Verdict {
        exchange.pointee.failure = failure
        abandonUpstream(exchange)
        abortDownstream(exchange)
        return .finish
    }
}
