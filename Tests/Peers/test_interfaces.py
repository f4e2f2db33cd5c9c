"""Virtual interfaces made of Nova's own lists, against the list that the simulator serves itself."""

import concurrent.futures
import json
import socket
import struct

import pytest

import harness
import wire

NOWHERE = "0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10"


def gatehouse(directory, simulator, source, **settings):
    api = {
        "definition": str(harness.COMPUTE), "virtual_interfaces": source,
        "upstream": {"endpoints": [simulator.url], "max_connections": 8, "ejection": {"failures": 0}},
    }
    return harness.Gatehouse(directory, simulator.url, {"apis": [api], **settings})


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with harness.Simulator(tmp_path_factory.mktemp("interfaces"), "--servers", "40") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def passing(tmp_path_factory, simulator):
    with gatehouse(tmp_path_factory.mktemp("pass"), simulator, "pass", cache=False) as house:
        yield house


@pytest.fixture(scope="module")
def translating(tmp_path_factory, simulator):
    with gatehouse(tmp_path_factory.mktemp("translate"), simulator, "translate", cache=False) as house:
        yield house


@pytest.fixture(scope="module")
def storing(tmp_path_factory, simulator):
    lists = {"fresh": "60s", "stale_while_revalidate": "60s", "stale_if_error": "60s"}
    with gatehouse(tmp_path_factory.mktemp("store"), simulator, "translate", cache={"lists": lists}) as house:
        yield house


def listed(house, server, name="os-virtual-interfacesv2", root="v2.1", **more):
    return harness.ask(house.port, "GET", f"/{root}/servers/{server}/{name}", **more)


@pytest.fixture(scope="module")
def servers(passing):
    status, _, content = harness.ask(passing.port, "GET", "/v2.1/servers")
    assert status == 200
    found = [server["id"] for server in json.loads(content)["servers"]]
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("root", ["v2", "v2.1"])
def test_every_server_has_the_list_that_the_upstream_itself_would_give(passing, translating, storing, servers, root):
    addresses = 0
    for server in servers:
        wanted = listed(passing, server, root=root)
        assert wanted[0] == 200
        for house in (translating, storing):
            status, headers, content = listed(house, server, root=root)
            assert status == 200 and content == wanted[2], (content, wanted[2])
            assert headers["Deprecation"].startswith("@") and "successor-version" in headers["Link"]
            assert headers["Content-Type"] == wanted[1]["Content-Type"]
        addresses += sum(len(each["ip_addresses"]) for each in json.loads(wanted[2])["virtual_interfaces"])
    assert addresses >= len(servers), "the servers have addresses to compare"


def test_the_old_list_names_the_same_interfaces(passing, translating, servers):
    for server in servers[:5]:
        new = json.loads(listed(passing, server)[2])["virtual_interfaces"]
        wanted = [{"id": each["id"], "mac_address": each["mac_address"]} for each in new]
        status, _, content = listed(translating, server, "os-virtual-interfaces")
        assert status == 200 and json.loads(content) == {"virtual_interfaces": wanted}
        assert listed(passing, server, "os-virtual-interfaces")[0] == 410


def test_a_server_that_does_not_exist_is_as_the_upstream_says(passing, translating, storing):
    wanted = listed(passing, NOWHERE)
    assert wanted[0] == 404
    for house in (translating, storing):
        status, _, content = listed(house, NOWHERE)
        assert (status, content) == (404, wanted[2])
    assert listed(translating, NOWHERE, token="wrong")[0] == 401


@pytest.mark.parametrize("part", ["os-interface", "ips"])
@pytest.mark.parametrize("action,more,statuses", [
    ("reset", {"at": 0}, {200}),
    ("close_before_answer", {}, {200}),
    ("reset", {"at": 120}, {502}),
    ("cut_at", {"at": 200}, {502}),
    ("garbage", {}, {502}),
    ("wrong_length", {"delta": 40}, {502}),
    ("status", {"status": 503, "message": "Later."}, {503}),
    ("html", {"status": 500}, {500}),
    ("empty", {"status": 404}, {404}),
    ("webob", {"status": 413}, {413}),
    ("unauthorized", {}, {401}),
    ("trickle", {"bytes": 9, "interval_ms": 1}, {200}),
    ("chunked", {"bytes": 7}, {200}),
    ("pad", {"bytes": 200_000}, {200}),
    ("pad", {"bytes": 1_200_000}, {502}),
    ("literal", {"status": 200, "fields": [], "content": "null"}, {502}),
])
def test_a_fault_of_one_part_is_told_and_leaves_nothing_behind(
        simulator, translating, servers, part, action, more, statuses):
    server = servers[0]
    simulator.add_fault(action, f"/v2.1/servers/{server}/{part}", **more)
    status, _, content = listed(translating, server)
    assert status in statuses, content
    body = json.loads(content)
    if status != 200:
        assert len(body) == 1 and next(iter(body.values()))["code"] == status
    translating.wait_for_rest()
    assert listed(translating, server)[0] == 200


def test_many_at_once_share_the_connections(passing, translating, servers):
    """More parts at once than there are connections for them, 8 for each of two loops."""
    wanted = {server: listed(passing, server)[2] for server in servers}
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        for server, (status, _, content) in pool.map(
                lambda server: (server, listed(translating, server)), servers * 5):
            assert status == 200 and content == wanted[server]
    translating.wait_for_rest()


def test_clients_that_leave_leave_nothing_behind(simulator, translating, servers):
    for server in servers[:10]:
        path = f"/v2.1/servers/{server}/ips"
        simulator.add_fault("hang", path)
        asked = len(simulator.requests(path))
        peer = wire.connect(translating.port)
        peer.sendall(wire.request("GET", f"/v2.1/servers/{server}/os-virtual-interfacesv2"))
        harness.wait_until(lambda: len(simulator.requests(path)) > asked, 10, "the part is asked for")
        # A reset: one that has only shut its side would still get its answer.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    translating.wait_for_rest()
    assert translating.metrics()['gatehouse_exchange_errors_total{error="client_gone"}'] >= 10
