"""OpenStack's generated document under the overlay in `config/openapi` serves as the shipped definition does.

The document is the part of it in `Tests`, or the whole when `GENERATED_DEFINITION` names it.
"""

import json
import os
import re

import pytest

import harness
from harness import DEMO, OTHER

GENERATED = os.environ.get("GENERATED_DEFINITION") or str(harness.ROOT / "Tests/Corpora/OpenAPI/generated.yaml")
OVERLAY = str(harness.ROOT / "config/openapi/compute-overlay.yaml")


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Two Gatehouses in front of one simulator: with the shipped definition and with the generated one."""
    directory = tmp_path_factory.mktemp("definitions")
    with harness.Simulator(directory / "simulator", "--servers", "9") as simulator:
        api = {"definition": GENERATED, "overlay": OVERLAY, "upstream": {"endpoints": [simulator.url]}}
        cache = {"cache": {"lists": {"fresh": "60s"}}}
        with harness.Gatehouse(directory / "shipped", simulator.url, cache) as shipped:
            with harness.Gatehouse(directory / "generated", simulator.url, {"apis": [api], **cache}) as generated:
                yield shipped, generated, simulator


REQUESTS = [
    # method, target, token, microversion, content
    ("GET", "/", None, None, None),
    ("GET", "/v2.1/", None, None, None),
    ("GET", "/v2.1/servers", None, None, None),
    ("GET", "/v2.1/servers", "nonsense", None, None),
    ("GET", f"/v2.1/{DEMO}/servers", "demo", None, None),
    ("GET", f"/v2.1/{DEMO}/servers/detail?limit=2&status=ACTIVE", "demo", "2.90", None),
    ("GET", f"/v2.1/{OTHER}/servers", "demo", None, None),
    ("GET", "/v2.1/zzz/servers", "demo", None, None),
    ("GET", "/v2.1/servers?limit=abc", "demo", None, None),
    ("GET", "/v2/servers?limit=abc", "demo", None, None),
    ("GET", "/v2.1/servers?marker=nope", "demo", None, None),
    ("GET", "/v2.1/servers?changes-since=x&name=%5B", "demo", None, None),
    ("GET", "/v2.1/servers?sort_key=nope", "demo", "2.73", None),
    ("GET", "/v2.1/servers?sort_key=host", "demo", None, None),
    ("GET", "/v2.1/servers?status=deleted", "demo", None, None),
    ("GET", "/v2.1/servers?status=nope", "demo", "2.38", None),
    ("GET", "/v2.1/servers?foo=1", "demo", "2.74", None),
    ("GET", "/v2.1/servers?foo=1", "demo", "2.75", None),
    ("GET", "/v2.1/servers?page_size=x", "demo", None, None),
    ("GET", "/v2.1/servers", "demo", "2.999", None),
    ("GET", "/v2.1/servers", "demo", "abc", None),
    ("GET", "/v2.1/flavors?minRam=x", "demo", None, None),
    ("GET", "/v2.1/flavors?limit=1", "demo", None, None),
    ("GET", "/v2.1/images", "demo", "2.36", None),
    ("GET", "/v2.1/os-hypervisors?limit=x", "demo-admin", "2.53", None),
    ("GET", "/v2.1/os-cells", "demo-admin", None, None),
    ("PUT", "/v2.1/servers", "demo", None, None),
    ("POST", "/v2.1/servers", "demo", None, "{"),
    ("POST", "/v2.1/servers/x/action", "demo", None, '{"nope": null}'),
    ("POST", "/v2.1/servers/x/action", "demo", None, '{"reboot": {}, "pause": null}'),
    ("POST", "/v2.1/servers/x/action", "demo", None, '{"unlock": null}'),
]


def asked(gatehouse, method, target, token, version, content):
    headers = {"Content-Type": "application/json"} if content is not None else {}
    if version:
        headers["OpenStack-API-Version"] = f"compute {version}"
    status, found, body = harness.ask(
        gatehouse.port, method, target, headers, content and content.encode(), token=token)
    # Ids differ, and links name the port.
    text = body.decode().replace(f":{gatehouse.port}/", ":PORT/")
    kept = {name: found.get_all(name) for name in ("Allow", "Vary", "Content-Type", "OpenStack-API-Version")}
    return status, re.sub(r"req-[0-9a-f-]{36}", "req", text), sorted(name.lower() for name in found.keys()), kept


@pytest.mark.parametrize("method,target,token,version,content", REQUESTS)
def test_answers_are_the_same(houses, method, target, token, version, content):
    shipped, generated, _ = houses
    one = asked(shipped, method, target, token, version, content)
    assert one == asked(generated, method, target, token, version, content)
    assert one[0] < 500, one


def test_lists_are_stored(houses):
    _, generated, simulator = houses
    target = f"/v2.1/{DEMO}/servers/detail?limit=3"
    first = harness.ask(generated.port, "GET", target)
    before = len(simulator.requests("/v2.1"))
    again = harness.ask(generated.port, "GET", target)
    assert first[0] == again[0] == 200 and first[2] == again[2]
    assert "stored" in first[1]["Cache-Status"] and "hit" in again[1]["Cache-Status"]
    assert len(simulator.requests("/v2.1")) == before
    assert json.loads(again[2])["servers"]


def test_what_has_no_effect_is_in_the_log(houses):
    shipped, generated, _ = houses
    line = re.search(r"notice parts of a definition have no effect (.*)", generated.errors())
    assert line and "first=" in line[1] and int(re.search(r"count=(\d+)", line[1])[1]) > 10, generated.errors()
    assert "have no effect" not in shipped.errors()
