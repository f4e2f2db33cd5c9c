/// Interfaces and volumes of one server.
enum AttachmentEndpoints {
    static let all: [Endpoint] = interfaces + virtualInterfaces + volumes

    // MARK: - Interfaces

    private static let interfaces: [Endpoint] = [
        Endpoint("GET", "servers/{}/os-interface") { call throws(NovaFault) in
            let server = try call.server()
            return .json { writer in
                writer.list("interfaceAttachments") { items in
                    for interface in server.interfaces { items.object { write(&$0, interface, call) } }
                }
            }
        },
        Endpoint("GET", "servers/{}/os-interface/{}") { call throws(NovaFault) in
            let server = try call.server()
            guard let interface = server.interfaces.first(where: { $0.port == call.parameters[1] }) else {
                throw missingPort(call)
            }
            return .json { writer in writer.member("interfaceAttachment") { write(&$0, interface, call) } }
        },
        Endpoint("POST", "servers/{}/os-interface") { call throws(NovaFault) in
            let body = call.body
            let asked = try call.object("interfaceAttachment")
            try checkAttachment(asked)
            try call.require("member", "os-attach-interfaces:create")
            let server = try call.server()
            let usual = call.cloud.networks(of: call.project)
            let network: Network?
            if let id = asked["net_id"]?.string {
                network = call.cloud.networks.first { $0.id == id }
                if network == nil { throw .badRequest("Network \(id) could not be found.") }
            } else {
                network = usual.first
            }
            guard let network, body != nil else { throw .badRequest("No networks defined.") }
            var interface = call.cloud.makeInterface(
                on: network, number: call.cloud.nextServerNumber(), port: asked["port_id"]?.string,
                address: asked["fixed_ips"]?.array?.first?["ip_address"]?.string)
            interface.tag = asked["tag"]?.string
            server.interfaces.append(interface)
            ActionEndpoints.record("attach_interface", server, call)
            return .json { writer in writer.member("interfaceAttachment") { write(&$0, interface, call) } }
        },
        Endpoint("DELETE", "servers/{}/os-interface/{}") { call throws(NovaFault) in
            try call.require("member", "os-attach-interfaces:delete")
            let server = try call.server()
            guard let index = server.interfaces.firstIndex(where: { $0.port == call.parameters[1] }) else {
                throw missingPort(call)
            }
            server.interfaces.remove(at: index)
            ActionEndpoints.record("detach_interface", server, call)
            return Response(202)
        },
    ]

    private static func checkAttachment(_ asked: JSONValue) throws(NovaFault) {
        for (name, value) in asked.members ?? [] {
            guard ["net_id", "port_id", "fixed_ips", "tag"].contains(name) else {
                throw .badRequest(
                    "Invalid input for field/attribute interfaceAttachment. Value: \(asked.plainText). "
                        + "Additional properties are not allowed ('\(name)' was unexpected)")
            }
            if name == "net_id" || name == "port_id", !Text.isUUID(value.string ?? "") {
                throw Call.invalid(name, value, "is not a 'uuid'")
            }
        }
    }

    private static func missingPort(_ call: Call) -> NovaFault {
        .notFound("Port id \(call.parameters[1]) could not be found.")
    }

    private static func write(_ writer: inout JSONWriter, _ interface: Interface, _ call: Call) {
        writer.member("net_id", interface.network)
        writer.member("port_id", interface.port)
        writer.member("mac_addr", interface.mac)
        writer.member("port_state", "ACTIVE")
        writer.list("fixed_ips") { addresses in
            for (_, address) in interface.addresses {
                addresses.object { item in
                    item.member("subnet_id", interface.subnet)
                    item.member("ip_address", address)
                }
            }
        }
        if call.minor >= 70 { writer.member("tag", interface.tag) }
    }

    // MARK: - Virtual interfaces

    private static let virtualInterfaces: [Endpoint] = [
        Endpoint("GET", "servers/{}/os-virtual-interfaces") { _ throws(NovaFault) in throw .gone },
        // The Rackspace form: fields and codes as its own document lists them.
        Endpoint("GET", "servers/{}/os-virtual-interfacesv2") { call throws(NovaFault) in
            let server = try call.server()
            return .json { writer in
                writer.list("virtual_interfaces") { items in
                    for interface in server.interfaces { items.object { writeVirtual(&$0, interface) } }
                }
            }
        },
        Endpoint("POST", "servers/{}/os-virtual-interfacesv2") { call throws(NovaFault) in
            let asked = try call.object("virtual_interface")
            let id = try call.text("network_id", of: asked, in: "virtual_interface")
            try call.require("member", "os-virtual-interfacesv2:create")
            let server = try call.server()
            guard let network = call.cloud.networks.first(where: { $0.id == id }) else {
                throw .badRequest("Network \(id) could not be found.")
            }
            let interface = call.cloud.makeInterface(on: network, number: call.cloud.nextServerNumber())
            server.interfaces.append(interface)
            return .json { writer in
                writer.list("virtual_interfaces") { items in items.object { writeVirtual(&$0, interface) } }
            }
        },
        Endpoint("DELETE", "servers/{}/os-virtual-interfacesv2/{}") { call throws(NovaFault) in
            try call.require("member", "os-virtual-interfacesv2:delete")
            let server = try call.server()
            guard let index = server.interfaces.firstIndex(where: { $0.port == call.parameters[1] }) else {
                throw missingPort(call)
            }
            server.interfaces.remove(at: index)
            return Response(200)
        },
    ]

    private static func writeVirtual(_ writer: inout JSONWriter, _ interface: Interface) {
        writer.member("id", interface.port)
        writer.list("ip_addresses") { addresses in
            for (_, address) in interface.addresses {
                addresses.object { item in
                    item.member("address", address)
                    item.member("network_id", interface.network)
                    item.member("network_label", interface.networkLabel)
                }
            }
        }
        writer.member("mac_address", interface.mac)
    }

    // MARK: - Volumes

    private static let volumes: [Endpoint] = [
        Endpoint("GET", "servers/{}/os-volume_attachments", strictFrom: 75, query: ["limit", "offset"]) {
            call throws(NovaFault) in
            let limit = try call.limit()
            let server = try call.server()
            return .json { writer in
                writer.list("volumeAttachments") { items in
                    for volume in server.volumes.prefix(limit) {
                        items.object { write(&$0, volume, server, call) }
                    }
                }
            }
        },
        Endpoint("GET", "servers/{}/os-volume_attachments/{}") { call throws(NovaFault) in
            let server = try call.server()
            guard let volume = server.volumes.first(where: { $0.volume == call.parameters[1] }) else {
                throw missingVolume(call)
            }
            return .json { writer in writer.member("volumeAttachment") { write(&$0, volume, server, call) } }
        },
        Endpoint("POST", "servers/{}/os-volume_attachments") { call throws(NovaFault) in
            let asked = try call.object("volumeAttachment")
            let id = try call.text("volumeId", of: asked, in: "volumeAttachment")
            guard Text.isUUID(id) else { throw Call.invalid("volumeId", .string(id), "is not a 'uuid'") }
            try call.require("member", "os-volumes-attachments:create")
            let server = try call.server()
            if server.volumes.contains(where: { $0.volume == id }) {
                throw .badRequest("Invalid volume: Volume \(id) is already attached.")
            }
            let letter = Character(Unicode.Scalar(UInt8(ascii: "b") + UInt8(min(server.volumes.count, 24))))
            let volume = VolumeAttachment(
                volume: id, device: asked["device"]?.string ?? "/dev/vd\(letter)",
                attachment: call.cloud.ids.uuid(),
                mapping: call.cloud.ids.uuid(), tag: asked["tag"]?.string,
                endsWithServer: asked["delete_on_termination"]?.bool ?? false)
            server.volumes.append(volume)
            ActionEndpoints.record("attach_volume", server, call)
            return .json { writer in writer.member("volumeAttachment") { write(&$0, volume, server, call) } }
        },
        Endpoint("DELETE", "servers/{}/os-volume_attachments/{}") { call throws(NovaFault) in
            try call.require("member", "os-volumes-attachments:delete")
            let server = try call.server()
            guard let index = server.volumes.firstIndex(where: { $0.volume == call.parameters[1] }) else {
                throw missingVolume(call)
            }
            server.volumes.remove(at: index)
            ActionEndpoints.record("detach_volume", server, call)
            return Response(202)
        },
    ]

    private static func missingVolume(_ call: Call) -> NovaFault {
        .notFound("volume_id not found: \(call.parameters[1])")
    }

    private static func write(
        _ writer: inout JSONWriter, _ volume: VolumeAttachment, _ server: Server, _ call: Call
    ) {
        if call.minor < 89 { writer.member("id", volume.volume) }
        writer.member("volumeId", volume.volume)
        writer.member("serverId", server.id)
        writer.member("device", volume.device)
        if call.minor >= 70 { writer.member("tag", volume.tag) }
        if call.minor >= 79 { writer.member("delete_on_termination", volume.endsWithServer) }
        if call.minor >= 89 {
            writer.member("attachment_id", volume.attachment)
            writer.member("bdm_uuid", volume.mapping)
        }
    }
}
