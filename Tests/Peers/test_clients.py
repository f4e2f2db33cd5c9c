"""The real clients of OpenStack through Gatehouse, with Gatehouse in the catalog as the compute service."""

import json
import os
import re
import subprocess
import sys
import uuid

import pytest

import harness

BIN = os.path.dirname(sys.executable)


class House:
    """Gatehouse in front of a simulator whose catalog names Gatehouse, and the environment of a client."""

    def __init__(self, directory, provider):
        self.holder, port = harness.reserve_port()
        self.simulator = harness.Simulator(
            directory, "--servers", "7", "--transition-seconds", "0.3", "--catalog-compute-url",
            f"http://{harness.LOOPBACK}:{port}/v2.1/%(project_id)s")
        self.gatehouse = harness.Gatehouse(
            directory, self.simulator.url, {"identity": {"provider": provider}}, port=port)
        assert self.gatehouse.port == port
        self.home = directory / "home"
        self.home.mkdir()

    def run(self, program, *arguments, fixed_token=False, check=True):
        identity = f"http://{harness.LOOPBACK}:{self.simulator.ports['identity']}/v3"
        environment = {
            "PATH": BIN + ":/usr/bin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8", "NO_PROXY": "*",
            "OS_AUTH_URL": identity, "OS_IDENTITY_API_VERSION": "3", "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "RegionOne",
        }
        if fixed_token:
            # The token as it is, without asking Keystone for another.
            environment |= {
                "OS_AUTH_TYPE": "admin_token", "OS_TOKEN": "demo", "OS_ENDPOINT": identity,
                "OS_COMPUTE_ENDPOINT_OVERRIDE": f"{self.gatehouse.url}/v2.1",
                "OS_IDENTITY_ENDPOINT_OVERRIDE": identity,
                "OS_IMAGE_ENDPOINT_OVERRIDE": identity.replace("/v3", "/image"),
                "OS_NETWORK_ENDPOINT_OVERRIDE": identity.replace("/v3", "/network"),
            }
            for name in ("OS_AUTH_URL", "OS_PROJECT_DOMAIN_ID"):
                del environment[name]
        else:
            environment |= {
                "OS_USERNAME": "demo", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "demo", "OS_USER_DOMAIN_ID": "default"}
        done = subprocess.run(
            [os.path.join(BIN, program), *arguments], env=environment, capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr[-6000:])
        return done

    def compute_requests(self):
        return self.simulator.requests("")

    def check_all_passed_the_gateway(self):
        requests = self.compute_requests()
        assert requests
        for request in requests:
            fields = {name.lower(): value for name, value in request["fields"]}
            assert fields.get("via") == "1.1 gatehouse", f"it went around the gateway: {request}"
            assert fields["host"] == f"{harness.LOOPBACK}:{self.gatehouse.port}"

    def close(self):
        self.gatehouse.close()
        self.simulator.terminate()
        self.holder.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    running = House(tmp_path_factory.mktemp("clients"), "none")
    yield running
    running.close()


@pytest.fixture(scope="module")
def static_house(tmp_path_factory):
    running = House(tmp_path_factory.mktemp("clients-static"), "static")
    yield running
    running.close()


def check_debug(house, done):
    """With --debug the client shows what it asked: nothing but the gateway for compute, and ids on every answer."""
    text = done.stderr + done.stdout
    assert f":{house.simulator.ports['nova']}" not in text, "the client knows the compute service's own address"
    assert re.search(r"X-OpenStack-Request-Id: req-[0-9a-f-]{36}", text, re.I)
    assert re.search(r"Via: 1\.1 gatehouse", text, re.I)


def test_openstack_server_list(house):
    done = house.run("openstack", "server", "list", "--debug", "-f", "json")
    names = {row["Name"] for row in json.loads(done.stdout)}
    assert names == {f"demo-web-{index:04}" for index in range(7)}
    check_debug(house, done)
    house.check_all_passed_the_gateway()


def test_openstack_server_list_by_pages_stays_in_the_gateway(house):
    """A page of two; the links in the answers lead back to the gateway."""
    before = len(house.compute_requests())
    # In this client --limit is the page, and without a marker it goes on for all when the limit is -1.
    done = house.run("openstack", "server", "list", "-f", "json", "--limit", "2")
    assert len(json.loads(done.stdout)) == 2
    script = (
        "import openstack, json; c = openstack.connect(); "
        "print(json.dumps([s.name for s in c.compute.servers(limit=2)]))")
    done = house.run("python", "-c", script)
    assert len(json.loads(done.stdout)) == 7
    pages = [request for request in house.compute_requests()[before:] if "marker=" in request["target"]]
    assert len(pages) >= 3, pages
    house.check_all_passed_the_gateway()


def test_openstack_server_create_show_and_delete(house):
    name = f"made-{uuid.uuid4().hex[:6]}"
    done = house.run(
        "openstack", "server", "create", "--debug", "--flavor", "m1.tiny", "--image", "cirros-0.6.2-x86_64", "--network",
        "private", "--wait", "-f", "json", name)
    made = json.loads(done.stdout)
    assert made["name"] == name and made["status"] == "ACTIVE"
    check_debug(house, done)
    done = house.run("openstack", "server", "show", "--debug", "-f", "json", name)
    assert json.loads(done.stdout)["id"] == made["id"]
    check_debug(house, done)
    done = house.run("openstack", "server", "delete", "--debug", "--wait", made["id"])
    check_debug(house, done)
    done = house.run("openstack", "server", "show", "-f", "json", made["id"], check=False)
    assert done.returncode != 0 and "No Server found" in done.stderr + done.stdout
    house.check_all_passed_the_gateway()


def test_nova_list(house):
    done = house.run("nova", "--debug", "list")
    for index in range(7):
        assert f"demo-web-{index:04}" in done.stdout
    check_debug(house, done)
    house.check_all_passed_the_gateway()


def test_nova_show_says_why_not(house):
    done = house.run("nova", "show", "0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10", check=False)
    assert done.returncode != 0
    assert "No server with a name or ID" in done.stderr, done.stderr


def test_openstacksdk_reads_the_gateways_own_errors(house):
    script = (
        "import openstack\n"
        "from openstack import exceptions\n"
        "c = openstack.connect()\n"
        "r = c.compute.get('/servers?limit=abc')\n"
        "print(r.status_code)\n"
        "try:\n"
        "    exceptions.raise_from_response(r)\n"
        "except exceptions.BadRequestException as error:\n"
        "    print(error.details, error.request_id)\n")
    done = house.run("python", "-c", script)
    assert "400" in done.stdout and "does not match" in done.stdout and "req-" in done.stdout, done.stdout


def test_openstack_with_a_fixed_token_of_the_settings(static_house):
    done = static_house.run("openstack", "server", "list", "--debug", "-f", "json", fixed_token=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    assert len(json.loads(done.stdout)) == 7
    static_house.check_all_passed_the_gateway()
    # A second list in time is the stored one.
    before = len(static_house.compute_requests())
    script = (
        "import os; from keystoneauth1 import session, token_endpoint\n"
        "from novaclient import client\n"
        "s = session.Session(token_endpoint.Token(os.environ['OS_COMPUTE_ENDPOINT_OVERRIDE'], os.environ['OS_TOKEN']))\n"
        "nova = client.Client('2.1', session=s, endpoint_override=os.environ['OS_COMPUTE_ENDPOINT_OVERRIDE'])\n"
        "lists = [nova.servers.list() for _ in range(5)]\n"
        "print([len(one) for one in lists])\n")
    done = static_house.run("python", "-c", script, fixed_token=True)
    assert "[7, 7, 7, 7, 7]" in done.stdout
    assert len(static_house.compute_requests()) - before <= 2
