"""More requests than anybody writes by hand: every list with every parameter, kind of value and microversion boundary.

What is right is not said here: the real Nova says it. So the tables name what is worth asking, and nothing is lost when
a parameter does not exist somewhere. Ids in writes are ones that nothing has, so that nothing changes.
"""

from .request import Request

NEVER = "00000000-0000-0000-0000-000000000000"
LAST = "2.104"

# Values by kind of parameter: the first is asked at every boundary and under /v2, the others at both ends.
VALUES = {
    "number": ["abc", "", "-1", "1.5", "%2B1", "1%20", "%EF%BC%91", "01", "0", "1_0", "1%00"],
    "amount": ["abc", "", "-1"],
    "marker": ["nope", "", NEVER, "1", "%00", "a%20b", "{s:A_active}"],
    "text": ["nope", "", "%00", "%C3%A9"],
    "uuid": ["nope", "", NEVER, NEVER.replace("-", "")],
    "boolean": ["abc", "", "1", "true", "None", "2", "YES", "%20true"],
    "date": ["abc", "", "2025-13-01", "2025", "2025-06-01T00:00:00Z", "2025-06-01%2000:00:00", "20250601T000000Z",
             "2025-06-01T00:00:00+00:00", "2025-06-01T00:00:00%2B00:00", "1748736000", "2025-W23"],
    "regex": ["[", "", "*", "%28", "a%2B", "%28%3FP<n>a%29", "a%5C", "%28%3Fz%29", "[z-a]", "a{2,1}", "%5Cq"],
    "pattern": ["[", "", "a.c"],
    "status": ["nope", "deleted", "", "active", "DELETED", "UNKNOWN", "ACTIVE&status=nope", "soft_deleted", "%00"],
    "sort_key": ["nope", "", "uuid", "created_at", "id", "__class__", "host", "locked", "display_name%00"],
    "sort_dir": ["nope", "", "asc", "DESC", "desc&sort_dir=nope"],
    "filter": ["nope", ""],
    "unknown": ["1", ""],
}

SERVER_PARAMETERS = {
    "limit": "number", "marker": "marker", "page_size": "number", "offset": "amount", "changes-since": "date",
    "changes-before": "date", "status": "status", "deleted": "boolean", "soft_deleted": "boolean",
    "all_tenants": "boolean", "name": "regex", "flavor": "pattern", "image": "text", "host": "pattern",
    "node": "pattern", "hostname": "pattern", "ip": "pattern", "ip6": "pattern", "tags": "pattern",
    "tags-any": "pattern", "not-tags": "pattern",
    "not-tags-any": "pattern", "key_name": "pattern", "power_state": "pattern", "availability_zone": "pattern",
    "created_at": "pattern", "launched_at": "pattern", "terminated_at": "pattern", "progress": "pattern",
    "config_drive": "pattern", "description": "pattern", "reservation_id": "pattern", "access_ip_v4": "pattern",
    "kernel_id": "pattern", "task_state": "text", "vm_state": "text", "user_id": "text", "project_id": "text",
    "tenant_id": "text", "uuid": "uuid", "locked": "boolean", "launch_index": "amount",
    "block_device_mapping": "filter", "services": "filter", "metadata": "filter", "system_metadata": "filter",
    "info_cache": "filter", "security_groups": "filter", "pci_devices": "filter", "_x": "filter", "Limit": "unknown",
    "foo": "unknown", "sort_key": "sort_key", "sort_dir": "sort_dir",
}
SERVER_BOUNDARIES = ["2.5", "2.26", "2.38", "2.66", "2.73", "2.75", "2.83", "2.90"]
LIST_PARAMETERS = {
    "limit": "number", "marker": "marker", "page_size": "amount", "offset": "amount", "sort_key": "sort_key",
    "changes-since": "amount", "changes-before": "amount", "foo": "unknown", "Limit": "unknown", "_x": "filter",
}

# path, whose, its boundaries, its parameters besides `foo`, and what keeps an answer small.
LISTS = [
    ("/{A}/servers", "alice", SERVER_BOUNDARIES, SERVER_PARAMETERS, "limit=1&"),
    ("/{A}/servers/detail", "alice", ["2.66", "2.75"],
     {"limit": "amount", "status": "status", "foo": "unknown", "name": "regex", "changes-before": "date"}, "limit=1&"),
    ("/{A}/flavors", "alice", ["2.75", "2.102"],
     {**LIST_PARAMETERS, "is_public": "boolean", "minRam": "number", "minDisk": "number", "sort_dir": "sort_dir",
      "name": "regex"}, "limit=1&"),
    ("/{A}/flavors/detail", "alice", ["2.55", "2.61", "2.75", "2.102"],
     {"limit": "amount", "is_public": "boolean", "minDisk": "number", "name": "regex", "foo": "unknown"}, "limit=1&"),
    ("/{A}/flavors/1/os-extra_specs", "alice", ["2.102"], {"foo": "unknown", "limit": "amount"}, ""),
    ("/{A}/flavors/bed.private-a/os-flavor-access", "padmin", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/flavors/1", "alice", ["2.75", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/images", "alice", ["2.36"],
     {**LIST_PARAMETERS, "status": "text", "name": "text", "minRam": "number", "minDisk": "number", "server": "text",
      "type": "text", "property-x": "text"}, "limit=1&"),
    ("/{A}/images/detail", "alice", ["2.36"], {"limit": "amount", "page_size": "number", "foo": "unknown"}, "limit=1&"),
    ("/{A}/os-keypairs", "alice", ["2.10", "2.35", "2.75", "2.92"], {**LIST_PARAMETERS, "user_id": "text"}, ""),
    ("/{A}/os-keypairs/nope", "alice", ["2.10", "2.75"], {"foo": "unknown", "user_id": "text"}, ""),
    ("/{A}/servers/{s:A_with_port}", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-interface", "alice", ["2.70", "2.102"], {"foo": "unknown", "limit": "amount"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-virtual-interfaces", "alice", ["2.12", "2.32", "2.44"],
     {"foo": "unknown", "limit": "amount"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-volume_attachments", "alice", ["2.70", "2.75", "2.89"],
     {"limit": "amount", "offset": "amount", "foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-instance-actions", "alice", ["2.21", "2.58", "2.66"],
     {**LIST_PARAMETERS, "changes-since": "date", "changes-before": "date"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-instance-actions/nope", "alice", ["2.51", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/migrations", "padmin", ["2.23", "2.59", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/metadata", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/metadata/nope", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/ips", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/ips/nope", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/tags", "alice", ["2.26", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/tags/nope", "alice", ["2.26", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/topology", "alice", ["2.78", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/shares", "alice", ["2.97", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/" + NEVER + "/diagnostics", "padmin", ["2.48", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-security-groups", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/os-server-password", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/servers/{s:A_with_port}/consoles", "alice", ["2.31"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors", "admin", ["2.33", "2.53", "2.88"],
     {**LIST_PARAMETERS, "hypervisor_hostname_pattern": "regex", "with_servers": "boolean"}, ""),
    ("/{ADMIN}/os-hypervisors/detail", "admin", ["2.33", "2.53", "2.88"],
     {"limit": "amount", "hypervisor_hostname_pattern": "regex", "with_servers": "boolean", "foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors/nope", "admin", ["2.53", "2.88"], {"foo": "unknown", "with_servers": "boolean"}, ""),
    ("/{ADMIN}/os-hypervisors/" + NEVER, "admin", ["2.53"], {"foo": "unknown", "with_servers": "boolean"}, ""),
    ("/{ADMIN}/os-hypervisors/1", "admin", ["2.53"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors/statistics", "admin", ["2.88"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors/nope/search", "admin", ["2.53"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors/nope/servers", "admin", ["2.53"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hypervisors/nope/uptime", "admin", ["2.53", "2.88"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-migrations", "admin", ["2.23", "2.59", "2.66", "2.80"],
     {**LIST_PARAMETERS, "hidden": "boolean", "host": "text", "instance_uuid": "uuid", "source_compute": "text",
      "status": "text", "migration_type": "text", "user_id": "text", "project_id": "text",
      "changes-since": "date", "changes-before": "date"}, ""),
    ("/{A}/os-server-groups", "alice", ["2.13", "2.64", "2.75"], {**LIST_PARAMETERS, "all_projects": "boolean"}, ""),
    ("/{A}/os-server-groups/nope", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-services", "admin", ["2.53", "2.69", "2.75"],
     {"host": "text", "binary": "text", "foo": "unknown", "limit": "amount"}, ""),
    ("/{ADMIN}/os-aggregates", "admin", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-aggregates/nope", "admin", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-aggregates/99999", "admin", ["2.41", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/os-availability-zone", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-availability-zone/detail", "admin", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-simple-tenant-usage", "admin", ["2.40", "2.75"],
     {"start": "date", "end": "date", "detailed": "boolean", "limit": "amount", "marker": "marker", "foo": "unknown"},
     "start=2001-01-01T00:00:00&end=2001-01-02T00:00:00&"),
    ("/{ADMIN}/os-simple-tenant-usage/{ADMIN}", "admin", ["2.40", "2.75"],
     {"start": "date", "end": "date", "limit": "amount", "marker": "marker", "foo": "unknown"},
     "start=2001-01-01T00:00:00&end=2001-01-02T00:00:00&"),
    ("/{ADMIN}/os-hosts", "admin", ["2.43"], {"zone": "text", "foo": "unknown"}, ""),
    ("/{ADMIN}/os-hosts/nope", "admin", ["2.43"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-hosts/nope/startup", "admin", ["2.43"], {"foo": "unknown"}, ""),
    ("/{A}/os-quota-sets/{A}", "alice", ["2.36", "2.57", "2.75"], {"user_id": "text", "foo": "unknown"}, ""),
    ("/{A}/os-quota-sets/{A}/detail", "alice", ["2.36", "2.57", "2.75"], {"user_id": "text", "foo": "unknown"}, ""),
    ("/{A}/os-quota-sets/{A}/defaults", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-quota-class-sets/default", "admin", ["2.50", "2.57", "2.102"], {"foo": "unknown"}, ""),
    ("/{A}/limits", "alice", ["2.36", "2.39", "2.57", "2.75"],
     {"reserved": "boolean", "tenant_id": "text", "foo": "unknown"}, ""),
    ("/{A}/extensions", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/extensions/nope", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/extensions/servers", "alice", ["2.102"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-console-auth-tokens/nope", "admin", ["2.31", "2.99"], {"foo": "unknown"}, ""),
    ("/{ADMIN}/os-instance_usage_audit_log/nope", "admin", ["2.102"], {"foo": "unknown"}, ""),
    ("/{A}/os-networks", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-networks/nope", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-tenant-networks", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-tenant-networks/nope", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-floating-ips", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-floating-ips/nope", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-floating-ip-pools", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-security-groups", "alice", ["2.36"],
     {"limit": "amount", "offset": "amount", "all_tenants": "boolean", "foo": "unknown"}, ""),
    ("/{A}/os-security-groups/nope", "alice", ["2.36"], {"foo": "unknown"}, ""),
    ("/{A}/os-volumes", "alice", ["2.36"], {"limit": "amount", "offset": "amount", "foo": "unknown"}, None),
    ("/{A}/os-volumes/detail", "alice", ["2.36"], {"limit": "amount", "foo": "unknown"}, None),
    ("/{A}/os-snapshots", "alice", ["2.36"], {"limit": "amount", "offset": "amount", "foo": "unknown"}, None),
    ("/{A}/os-snapshots/detail", "alice", ["2.36"], {"limit": "amount", "foo": "unknown"}, None),
    ("/{A}/os-volumes_boot", "alice", ["2.75", "2.103"], {"limit": "amount", "foo": "unknown", "sort_key": "sort_key"},
     "limit=1&"),
    ("/{A}/os-volumes_boot/detail", "alice", ["2.75", "2.103"], {"limit": "amount", "foo": "unknown"}, "limit=1&"),
    ("/{ADMIN}/os-baremetal-nodes", "admin", ["2.36"], {"foo": "unknown"}, None),
]

GONE = [
    "os-cells", "os-cells/detail", "os-cells/info", "os-cells/capacities", "os-cells/nope", "os-certificates/root",
    "os-cloudpipe", "os-fixed-ips/192.0.2.1", "os-floating-ip-dns", "os-floating-ip-dns/a/entries/b",
    "os-floating-ips-bulk", "os-floating-ips-bulk/nope", "os-fping", "os-fping/nope", "os-agents",
    "os-security-group-default-rules", "os-security-group-default-rules/nope", "servers/nope/consoles",
    "servers/nope/consoles/nope", "servers/nope/os-virtual-interfaces",
]

# (method, path, who, boundaries, a key its content needs); ids are ones that nothing has.
WRITES = [
    ("POST", "/{A}/servers", "alice", ["2.32", "2.37", "2.57", "2.67", "2.74", "2.90", "2.94"], "server"),
    ("PUT", "/{A}/servers/" + NEVER, "alice", ["2.19", "2.90"], "server"),
    ("PUT", "/{A}/servers/nope", "alice", [], "server"),
    ("DELETE", "/{A}/servers/" + NEVER, "alice", [], None),
    ("DELETE", "/{A}/servers/nope", "alice", [], None),
    ("POST", "/{A}/servers/" + NEVER + "/action", "alice", ["2.26", "2.57", "2.63"], None),
    ("POST", "/{A}/servers/nope/action", "alice", [], None),
    ("POST", "/{A}/servers/" + NEVER + "/metadata", "alice", [], "metadata"),
    ("PUT", "/{A}/servers/" + NEVER + "/metadata", "alice", [], "metadata"),
    ("PUT", "/{A}/servers/" + NEVER + "/metadata/a", "alice", [], "meta"),
    ("DELETE", "/{A}/servers/" + NEVER + "/metadata/a", "alice", [], None),
    ("POST", "/{A}/servers/" + NEVER + "/os-interface", "alice", ["2.49"], "interfaceAttachment"),
    ("DELETE", "/{A}/servers/" + NEVER + "/os-interface/" + NEVER, "alice", [], None),
    ("POST", "/{A}/servers/" + NEVER + "/os-volume_attachments", "alice", ["2.49", "2.79"], "volumeAttachment"),
    ("PUT", "/{A}/servers/" + NEVER + "/os-volume_attachments/" + NEVER, "alice", ["2.85"], "volumeAttachment"),
    ("DELETE", "/{A}/servers/" + NEVER + "/os-volume_attachments/" + NEVER, "alice", [], None),
    ("POST", "/{A}/servers/" + NEVER + "/remote-consoles", "alice", ["2.6", "2.8", "2.99"], "remote_console"),
    ("PUT", "/{A}/servers/" + NEVER + "/tags", "alice", ["2.26"], "tags"),
    ("PUT", "/{A}/servers/" + NEVER + "/tags/a", "alice", ["2.26"], None),
    ("DELETE", "/{A}/servers/" + NEVER + "/tags", "alice", ["2.26"], None),
    ("DELETE", "/{A}/servers/" + NEVER + "/tags/a", "alice", ["2.26"], None),
    ("POST", "/{A}/servers/" + NEVER + "/shares", "alice", ["2.97"], "share"),
    ("DELETE", "/{A}/servers/" + NEVER + "/shares/" + NEVER, "alice", ["2.97"], None),
    ("DELETE", "/{A}/servers/" + NEVER + "/os-server-password", "alice", [], None),
    ("DELETE", "/{A}/servers/" + NEVER + "/migrations/1", "padmin", ["2.24"], None),
    ("POST", "/{A}/servers/" + NEVER + "/migrations/1/action", "padmin", ["2.22"], "force_complete"),
    ("POST", "/{A}/servers/" + NEVER + "/consoles", "alice", [], None),
    ("POST", "/{A}/os-keypairs", "alice", ["2.2", "2.10", "2.92"], "keypair"),
    ("DELETE", "/{A}/os-keypairs/nope", "alice", ["2.2", "2.10", "2.75"], None),
    ("POST", "/{A}/os-server-groups", "alice", ["2.15", "2.64"], "server_group"),
    ("DELETE", "/{A}/os-server-groups/nope", "alice", [], None),
    ("POST", "/{ADMIN}/flavors", "admin", ["2.55"], "flavor"),
    ("PUT", "/{ADMIN}/flavors/nope", "admin", ["2.55"], "flavor"),
    ("DELETE", "/{ADMIN}/flavors/nope", "admin", [], None),
    ("POST", "/{ADMIN}/flavors/nope/action", "admin", ["2.7"], "addTenantAccess"),
    ("POST", "/{ADMIN}/flavors/nope/os-extra_specs", "admin", ["2.86"], "extra_specs"),
    ("PUT", "/{ADMIN}/flavors/nope/os-extra_specs/a", "admin", ["2.86"], "a"),
    ("DELETE", "/{ADMIN}/flavors/nope/os-extra_specs/a", "admin", [], None),
    ("POST", "/{ADMIN}/os-aggregates", "admin", ["2.41"], "aggregate"),
    ("PUT", "/{ADMIN}/os-aggregates/99999", "admin", ["2.41"], "aggregate"),
    ("PUT", "/{ADMIN}/os-aggregates/nope", "admin", [], "aggregate"),
    ("DELETE", "/{ADMIN}/os-aggregates/99999", "admin", [], None),
    ("DELETE", "/{ADMIN}/os-aggregates/nope", "admin", [], None),
    ("POST", "/{ADMIN}/os-aggregates/99999/action", "admin", [], "add_host"),
    ("POST", "/{ADMIN}/os-aggregates/99999/images", "admin", ["2.81"], "cache"),
    ("PUT", "/{ADMIN}/os-services/" + NEVER, "admin", ["2.53"], "status"),
    ("PUT", "/{ADMIN}/os-services/enable", "admin", ["2.11", "2.53"], "host"),
    ("DELETE", "/{ADMIN}/os-services/" + NEVER, "admin", ["2.53"], None),
    ("DELETE", "/{ADMIN}/os-services/nope", "admin", ["2.53"], None),
    ("PUT", "/{ADMIN}/os-quota-sets/{A}", "admin", ["2.36", "2.57", "2.75"], "quota_set"),
    ("PUT", "/{ADMIN}/os-quota-class-sets/default", "admin", ["2.50", "2.57"], "quota_class_set"),
    ("PUT", "/{ADMIN}/os-hosts/nope", "admin", ["2.43"], "status"),
    ("POST", "/{ADMIN}/os-server-external-events", "admin", ["2.51", "2.76", "2.82", "2.93"], "events"),
    ("POST", "/{ADMIN}/os-assisted-volume-snapshots", "admin", [], "snapshot"),
    ("DELETE", "/{ADMIN}/os-assisted-volume-snapshots/nope", "admin", ["2.75"], None),
    ("POST", "/{A}/os-security-groups", "alice", ["2.36"], "security_group"),
    ("PUT", "/{A}/os-security-groups/nope", "alice", ["2.36"], "security_group"),
    ("DELETE", "/{A}/os-security-groups/nope", "alice", ["2.36"], None),
    ("POST", "/{A}/os-security-group-rules", "alice", ["2.36"], "security_group_rule"),
    ("DELETE", "/{A}/os-security-group-rules/nope", "alice", ["2.36"], None),
    ("DELETE", "/{A}/os-floating-ips/nope", "alice", ["2.36"], None),
    ("POST", "/{A}/images/nope/metadata", "alice", ["2.39"], "metadata"),
    ("PUT", "/{A}/images/nope/metadata", "alice", ["2.39"], "metadata"),
    ("DELETE", "/{A}/images/nope", "alice", ["2.36"], None),
    ("POST", "/{A}/os-cells", "alice", [], None), ("POST", "/{A}/os-certificates", "alice", [], None),
    ("POST", "/{A}/os-cloudpipe", "alice", [], None), ("POST", "/{A}/os-networks", "alice", ["2.36"], None),
    ("POST", "/{A}/os-networks/add", "alice", ["2.36"], None), ("POST", "/{A}/os-agents", "alice", [], None),
    ("PUT", "/{A}/os-agents/1", "alice", [], None), ("DELETE", "/{A}/os-agents/1", "alice", [], None),
    ("POST", "/{A}/os-tenant-networks", "alice", ["2.36"], None),
    ("POST", "/{ADMIN}/os-baremetal-nodes", "admin", ["2.36"], None),
    ("POST", "/{A}/os-volumes_boot", "alice", ["2.103"], "server"),
]

ACTIONS = [
    "addSecurityGroup", "changePassword", "confirmResize", "createBackup", "createImage", "evacuate", "forceDelete",
    "lock", "migrate", "nope", "os-getConsoleOutput", "os-getSPICEConsole", "os-getVNCConsole", "os-migrateLive",
    "os-resetState", "os-start", "os-stop", "pause", "reboot", "rebuild", "removeSecurityGroup", "rescue", "resize",
    "restore", "revertResize", "shelve", "shelveOffload", "trigger_crash_dump", "unlock", "unpause", "unrescue",
    "unshelve", "addFixedIp", "removeFixedIp", "addFloatingIp", "removeFloatingIp", "injectNetworkInfo",
    "resetNetwork", "os-getRDPConsole", "os-getSerialConsole", "suspend", "resume", "START", "",
]


def before(version):
    major, minor = version.split(".")
    return f"{major}.{int(minor) - 1}"


def at(boundaries):
    """The microversions worth asking: both ends and both sides of each boundary."""
    return list(dict.fromkeys(
        ["2.1", *(side for version in boundaries for side in (before(version), version)), LAST]))


def lists():
    for path, who, boundaries, parameters, small in LISTS:
        base = f"list {path}"
        number = 0

        def request(query, version, root="/v2.1", who=who, base=base, path=path):
            nonlocal number
            number += 1
            target = f"{root}{path}" + (f"?{query}" if query else "")
            return Request(f"{base} {number}", "GET", target, who, version)

        for version in at(boundaries):
            if small is not None:
                yield request(small.rstrip("&"), version)
        for name, kind in parameters.items():
            first, *others = VALUES[kind]
            # What may be a long list is asked with a limit; a wrong value of `limit` itself is refused or is short.
            prefix = "" if name in ("limit", "start", "end") else small or ""
            for version in at(boundaries):
                if small is not None or version not in at([]):
                    yield request(f"{prefix}{name}={first}", version)
            if small is None:
                continue
            yield request(f"{prefix}{name}={first}", None, "/v2")
            for value in others:
                for version in at([]):
                    yield request(f"{prefix}{name}={value}", version)
            yield request(f"{prefix}{name}={first}&{name}={others[-1]}", LAST)
            yield request(f"{prefix}{name}={others[-1]}&{name}={first}", "2.1")
            yield request(f"{prefix}{name}", LAST)
        # Who may not, with what is wrong: the order of policy and query.
        for other in ("carol", "bob"):
            for version in at([]):
                yield request("foo=1&limit=abc", version, who=other)


def gone():
    for path in GONE:
        for version in ("2.1", LAST, None):
            root = "/v2.1" if version else "/v2"
            yield Request(f"gone {path} {version}", "GET", f"{root}/{{A}}/{path}", version=version)
            yield Request(f"gone {path} {version} query", "GET", f"{root}/{{A}}/{path}?foo=1&limit=x", version=version)


def writes():
    for method, path, who, boundaries, key in WRITES:
        name = f"write {method} {path}"
        contents = [None, "", "{", "[]", "{}", '{"nope": {}}', "null", '{"a": 1}x']
        if key:
            contents += [f'{{"{key}": {value}}}' for value in ("{}", "[]", "null", '"x"', '{"nope": 1}')]
            contents.append(f'{{"{key}": {{}}, "nope": 1}}')
        if method == "DELETE":
            contents = [None, "{", "{}"]
        for version in at(boundaries):
            some = contents if version == LAST else [None, "{}", f'{{"{key}": {{}}}}']
            for number, content in enumerate(some):
                if may_change(method, path, content):
                    continue
                yield Request(f"{name} {version} {number}", method, f"/v2.1{path}", who, version, content=content)
        for number, type in enumerate(["text/plain", "application/xml", None]):
            yield Request(f"{name} type {number}", method, f"/v2.1{path}", who, content="[]", type=type)
        yield Request(f"{name} query", method, f"/v2.1{path}?foo=1&limit=abc", who, LAST, content="[]")
        yield Request(f"{name} v2", method, f"/v2{path}", who, content="[]")
        yield Request(f"{name} reader", method, f"/v2.1{path}".replace("{ADMIN}", "{A}"), "carol", content="[]")


def may_change(method, path, content):
    """Whether a Nova might do something on it: never asked."""
    if method == "POST" and path == "/{A}/os-security-groups":
        return content is not None and "x" in content
    return method == "PUT" and "quota" in path and content is not None and '_set": {}' in content


def actions():
    for action in ACTIONS:
        for version in ("2.1", LAST):
            for number, content in enumerate((f'{{"{action}": null}}', f'{{"{action}": {{"nope": 1}}}}')):
                yield Request(
                    f"action {action} {version} {number}", "POST", f"/v2.1/{{A}}/servers/{NEVER}/action",
                    version=version, content=content)
        yield Request(
            f"action {action} two", "POST", f"/v2.1/{{A}}/servers/{NEVER}/action",
            content=f'{{"{action}": null, "lock": null}}')


def methods():
    """Every path with the methods it has not, and others."""
    paths = dict.fromkeys([path for path, *_ in LISTS] + [path for _, path, *_ in WRITES])
    known = {(method, path) for method, path, *_ in WRITES} | {("GET", path) for path, *_ in LISTS}
    for path in paths:
        odd = ("TRACE", "OPTIONS", "get", "PURGE") if path.startswith("/{A}/servers") else ()
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", *odd):
            if (method, path) in known or (method == "DELETE" and NEVER not in path and "nope" not in path):
                continue
            if method in ("PUT", "POST") and "nope" not in path and NEVER not in path:
                # Only where nothing can be made of it.
                yield Request(f"method {method} {path}", method, f"/v2.1{path}", content="[]")
            else:
                yield Request(f"method {method} {path}", method, f"/v2.1{path}")


def paths():
    """Paths that are nearly right."""
    for path in ["servers", "flavors", "os-keypairs", "limits", "servers/detail", "servers/nope", "os-hypervisors"]:
        for number, odd in enumerate([
            f"/{{A}}/{path}/", f"/{{A}}/{path}.json", f"/{{A}}/{path}/nope/nope/nope", f"/{path}", f"/zzz/{path}",
            f"/{{UA}}/{path}", f"/{{B}}/{path}", f"/{{pA}}/{path}", f"/{{A}}/{path.upper()}", f"/{{A}}/nope/{path}",
            f"/{{A}};a/{path}", f"/{{A}}/{path};a", f"/{{A}}/{path}%20", f"/-/{path}", f"/abc/{path}",
        ]):
            for root, version in (("/v2.1", None), ("/v2.1", LAST), ("/v2", None)):
                yield Request(f"path {path} {number} {root} {version}", "GET", f"{root}{odd}?limit=1", version=version)


def everything():
    """All of them; each id once."""
    found, seen = [], set()
    for request in (*lists(), *gone(), *writes(), *actions(), *methods(), *paths()):
        assert request.id not in seen, request.id
        seen.add(request.id)
        found.append(request)
    return found
