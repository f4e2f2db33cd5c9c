"""Writes the seeded servers into Nova's databases, through Nova's own objects.

    python write_servers.py NOVA_CONF PLAN PART PARTS

PLAN is JSON: projects, users, images, networks (name -> id) and ports (server -> id). Each part writes every PARTS-th
server; part 0 makes the hosts, and the server that is but a build request. A program of its own, since Nova's
configuration is one per process.

1,800 servers the ordinary way would take an hour, and none could be soft-deleted in 2024.
"""

import datetime
import json
import pathlib
import sys
import time

import sqlalchemy
from nova import monkey_patch

monkey_patch.patch(backend="threading")

from nova import config, context, exception, objects  # noqa: E402
from nova.db.main import api as database  # noqa: E402
from nova.network import model  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from stack import shapes  # noqa: E402

# Rows of a deleted server that are gone with it.
OF_DELETED = (
    "instance_system_metadata", "instance_metadata", "block_device_mapping", "instance_faults", "instance_info_caches")


def naive(moment):
    return moment and moment.replace(tzinfo=None)


class Writer:
    """One process's share of the servers."""

    def __init__(self, plan):
        self.plan = plan
        self.admin = context.get_admin_context()
        cells = objects.CellMappingList.get_all(self.admin)
        self.cell0 = next(cell for cell in cells if cell.is_cell0())
        self.cell1 = next(cell for cell in cells if not cell.is_cell0())
        self.flavors = {flavor.flavorid: flavor for flavor in objects.FlavorList.get_all(self.admin)}
        self.nodes = {}

    # Hosts

    def make_hosts(self):
        """Three hosts, one of them disabled, with no nova-compute: reads of what is on them are real."""
        with context.target_cell(self.admin, self.cell1) as within:
            for host in shapes.HOSTS:
                is_last = host == shapes.HOSTS[-1]
                service = objects.Service(
                    within, host=host, binary="nova-compute", topic="compute", report_count=1, disabled=is_last,
                    disabled_reason="bed: disabled for maintenance" if is_last else None)
                service.create()
                self.make_node(within, host, service)
        for host in shapes.HOSTS:
            objects.HostMapping(self.admin, host=host, cell_mapping=self.cell1).create()

    def make_node(self, within, host, service):
        processor = {
            "arch": "x86_64", "model": "Nehalem", "vendor": "Intel", "features": [],
            "topology": {"cores": 1, "threads": 1, "sockets": 4}}
        objects.ComputeNode(
            within, host=host, hypervisor_hostname=f"{host}.bed.example", service_id=service.id,
            uuid=shapes.seeded_id(host), vcpus=64, vcpus_used=10, memory_mb=262144, memory_mb_used=20480,
            free_ram_mb=241664, local_gb=4000, local_gb_used=200, free_disk_gb=3800, disk_available_least=0,
            running_vms=400, current_workload=0, hypervisor_type="fake", hypervisor_version=1000,
            cpu_info=json.dumps(processor), host_ip="127.0.0.1", cpu_allocation_ratio=4.0, ram_allocation_ratio=1.0,
            disk_allocation_ratio=1.0, mapped=1, stats={}, pci_device_pools=objects.PciDevicePoolList(objects=[]),
            supported_hv_specs=[objects.HVSpec(arch="x86_64", hv_type="fake", vm_mode="hvm")]).create()

    def find_hosts(self, seconds=60):
        """Waits for the hosts of part 0."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                objects.HostMapping.get_by_host(self.admin, shapes.HOSTS[-1])
                break
            except exception.HostMappingNotFound:
                if time.monotonic() > deadline:
                    sys.exit(f"no hosts within {seconds} s")
                time.sleep(0.1)
        with context.target_cell(self.admin, self.cell1) as within:
            for host in shapes.HOSTS:
                node = objects.ComputeNodeList.get_all_by_host(within, host)[0]
                self.nodes[host] = (node.id, node.hypervisor_hostname)

    # Servers

    def write(self, servers):
        for cell, chosen in (
                (self.cell0, [shape for shape in servers if shape.is_in_cell0]),
                (self.cell1, [shape for shape in servers if not shape.is_in_cell0])):
            with context.target_cell(self.admin, cell) as within:
                for shape in chosen:
                    self.write_server(within, shape)
                self.set_times(within, chosen)
            for shape in chosen:
                objects.InstanceMapping(
                    self.admin, instance_uuid=shape.uuid, cell_mapping=cell, queued_for_delete=shape.is_deleted,
                    project_id=self.plan["projects"][shape.project], user_id=self.plan["users"][shape.owner]).create()

    def image(self, shape):
        return self.plan["images"][shape.image] if shape.image else ""

    def write_server(self, within, shape):
        flavor = self.flavors[shape.flavor].obj_clone()
        flavor._context = within
        number, image = shape.index, self.image(shape)
        node = self.nodes[shape.host] if shape.is_on_host else (None, None)
        is_started = shape.vm_state not in ("building", "error")
        objects.Instance(
            within, uuid=shape.uuid, project_id=self.plan["projects"][shape.project],
            user_id=self.plan["users"][shape.owner], display_name=shape.name,
            display_description=f"seeded server {number} of {shape.project}" if number % 2 else shape.name,
            hostname=f"host-{number}", vm_state=shape.vm_state, task_state=shape.task_state,
            power_state=shape.power_state, image_ref=image, kernel_id="", ramdisk_id="", key_name=shape.key_name,
            reservation_id=f"r-{shapes.seeded_id(f'res-{shape.project}-{number // 2}')[:8]}", launch_index=0,
            launched_at=shape.created + datetime.timedelta(seconds=20) if is_started else None,
            host=shape.host if shape.is_on_host else None, node=node[1], compute_id=node[0],
            availability_zone="nova" if number % 6 else "bed-az", instance_type_id=flavor.id, flavor=flavor,
            old_flavor=None, new_flavor=None, memory_mb=flavor.memory_mb, vcpus=flavor.vcpus, root_gb=flavor.root_gb,
            ephemeral_gb=0, root_device_name="/dev/vda", os_type=None, vm_mode=None, architecture=None,
            locked=number % 30 == 1, locked_by="owner" if number % 30 == 1 else None,
            access_ip_v4=f"198.51.100.{number % 250 + 1}" if number % 11 == 0 else None, access_ip_v6=None,
            config_drive="True" if number % 8 == 0 else "", progress=0 if shape.vm_state == "building" else 100,
            auto_disk_config=True, shutdown_terminate=False, disable_terminate=False, cleaned=0, hidden=False,
            metadata={"role": "web", "n": str(number)} if number % 5 == 0 else {},
            system_metadata={
                "image_base_image_ref": image, "owner_user_name": shape.owner, "boot_roles": "member,reader"},
        ).create()
        network = self.network(shape) if shape.has_network else []
        objects.InstanceInfoCache(
            within, instance_uuid=shape.uuid, network_info=model.NetworkInfo(network)).save()
        self.write_tags(within, shape)
        self.write_volumes(within, shape, image)
        self.write_past(within, shape)

    def network(self, shape):
        number, second = shape.index, 10 if shape.project == "A" else 20
        address = model.FixedIP(address=shape.address)
        if number % 10 == 0:
            address.add_floating_ip(
                model.IP(address=f"203.0.113.{number // 10 % 250 + 1}", type="floating"))
        subnets = [model.Subnet(cidr=f"10.{second}.0.0/16", ips=[address], dns=[], routes=[], version=4)]
        if number % 5 == 0:
            address = model.FixedIP(address=f"fd00:10::{number + 1:x}")
            subnets.append(model.Subnet(cidr="fd00:10::/64", ips=[address], dns=[], routes=[], version=6))
        network = model.Network(
            id=self.plan["networks"][shape.project], label=f"net-{shape.project}", subnets=subnets, bridge="br-int")
        port = self.plan["ports"].get(shape.uuid) or shapes.seeded_id(f"vif-{shape.project}-{number}")
        return [model.VIF(
            id=port, address=shape.mac_address, network=network, type="ovs", active=True, vnic_type="normal")]

    def write_tags(self, within, shape):
        if shape.index % 4 == 0:
            gold = ["gold"] if shape.index % 12 == 0 else []
            objects.TagList.create(within, shape.uuid, ["bed", f"t{shape.index % 7}", *gold])

    def write_volumes(self, within, shape, image):
        number = shape.index
        root = {"instance_uuid": shape.uuid, "no_device": False}
        if image:
            objects.BlockDeviceMapping(
                within, **root, source_type="image", destination_type="local", device_type="disk", boot_index=0,
                delete_on_termination=True, device_name="/dev/vda", image_id=image, guest_format=None,
                disk_bus=None).create()
        if not image or number % 13 == 0:
            objects.BlockDeviceMapping(
                within, **root, source_type="volume", destination_type="volume", device_type="disk",
                boot_index=None if image else 0, delete_on_termination=False,
                device_name="/dev/vdb" if image else "/dev/vda",
                volume_id=shapes.seeded_id(f"vol-{shape.project}-{number}"),
                attachment_id=shapes.seeded_id(f"att-{shape.project}-{number}"), connection_info="{}",
                volume_size=1).create()

    def write_past(self, within, shape):
        number = shape.index
        if number < 60 or number % 10 == 0:
            objects.InstanceAction.action_start(within, shape.uuid, "create").finish()
            event = "compute__do_build_and_run_instance"
            objects.InstanceActionEvent.event_start(within, shape.uuid, event, host=shape.host)
            objects.InstanceActionEvent.event_finish(within, shape.uuid, event)
        if shape.vm_state == "error":
            objects.InstanceFault(
                within, instance_uuid=shape.uuid, code=500, details="seeded fault details",
                host=shape.host if shape.is_on_host else None,
                message="No valid host was found." if number % 2 else "Build of instance aborted: seeded fault").create()

    def set_times(self, within, servers):
        """What the objects would not let us say: when a server was made, changed and deleted."""
        with database.get_context_manager(within).writer.using(within) as session:
            for shape in servers:
                session.execute(sqlalchemy.text(
                    "UPDATE instances SET created_at = :created, updated_at = :updated WHERE uuid = :uuid"),
                    {"uuid": shape.uuid, "created": naive(shape.created), "updated": naive(shape.updated or shape.ended)})
            for shape in (shape for shape in servers if shape.is_deleted):
                values = {"uuid": shape.uuid, "ended": naive(shape.ended)}
                session.execute(sqlalchemy.text(
                    "UPDATE instances SET deleted = id, deleted_at = :ended, terminated_at = :ended,"
                    " vm_state = 'deleted', task_state = NULL WHERE uuid = :uuid"), values)
                for table in OF_DELETED:
                    session.execute(sqlalchemy.text(
                        f"UPDATE {table} SET deleted = id, deleted_at = :ended WHERE instance_uuid = :uuid"), values)

    # The one that no cell has yet

    def write_build_request(self):
        uuid, project = shapes.seeded_id(shapes.BUILDING), self.plan["projects"]["A"]
        nothing = dict.fromkeys((
            "key_name", "key_data", "host", "node", "user_data", "launched_at", "terminated_at", "availability_zone",
            "locked_by", "os_type", "root_device_name", "access_ip_v4", "access_ip_v6", "default_ephemeral_device",
            "default_swap_device", "vm_mode", "architecture", "cell_name", "old_flavor", "new_flavor", "updated_at",
            "deleted_at", "pci_requests", "numa_topology", "launched_on", "trusted_certs", "vcpu_model",
            "device_metadata", "resources", "migration_context"))
        flavor = self.flavors["1"].obj_clone()
        server = objects.Instance(
            self.admin, **nothing, uuid=uuid, project_id=project, user_id=self.plan["users"]["alice"],
            display_name="a-building-0", display_description="a-building-0", hostname="building-0",
            vm_state="building", task_state="scheduling", power_state=0, progress=0,
            image_ref=self.plan["images"]["bed-cirros"], kernel_id="", ramdisk_id="", launch_index=0,
            reservation_id="r-building", instance_type_id=flavor.id, flavor=flavor, memory_mb=flavor.memory_mb,
            vcpus=flavor.vcpus, root_gb=flavor.root_gb, ephemeral_gb=0, locked=False, config_drive="",
            auto_disk_config=True, shutdown_terminate=False, disable_terminate=False, cleaned=0, hidden=False,
            metadata={}, system_metadata={}, deleted=False,
            created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
            info_cache=objects.InstanceInfoCache(network_info=model.NetworkInfo([]), instance_uuid=uuid),
            security_groups=objects.SecurityGroupList(objects=[]), tags=objects.TagList(objects=[]),
            keypairs=objects.KeyPairList(objects=[]))
        objects.BuildRequest(
            self.admin, instance=server, instance_uuid=uuid, project_id=project, tags=objects.TagList(objects=[]),
            block_device_mappings=objects.BlockDeviceMappingList(objects=[])).create()
        objects.InstanceMapping(
            self.admin, instance_uuid=uuid, cell_mapping=None, project_id=project,
            user_id=self.plan["users"]["alice"], queued_for_delete=False).create()


def main():
    configuration, plan, part, parts = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    config.parse_args(["write_servers", "--config-file", configuration])
    objects.register_all()
    writer = Writer(json.loads(pathlib.Path(plan).read_text()))
    if part == 0:
        writer.make_hosts()
        writer.write_build_request()
    writer.find_hosts()
    writer.write(shapes.all_shapes()[part::parts])


main()
