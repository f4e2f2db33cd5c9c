extension AuditSink {
    /// Makes the receiver that settings name; connects to nothing yet.
    ///
    /// - Errors: `TLSFault` when certificates cannot be loaded.
    static func destination(of settings: Settings.AuditSink.Destination) throws -> any SinkDestination {
        switch settings {
        case .syslog(let settings): return try SyslogDestination(settings)
        case .rabbitMQ(let settings): return try RabbitDestination(settings)
        case .redis(let settings): return try RedisStreamDestination(settings)
        }
    }
}
