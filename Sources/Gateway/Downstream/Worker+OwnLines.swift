internal import Bytes
internal import OpenStack

/// The lines that are in every answer of this house's own: the date and the request's id by its three names.
///
/// - Shape: made once a second; each answer is one copy of them, with its id put into its places.
struct OwnLines: ~Copyable {
    /// The second they are of.
    private var second = Int64.min
    private var lines = Buffer(capacity: 256)
    private var places = (gatehouse: 0, compute: 0, openStack: 0)

    /// Makes them anew for `second`, whose Date line is given.
    @inline(never)
    private mutating func renew(_ second: Int64, _ date: ByteView) {
        let id: StaticString = "0123456789012345678901234567890123456789\r\n"
        lines.removeAll()
        lines.append(date)
        lines.append("X-Gatehouse-Request-Id: ")
        places.gatehouse = lines.count
        lines.append(id)
        lines.append("X-Compute-Request-Id: ")
        places.compute = lines.count
        lines.append(id)
        lines.append("X-OpenStack-Request-Id: ")
        places.openStack = lines.count
        lines.append(id)
        self.second = second
    }

    /// Appends them with `id`.
    mutating func append(
        _ id: borrowing RequestIDBytes, second: Int64, date: ByteView, to output: inout Buffer
    ) {
        if second != self.second { renew(second, date) }
        let room = output.writable
        output.append(lines.readable)
        guard lines.count <= room.count, let base = room.baseAddress else { return }
        // Each place has 40 bytes and a line's end behind it.
        withUnsafeBytes(of: id.bytes) { id in
            let id = id.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64, UInt64).self)
            UnsafeMutableRawPointer(base + places.gatehouse).storeBytes(of: id, as: type(of: id))
            UnsafeMutableRawPointer(base + places.compute).storeBytes(of: id, as: type(of: id))
            UnsafeMutableRawPointer(base + places.openStack).storeBytes(of: id, as: type(of: id))
        }
    }
}

extension Worker {
    /// Appends the date and the request's id by its three names.
    func appendOwnLines(_ exchange: ExchangePointer, to output: inout Buffer) {
        ownLines.append(
            exchange.pointee.requestID, second: wallSeconds, date: dateLine.readable, to: &output)
    }

    /// Appends the request's id by those names by which the upstream did not tell its own.
    func appendRequestIDs(
        _ exchange: ExchangePointer, to output: inout Buffer, compute: Bool, openStack: Bool
    ) {
        appendRequestIDs(exchange.pointee.requestID, to: &output, compute: compute, openStack: openStack)
    }

    func appendRequestIDs(
        _ id: borrowing RequestIDBytes, to output: inout Buffer, compute: Bool, openStack: Bool
    ) {
        output.append("X-Gatehouse-Request-Id: ")
        id.append(to: &output)
        if compute {
            output.append("\r\nX-Compute-Request-Id: ")
            id.append(to: &output)
        }
        if openStack {
            output.append("\r\nX-OpenStack-Request-Id: ")
            id.append(to: &output)
        }
        output.append("\r\n")
    }
}
