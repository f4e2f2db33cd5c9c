public import Bytes
internal import Foundation
internal import HTTP

/// The virtual interfaces of a server in the forms of two retired lists, made from what Nova has today.
///
/// - Source: the list virtual interfaces document (`os-virtual-interfacesv2`), Nova's list up to Queens
///   (`os-virtual-interfaces`), the compute API's «Port interfaces» and «Servers IPs».
public enum VirtualInterfaces {
    /// Which list is asked for.
    public enum Form: Equatable, Sendable {
        /// The document's: per interface its id, its addresses with network and label, its MAC address.
        case document
        /// Nova's own: id and MAC address, the network's id where the version has it; part of the list by `window`.
        case nova(network: NetworkMember, window: Window)
    }

    /// The member that names the network in Nova's form.
    public enum NetworkMember: Sendable {
        case none, netID, extendedNetID

        /// `net_id` from microversion 2.12; `/v2` has the name of its extension.
        public init(version: APIVersion, microversion: Microversion) {
            if version == .v2 {
                self = .extendedNetID
            } else {
                self = microversion >= Microversion(major: 2, minor: 12) ? .netID : .none
            }
        }

        var wire: StaticString {
            switch self {
            case .none: ""
            case .netID: "net_id"
            case .extendedNetID: "OS-EXT-VIF-NET:net_id"
            }
        }
    }

    /// The part of the list that `offset` and `limit` ask for.
    public struct Window: Equatable, Sendable {
        /// Nova's own `max_limit`, for a larger `limit`, for 0 and for none.
        public static let maxCount = 1_000

        public var offset = 0
        public var count = Window.maxCount

        public init() {}

        /// Reads a query; of a repeated parameter the last number counts, and what is no number counts for nothing.
        ///
        /// - Limits: `scratch` needs room for the query.
        public init(query: ByteView, scratch: inout Buffer) {
            var reader = QueryReader(query)
            while let pair = reader.next() {
                let name = OperationTable.decoded(query.view(pair.name), &scratch)
                let isOffset = name.equals("offset")
                guard isOffset || name.equals("limit") else { continue }
                let text = OperationTable.decoded(query.view(pair.value), &scratch)
                guard !text.isEmpty, text.allSatisfy(ASCII.isDigit) else { continue }
                // Beyond this, and beyond all numbers, the list has long ended.
                let value = Int(min(Decimal.read(text) ?? .max, 1 << 31))
                if isOffset {
                    offset = value
                } else {
                    count = value == 0 ? Self.maxCount : min(value, Self.maxCount)
                }
            }
        }
    }

    /// The two lists among an API's operations, found by their paths; at least one of them is there.
    public struct Operations: Sendable {
        /// Index of `os-virtual-interfacesv2`; -1 for none.
        public let document: Int
        /// Index of `os-virtual-interfaces`; -1 for none.
        public let nova: Int

        /// Nil when the API has neither list.
        public init?(in table: OperationTable) {
            let find = { (list: String) in
                table.operations.firstIndex { operation in
                    let segments = operation.path.split(separator: "/")
                    return operation.method == .get && segments.count >= 3 && segments.last == list[...]
                        && segments[segments.count - 3] == "servers"
                } ?? -1
            }
            document = find("os-virtual-interfacesv2")
            nova = find("os-virtual-interfaces")
            guard document >= 0 || nova >= 0 else { return nil }
        }

        /// Whether the operation is one of them.
        public func contains(_ operation: Int) -> Bool {
            operation >= 0 && (operation == document || operation == nova)
        }
    }

    /// The microversion from which `os-virtual-interfaces` is 404.
    public static let novaEnd = Microversion(major: 2, minor: 44)
    /// Why a definition does not do for an API that translates.
    public static let missing = """
        there is nothing for `virtual_interfaces: translate`: neither GET …/servers/{id}/os-virtual-interfacesv2 nor \
        …/os-virtual-interfaces is an operation of it
        """
    /// Bytes of a list made here at most; no server has so many interfaces.
    public static let maxByteCount = 4 << 20

    /// Appends the list as JSON, spaced as Nova spaces it; false when what the upstream said is not what it says.
    ///
    /// - Shape: `interfaces` is the content of `GET …/os-interface`, `addresses` that of `GET …/ips`, which Nova's form
    ///   needs not. The order is the upstream's. `output` grows as needed.
    /// - Limits: `maxByteCount` in `output`; what is longer is no list of interfaces.
    /// - Errors: an address that `…/ips` does not have, or has under several labels of which none is shown to be the
    ///   network's, gets an empty `network_label`: never a label that may be another network's.
    public static func append(
        interfaces: ByteView, addresses: ByteView? = nil, form: Form, to output: inout Buffer
    ) -> Bool {
        guard let list = read(Attachments.self, interfaces)?.interfaceAttachments else { return false }
        switch form {
        case .document:
            guard let addresses, let found = read(Addresses.self, addresses) else { return false }
            let labels = NetworkLabels(found.addresses, list)
            return appendList(list[...], to: &output) { interface, output in
                appendAddresses(of: interface, labels, to: &output)
                appendMember("mac_address", interface.mac_addr, to: &output)
            }
        case .nova(let network, let window):
            let part = list.dropFirst(window.offset).prefix(window.count)
            return appendList(part, to: &output) { interface, output in
                appendMember("mac_address", interface.mac_addr, to: &output)
                if network != .none { appendMember(network.wire, interface.net_id, to: &output) }
            }
        }
    }

    // MARK: - Reading

    struct Attachments: Decodable { let interfaceAttachments: [Attachment] }

    struct Attachment: Decodable {
        let port_id: String
        let net_id: String
        let mac_addr: String
        /// Null where the network service says nothing of them.
        let fixed_ips: [FixedAddress]?
    }

    struct FixedAddress: Decodable { let ip_address: String }

    struct Addresses: Decodable { let addresses: [String: [Address]] }

    struct Address: Decodable { let addr: String }

    /// The scanner bounds the nesting and wants UTF-8, before anything is built.
    private static func read<Value: Decodable>(_ type: Value.Type, _ content: ByteView) -> Value? {
        guard let base = content.baseAddress, JSONScanner.scan(content) != nil else { return nil }
        return try? JSONDecoder().decode(type, from: Data(bytes: base, count: content.count))
    }

    // MARK: - Writing

    private static func appendList(
        _ list: ArraySlice<Attachment>, to output: inout Buffer, rest: (Attachment, inout Buffer) -> Void
    ) -> Bool {
        append("{\"virtual_interfaces\": [", to: &output)
        for (place, interface) in list.enumerated() {
            append(place == 0 ? "{\"id\": " : ", {\"id\": ", to: &output)
            append(text: interface.port_id, to: &output)
            rest(interface, &output)
            append("}", to: &output)
        }
        append("]}", to: &output)
        return !output.hasOverflowed
    }

    private static func appendAddresses(
        of interface: Attachment, _ labels: NetworkLabels, to output: inout Buffer
    ) {
        append(", \"ip_addresses\": [", to: &output)
        for (place, address) in (interface.fixed_ips ?? []).map(\.ip_address).enumerated() {
            append(place == 0 ? "{\"address\": " : ", {\"address\": ", to: &output)
            append(text: address, to: &output)
            appendMember("network_id", interface.net_id, to: &output)
            appendMember(
                "network_label", labels.label(of: address, on: interface.net_id) ?? "", to: &output)
            append("}", to: &output)
        }
        append("]", to: &output)
    }

    private static func appendMember(_ name: StaticString, _ value: String, to output: inout Buffer) {
        append(", \"", to: &output)
        append(name, to: &output)
        append("\": ", to: &output)
        append(text: value, to: &output)
    }

    private static func append(_ literal: StaticString, to output: inout Buffer) {
        reserve(literal.utf8CodeUnitCount, in: &output)
        output.append(literal)
    }

    private static func append(text: String, to output: inout Buffer) {
        var text = text
        text.withUTF8 { bytes in
            // An escaped byte takes six.
            reserve(6 * bytes.count + 2, in: &output)
            output.append(0x22)
            output.appendJSONEscaped(bytes)
            output.append(0x22)
        }
    }

    /// Makes room, up to the limit; beyond it the buffer overflows, which is looked at once at the end.
    private static func reserve(_ byteCount: Int, in output: inout Buffer) {
        guard output.room < byteCount else { return }
        output.enlarge(to: min(maxByteCount, max(1_024, output.capacity * 2, output.end + byteCount)))
    }
}

/// Which network has which label, found by the addresses that both answers have.
///
/// `…/ips` groups addresses by label and tells no network, `…/os-interface` the other way round. The server's own
/// document would tell the MAC address too, but costs Nova more than twice as much.
struct NetworkLabels {
    /// Labels kept per address; more are as good as none.
    private static let maxCount = 8

    private var labelsByAddress: [String: [String]] = [:]
    /// Of networks whose label all their known addresses agree on.
    private var labelByNetwork: [String: String] = [:]

    init(_ addresses: [String: [VirtualInterfaces.Address]], _ list: [VirtualInterfaces.Attachment]) {
        for (label, members) in addresses {
            for address in Set(members.map(\.addr)) {
                var labels = labelsByAddress[address] ?? []
                if labels.count < Self.maxCount { labels.append(label) }
                labelsByAddress[address] = labels
            }
        }
        var candidates: [String: [String]] = [:]
        for interface in list {
            for address in interface.fixed_ips ?? [] {
                guard let labels = labelsByAddress[address.ip_address], labels.count < Self.maxCount else {
                    continue
                }
                let known = candidates[interface.net_id]
                candidates[interface.net_id] = known.map { $0.filter(labels.contains) } ?? labels
            }
        }
        labelByNetwork = candidates.compactMapValues { $0.count == 1 ? $0[0] : nil }
    }

    /// The label of `address` on a network; nil when the answers do not show it.
    func label(of address: String, on network: String) -> String? {
        if let label = labelByNetwork[network] { return label }
        let labels = labelsByAddress[address] ?? []
        return labels.count == 1 ? labels[0] : nil
    }
}
