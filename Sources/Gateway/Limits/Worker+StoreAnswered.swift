internal import Bytes

extension Worker {
    /// The shared store answered an exchange, or did not in time.
    func storeAnswered(_ handle: Handle, _ answers: StoreAnswers?) { resume(handle) }
}
