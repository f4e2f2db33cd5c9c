"""Audit events as CADF: each is what the standard and OpenStack's library take for one."""

import hashlib
import hmac
import json
import pathlib
import re
import socket
import struct

import openstack
import pytest
from keystoneauth1 import session, token_endpoint

import cadf
import harness
import sealed

GOLDEN = harness.ROOT / "Tests" / "Golden" / "audit"


def golden_events():
    for path in sorted(GOLDEN.glob("*.golden")):
        yield pytest.param(path, id=path.stem)


@pytest.mark.parametrize("path", list(golden_events()))
def test_an_event_of_each_kind_is_cadf(path):
    text = pathlib.Path(path).read_text().split("\n-----\n")[1]
    made = cadf.check(json.loads(text))
    assert made.typeURI == "http://schemas.dmtf.org/cloud/audit/1.0/event"


def test_the_actions_and_targets_of_all_operations_are_cadf():
    action, target = (re.compile(cadf_schema(name)["pattern"]) for name in ("action", "target"))
    lines = (GOLDEN / "operations.txt").read_text().splitlines()
    assert len(lines) > 200
    for line in lines:
        _, _, kind, uri, *_ = line.split()
        assert action.match(kind), line
        assert target.match(uri), line
        made = cadf.rebuilt({
            "eventType": "activity", "id": "x", "eventTime": "now", "action": kind, "outcome": "success",
            "initiator": {"id": "x", "typeURI": "service/security/account/user"}, "target": {"id": "x", "typeURI": uri},
            "observer": {"id": "x", "typeURI": "service/compute/gateway"}})
        assert made.is_valid(), line


def cadf_schema(name):
    whole = json.loads((harness.PEERS / "cadf-event.json").read_text())["$defs"]
    return whole["action"] if name == "action" else whole["target"]["properties"]["typeURI"]


@pytest.mark.parametrize("change", [
    {"action": "destroy"}, {"outcome": "done"}, {"eventType": "report"}, {"id": ""}, {"eventTime": "yesterday"},
    {"observer": None}, {"more": 1},
])
def test_what_is_no_event_is_told_from_one(change):
    """The judges themselves: an event that is wrong in one place does not pass."""
    path = next(GOLDEN.glob("a-list-*.golden"))
    event = json.loads(path.read_text().split("\n-----\n")[1])
    cadf.check(event)
    with pytest.raises((AssertionError, ValueError)):
        cadf.check({key: value for key, value in {**event, **change}.items() if value is not None})


# The events of a gateway that serves

KEY = bytes(range(64)) * 2
# Nobody but the client and Nova shall ever see these again.
MARK = "5ecret-Mark"
TOKEN = "gAAAAABl-token-of-a-client"
USER = "c2e8a1b0d4f54b6f9a6f0c7d8e9f0a1b"
SERVER = "2402ea71-26e7-50cf-baa1-e7c8836e38a9"
PORT = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
CHANGES = ["POST", "PUT", "DELETE"]


class House:
    """A gateway with a trail that has every exchange, and the events in it."""

    def __init__(self, tmp_path, simulator, settings=None, mode=0o600, **audit):
        self.path = tmp_path / "audit.jsonl"
        key = tmp_path / "audit.key"
        key.write_bytes(KEY)
        key.chmod(mode)
        tokens = [*harness.demo_tokens(), {**harness.token(TOKEN, harness.DEMO), "user": {"id": USER, "name": "alice"}}]
        simulator.control("POST", "/projects", {"tokens": [f"{TOKEN}:{harness.DEMO}:member"], "servers": 1})
        self.gatehouse = harness.Gatehouse(tmp_path, simulator.url, harness.merged({
            "identity": {"provider": "static", "static": {"tokens": tokens}},
            "cache": "off",
            "audit": {
                "sinks": [{"file": {"path": str(self.path)}}], "key": str(key),
                "policies": [
                    {"operations": CHANGES, "record": "each", "content": True},
                    {"operations": ["GET"], "record": "each"}],
                **audit},
        }, settings or {}))
        self.simulator = simulator
        self.port = self.gatehouse.port

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        return self.gatehouse.__exit__(kind, value, trace)

    def ask(self, method, path, body=None, token=TOKEN, **fields):
        content = None if body is None else body if isinstance(body, (str, bytes)) else json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return harness.ask(self.port, method, path, headers, content, token)

    def events(self, count):
        """All events, once there are so many; each checked."""
        def found():
            lines = self.path.read_text().splitlines()
            return [line["event"] for line in map(json.loads, lines) if "event" in line]

        harness.wait_until(lambda: len(found()) >= count, 15, lambda: f"{count} events: {found()}")
        events = found()
        assert len(events) == count, json.dumps(events, indent=1)
        for event in events:
            cadf.check(event)
        return events

    def event(self):
        return self.events(1)[0]


@pytest.fixture
def house(tmp_path, simulator):
    with House(tmp_path, simulator) as running:
        yield running


@pytest.mark.parametrize("method, path, more, status, action, target, by", [
    ("GET", "/v2.1/servers?limit=1", {}, 200, "read/list", "compute/servers", None),
    ("GET", "/v2.1/servers?limit=abc", {}, 400, "read/list", "compute/servers", "gateway"),
    ("GET", "/v2.1/servers", {"token": "none"}, 401, "read/list", "compute/servers", "gateway"),
    ("GET", "/v2.1/servers", {"token": None}, 401, "read/list", "compute/servers", "gateway"),
    ("GET", "/v2.1/servers?status=deleted", {}, 403, "read/list", "compute/servers", None),
    ("GET", "/v2.1/nothing", {}, 404, "unknown", "unknown", "gateway"),
    ("GET", f"/v2.1/servers/{SERVER}", {}, 404, "read", "compute/servers", "upstream"),
    ("PATCH", "/v2.1/servers", {}, 405, "unknown", "unknown", "gateway"),
    ("GET", "/v2.1/servers", {"OpenStack_API_Version": "compute 2.999"}, 406, "read/list", "compute/servers", "gateway"),
    ("POST", "/v2.1/servers", {"body": "x" * 114_689}, 413, "create", "compute/servers", "gateway"),
    ("POST", "/v2.1/servers", {"body": "<a/>", "Content_Type": "text/xml"}, 415, "create", "compute/servers", "gateway"),
    ("DELETE", f"/v2.1/servers/{SERVER}/os-interface/{PORT}", {}, 404, "delete", "compute/servers/interfaces", "upstream"),
])
def test_every_answer_has_an_event_that_says_what_it_was(house, method, path, more, status, action, target, by):
    answered, headers, _ = house.ask(method, path, **more)
    assert answered == status
    event = house.event()
    assert event["reason"]["reasonCode"] == str(status)
    assert event["outcome"] == ("success" if status < 400 else "failure")
    assert (event["action"], event["target"]["typeURI"]) == (action, target)
    assert event["requestPath"] == path and event["gatehouse"]["method"] == method
    assert event["initiator"]["request_id"] == headers["X-Gatehouse-Request-Id"]
    assert event["initiator"]["host"]["address"] == harness.LOOPBACK
    if by:
        assert event["gatehouse"]["error_by"] == by
    if event["gatehouse"].get("upstream"):
        assert event["gatehouse"]["upstream_request_id"] == headers["X-Compute-Request-Id"]
    if status in (401, 413):
        # Nobody is asked for a token before the size is looked at.
        assert event["initiator"]["id"] == "unknown"
    else:
        assert event["initiator"]["id"] == USER


def test_a_request_that_a_limit_refuses_has_an_event(tmp_path, simulator):
    rule = {"name": "one", "operations": ["servers.create"], "per": "project", "rate": "1/day", "burst": 1}
    with House(tmp_path, simulator, {"limits": {"rules": [rule]}}) as house:
        statuses = [house.ask("POST", "/v2.1/servers", {})[0] for _ in range(3)]
        events = house.events(3)
    assert statuses == [400, 429, 429]
    assert [event["reason"]["reasonCode"] for event in events] == ["400", "429", "429"]
    assert events[1]["gatehouse"]["error"] == "rate_limited" and events[1]["gatehouse"]["error_by"] == "gateway"


def test_a_token_is_named_by_its_hmac_alone(house):
    house.ask("GET", "/v2.1/flavors")
    inner = hashlib.sha256(KEY).digest()
    names = hmac.new(inner, b"names", hashlib.sha256).digest()
    digest = hmac.new(names, TOKEN.encode(), hashlib.sha256).hexdigest()
    assert house.event()["initiator"]["credential"]["token"] == "hmac-sha256:" + digest[:32]
    assert TOKEN not in house.path.read_text()


def created(kind, content):
    answer = json.loads(content)[kind]
    return str(answer.get("port_id") or answer["name" if kind == "keypair" else "id"])


def test_what_was_made_is_the_target(house):
    """By the answer's Location, or by its content."""
    image = json.loads(house.ask("GET", "/v2.1/servers/detail")[2])["servers"][0]["image"]["id"]
    server = {"server": {"name": "a", "imageRef": image, "flavorRef": "1"}}
    status, headers, content = house.ask("POST", "/v2.1/servers", server)
    assert status == 202
    made = created("server", content)
    assert headers["Location"].endswith(made)
    status, _, content = house.ask("POST", "/v2.1/os-keypairs", {"keypair": {"name": "by-name"}})
    assert status in (200, 201) and created("keypair", content) == "by-name"
    status, _, content = house.ask("POST", "/v2.1/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}})
    assert status == 200
    group = created("server_group", content)
    status, _, content = house.ask("POST", f"/v2.1/servers/{made}/os-interface", {"interfaceAttachment": {}})
    assert status == 200
    port = created("interfaceAttachment", content)
    targets = [event["target"] for event in house.events(5)[1:]]
    assert [target["id"] for target in targets] == [made, "by-name", group, port]
    assert targets[3]["parent_id"] == made and targets[3]["typeURI"] == "compute/servers/interfaces"
    assert all(target["project_id"] == harness.DEMO for target in targets)


@pytest.mark.parametrize("version", ["2.44", "2.45"])
def test_an_image_is_named_beside_the_server_it_was_made_of(house, version):
    """By the answer's Location, and from 2.45 by its content."""
    server = json.loads(house.ask("GET", "/v2.1/servers")[2])["servers"][0]["id"]
    status, headers, content = house.ask(
        "POST", f"/v2.1/servers/{server}/action", {"createImage": {"name": "i"}}, OpenStack_API_Version=f"compute {version}")
    assert status == 202 and ("Location" in headers) == (version == "2.44")
    made = json.loads(content)["image_id"] if version == "2.45" else headers["Location"].rsplit("/", 1)[1]
    event = house.events(2)[1]
    assert event["action"] == "create/image" and event["target"]["id"] == server
    assert event["gatehouse"]["created"] == {"typeURI": "compute/images", "id": made}


@pytest.mark.parametrize("mode, is_told", [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_key_that_everybody_can_read_is_told(tmp_path, simulator, mode, is_told):
    with House(tmp_path, simulator, mode=mode) as house:
        lines = [line for line in house.gatehouse.errors().splitlines() if "can read the audit trail's key" in line]
    assert len(lines) == is_told
    assert all(" warning " in line and str(tmp_path / "audit.key") in line for line in lines)


@pytest.mark.parametrize("mode, insecure", [(0o644, True), (0o600, False)])
def test_a_sink_that_believes_whoever_answers_and_its_key_that_everybody_can_read_are_told(tmp_path, simulator, mode, insecure):
    key = tmp_path / "sink.key"
    key.write_bytes((sealed.CERTIFICATES / "client.key").read_bytes())
    key.chmod(mode)
    tls = {"certificate": sealed.path("client.crt"), "private_key": str(key)}
    tls.update({"insecure": True} if insecure else {"ca": str(sealed.CA)})
    # Nobody listens there, which is none of a start's troubles.
    holder, port = harness.reserve_port()
    syslog = {"name": "logs", "url": f"tls://{harness.LOOPBACK}:{port}", "tls": tls}
    sinks = [{"file": {"path": str(tmp_path / "audit.jsonl")}}, {"syslog": syslog}]
    with holder, House(tmp_path, simulator, sinks=sinks) as house:
        warnings = [line for line in house.gatehouse.errors().splitlines() if " warning " in line]
    assert sum("whoever answers is believed" in line and "audit.sinks: logs" in line for line in warnings) == insecure
    assert sum("can read a private key" in line and str(key) in line for line in warnings) == (mode == 0o644)


SECRETS = {
    "servers": {"server": {
        "name": "a", "imageRef": "", "flavorRef": "1", "adminPass": MARK, "user_data": MARK,
        "metadata": {"db_password": MARK, "plain": "kept"}, "personality": [{"path": "/a", "contents": MARK}],
        "block_device_mapping": [{"connection_info": MARK}],
        "block_device_mapping_v2": [{"boot_index": 0, "connection_info": MARK}]}},
    f"servers/{SERVER}/action#changePassword": {"changePassword": {"adminPass": MARK}},
    f"servers/{SERVER}/action#rebuild": {"rebuild": {
        "imageRef": SERVER, "adminPass": MARK, "user_data": MARK, "personality": [{"path": "/a", "contents": MARK}]}},
    f"servers/{SERVER}/action#rescue": {"rescue": {"adminPass": MARK}},
    f"servers/{SERVER}/action#evacuate": {"evacuate": {"host": "h", "adminPass": MARK}},
    f"servers/{SERVER}/action#misspelled": {"rebuild": {"AdminPass": MARK, "admin_password": [MARK]}},
    "os-keypairs": {"keypair": {"name": "k", "private_key": MARK, "public_key": "ssh-rsa kept"}},
    "os-baremetal-nodes": {"node": {"service_host": "kept", "pm_password": MARK}},
    "os-cells": {"cell": {"name": "kept", "password": MARK, "transport_url": MARK}},
}


@pytest.mark.parametrize("where", SECRETS)
def test_no_secret_of_a_content_is_in_the_trail(house, where):
    """Right contents and refused ones alike, and those that are cut off."""
    path = "/v2.1/" + where.split("#")[0]
    body = json.dumps(SECRETS[where])
    house.ask("POST", path, body)
    house.ask("POST", path, body.replace("adminPass", "\\u0061dminPass"))
    house.ask("POST", path, body[:-2])
    house.ask("POST", path + "?token=" + MARK, "[" * 40 + body + "]" * 40)
    events = house.events(4)
    assert MARK not in house.path.read_text()
    whole = events[0]["attachments"][0]
    assert whole["name"] == "request" and events[0]["gatehouse"]["redacted"] == body.count(MARK)
    assert json.dumps(whole["content"]).count('"***"') == body.count(MARK)
    assert json.dumps(whole["content"]).count("kept") == body.count("kept")
    assert [event["attachments"][0]["name"] for event in events] == ["request", "request", "request-digest", "request-digest"]
    assert [event["attachments"][0]["content"]["reason"] for event in events[2:]] == ["not_json", "too_deep"]
    assert events[3]["requestPath"].endswith("?token=***")


def test_a_console_token_in_a_path_is_not_in_the_trail(house):
    house.ask("GET", f"/v2.1/os-console-auth-tokens/{MARK}")
    event = house.event()
    assert MARK not in house.path.read_text()
    assert event["requestPath"] == "/v2.1/os-console-auth-tokens/***" and event["target"]["id"] == "***"


def test_a_content_of_a_policy_without_content_is_not_in_the_trail(tmp_path, simulator):
    with House(tmp_path, simulator, policies=[]) as house:
        house.ask("POST", "/v2.1/servers", SECRETS["servers"])
        assert "attachments" not in house.event()
        assert "kept" not in house.path.read_text()


def test_a_client_that_left_has_an_event_of_unknown_outcome(house):
    house.simulator.add_fault("delay", "/v2.1/flavors", delay_ms=1_500)
    with socket.create_connection((harness.LOOPBACK, house.port)) as peer:
        # Its close is a reset: who only ends his sending still waits for the answer.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sendall(f"GET /v2.1/flavors HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {TOKEN}\r\n\r\n".encode())
        harness.wait_until(lambda: house.simulator.requests("/v2.1/flavors"), 10, "Nova has the request")
    event = house.event()
    assert event["outcome"] == "unknown" and event["gatehouse"]["error"] == "client_gone"
    assert event["action"] == "read/list" and event["initiator"]["id"] == USER


def test_an_upstream_that_resets_is_a_failure_told_by_the_gateway(house):
    house.simulator.add_fault("reset", "/v2.1/servers", count=0, method="POST")
    status, _, _ = house.ask("POST", "/v2.1/servers", {"server": {"name": "a", "imageRef": SERVER, "flavorRef": "1"}})
    assert status == 502
    event = house.event()
    assert (event["outcome"], event["gatehouse"]["error_by"]) == ("failure", "gateway")
    assert event["gatehouse"]["upstream"] == house.simulator.url


@pytest.mark.parametrize("version", ["http/1.1", "h2"])
def test_a_client_certificate_stands_in_the_event(tmp_path, simulator, version):
    with House(tmp_path, simulator, sealed.listener(client_ca=str(sealed.CA))) as house:
        status = sealed.curl(
            house.gatehouse, "--cert", sealed.path("client.crt"), "--key", sealed.path("client.key"), "--cacert",
            sealed.CA, "--http2" if version == "h2" else "--http1.1", target="/v2.1/flavors")[1]
        assert status == 200
        certificate = house.event()["initiator"]["certificate"]
    assert certificate["subject"] == "CN=alice,O=Gatehouse tests"


def test_clients_of_openstack_leave_events_that_are_cadf(house):
    cloud = openstack.connection.Connection(
        session=session.Session(token_endpoint.Token(house.gatehouse.url + "/v2.1", TOKEN)),
        compute_endpoint_override=house.gatehouse.url + "/v2.1")
    try:
        names = [flavor.name for flavor in cloud.compute.flavors(details=False)]
        servers = list(cloud.compute.servers())
        cloud.compute.create_keypair(name="of-sdk")
        cloud.compute.reboot_server(servers[0], "SOFT")
    finally:
        cloud.session.session.close()
    assert names
    lines = [json.loads(line) for line in house.path.read_text().splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    for event in events:
        cadf.check(event)
    actions = [event["action"] for event in events]
    assert "create" in actions and "update/reboot" in actions and "read/list" in actions
    reboot = events[actions.index("update/reboot")]
    assert reboot["target"] == {"typeURI": "compute/servers", "id": servers[0].id, "project_id": harness.DEMO}
    assert reboot["gatehouse"]["operation"] == "servers.action:reboot"
    assert "keystoneauth1" in reboot["initiator"]["host"]["agent"]
