extension UnsafePointer {
    /// Copies the elements of an array to a block of their own, where looking at one counts and checks nothing.
    ///
    /// - Ownership: the caller's, who deallocates it. Elements have to be trivial, since nothing is done for each then.
    public static func frozen(_ array: [Pointee]) -> UnsafePointer<Pointee> {
        let block = UnsafeMutablePointer<Pointee>.allocate(capacity: Swift.max(array.count, 1))
        block.initialize(from: array, count: array.count)
        return UnsafePointer(block)
    }
}
