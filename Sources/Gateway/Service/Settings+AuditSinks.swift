extension Settings {
    /// Where the trail's events go besides its file.
    public struct AuditSink: Sendable, Equatable {
        /// 1 to 64 of `A-Z a-z 0-9 . _ -`, no two with one name: in logs, metrics and the name of the file that says how
        /// far it is. The kind's word unless set.
        public var name: String
        public var destination: Destination

        public enum Destination: Sendable, Equatable {
            case syslog(Syslog)
            case rabbitMQ(RabbitMQ)
            case redis(RedisStream)
        }

        public init(name: String, destination: Destination) {
            self.name = name
            self.destination = destination
        }
    }

    /// A receiver of syslog messages.
    ///
    /// - Source: RFC 5424; RFC 5426 over UDP, RFC 6587 §3.4.1 (octet counting) over TCP, RFC 5425 over TLS.
    public struct Syslog: Sendable, Equatable {
        public enum Transport: String, Sendable, Equatable { case udp, tcp, tls }

        /// `url`: `udp://host` (port 514), `tcp://host` (601) or `tls://host` (6514).
        public var transport: Transport
        public var address: NetworkAddress
        /// Not nil exactly with `tls://`.
        public var tls: ClientTLS?
        /// `facility`, by its word; 13 is the log audit.
        public var facility: UInt8 = 13
        /// `app_name`: 1 to 48 visible ASCII characters.
        public var appName = "gatehouse"
        /// `hostname`: 1 to 255 visible ASCII characters; nil means this machine's name.
        public var hostname: String?
        /// `max_message`: a longer event is sent without its attachments, or with its first members alone.
        public var maxMessageByteCount = 8_192

        public init(transport: Transport, address: NetworkAddress) {
            self.transport = transport
            self.address = address
        }
    }

    /// A RabbitMQ that takes events as OpenStack's notifications.
    public struct RabbitMQ: Sendable, Equatable {
        /// `url`: `amqp://host` (port 5672) or `amqps://host` (5671).
        public var address: NetworkAddress
        /// From `url`, as `/nova`, percent-decoded; `/` unless set.
        public var virtualHost = "/"
        public var username = "guest"
        public var password = "guest"
        /// Not nil exactly with `amqps://`.
        public var tls: ClientTLS?
        /// `exchange`: a topic exchange.
        public var exchange = "nova"
        /// `topic`: a queue of the name `<topic>.info` is bound to the exchange under its own name.
        public var topic = "notifications"
        /// `durable`: exchange and queue outlive the broker; has to be as consumers declare them.
        public var isDurable = true
        /// `event_type`: `audit.http.response`, `audit.cadf`, or another.
        public var eventType = "audit.http.response"
        /// `publisher_id`: nil means `gatehouse.<this machine's name>`.
        public var publisherID: String?

        public init(address: NetworkAddress) { self.address = address }
    }

    /// A stream of a Redis.
    public struct RedisStream: Sendable, Equatable {
        /// As `limits.redis` has it; `prefix`, `deadline` and `instances` are not used.
        public var redis: Redis
        /// `stream`: the key.
        public var key = "gatehouse:audit"
        /// `max_length`: about as many entries stay, older ones are taken away; nil: all stay.
        public var maxEntryCount: Int?

        public init(redis: Redis) { self.redis = redis }
    }
}
