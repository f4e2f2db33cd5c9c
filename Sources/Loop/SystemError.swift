import CLinux

/// A kernel call that failed where the caller cannot go on.
///
/// - Shape: the call's name as the manual pages spell it, and its errno value (positive).
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    public let call: StaticString
    public let code: Int32

    public init(call: StaticString, code: Int32) {
        self.call = call
        self.code = code
    }

    /// Throws when `answer` is a negated errno value, else gives it back.
    @discardableResult
    static func check(_ call: StaticString, _ answer: Int32) throws(SystemError) -> Int32 {
        guard answer < 0 else { return answer }
        throw SystemError(call: call, code: -answer)
    }

    public var description: String { "\(call): \(Self.describe(code))" }

    /// The text and the name of an errno value: `Address already in use (EADDRINUSE)`.
    public static func describe(_ code: Int32) -> String {
        var storage = InlineArray<160, CChar>(repeating: 0)
        var span = storage.mutableSpan
        return span.withUnsafeMutableBufferPointer { bytes in
            let text = bytes.baseAddress!
            let name = text + 128
            CLinux_describe(code, text, 128, name, 32)
            return name.pointee == 0
                ? "\(String(cString: text)) (\(code))" : "\(String(cString: text)) (\(String(cString: name)))"
        }
    }

    public static func == (left: SystemError, right: SystemError) -> Bool {
        left.code == right.code && left.call.description == right.call.description
    }
}
