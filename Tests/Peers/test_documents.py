"""The two documents, row by row: status, fields and content as they say, ids and dates aside."""

import json
import re

import pytest

import harness
import wire

B322 = "b322a85578de48beba0f92acce57869b"
B17A = "b17a6492bfa54441910e15f07c983384"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
REQUEST_ID = f"req-{UUID}"
NOWHERE = "0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A simulator and a gateway that know the projects and tokens of the documents' examples."""
    directory = tmp_path_factory.mktemp("documents")
    names = {
        "62d528dc0cca4827b0ed465efe1c2588": (B322, ("member", "reader")),
        "5565d8f69d9a43b698aa30f30ebc681b": (B17A, ("member", "reader")),
        "ajk3adjiown02": (B322, ("admin", "member", "reader")),
    }
    arguments = []
    for name, (project, roles) in names.items():
        arguments += ["--token", f"{name}:{project}:{','.join(roles)}"]
    tokens = [harness.token(name, project, roles) for name, (project, roles) in names.items()]
    tokens.append(harness.token("expired", B322, expires_at="2020-01-01T00:00:00Z"))
    with harness.Simulator(directory, "--servers", "5", *arguments) as simulator:
        settings = {"identity": {"static": {"tokens": tokens}}, "cache": False}
        with harness.Gatehouse(directory, simulator.url, settings) as gatehouse:
            gatehouse.simulator = simulator
            yield gatehouse


def asked(house, path, method="GET", token="62d528dc0cca4827b0ed465efe1c2588", **headers):
    return harness.ask(house.port, method, path, {name.replace("_", "-"): value for name, value in headers.items()},
                       token=token)


def one_server(house):
    _, _, content = asked(house, f"/v2/{B322}/servers")
    return json.loads(content)["servers"][0]["id"]


def check_request_ids(headers):
    for name in ("X-Compute-Request-Id", "X-OpenStack-Request-Id", "X-Gatehouse-Request-Id"):
        assert re.fullmatch(REQUEST_ID, headers[name]), headers.items()


def check_fault(house, path, status, name, message=None, **more):
    before = len(house.simulator.requests("/v2"))
    found, headers, content = asked(house, path, **more)
    assert found == status, content
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert headers["Content-Length"] == str(len(content))
    check_request_ids(headers)
    body = json.loads(content)
    assert list(body) == [name] and body[name]["code"] == status, body
    if message is not None:
        assert body[name]["message"] == message
    assert len(house.simulator.requests("/v2")) == before, "an invalid request reached the compute service"
    return body[name]["message"]


# List servers


def test_the_execution_example_of_list_servers(house):
    """The example's own bytes."""
    data = (
        f"GET /v2/{B322}/servers HTTP/1.1\r\n"
        "User-Agent: curl/7.35.0\r\n"
        "Host: 192.168.150.51:8774\r\n"
        "Accept-Encoding: gzip, deflate, compress\r\n"
        "Accept: application/json\r\n"
        "X-Auth-Token: 62d528dc0cca4827b0ed465efe1c2588\r\n\r\n").encode()
    answers, _ = wire.exchange(house.port, data)
    assert len(answers) == 1
    answer = answers[0]
    assert (answer.status, answer.version) == (200, b"1.1")
    assert answer.values(b"content-type") == [b"application/json"]
    assert answer.values(b"content-length") == [str(len(answer.content)).encode()]
    assert re.fullmatch(REQUEST_ID.encode(), answer.values(b"x-compute-request-id")[0])
    assert len(answer.values(b"date")) == 1
    assert re.fullmatch(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.values(b"date")[0])
    # `compress` is offered by nobody; this list was asked from the upstream and comes as it is.
    assert answer.values(b"content-encoding") == []
    body = json.loads(answer.content)
    assert list(body) == ["servers"] and len(body["servers"]) >= 3
    for server in body["servers"]:
        assert set(server) == {"id", "links", "name"}
        assert re.fullmatch(UUID, server["id"]) and 1 <= len(server["name"]) <= 255
        assert server["links"] == [
            {"href": f"http://192.168.150.51:8774/v2/{B322}/servers/{server['id']}", "rel": "self"},
            {"href": f"http://192.168.150.51:8774/{B322}/servers/{server['id']}", "rel": "bookmark"},
        ] or [link["rel"] for link in server["links"]] == ["self", "bookmark"], server["links"]
        for link in server["links"]:
            assert link["href"].startswith("http://192.168.150.51:8774/") and link["href"].endswith(server["id"])


def test_the_error_execution_example_of_list_servers(house):
    """The example's own bytes; the members may come in either order."""
    data = (
        f"GET /v2/{B322}/servers HTTP/1.1\r\n"
        "User-Agent: curl/7.35.0\r\n"
        "Host: 192.168.56.250:8774\r\n"
        "X-Auth-Token: 5565d8f69d9a43b698aa30f30ebc681b\r\n"
        "Content-type: application/json\r\n"
        "Accept: application/json\r\n\r\n").encode()
    answers, _ = wire.exchange(house.port, data)
    answer = answers[0]
    assert answer.status == 400
    assert answer.values(b"content-type") == [b"application/json; charset=UTF-8"]
    assert answer.values(b"content-length") == [b"188"]
    assert re.fullmatch(REQUEST_ID.encode(), answer.values(b"x-compute-request-id")[0])
    assert len(answer.values(b"date")) == 1
    assert json.loads(answer.content) == {
        "badRequest": {
            "message": f"Malformed request URL: URL's project_id '{B322}' doesn't match Context's project_id '{B17A}'",
            "code": 400}}


def test_list_servers_sample_request_with_its_token(house):
    status, headers, content = asked(house, f"/v2/{B322}/servers", token="ajk3adjiown02")
    assert status == 200 and set(json.loads(content)) == {"servers"}
    check_request_ids(headers)


# The rows of the table: a valid value, and what an invalid one leads to.

VALID = [
    ("changes-since", "2014-07-17T04:21:06Z"), ("changes-since", "2014-07-17"), ("changes-since", "20140717T042106Z"),
    ("changes-since", "2014-07-17T04:21:06%2B09:00"), ("status", "ACTIVE"), ("status", "active"), ("status", "NOSUCH"),
    ("name", "web"), ("name", "b322.*0001"), ("limit", "1"), ("limit", "0"), ("limit", "1000"), ("limit", "00010"),
    ("flavor", "1"), ("image", NOWHERE), ("page_size", "10"),
]


@pytest.mark.parametrize("root", ["v2", "v2.1"])
@pytest.mark.parametrize("name,value", VALID)
def test_a_valid_value_is_passed_on(house, root, name, value):
    status, headers, content = asked(house, f"/{root}/{B322}/servers?{name}={value}")
    assert status == 200, content
    assert "servers" in json.loads(content)
    arrived = house.simulator.requests(f"/{root}")[-1]
    assert arrived["target"] == f"/{root}/{B322}/servers?{name}={value}"


INVALID = [
    ("v2.1", "changes-since", "yesterday"), ("v2.1", "changes-since", "2014-13-17"), ("v2.1", "changes-since", "1405570866"),
    ("v2", "changes-since", "yesterday"), ("v2", "changes-since", "2014-07-17T25:00:00Z"),
    ("v2.1", "marker", "nope"), ("v2", "marker", "nope"), ("v2.1", "marker", "523a0a98"),
    ("v2.1", "limit", "abc"), ("v2.1", "limit", "-1"), ("v2.1", "limit", "1.5"), ("v2.1", "limit", ""),
    ("v2", "limit", "abc"), ("v2", "limit", "-1"),
    ("v2.1", "page_size", "abc"), ("v2", "page_size", "abc"), ("v2", "page_size", "-1"),
]


@pytest.mark.parametrize("root,name,value", INVALID)
def test_an_invalid_value_terminates_with_400(house, root, name, value):
    check_fault(house, f"/{root}/{B322}/servers?{name}={value}", 400, "badRequest")


def test_invalid_values_are_worded_as_nova_words_them(house):
    assert check_fault(house, f"/v2.1/{B322}/servers?limit=abc", 400, "badRequest") == (
        "Invalid input for query parameters limit. Value: abc. 'abc' does not match '^[0-9]*$'")
    assert check_fault(house, f"/v2.1/{B322}/servers?changes-since=x", 400, "badRequest") == (
        "Invalid input for query parameters changes-since. Value: x. 'x' is not a 'date-time'")
    assert check_fault(house, f"/v2.1/{B322}/servers?marker=x", 400, "badRequest") == "marker [x] not found"


def test_a_marker_that_is_no_server_is_400_by_the_compute_service(house):
    status, _, content = asked(house, f"/v2/{B322}/servers?marker={NOWHERE}")
    assert status == 400
    assert json.loads(content) == {"badRequest": {"code": 400, "message": f"marker [{NOWHERE}] not found"}}


def test_a_marker_of_a_server_goes_on_behind_it(house):
    servers = json.loads(asked(house, f"/v2/{B322}/servers")[2])["servers"]
    rest = json.loads(asked(house, f"/v2/{B322}/servers?marker={servers[0]['id']}")[2])["servers"]
    assert [server["id"] for server in rest] == [server["id"] for server in servers[1:]]


@pytest.mark.parametrize("token", [None, "", "nonsense", "expired"])
def test_a_token_that_is_missing_unknown_or_expired_is_401(house, token):
    before = len(house.simulator.requests("/v2"))
    headers = {} if token is None else {"X_Auth_Token": token}
    status, headers, content = asked(house, f"/v2/{B322}/servers", token=None, **headers)
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Keystone uri=")
    assert json.loads(content) == {
        "unauthorized": {"code": 401, "message": "The request you have made requires authentication."}}
    check_request_ids(headers)
    assert len(house.simulator.requests("/v2")) == before


@pytest.mark.parametrize("project", ["nope", "ZZZ", B322.upper(), "b322_"])
@pytest.mark.parametrize("root", ["v2", "v2.1"])
def test_a_project_that_cannot_be_one_is_404(house, root, project):
    check_fault(house, f"/{root}/{project}/servers", 404, "itemNotFound")


@pytest.mark.parametrize("project", [B17A, "abc", "1", "-", "0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10"])
def test_a_project_of_another_token_is_400(house, project):
    check_fault(
        house, f"/v2/{project}/servers", 400, "badRequest",
        f"Malformed request URL: URL's project_id '{project}' doesn't match Context's project_id '{B322}'")


def test_deleted_servers_are_for_administrators_only(house):
    check_fault(
        house, f"/v2/{B322}/servers?status=deleted", 403, "forbidden", "Only administrators may list deleted instances")
    check_fault(
        house, f"/v2.1/{B322}/servers?status=DELETED&limit=1", 403, "forbidden",
        "Only administrators may list deleted instances")
    assert asked(house, f"/v2/{B322}/servers?status=deleted", token="ajk3adjiown02")[0] == 200


def test_another_method_is_405_with_what_is_allowed(house):
    status, headers, content = asked(house, f"/v2/{B322}/servers", method="PUT")
    assert status == 405 and list(json.loads(content)) == ["badMethod"]
    assert {"GET", "POST"} <= {word.strip() for word in headers["Allow"].split(",")}


# List virtual interfaces


@pytest.mark.parametrize("root", ["v2", "v2.1"])
@pytest.mark.parametrize("project", ["", f"/{B322}"])
def test_virtual_interfaces_as_in_the_document(house, root, project):
    status, headers, content = asked(house, f"/{root}{project}/servers/{one_server(house)}/os-virtual-interfacesv2")
    assert status == 200, content
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(content))
    assert len(headers.get_all("Date")) == 1, "the document's sample has two, a mistake not to be repeated"
    assert headers["Via"].split()[0] == "1.1"
    check_request_ids(headers)
    body = json.loads(content)
    assert list(body) == ["virtual_interfaces"] and body["virtual_interfaces"]
    for interface in body["virtual_interfaces"]:
        assert set(interface) == {"id", "ip_addresses", "mac_address"}
        assert re.fullmatch(UUID, interface["id"])
        assert re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", interface["mac_address"])
        assert interface["ip_addresses"]
        for address in interface["ip_addresses"]:
            assert set(address) == {"address", "network_id", "network_label"}
            assert re.fullmatch(UUID, address["network_id"])
            assert re.fullmatch(r"[0-9.]+|[0-9a-f:]+", address["address"]) and address["network_label"]


def interfaces(server):
    return f"/v2/{B322}/servers/{server}/os-virtual-interfacesv2"


def test_virtual_interfaces_response_codes_made_here(house):
    assert asked(house, interfaces(NOWHERE), token=None)[0] == 401
    status, headers, content = asked(house, interfaces(NOWHERE), method="DELETE")
    assert status == 405 and list(json.loads(content)) == ["badMethod"] and "GET" in headers["Allow"]
    check_fault(house, f"/v2/{B17A}/servers/{NOWHERE}/os-virtual-interfacesv2", 400, "badRequest")


CODES = [
    (400, "badRequest"), (403, "forbidden"), (404, "itemNotFound"), (409, "conflictingRequest"), (413, "overLimit"),
    (500, "computeFault"), (503, "serviceUnavailable"),
]


@pytest.mark.parametrize("shape", ["status", "html", "empty"])
@pytest.mark.parametrize("status,name", CODES)
def test_virtual_interfaces_response_codes_of_the_compute_service(house, shape, status, name):
    """Each code of the document, in Nova's form whatever form the upstream gave it."""
    house.simulator.add_fault(shape, interfaces(NOWHERE), status=status, message="No such thing.")
    found, headers, content = asked(house, interfaces(NOWHERE))
    assert found == status, content
    body = json.loads(content)
    assert list(body) == [name] and body[name]["code"] == status, body
    assert "<" not in body[name]["message"]
    if shape == "status":
        assert body[name]["message"] == "No such thing."
    check_request_ids(headers)
