/// Why certificates, keys or trust could not be taken, for whoever reads the settings.
public struct TLSFault: Error, Sendable {
    /// One sentence without its full stop, with the name of the file it is about.
    public let reason: String

    public init(_ reason: String) { self.reason = reason }
}
