internal import Bytes
internal import HTTP
internal import Loop

extension Worker {
    /// Identify: gives the exchange its id and decides whose word counts for where it comes from.
    func identify(_ exchange: ExchangePointer) -> Verdict {
        exchange.pointee.requestID.renew(&random, scratch: &scratch)
        if !configuration.trustedProxies.isEmpty,
            let connection = downstreams.find(exchange.pointee.downstream)
        {
            for block in configuration.trustedProxies
            where block.contains(connection.pointee.peer.ip.unmapped) {
                exchange.pointee.peerIsTrusted = true
                break
            }
        }
        return .next
    }
}
