"""The real clients of OpenStack through Gatehouse, in front of the real Nova, with the catalog leading there.

That a client stayed with Gatehouse is told by counting: every page it must have asked for is an access line.
"""

import json
import math
import re
import subprocess
import uuid

import openstack
import pytest
from openstack import exceptions


class Watched:
    """What Gatehouse has seen since this was made."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.begin = len(gateway.access_lines())

    def lines(self, operation):
        lines = self.gateway.access_lines()[self.begin:]
        return [line for line in lines if line.get("operation") == operation]


@pytest.fixture
def watched(through):
    return Watched(through.gateway)


@pytest.fixture
def client(through):
    """Runs a command line as a user; gives what it printed, or with `fails` what it said was wrong."""

    def run(user, program, *arguments, fails=False):
        done = subprocess.run(
            [through.cloud.programs / program, *arguments], env=through.environment(user), capture_output=True,
            text=True, timeout=240)
        assert (done.returncode != 0) == fails, (arguments, done.stdout[-2000:], done.stderr[-4000:])
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def sdk(through):
    made = []

    def connect(user):
        settings = through.environment(user)
        made.append(openstack.connection.Connection(
            region_name=through.region, identity_api_version="3",
            auth={
                "auth_url": settings["OS_AUTH_URL"], "username": user, "password": settings["OS_PASSWORD"],
                "project_name": settings["OS_PROJECT_NAME"], "user_domain_name": "Default",
                "project_domain_name": "Default"}))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()
        connection.session.session.close()


def all_ids(cloud, user):
    """Every server that Nova itself lists for this user."""
    nova, ids, marker = cloud.compute(user), [], ""
    while True:
        page = nova.get(f"/servers?limit=1000{marker}")["servers"]
        ids += [server["id"] for server in page]
        if len(page) < 1000:
            return ids
        marker = f"&marker={ids[-1]}"


def test_links_lead_back_to_gatehouse(cloud, through):
    alice = cloud.compute("alice", url=through.gateway.url)
    page = alice.get("/servers?limit=2")
    assert len(page["servers"]) == 2
    links = [link for server in page["servers"] for link in server["links"]] + page["servers_links"]
    for link in links:
        assert link["href"].startswith(through.gateway.url + "/"), link
    for path in ("/flavors?limit=1", f"/servers/{cloud.servers['A_active']}", "/limits", "/os-keypairs"):
        assert cloud.compute_url not in alice.ask("GET", path).text, path


def test_openstacksdk_pages_through_all_servers(cloud, through, sdk, watched, figures):
    expected = all_ids(cloud, "alice")
    found = [server.id for server in sdk("alice").compute.servers(details=False, limit=100)]
    assert found == expected
    # The client asks until a page is empty.
    count = math.ceil(len(expected) / 100) + 1
    pages = watched.lines("servers.list")
    assert len(pages) == count, [line["target"] for line in pages]
    assert all("marker=" in line["target"] for line in pages[1:])
    assert all(line["status"] == 200 for line in pages)
    figures.note(f"{len(found)} servers in {len(pages)} pages, all seen by Gatehouse")


def test_openstacksdk_pages_with_details(cloud, sdk, watched):
    expected = all_ids(cloud, "bob")
    assert [server.id for server in sdk("bob").compute.servers(limit=50)] == expected
    count = math.ceil(len(expected) / 50) + 1
    assert len(watched.lines("servers.list_detail")) == count


def test_openstacksdk_filters(cloud, sdk):
    compute = sdk("alice").compute
    stopped = list(compute.servers(status="SHUTOFF", limit=50, paginated=False))
    assert stopped and all(server.status == "SHUTOFF" for server in stopped)
    named = list(compute.servers(details=False, name="^a-web-000", paginated=False))
    assert named and all(server.name.startswith("a-web-000") for server in named)
    direct = cloud.compute("alice").get("/servers?changes-since=2025-06-01T00:00:00Z&limit=5")["servers"]
    found = compute.servers(details=False, changes_since="2025-06-01T00:00:00Z", limit=5, paginated=False)
    assert [server.id for server in found] == [server["id"] for server in direct]


def test_openstacksdk_other_resources(cloud, sdk):
    compute = sdk("alice").compute
    server = compute.get_server(cloud.servers["A_with_port"])
    assert [each.fixed_ips for each in compute.server_interfaces(server)]
    assert list(compute.server_actions(server))
    assert len(list(compute.keypairs())) == 25
    public = cloud.compute("alice").get("/flavors")["flavors"]
    assert {flavor.id for flavor in compute.flavors()} == {flavor["id"] for flavor in public}


def test_openstacksdk_reads_every_error(sdk):
    compute = sdk("alice").compute
    with pytest.raises(exceptions.NotFoundException, match="could not be found"):
        compute.get_server(str(uuid.uuid4()))
    with pytest.raises(exceptions.BadRequestException, match="marker .nope. not found"):
        list(compute.servers(marker="nope"))
    with pytest.raises(exceptions.ForbiddenException, match="[Pp]olicy"):
        list(compute.servers(all_projects=True))


def test_openstack_server_list_of_all_pages(cloud, client, watched):
    rows = json.loads(client("alice", "openstack", "server", "list", "-n", "-f", "json"))
    assert {row["ID"] for row in rows} == set(all_ids(cloud, "alice"))
    pages = watched.lines("servers.list_detail")
    assert len(pages) >= 2 and any("marker=" in line["target"] for line in pages)


def test_openstack_server_list_with_filters(client):
    rows = json.loads(client("alice", "openstack", "server", "list", "--status", "ERROR", "--limit", "4", "-f", "json"))
    assert len(rows) == 4 and {row["Status"] for row in rows} == {"ERROR"}
    assert "403" in client("alice", "openstack", "server", "list", "--all-projects", fails=True)
    rows = json.loads(client(
        "admin", "openstack", "server", "list", "--all-projects", "--deleted", "--limit", "3", "-f", "json"))
    assert len(rows) == 3


def test_openstack_server_create_show_and_delete(client, through, watched):
    name = f"made-{uuid.uuid4().hex[:6]}"
    made = json.loads(client(
        "bob", "openstack", "server", "create", "--image", "bed-cirros", "--flavor", "m1.tiny", "--network", "net-B",
        "--wait", "-f", "json", name))
    assert (made["name"], made["status"]) == (name, "ACTIVE")
    shown = json.loads(client("bob", "openstack", "server", "show", "-f", "json", name))
    assert shown["id"] == made["id"]
    client("bob", "openstack", "server", "delete", "--wait", made["id"])
    gone = client("bob", "openstack", "server", "show", made["id"], fails=True)
    assert "No Server found" in gone or "No server" in gone
    assert [line["status"] for line in watched.lines("servers.create")] == [202]
    assert [line["status"] for line in watched.lines("servers.delete")] == [204]


def test_openstack_as_a_reader(client):
    """Reading is allowed; what is not is refused in Nova's words, whoever says them."""
    assert len(json.loads(client("carol", "openstack", "server", "list", "--limit", "1", "-f", "json"))) == 1
    assert "403" in client("carol", "openstack", "server", "delete", "a-web-0000", fails=True)


def test_nova_list_and_show(cloud, client, watched):
    listed = client("bob", "nova", "list", "--limit", "-1")
    ids = set(re.findall(r"^\| ([0-9a-f-]{36}) \|", listed, re.M))
    assert ids == set(all_ids(cloud, "bob"))
    assert watched.lines("servers.list_detail")
    shown = client("alice", "nova", "show", cloud.servers["A_with_port"])
    assert cloud.servers["A_with_port"] in shown
    assert "HTTP 400" in client("alice", "nova", "list", "--marker", "nope", fails=True)


def test_nova_interface_list(cloud, client):
    shown = client("alice", "nova", "interface-list", cloud.servers["A_with_port"])
    assert "fa:16:3e:aa:00:" in shown, shown
