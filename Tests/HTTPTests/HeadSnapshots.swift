import Bytes
import HTTP

/// All that a read request head says, as plain text to compare.
struct RequestSnapshot: Equatable {
    var result = HeadResult.incomplete
    var method = ""
    var target = ""
    var path = ""
    var query: String?
    var authority = ""
    var version = HTTPVersion.http11
    var fields: [String] = []
    var framing = Framing.none
    var keepsAlive = false
    var expectsContinue = false
    var host = ""
    var byteCount = 0

    /// Reads the prefixes in order until one decides.
    static func read(_ prefixes: [[UInt8]], limits: HeadLimits = HeadLimits()) -> RequestSnapshot {
        var reader = RequestReader()
        var head = RequestHead(fieldCapacity: 100)
        for prefix in prefixes {
            let snapshot = prefix.withUnsafeBufferPointer { bytes in
                RequestSnapshot(reader.read(bytes, into: &head, limits: limits), head, bytes)
            }
            if snapshot.result != .incomplete { return snapshot }
        }
        return RequestSnapshot()
    }

    init() {}

    init(_ result: HeadResult, _ head: borrowing RequestHead, _ bytes: ByteView) {
        self.result = result
        guard result == .complete else { return }
        method = bytes.view(head.methodName).latin1
        target = bytes.view(head.target.whole).latin1
        path = bytes.view(head.target.path).latin1
        query = head.target.hasQuery ? bytes.view(head.target.query).latin1 : nil
        authority = bytes.view(head.target.authority).latin1
        version = head.version
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            fields.append(bytes.view(line.name).latin1 + ":" + bytes.view(line.value).latin1)
        }
        framing = head.framing
        keepsAlive = head.keepsAlive
        expectsContinue = head.expectsContinue
        host = bytes.view(head.host).latin1
        byteCount = head.byteCount
    }
}

/// All that a read response head says.
struct ResponseSnapshot: Equatable {
    var result = HeadResult.incomplete
    var status = 0
    var reason = ""
    var fields: [String] = []
    var framing = Framing.none
    var keepsAlive = false
    var byteCount = 0

    static func read(_ prefixes: [[UInt8]], _ method: Method, limits: HeadLimits = HeadLimits())
        -> ResponseSnapshot
    {
        var reader = ResponseReader()
        var head = ResponseHead(fieldCapacity: 100)
        for prefix in prefixes {
            let snapshot = prefix.withUnsafeBufferPointer { bytes in
                ResponseSnapshot(
                    reader.read(bytes, into: &head, requestMethod: method, limits: limits), head, bytes)
            }
            if snapshot.result != .incomplete { return snapshot }
        }
        return ResponseSnapshot()
    }

    init() {}

    init(_ result: HeadResult, _ head: borrowing ResponseHead, _ bytes: ByteView) {
        self.result = result
        guard result == .complete else { return }
        status = head.status
        reason = bytes.view(head.reason).latin1
        for index in 0..<head.fields.count {
            let line = head.fields[index]
            fields.append(bytes.view(line.name).latin1 + ":" + bytes.view(line.value).latin1)
        }
        framing = head.framing
        keepsAlive = head.keepsAlive
        byteCount = head.byteCount
    }
}
