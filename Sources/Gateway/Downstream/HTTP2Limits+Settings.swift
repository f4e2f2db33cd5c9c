internal import HTTP

extension HTTP2Limits {
    /// What the settings allow a client's connection.
    init(_ settings: Settings.HTTP2, headByteCount: Int) {
        self.init()
        self.headByteCount = headByteCount
        maxConcurrentStreams = UInt32(clamping: settings.maxStreamCount)
        // Every stream's window fits into it, so that one that is not read takes nothing from another.
        connectionWindowByteCount = max(
            65_535, UInt32(clamping: settings.maxStreamCount * Int(streamWindowByteCount)))
        budgets.resets = HTTP2Budget(settings.budgets.resets)
        budgets.provokedResets = HTTP2Budget(settings.budgets.provokedResets)
        budgets.controlFrames = HTTP2Budget(settings.budgets.controlFrames)
        budgets.emptyFrames = HTTP2Budget(settings.budgets.emptyFrames)
        budgets.smallWindows = HTTP2Budget(settings.budgets.smallWindows)
    }
}

extension HTTP2Budget {
    fileprivate init(_ budget: Settings.Budget) {
        self.init(
            UInt32(clamping: budget.rate.count), perSeconds: UInt32(budget.rate.unit.rawValue),
            burst: UInt32(clamping: budget.burst))
    }
}
