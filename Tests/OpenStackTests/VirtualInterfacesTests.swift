import Bytes
import Testing

@testable import OpenStack

struct VirtualInterfacesTests {
    /// One attachment of `os-interface`, as Nova writes it.
    static func attachment(
        _ port: String, on network: String, _ addresses: [String], mac: String = "fa:16:3e:00:00:01"
    ) -> String {
        let fixed = addresses.map { "{\"subnet_id\": \"s\", \"ip_address\": \"\($0)\"}" }
            .joined(separator: ", ")
        return "{\"net_id\": \"\(network)\", \"port_id\": \"\(port)\", \"mac_addr\": \"\(mac)\", "
            + "\"port_state\": \"ACTIVE\", \"fixed_ips\": [\(fixed)]}"
    }

    static func attachments(_ items: String...) -> String {
        "{\"interfaceAttachments\": [\(items.joined(separator: ", "))]}"
    }

    /// What `…/ips` says: labels and the addresses below them.
    static func ips(_ labels: (String, [String])...) -> String {
        let members = labels.map { label, addresses in
            "\"\(label)\": ["
                + addresses.map { "{\"version\": 4, \"addr\": \"\($0)\"}" }.joined(separator: ", ") + "]"
        }
        return "{\"addresses\": {\(members.joined(separator: ", "))}}"
    }

    /// The list, or nil where the upstream's answers are none.
    static func made(
        _ interfaces: String, _ addresses: String? = nil, _ form: VirtualInterfaces.Form = .document
    ) -> String? {
        withBytes(interfaces) { interfaces in
            var output = Buffer()
            let isMade =
                addresses.map { text in
                    withBytes(text) {
                        VirtualInterfaces.append(
                            interfaces: interfaces, addresses: $0, form: form, to: &output)
                    }
                } ?? VirtualInterfaces.append(interfaces: interfaces, form: form, to: &output)
            return isMade ? output.readable.string : nil
        }
    }

    /// The labels of a made list, one an address, in its order.
    static func labels(_ interfaces: String, _ addresses: String) throws -> [String] {
        let list = try #require(made(interfaces, addresses))
        return list.matches(of: /"network_label": "([^"]*)"/).map { String($0.1) }
    }

    @Test func `the list has the members of the document, in its order`() {
        let list = Self.made(
            Self.attachments(
                Self.attachment("p1", on: "n1", ["2001:db8::1", "192.0.2.1"], mac: "BC:76:4E:04:79:5E"),
                Self.attachment("p2", on: "n2", ["10.0.0.1"])),
            Self.ips(("public", ["192.0.2.1", "2001:db8::1"]), ("private", ["10.0.0.1"])))
        #expect(
            list == """
                {"virtual_interfaces": [{"id": "p1", "ip_addresses": [{"address": "2001:db8::1", \
                "network_id": "n1", "network_label": "public"}, {"address": "192.0.2.1", "network_id": "n1", \
                "network_label": "public"}], "mac_address": "BC:76:4E:04:79:5E"}, {"id": "p2", \
                "ip_addresses": [{"address": "10.0.0.1", "network_id": "n2", "network_label": "private"}], \
                "mac_address": "fa:16:3e:00:00:01"}]}
                """)
    }

    @Test func `a server without interfaces has an empty list`() {
        #expect(Self.made(Self.attachments(), Self.ips()) == "{\"virtual_interfaces\": []}")
        #expect(
            Self.made(Self.attachments(), nil, .nova(network: .netID, window: .init()))
                == "{\"virtual_interfaces\": []}")
    }

    @Test(arguments: ["\"fixed_ips\": null", "\"fixed_ips\": []", "\"tag\": null"])
    func `an interface without addresses has an empty list of them`(_ member: String) {
        let interface = "{\"net_id\": \"n\", \"port_id\": \"p\", \"mac_addr\": \"m\", \(member)}"
        #expect(
            Self.made(Self.attachments(interface), Self.ips(("l", [])))
                == "{\"virtual_interfaces\": [{\"id\": \"p\", \"ip_addresses\": [], \"mac_address\": \"m\"}]}"
        )
    }

    @Test func `texts are escaped as Nova escapes them`() throws {
        let list = Self.made(
            Self.attachments(Self.attachment("p", on: "n", ["10.0.0.1"])),
            Self.ips((#"caf\u00e9 \"é\" \\ \ud83d\ude00"#, ["10.0.0.1"])))
        #expect(
            try #require(list).contains(#""network_label": "caf\u00e9 \"\u00e9\" \\ \ud83d\ude00""#))
    }

    // MARK: - Labels

    @Test func `an address of two labels belongs to the one that the network's other addresses have`() throws
    {
        let interfaces = Self.attachments(
            Self.attachment("p1", on: "n1", ["10.0.0.5", "2001:db8::5"]),
            Self.attachment("p2", on: "n2", ["192.0.2.5", "10.0.0.5"]))
        let addresses = Self.ips(("a", ["10.0.0.5", "2001:db8::5"]), ("b", ["10.0.0.5", "192.0.2.5"]))
        #expect(try Self.labels(interfaces, addresses) == ["a", "a", "b", "b"])
    }

    @Test func `another interface on the same network tells its label too`() throws {
        let interfaces = Self.attachments(
            Self.attachment("p1", on: "n1", ["10.0.0.5"]), Self.attachment("p2", on: "n1", ["10.0.0.6"]),
            Self.attachment("p3", on: "n2", ["10.0.0.5"]), Self.attachment("p4", on: "n2", ["10.0.0.7"]))
        let addresses = Self.ips(("a", ["10.0.0.5", "10.0.0.6"]), ("b", ["10.0.0.5", "10.0.0.7"]))
        #expect(try Self.labels(interfaces, addresses) == ["a", "a", "b", "b"])
    }

    @Test func `a label that may be another network's is not given`() throws {
        let interfaces = Self.attachments(
            Self.attachment("p1", on: "n1", ["10.0.0.5"]), Self.attachment("p2", on: "n2", ["10.0.0.5"]))
        let addresses = Self.ips(("a", ["10.0.0.5"]), ("b", ["10.0.0.5"]))
        #expect(try Self.labels(interfaces, addresses) == ["", ""])
    }

    @Test func `two networks of one label share it`() throws {
        let interfaces = Self.attachments(
            Self.attachment("p1", on: "n1", ["10.0.0.5"]), Self.attachment("p2", on: "n2", ["10.0.0.5"]))
        #expect(try Self.labels(interfaces, Self.ips(("a", ["10.0.0.5", "10.0.0.5"]))) == ["a", "a"])
    }

    @Test func `an address that Nova does not know yet has its network's label, or none`() throws {
        let interfaces = Self.attachments(
            Self.attachment("p1", on: "n1", ["10.0.0.5", "10.0.0.6"]),
            Self.attachment("p2", on: "n2", ["10.1.0.5"]))
        #expect(try Self.labels(interfaces, Self.ips(("a", ["10.0.0.5"]))) == ["a", "a", ""])
    }

    @Test func `addresses that contradict each other keep what each one says`() throws {
        let interfaces = Self.attachments(Self.attachment("p1", on: "n1", ["10.0.0.5", "10.1.0.5"]))
        #expect(
            try Self.labels(interfaces, Self.ips(("a", ["10.0.0.5"]), ("b", ["10.1.0.5"]))) == ["a", "b"])
    }

    @Test func `floating addresses of a label do no harm`() throws {
        let interfaces = Self.attachments(Self.attachment("p1", on: "n1", ["10.0.0.5"]))
        #expect(try Self.labels(interfaces, Self.ips(("a", ["10.0.0.5", "192.0.2.9"]))) == ["a"])
    }

    @Test func `an address of many labels has none, whatever their number`() throws {
        let interfaces = Self.attachments(Self.attachment("p1", on: "n1", ["10.0.0.5"]))
        for count in [2, 7, 8, 9, 100] {
            let members = (0..<count).map { "\"l\($0)\": [{\"addr\": \"10.0.0.5\"}]" }
            let addresses = "{\"addresses\": {\(members.joined(separator: ", "))}}"
            #expect(try Self.labels(interfaces, addresses) == [""], "\(count)")
        }
    }

    // MARK: - Nova's own form

    @Test(arguments: [
        (APIVersion.v21, "2.1", ""), (.v21, "2.11", ""), (.v21, "2.12", ", \"net_id\": \"n\""),
        (.v21, "2.43", ", \"net_id\": \"n\""), (.v2, "2.1", ", \"OS-EXT-VIF-NET:net_id\": \"n\""),
    ])
    func `Nova's list names the network where its version does`(
        _ version: APIVersion, _ microversion: String, _ member: String
    ) {
        let network = VirtualInterfaces.NetworkMember(
            version: version, microversion: withBytes(microversion) { Microversion.read($0)! })
        let list = Self.made(
            Self.attachments(Self.attachment("p", on: "n", ["10.0.0.1"], mac: "m")), nil,
            .nova(network: network, window: .init()))
        #expect(list == "{\"virtual_interfaces\": [{\"id\": \"p\", \"mac_address\": \"m\"\(member)}]}")
    }

    @Test(arguments: [
        ("", "abcd"), ("limit=2", "ab"), ("offset=1", "bcd"), ("offset=3&limit=2", "d"), ("offset=4", ""),
        ("offset=99999999999999999999&limit=18446744073709551615", ""),
        ("limit=99999999999999999999", "abcd"),
        ("offset=18446744073709551615", ""), ("limit=0", "abcd"), ("limit=1&limit=3", "abc"),
        ("%6cimit=1", "a"), ("limit=%32", "ab"), ("Limit=1", "abcd"), ("limit=", "abcd"), ("limit=x", "abcd"),
        ("offset=-1;limit=1", "a"),
    ])
    func `limit and offset cut Nova's list`(_ query: String, _ expected: String) throws {
        var scratch = Buffer(capacity: 256)
        let window = withBytes(query) { VirtualInterfaces.Window(query: $0, scratch: &scratch) }
        let interfaces = Self.attachments(
            Self.attachment("a", on: "n", []), Self.attachment("b", on: "n", []),
            Self.attachment("c", on: "n", []), Self.attachment("d", on: "n", []))
        let list = try #require(Self.made(interfaces, nil, .nova(network: .none, window: window)))
        #expect(list.matches(of: /"id": "(.)"/).map { String($0.1) }.joined() == expected)
    }

    // MARK: - What is no answer

    @Test(arguments: [
        "", " ", "null", "[]", "{}", "{", "\u{0}", "{\"interfaceAttachments\": null}",
        "{\"interfaceAttachments\": {}}", "{\"interfaceAttachments\": [null]}",
        "{\"interfaceAttachments\": [{}]}", "{\"interfaceAttachments\": [NaN]}",
        "{\"interfaceAttachments\": [{\"port_id\": 1, \"net_id\": \"n\", \"mac_addr\": \"m\"}]}",
        "{\"interfaceAttachments\": [{\"port_id\": \"p\", \"net_id\": \"n\"}]}",
        "{\"interfaceAttachments\": [{\"port_id\": \"p\", \"net_id\": \"n\", \"mac_addr\": \"m\", \"fixed_ips\": [1]}]}",
        "{\"interfaceAttachments\": []} {}", String(repeating: "[", count: 100_000),
    ])
    func `interfaces that are none make no list`(_ interfaces: String) {
        #expect(Self.made(interfaces, Self.ips()) == nil)
        #expect(Self.made(interfaces, nil, .nova(network: .netID, window: .init())) == nil)
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"addresses\": []}", "{\"addresses\": {\"a\": {}}}",
        "{\"addresses\": {\"a\": [{\"addr\": 1}]}}", "{\"addresses\": {\"a\": [\"10.0.0.1\"]}}",
    ])
    func `addresses that are none make no list of the document`(_ addresses: String) {
        #expect(Self.made(Self.attachments(), addresses) == nil)
    }

    @Test func `the list of the document needs the addresses`() {
        #expect(Self.made(Self.attachments()) == nil)
    }

    @Test func `every prefix of an answer is none`() {
        let interfaces = Self.attachments(Self.attachment("p", on: "n", ["10.0.0.1"]))
        let addresses = Self.ips(("a", ["10.0.0.1"]))
        #expect(Self.made(interfaces, addresses) != nil)
        for count in 0..<interfaces.count {
            #expect(Self.made(String(interfaces.prefix(count)), addresses) == nil)
        }
        for count in 0..<addresses.count {
            #expect(Self.made(interfaces, String(addresses.prefix(count))) == nil)
        }
    }

    @Test func `bytes that are no UTF-8 make no list`() {
        let bytes = Array("{\"interfaceAttachments\": [], \"x\": \"".utf8) + [0xFF] + Array("\"}".utf8)
        var output = Buffer()
        let isMade = bytes.withUnsafeBufferPointer {
            VirtualInterfaces.append(
                interfaces: $0, form: .nova(network: .none, window: .init()), to: &output)
        }
        #expect(!isMade)
    }

    @Test func `a list that grows beyond every server is none`() {
        // A long label, told again for each of many addresses.
        let label = String(repeating: "x", count: 100_000)
        let many = (0..<100).map { "10.0.0.\($0)" }
        let interfaces = Self.attachments(Self.attachment("p", on: "n", many))
        #expect(Self.made(interfaces, Self.ips((label, many))) == nil)
        #expect(Self.made(interfaces, Self.ips((String(label.prefix(255)), many))) != nil)
    }

    // MARK: - Operations

    @Test func `the lists are found in the shipped definition`() throws {
        let operations = try #require(VirtualInterfaces.Operations(in: shipped))
        #expect(shipped.find("virtual_interfaces_v2.list") == operations.document)
        #expect(shipped.find("virtual_interfaces.list") == operations.nova)
        #expect(operations.contains(operations.document) && operations.contains(operations.nova))
        #expect(!operations.contains(-1))
        #expect(!operations.contains(try #require(shipped.find("servers.list"))))
    }
}
