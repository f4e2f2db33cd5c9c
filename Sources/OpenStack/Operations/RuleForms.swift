internal import Bytes

/// The plain forms that rules ask for.
enum RuleForms {
    /// `^[0-9]*$` of Python and not empty: ASCII digits, and a line feed may end them.
    static func isDigits(_ value: ByteView) -> Bool {
        guard !value.isEmpty else { return false }
        let end = value[value.count - 1] == 0x0A ? value.count - 1 : value.count
        for index in 0..<end where !ASCII.isDigit(value[index]) { return false }
        return true
    }

    /// 1 to 255 of letters, digits, dash, dot and underscore; a line feed may be the last, as Python's `$` has it.
    static func isHostname(_ value: ByteView) -> Bool {
        (1...255).contains(value.count) && hasHostnameForm(value)
    }

    static func hasHostnameForm(_ value: ByteView) -> Bool {
        let end = value.count > 0 && value[value.count - 1] == 0x0A ? value.count - 1 : value.count
        for index in 0..<end {
            let byte = value[index]
            guard
                ASCII.isDigit(byte) || ((byte | 0x20) &- 0x61) < 26 || byte == 0x2D || byte == 0x2E
                    || byte == 0x5F
            else { return false }
        }
        return true
    }

    /// A UUID of either case; nothing is no marker, and spaces at the end do not matter to the database.
    static func isMarker(_ value: ByteView) -> Bool {
        var end = value.count
        if end == 0 { return true }
        while end > 0, value[end - 1] == 0x20 { end -= 1 }
        return UUIDForm.isCanonical(value.view(0, end))
    }

    /// Tells whether the text certainly names no server: printable ASCII that is no UUID of either case.
    ///
    /// Other characters are left to the database, whose collation may take them for plain ones.
    static func isNoServer(_ value: ByteView) -> Bool {
        if isMarker(value) { return false }
        for byte in value where byte < 0x20 || byte > 0x7E { return false }
        return true
    }

    /// `asc` or `desc`, with white space around it as Nova allows; what is not ASCII is left to Nova.
    static func isSortDirection(_ value: ByteView) -> Bool {
        for byte in value where byte > 0x7E { return true }
        let word = PythonText.stripped(value)
        return word.equals("asc") || word.equals("desc")
    }

    /// Tells whether a server status has the name, case aside; `UNKNOWN` is shown but cannot be asked for.
    static func isStatus(_ value: ByteView) -> Bool {
        switch value.count {
        case 5: value.equalsIgnoringCase("build") || value.equalsIgnoringCase("error")
        case 6:
            value.equalsIgnoringCase("active") || value.equalsIgnoringCase("paused")
                || value.equalsIgnoringCase("reboot") || value.equalsIgnoringCase("rescue")
                || value.equalsIgnoringCase("resize")
        case 7:
            value.equalsIgnoringCase("rebuild") || value.equalsIgnoringCase("shelved")
                || value.equalsIgnoringCase("shutoff") || value.equalsIgnoringCase("deleted")
        case 8: value.equalsIgnoringCase("password")
        case 9: value.equalsIgnoringCase("migrating") || value.equalsIgnoringCase("suspended")
        case 11: value.equalsIgnoringCase("hard_reboot")
        case 12: value.equalsIgnoringCase("soft_deleted")
        case 13: value.equalsIgnoringCase("verify_resize") || value.equalsIgnoringCase("revert_resize")
        case 17: value.equalsIgnoringCase("shelved_offloaded")
        default: false
        }
    }
}
