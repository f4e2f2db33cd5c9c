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
        let house = configuration(of: exchange)
        let given = exchange.pointee.headBytes.view(exchange.pointee.head.target.path)
        // An absolute-form target may leave the path out, which means `/` (RFC 9112 §3.2.1).
        let root: StaticString = "/"
        let path = given.isEmpty ? ByteView(start: root.utf8Start, count: 1) : given
        let method = exchange.pointee.head.method
        // The first API that knows the path serves it; when none does, the first one words the refusal.
        for index in house.apis.indices {
            let route = house.apis[index].table.match(path: path, method: method)
            if index == 0 || route.outcome != .unknown {
                exchange.pointee.api = index
                exchange.pointee.route = route
            }
            if route.outcome != .unknown { break }
        }
        if case .operation(let index) = exchange.pointee.route.outcome { exchange.pointee.operation = index }
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
