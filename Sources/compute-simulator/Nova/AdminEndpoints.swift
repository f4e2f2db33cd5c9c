/// What only administrators see: services, hypervisors, aggregates, hosts, migrations.
enum AdminEndpoints {
    static let hosts = ["host-1", "host-2", "host-3"]

    static let all: [Endpoint] = [
        Endpoint("GET", "os-services", strictFrom: 75, query: ["host", "binary"]) { call throws(NovaFault) in
            try call.require("admin", "os-services:list")
            return services(call)
        },
        Endpoint("GET", "os-hypervisors", strictFrom: 53, query: hypervisorNames) { call throws(NovaFault) in
            try listHypervisors(call, isDetail: false)
        },
        Endpoint("GET", "os-hypervisors/detail", strictFrom: 53, query: hypervisorNames) {
            call throws(NovaFault) in
            try listHypervisors(call, isDetail: true)
        },
        Endpoint("GET", "os-hypervisors/statistics", until: 87) { call throws(NovaFault) in
            try call.require("admin", "os-hypervisors:statistics")
            return .json { writer in
                writer.member("hypervisor_statistics") { item in
                    let total = [
                        ("count", 1), ("current_workload", 0), ("disk_available_least", 0),
                        ("free_disk_gb", 3000),
                        ("free_ram_mb", 131_072), ("local_gb", 4000), ("local_gb_used", 1000),
                        ("memory_mb", 262_144),
                        ("memory_mb_used", 131_072),
                    ]
                    for (name, number) in total { item.member(name, number * hosts.count) }
                    item.member("running_vms", call.cloud.servers.count)
                    item.member("vcpus", 64 * hosts.count)
                    item.member("vcpus_used", call.cloud.servers.count)
                }
            }
        },
        Endpoint("GET", "os-hypervisors/{}", strictFrom: 53, query: ["with_servers"]) {
            call throws(NovaFault) in
            try call.require("admin", "os-hypervisors:show")
            let id = call.parameters[0]
            guard let index = hosts.indices.first(where: { hypervisorID($0, call).plainText == id }) else {
                throw .notFound("Hypervisor with ID '\(id)' could not be found.")
            }
            return .json { writer in writer.member("hypervisor") { write(&$0, index, call, isDetail: true) } }
        },
        Endpoint("GET", "os-aggregates") { call throws(NovaFault) in
            try call.require("admin", "os-aggregates:index")
            return .json { $0.list("aggregates") { _ in } }
        },
        Endpoint("GET", "os-aggregates/{}") { call throws(NovaFault) in
            try call.require("admin", "os-aggregates:show")
            guard Int(call.parameters[0]) != nil else {
                throw .badRequest("Invalid input received: id must be an integer")
            }
            throw .notFound("Aggregate \(call.parameters[0]) could not be found.")
        },
        Endpoint("GET", "os-hosts", until: 42) { call throws(NovaFault) in
            try call.require("admin", "os-hosts:list")
            return .json { writer in
                writer.list("hosts") { items in
                    for host in hosts {
                        items.object { item in
                            item.member("host_name", host)
                            item.member("service", "compute")
                            item.member("zone", "nova")
                        }
                    }
                }
            }
        },
        Endpoint("GET", "os-migrations", strictFrom: 59, query: migrationNames) { call throws(NovaFault) in
            try call.require("admin", "os-migrations:index")
            return .json { $0.list("migrations") { _ in } }
        },
        Endpoint("GET", "os-instance_usage_audit_log") { call throws(NovaFault) in
            try call.require("admin", "os-instance-usage-audit-log:list")
            return .json { writer in
                writer.member("instance_usage_audit_logs") { log in
                    let day = String(call.now.text.prefix(10))
                    log.member("period_beginning", day + " 00:00:00")
                    log.member("period_ending", day + " 23:59:59")
                    log.member("num_hosts", hosts.count)
                    log.member("num_hosts_done", 0)
                    log.member("num_hosts_running", 0)
                    log.member("num_hosts_not_run", hosts.count)
                    log.member("hosts_not_run", strings: hosts)
                    log.member("total_instances", 0)
                    log.member("total_errors", 0)
                    log.member("overall_status", "0 of \(hosts.count) hosts done. 0 errors.")
                    log.member("log") { _ in }
                }
            }
        },
    ]

    private static let hypervisorNames: Set<String> = [
        "limit", "marker", "hypervisor_hostname_pattern", "with_servers",
    ]
    private static let migrationNames: Set<String> = [
        "hidden", "host", "instance_uuid", "source_compute", "status", "migration_type", "limit", "marker",
        "changes-since", "changes-before", "user_id", "project_id",
    ]

    private static func services(_ call: Call) -> Response {
        .json { writer in
            writer.list("services") { items in
                let rows =
                    [("nova-scheduler", "control", "internal"), ("nova-conductor", "control", "internal")]
                    + hosts.map { ("nova-compute", $0, "nova") }
                for (index, (binary, host, zone)) in rows.enumerated() {
                    if let asked = call.queryValue("binary"), asked != binary { continue }
                    if let asked = call.queryValue("host"), asked != host { continue }
                    items.object { item in
                        item.member("binary", binary)
                        item.member("host", host)
                        if call.minor >= 53 {
                            item.member("id", Ids.fixed("service \(binary) \(host)"))
                        } else {
                            item.member("id", index + 2)
                        }
                        item.member("zone", zone)
                        item.member("status", "enabled")
                        item.member("state", "up")
                        item.member("updated_at", call.now.fractionText)
                        item.member("disabled_reason", .null)
                        if call.minor >= 11 { item.member("forced_down", false) }
                    }
                }
            }
        }
    }

    private static func hypervisorID(_ index: Int, _ call: Call) -> JSONValue {
        call.minor >= 53 ? .string(Ids.fixed("hypervisor \(hosts[index])")) : .number(String(index + 1))
    }

    private static func listHypervisors(_ call: Call, isDetail: Bool) throws(NovaFault) -> Response {
        let isPaged = call.minor >= 33
        let limit = isPaged ? try call.limit() : call.cloud.maximumPage
        try call.require("admin", isDetail ? "os-hypervisors:list-detail" : "os-hypervisors:list")
        let (page, isFull) = try call.page(
            Array(hosts.indices), limit: limit, missing: { .badRequest("marker [\($0)] not found") },
            key: { hypervisorID($0, call).plainText })
        return .json { writer in
            writer.list("hypervisors") { items in
                for index in page { items.object { write(&$0, index, call, isDetail: isDetail) } }
            }
            if isFull, isPaged, let last = page.last {
                call.writeNext(
                    &writer, "hypervisors_links",
                    path: isDetail ? "/os-hypervisors/detail" : "/os-hypervisors",
                    marker: hypervisorID(last, call).plainText, known: hypervisorNames)
            }
        }
    }

    private static func write(_ writer: inout JSONWriter, _ index: Int, _ call: Call, isDetail: Bool) {
        writer.member("id", hypervisorID(index, call))
        writer.member("hypervisor_hostname", hosts[index] + ".example")
        writer.member("state", "up")
        writer.member("status", "enabled")
        guard isDetail else { return }
        writer.member("hypervisor_type", "fake")
        writer.member("hypervisor_version", 1000)
        writer.member("host_ip", "127.0.0.1")
        writer.member("service") { service in
            service.member("id", index + 4)
            service.member("host", hosts[index])
            service.member("disabled_reason", .null)
        }
        guard call.minor < 88 else { return }
        writer.member("vcpus", 64)
        writer.member("memory_mb", 262_144)
        writer.member("local_gb", 4000)
        writer.member("running_vms", call.cloud.servers.values.filter { $0.host == hosts[index] }.count)
    }
}

/// What Nova has removed: 410, with and without an id.
enum GoneEndpoints {
    static let all: [Endpoint] =
        [
            "os-cells", "os-cloudpipe", "os-fixed-ips/{}", "os-floating-ip-dns", "os-floating-ips-bulk",
            "os-fping",
            "os-security-group-default-rules", "os-agents", "servers/{}/consoles",
        ].map { path in Endpoint("GET", path) { _ throws(NovaFault) in throw .gone } } + [
            Endpoint("GET", "os-networks", until: 35) { _ throws(NovaFault) in throw .gone }
        ]
}
