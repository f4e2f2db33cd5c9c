public import Bytes

extension FieldSection {
    /// Tells whether a Connection line names the field `name`, which then ends at this hop.
    ///
    /// - Source: RFC 9110 §7.6.1.
    public func nominates(_ name: ByteView, in bytes: ByteView) -> Bool {
        var next = index(of: .connection)
        while let line = next {
            let value = bytes.view(self[line].value)
            var list = FieldList(value, readsQuotes: false)
            while let member = list.next() {
                if value.view(member).equalsIgnoringCase(name) { return true }
            }
            next = index(of: .connection, from: line + 1)
        }
        return false
    }
}
