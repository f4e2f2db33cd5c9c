#if canImport(Glibc)
    public import Glibc
#endif

/// A value that several loops share, each holding the lock for a moment.
///
/// - Shape: pthread's mutex and not Swift's: both cost the same uncontended, and ThreadSanitizer sees only the former, so
///   that with it a report of a race is one.
/// - Ownership: the value lives as long as the object; what `withLock` lends must not leave its body.
public final class Guarded<Value: ~Copyable>: @unchecked Sendable {
    // Unchecked: `value` is touched with the lock held alone.
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let value: UnsafeMutablePointer<Value>

    public init(_ value: consuming sending Value) {
        mutex = .allocate(capacity: 1)
        let made = pthread_mutex_init(mutex, nil)
        precondition(made == 0, "a plain mutex can always be made")
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` with the lock held; it must not wait for anything.
    @inlinable public func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&value.pointee)
    }
}
