internal import Bytes
internal import HTTP

/// A request of our own to some service, and its answer; owned by one worker.
///
/// It travels as an exchange without a client through Forward and Receive, so that connections, time limits, ejection and
/// repetition are those of every exchange. For what is asked now and then, not for each request of a client.
final class Call {
    let pool: UpstreamPool
    let method: Method
    /// Head and content, complete.
    let request: Content
    let maxByteCount: Int
    /// The exchange that carries it, once it was started.
    var exchange = Handle.none
    /// Runs once on the worker, in the turn that brought the answer or the failure.
    private var ended: ((Worker, Call) -> Void)?

    /// 0 until an answer came whole.
    private(set) var status = 0
    private(set) var content = Buffer()
    /// Fields of the answer that somebody asks for.
    var subjectToken: Content?
    var retryAfterSeconds: Int?
    /// The head of the answer, kept where `keepsHead` asks for it, and who gave it.
    let keepsHead: Bool
    var head: Content?
    var endpoint: Unmanaged<Endpoint>?
    var failure = Failure.none

    init(
        _ pool: UpstreamPool, _ method: Method, _ request: ByteView, maxByteCount: Int,
        keepsHead: Bool = false, ended: @escaping (Worker, Call) -> Void
    ) {
        self.pool = pool
        self.method = method
        self.request = Content(request)
        self.maxByteCount = maxByteCount
        self.keepsHead = keepsHead
        self.ended = ended
    }

    /// Takes a piece of the answer in; false when there is too much of it.
    func collect(_ bytes: ByteView) -> Bool {
        guard content.count + bytes.count <= maxByteCount else { return false }
        if content.room < bytes.count {
            content.enlarge(to: max(4_096, content.capacity * 2, content.end + bytes.count))
        }
        content.append(bytes)
        return true
    }

    /// Nobody is to be told any more.
    func forget() { ended = nil }

    /// Tells whoever made the call, once.
    func end(_ worker: Worker, status: Int, _ failure: Failure) {
        guard let ended else { return }
        self.ended = nil
        self.status = status
        self.failure = failure
        ended(worker, self)
    }
}
