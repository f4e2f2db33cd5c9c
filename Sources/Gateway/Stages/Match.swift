internal import Bytes
internal import HTTP
internal import OpenStack

extension Worker {
    /// Match: finds the operation; refuses content that is declared too long, as Nova does before all else.
    func match(_ exchange: ExchangePointer) -> Verdict {
        if exchange.pointee.head.target.form == .asterisk, exchange.pointee.head.method == .options {
            exchange.pointee.reply.kind = .empty
            exchange.pointee.reply.status = 204
            return .reply
        }
        let given = exchange.pointee.headBytes.view(exchange.pointee.head.target.path)
        // An absolute-form target may leave the path out, which means `/` (RFC 9112 §3.2.1).
        let root: StaticString = "/"
        let path = given.isEmpty ? ByteView(start: root.utf8Start, count: 1) : given
        let method = exchange.pointee.head.method
        // The first API that knows the path serves it; when none does, the first one words the refusal.
        withHouse(of: exchange) { house in
            for index in house.apis.indices {
                let site = house.sites[index]
                let route = site._withUnsafeGuaranteedRef { $0.table.match(path: path, method: method) }
                guard index == 0 || route.outcome != .unknown else { continue }
                exchange.pointee.api = index
                exchange.pointee.site = site
                exchange.pointee.route = route
                if case .operation(let operation) = route.outcome {
                    exchange.pointee.operation = operation
                    exchange.pointee.facts = site._withUnsafeGuaranteedRef { $0.table.lend(operation) }
                }
                if route.outcome != .unknown { return }
            }
        }
        if case .length(let length) = exchange.pointee.head.framing,
            length > UInt64(maxContentByteCount(exchange))
        {
            // What is declared too long is not read at all; the connection cannot be used again.
            exchange.pointee.closesDownstream = true
            return fail(exchange, .contentTooLarge)
        }
        return .next
    }

    /// The API's own limit for the operation, or for what matches none.
    func maxContentByteCount(_ exchange: ExchangePointer) -> Int {
        if let operation = operation(of: exchange) { return operation.maxContentByteCount }
        return 114_688
    }
}
