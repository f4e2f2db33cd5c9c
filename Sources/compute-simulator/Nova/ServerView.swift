/// Writes a server as the API shows it at a microversion.
enum ServerView {
    enum Form { case show, detail, update }

    /// Writes all members of `server`, in Nova's order.
    static func write(_ writer: inout JSONWriter, _ server: Server, _ call: Call, form: Form) {
        // The answer to an update is shorter until 2.75.
        let isShort = form == .update && call.minor < 75
        writer.member("accessIPv4", server.accessIPv4)
        writer.member("accessIPv6", server.accessIPv6)
        writer.member("addresses") { writeAddresses(&$0, server, isExtended: !isShort) }
        writer.member("created", server.created.text)
        writer.member("flavor") { writeFlavor(&$0, server, call) }
        writer.member("hostId", hostID(server))
        writer.member("id", server.id)
        if let image = server.image {
            writer.member("image") { item in
                item.member("id", image)
                item.list("links") { links in
                    links.object { link in
                        link.member("rel", "bookmark")
                        link.member("href", call.bookmark("/images/" + image))
                    }
                }
                if call.minor >= 98 { item.member("properties") { _ in } }
            }
        } else {
            writer.member("image", "")
        }
        call.writeLinks(&writer, "/servers/" + server.id)
        writer.member("metadata", pairs: server.metadata)
        writer.member("name", server.name)
        let status = server.status
        writer.member("status", status)
        writer.member("tenant_id", server.project)
        writer.member("user_id", server.user)
        writer.member("updated", server.updated.text)
        writer.member("OS-DCF:diskConfig", server.diskConfig)
        if [
            "ACTIVE", "BUILD", "PASSWORD", "REBUILD", "RESIZE", "REVERT_RESIZE", "VERIFY_RESIZE", "REBOOT",
            "HARD_REBOOT", "MIGRATING", "PAUSED",
        ].contains(status), status != "PAUSED" {
            writer.member("progress", status == "ACTIVE" && server.taskState == nil ? 100 : 0)
        }
        if status == "ERROR" {
            writer.member("fault") { fault in
                fault.member("code", 500)
                fault.member("created", server.updated.text)
                fault.member("message", "Build of instance aborted: simulated fault")
            }
        }
        if !isShort { writeExtensions(&writer, server, call, form: form) }
    }

    private static func writeExtensions(
        _ writer: inout JSONWriter, _ server: Server, _ call: Call, form: Form
    ) {
        writer.member("OS-EXT-AZ:availability_zone", server.host == nil ? "" : server.zone)
        writer.member("config_drive", server.configDrive)
        writer.member("key_name", server.keyName)
        writer.member("OS-SRV-USG:launched_at", server.launched?.fractionText)
        writer.member("OS-SRV-USG:terminated_at", server.terminated?.fractionText)
        if form != .detail { writeGroups(&writer, server) }
        if call.token.isAdmin { writeHost(&writer, server, call) }
        writer.member("OS-EXT-STS:task_state", server.taskState)
        writer.member("OS-EXT-STS:vm_state", server.vmState)
        writer.member("OS-EXT-STS:power_state", server.powerState)
        writer.list("os-extended-volumes:volumes_attached") { volumes in
            for volume in server.volumes {
                volumes.object { item in
                    item.member("id", volume.volume)
                    if call.minor >= 3 { item.member("delete_on_termination", volume.endsWithServer) }
                }
            }
        }
        if call.minor >= 9 { writer.member("locked", server.isLocked) }
        let hostStatus = server.host == nil ? "" : "UP"
        if call.minor >= 16, call.token.isAdmin, form != .detail { writer.member("host_status", hostStatus) }
        if call.minor >= 19 { writer.member("description", server.description) }
        if call.minor >= 26 { writer.member("tags", strings: server.tags) }
        if call.minor >= 63 { writer.member("trusted_image_certificates", .null) }
        if call.minor >= 71, form != .detail {
            let groups = call.cloud.serverGroups.filter { $0.members.contains(server.id) }.map(\.id)
            writer.member("server_groups", strings: groups)
        }
        if call.minor >= 73 { writer.member("locked_reason", server.lockedReason) }
        if call.minor >= 90, !call.token.isAdmin {
            writer.member("OS-EXT-SRV-ATTR:hostname", server.hostname)
        }
        if call.minor >= 96 { writer.member("pinned_availability_zone", .null) }
        if call.minor >= 100 { writer.member("scheduler_hints") { _ in } }
        if form == .detail {
            if call.minor >= 16, call.token.isAdmin { writer.member("host_status", hostStatus) }
            if server.host != nil { writeGroups(&writer, server) }
        }
    }

    private static func writeGroups(_ writer: inout JSONWriter, _ server: Server) {
        writer.list("security_groups") { groups in
            for name in server.securityGroups { groups.object { $0.member("name", name) } }
        }
    }

    private static func writeHost(_ writer: inout JSONWriter, _ server: Server, _ call: Call) {
        writer.member("OS-EXT-SRV-ATTR:host", server.host)
        writer.member(
            "OS-EXT-SRV-ATTR:instance_name", "instance-" + Text.hex(UInt64(server.number), width: 8))
        writer.member("OS-EXT-SRV-ATTR:hypervisor_hostname", server.host.map { $0 + ".example" })
        guard call.minor >= 3 else { return }
        writer.member("OS-EXT-SRV-ATTR:hostname", server.hostname)
        writer.member("OS-EXT-SRV-ATTR:kernel_id", "")
        writer.member("OS-EXT-SRV-ATTR:launch_index", 0)
        writer.member("OS-EXT-SRV-ATTR:ramdisk_id", "")
        writer.member("OS-EXT-SRV-ATTR:reservation_id", server.reservation)
        writer.member("OS-EXT-SRV-ATTR:root_device_name", server.host == nil ? nil : "/dev/vda")
        writer.member("OS-EXT-SRV-ATTR:user_data", server.userData)
    }

    private static func writeFlavor(_ writer: inout JSONWriter, _ server: Server, _ call: Call) {
        let flavor = call.cloud.flavors.first { $0.id == server.flavor }
        if call.minor >= 47 {
            writer.member("vcpus", flavor?.vcpus ?? 1)
            writer.member("ram", flavor?.ram ?? 512)
            writer.member("disk", flavor?.disk ?? 1)
            writer.member("ephemeral", flavor?.ephemeral ?? 0)
            writer.member("swap", flavor?.swap ?? 0)
            writer.member("original_name", flavor?.name ?? server.flavor)
            writer.member("extra_specs", pairs: flavor?.extraSpecs ?? [])
        } else {
            writer.member("id", server.flavor)
            writer.list("links") { links in
                links.object { link in
                    link.member("rel", "bookmark")
                    link.member("href", call.bookmark("/flavors/" + server.flavor))
                }
            }
        }
    }

    /// The addresses by network label, in the short form or with type and MAC address.
    static func writeAddresses(_ writer: inout JSONWriter, _ server: Server, isExtended: Bool) {
        var labels: [String] = []
        for interface in server.interfaces where !labels.contains(interface.networkLabel) {
            labels.append(interface.networkLabel)
        }
        for label in labels { writeAddresses(&writer, server, label: label, isExtended: isExtended) }
    }

    static func writeAddresses(_ writer: inout JSONWriter, _ server: Server, label: String, isExtended: Bool)
    {
        writer.list(label) { addresses in
            for interface in server.interfaces where interface.networkLabel == label {
                for (version, address) in interface.addresses {
                    addresses.object { item in
                        item.member("version", version)
                        item.member("addr", address)
                        guard isExtended else { return }
                        item.member("OS-EXT-IPS:type", "fixed")
                        item.member("OS-EXT-IPS-MAC:mac_addr", interface.mac)
                    }
                }
            }
        }
    }

    /// The host as a project may see it: a digest of both names, empty before there is a host.
    private static func hostID(_ server: Server) -> String {
        guard let host = server.host else { return "" }
        let (first, second) = Ids.fixedBits(server.project + host)
        let (third, fourth) = Ids.fixedBits(host + server.project)
        return String((Text.hex(first) + Text.hex(second) + Text.hex(third) + Text.hex(fourth)).prefix(56))
    }
}
