"""What is in the cloud: flavors, images, networks, keypairs, servers; and the file that describes it all."""

import importlib.metadata
import json
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

from . import shapes
from .accounts import Accounts
from .configuration import COMPUTE_HOST
from .names import REGION, ROLES
from .processes import StartFailure
from .rest import Rest, issue_token

# id -> (name, memory in MiB, processors, disk in GiB, extra specs)
FLAVORS = {
    "1": ("m1.tiny", 512, 1, 1, {}),
    "2": ("m1.small", 2048, 1, 20, {}),
    "3": ("m1.medium", 4096, 2, 40, {}),
    "4": ("m1.large", 8192, 4, 80, {}),
    "5": ("m1.xlarge", 16384, 8, 160, {"hw:cpu_policy": "dedicated"}),
    "42": ("m1.nano", 128, 1, 1, {}),
    "zero-disk": ("m1.zero-disk", 128, 1, 0, {}),
    "c5a7d5d1-0f0e-4d3e-9a53-0c8f7a1d1d11": ("bed.uuid", 1024, 1, 10, {"hw_rng:allowed": "True"}),
    "bed.private-a": ("bed.private-a", 1024, 2, 10, {}),
}
IMAGES = {"bed-cirros": "public", "bed-debian": "public", "bed-private-a": "private"}
NETWORKS = {"A": "10.10.0.0/16", "B": "10.20.0.0/16"}
KEYPAIRS = {"alice": 25, "bob": 3, "admin": 1}
SERVER_GROUPS = {"alice": 5, "bob": 2}
AGGREGATES = {"agg-one": None, "agg-az": "bed-az"}
# Servers that are made as a user would, so that nova-compute has them.
REAL = [("alice", "A", f"real-a-{index:02d}") for index in range(4)] + [
    ("bob", "B", f"real-b-{index:02d}") for index in range(2)]
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0mEmoZKcZbRwIqEWvXlfNLWmUqXGvZG8B0mB2Wm6fN cloud"
MICROVERSION = "2.90"


class Contents:
    """Fills a cloud that has accounts and nothing else."""

    def __init__(self, place, services):
        self.place = place
        self.services = services
        accounts = Accounts(place)
        self.projects = accounts.ids("project")
        self.users = accounts.ids("user")
        self.tokens = {user: issue_token(place.identity_url, user, place.password)[0] for user in ROLES}
        self.nova = {
            user: Rest(place.url("nova") + "/v2.1", token, MICROVERSION) for user, token in self.tokens.items()}
        self.neutron = Rest(place.url("neutron") + "/v2.0", self.tokens["admin"])
        self.glance = Rest(place.url("glance") + "/v2", self.tokens["admin"])
        self.placement = Rest(place.url("placement"), self.tokens["admin"])
        self.images, self.networks, self.subnets = {}, {}, {}

    # Flavors, images, networks, and what is by user

    def make_flavors(self):
        nova = self.nova["admin"]
        for identifier, (name, memory, processors, disk, specs) in FLAVORS.items():
            is_public = "private" not in name
            nova.post("/flavors", {"flavor": {
                "id": identifier, "name": name, "ram": memory, "vcpus": processors, "disk": disk, "swap": 0,
                "rxtx_factor": 1.0, "OS-FLV-EXT-DATA:ephemeral": 0, "os-flavor-access:is_public": is_public,
                "description": f"bed flavor {name}"}})
            if specs:
                nova.post(f"/flavors/{identifier}/os-extra_specs", {"extra_specs": specs})
            if not is_public:
                nova.post(f"/flavors/{identifier}/action", {"addTenantAccess": {"tenant": self.projects["A"]}})

    def make_images(self):
        for name, visibility in IMAGES.items():
            owner = {"owner": self.projects["A"]} if visibility == "private" else {}
            image = self.glance.post("/images", {
                "name": name, "disk_format": "raw", "container_format": "bare", "visibility": visibility,
                "min_ram": 0, "min_disk": 0, **owner})["id"]
            self.glance.do(
                "PUT", f"/images/{image}/file", data=bytes(65536), headers={"Content-Type": "application/octet-stream"})
            self.images[name] = image

    def make_networks(self):
        for project, addresses in NETWORKS.items():
            owner = {"project_id": self.projects[project]}
            network = self.neutron.post("/networks", {"network": {"name": f"net-{project}", **owner}})["network"]["id"]
            self.networks[project] = network
            self.subnets[project] = self.neutron.post("/subnets", {"subnet": {
                "network_id": network, "ip_version": 4, "cidr": addresses, "enable_dhcp": False, "gateway_ip": None,
                **owner}})["subnet"]["id"]
        # A port is only bound on a host that has an agent which lives; these live for ever.
        abilities = {
            "bridge_mappings": {}, "tunnel_types": ["vxlan"], "tunneling_ip": "127.0.0.1", "datapath_type": "system",
            "ovs_hybrid_plug": False}
        self.services.stores.run_sql(*[(
            "INSERT INTO agents (id, agent_type, `binary`, topic, host, admin_state_up, created_at, started_at,"
            " heartbeat_timestamp, configurations, `load`) VALUES (UUID(), 'Open vSwitch agent',"
            " 'neutron-openvswitch-agent', 'N/A', %s, 1, NOW(), NOW(), '2099-01-01', %s, 0)",
            (host, json.dumps(abilities))) for host in (COMPUTE_HOST, *shapes.HOSTS)], database="neutron")

    def make_ports(self):
        """server -> port, for the servers that have one."""
        ports = {}
        for project in shapes.COUNTS:
            wanted = [shape for shape in shapes.all_shapes() if shape.project == project and shape.has_port]
            body = {"ports": [{
                "network_id": self.networks[project], "project_id": self.projects[project], "device_id": shape.uuid,
                "device_owner": "compute:nova", "name": "", "admin_state_up": True, "mac_address": shape.mac_address,
                "fixed_ips": [{"subnet_id": self.subnets[project], "ip_address": shape.address}],
            } for shape in wanted]}
            ports |= {port["device_id"]: port["id"] for port in self.neutron.post("/ports", body)["ports"]}
        return ports

    def make_belongings(self):
        for user, count in KEYPAIRS.items():
            for index in range(count):
                self.nova[user].post("/os-keypairs", {"keypair": {
                    "name": f"key-{user}-{index:02d}", "type": "ssh", "public_key": PUBLIC_KEY}})
        for user, count in SERVER_GROUPS.items():
            for index in range(count):
                self.nova[user].post("/os-server-groups", {"server_group": {
                    "name": f"sg-{user}-{index}", "policy": "soft-anti-affinity"}})
        for name, zone in AGGREGATES.items():
            self.nova["admin"].post("/os-aggregates", {"aggregate": {"name": name, "availability_zone": zone}})

    # Servers

    def write_servers(self, parts=2):
        plan = self.place.state / "servers.json"
        plan.write_text(json.dumps({
            "projects": self.projects, "users": self.users, "images": self.images, "networks": self.networks,
            "ports": self.make_ports()}))
        program = pathlib.Path(__file__).with_name("write_servers.py")
        with ThreadPoolExecutor(parts) as lanes:
            for done in [lanes.submit(
                    self.services.processes.run, f"servers-{part}",
                    [self.place.programs / "python", program, self.services.file("nova"), plan, part, parts])
                    for part in range(parts)]:
                done.result()

    def wait_for_compute(self, seconds=120):
        """Until nova-compute is up, and placement knows what it has; then its cell is told of it."""
        deadline = time.monotonic() + seconds
        while not self.is_compute_known():
            if time.monotonic() > deadline:
                raise StartFailure(f"nova-compute is not known to placement within {seconds} s")
            time.sleep(0.5)
        self.services.manage("nova", "nova-manage", "cell_v2", "discover_hosts")

    def is_compute_known(self):
        found = self.nova["admin"].get(f"/os-services?binary=nova-compute&host={COMPUTE_HOST}")["services"]
        if not any(service["state"] == "up" for service in found):
            return False
        nodes = self.placement.get(f"/resource_providers?name={COMPUTE_HOST}")["resource_providers"]
        return any(
            self.placement.get(f"/resource_providers/{node['uuid']}/inventories")["inventories"] for node in nodes)

    def make_real_servers(self, seconds=120):
        made = []
        for user, project, name in REAL:
            made.append((self.nova[user], self.nova[user].post("/servers", {"server": {
                "name": name, "imageRef": self.images["bed-cirros"], "flavorRef": "1",
                "networks": [{"uuid": self.networks[project]}], "metadata": {"made": "really"}, "tags": ["real"],
            }})["server"]["id"]))
        deadline = time.monotonic() + seconds
        for nova, server in made:
            while (found := nova.get(f"/servers/{server}")["server"])["status"] == "BUILD":
                if time.monotonic() > deadline:
                    raise StartFailure(f"server {server} is still being built after {seconds} s")
                time.sleep(0.3)
            if found["status"] != "ACTIVE":
                raise StartFailure(f"server {server} is {found['status']}: {found.get('fault')}")
        return [server for _, server in made]

    # The description

    def describe(self, real):
        people = {name: self.users[name] for name in (*ROLES, "nova")}
        programs = ("nova", "keystone", "neutron", "glance", "tempest", "openstacksdk", "python-openstackclient")
        facts = {
            "urls": {
                "identity": self.place.identity_url, "compute": self.place.url("nova"),
                "network": self.place.url("neutron"), "image": self.place.url("glance"),
                "placement": self.place.url("placement")},
            "region": REGION, "password": self.place.password, "programs": str(self.place.programs),
            "state": str(self.place.state), "configuration": str(self.place.configuration), "projects": self.projects,
            "users": people, "images": self.images, "networks": self.networks, "subnets": self.subnets,
            "flavors": list(FLAVORS), "servers": shapes.samples(), "real": real,
            "building": [shapes.seeded_id(shapes.BUILDING)], "processes": self.services.processes.running(),
            "versions": {name: importlib.metadata.version(name) for name in programs},
        }
        write_description(self.place.description, facts)


def write_description(path, facts):
    path.touch(mode=0o600)
    path.write_text(json.dumps(facts, indent=1) + "\n")


def fill(place, services, say):
    """Fills the cloud the first time; later the description only learns of the new processes."""
    if place.description.exists():
        facts = json.loads(place.description.read_text())
        write_description(place.description, {**facts, "processes": services.processes.running()})
        return
    contents = Contents(place, services)
    contents.make_flavors()
    contents.make_images()
    contents.make_networks()
    contents.make_belongings()
    say("flavors, images, networks and keypairs made")
    contents.write_servers()
    say(f"{sum(shapes.COUNTS.values())} servers written")
    contents.wait_for_compute()
    contents.describe(contents.make_real_servers())
    say(f"{len(REAL)} servers made by nova-compute")
