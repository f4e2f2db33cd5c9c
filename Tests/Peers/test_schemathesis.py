"""Requests that schemathesis makes from API documents, right ones and wrong ones, over every operation.

Each goes through Gatehouse twice: in front of the simulator, and in front of an upstream that keeps what arrives and
answers with content of its own. No answer may be a 5xx made by Gatehouse or take too long; what is forwarded must
arrive as it was sent, and the answer must leave as the upstream gave it.

`GENERATED_DEFINITION` names OpenStack's own document; with it that one, under the overlay of `config/openapi`, is
tested too. `SCHEMATHESIS_SECONDS` bounds each document's time; every operation is tried once in any case.
"""

import hashlib
import http.client
import json
import os
import random
import time

import hypothesis
import pytest
import requests
import schemathesis
import yaml
from schemathesis.generation import GenerationMode

import harness
import recording

GENERATED = os.environ.get("GENERATED_DEFINITION")
SECONDS = float(os.environ.get("SCHEMATHESIS_SECONDS", "45"))
SEED = int(os.environ.get("PEERS_SEED", "20260101"))
OVERLAY = harness.ROOT / "config" / "openapi" / "compute-overlay.yaml"
PART = harness.ROOT / "Tests" / "Corpora" / "OpenAPI" / "generated.yaml"

METHODS = ("get", "post", "put", "delete")
VERSIONS = [None, None, "2.1", "2.10", "2.26", "2.38", "2.53", "2.60", "2.66", "2.75", "2.97", "2.104", "latest", "9.9", "x"]
TOKENS = ["demo"] * 6 + ["demo-admin"] * 4 + ["other", "nonsense"]
TIME_LIMIT = 20


def shipped_document(path):
    """The shipped definition for schemathesis: the keys of its actions as schemas of their content."""
    document = yaml.safe_load(path.read_text())
    for item in document["paths"].values():
        actions = item.get("post", {}).get("x-gatehouse", {}).get("actions")
        if not actions:
            continue
        forms = [
            {"type": "object", "properties": {key: {}}, "required": [key], "additionalProperties": False}
            for key in actions]
        item["post"]["requestBody"] = {"content": {"application/json": {"schema": {"anyOf": forms}}}}
    return document


def count_operations(document):
    return sum(method in item for item in document["paths"].values() for method in METHODS)


# What the recording upstream answers: its own choice, always the same for the same request.

FAULTS = {400: "badRequest", 404: "itemNotFound", 409: "conflictingRequest", 500: "computeFault",
          503: "serviceUnavailable"}


def answer(message):
    digest = hashlib.sha256(message.method + message.target + message.content).digest()
    status = [200, 200, 200, 202, 400, 404, 409, 500, 503][digest[0] % 9]
    if status < 400:
        # Odd bytes and many of them now and then: content is not looked at, and longer than any buffer.
        text = "\u00e9\u2603\U0001f600\\u0000 \x7f" * (1 if digest[1] % 8 else 9_000)
        content = json.dumps({"echo": digest.hex(), "text": text}, ensure_ascii=False).encode()
    else:
        content = json.dumps({FAULTS[status]: {"code": status, "message": digest.hex()}}).encode()
    return status, [], content


class Peer:
    """One connection to a Gatehouse, kept as long as it is."""

    def __init__(self, gatehouse):
        self.gatehouse = gatehouse
        self.connection = http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=TIME_LIMIT)

    def ask(self, method, target, fields, content, is_chunked):
        # A list is sent in chunks of its items; bytes with their length.
        body = [content[:1], content[1:]] if is_chunked and len(content) > 1 else content or None
        if isinstance(body, list):
            fields = {**fields, "Transfer-Encoding": "chunked"}
        for attempt in (1, 2):
            try:
                self.connection.request(method, target, body, fields, encode_chunked=isinstance(body, list))
                reply = self.connection.getresponse()
                return reply.status, reply.headers, reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection may have been closed after the answer before this one; a new one may not.
                self.connection.close()
                if attempt == 2:
                    raise
        raise AssertionError("not reached")


class House:
    """Gatehouse with a definition, in front of the simulator and in front of the recording upstream."""

    def __init__(self, directory, api):
        settings = {"apis": None}
        self.simulator = harness.Simulator(directory / "simulator")
        self.upstream = recording.RecordingUpstream(answer)
        self.gatehouses = []
        for name, url in (("real", self.simulator.url), ("recorded", self.upstream.url)):
            upstream = {"endpoints": [url], "ejection": {"failures": 0}}
            settings = {"apis": [{**api, "upstream": upstream}], "cache": "off"}
            self.gatehouses.append(harness.Gatehouse(directory / name, url, settings))
        self.real, self.recorded = (Peer(gatehouse) for gatehouse in self.gatehouses)
        self.count = self.forwarded = self.refused = 0

    def play(self, prepared, fields, is_chunked):
        """Sends a request to both and judges the answers."""
        content = prepared.body or b""
        content = content.encode() if isinstance(content, str) else content
        fields = {**{name: value for name, value in prepared.headers.items() if name.lower() != "content-length"}, **fields}
        sent = f"{prepared.method} {prepared.path_url} {fields} {content[:400]!r} chunked={is_chunked}"
        self.count += 1

        began = time.monotonic()
        status, headers, answered = self.real.ask(prepared.method, prepared.path_url, fields, content, is_chunked)
        assert time.monotonic() - began < TIME_LIMIT, sent
        assert headers["X-Gatehouse-Request-Id"], sent

        before = len(self.upstream.messages)
        status, headers, answered = self.recorded.ask(prepared.method, prepared.path_url, fields, content, is_chunked)
        assert headers["X-Gatehouse-Request-Id"], sent
        arrived = self.upstream.messages[before:]
        if not arrived:
            self.refused += 1
            assert 400 <= status < 500, (status, answered, sent)
            fault = json.loads(answered)
            assert len(fault) == 1 and next(iter(fault.values()))["code"] == status, (answered, sent)
            return
        self.forwarded += 1
        assert len(arrived) == 1, (arrived, sent)
        message = arrived[0]
        assert message.method.decode() == prepared.method, sent
        assert message.target.decode() == prepared.path_url, (message.target, sent)
        assert message.content == content, (message.content[:400], sent)
        expected_status, _, expected = answer(message)
        assert (status, answered) == (expected_status, expected), (status, answered[:400], sent)

    def close(self):
        """Ends both and asserts that no 5xx of either was made by itself."""
        self.real.connection.close()
        self.recorded.connection.close()
        count = 0
        for gatehouse in self.gatehouses:
            gatehouse.close()
            for line in (gatehouse.directory / "access.log").read_text().splitlines():
                record = json.loads(line)
                count += 1
                assert record["status"] < 500 or not record.get("error"), line
        assert count >= 2 * self.count
        assert not self.upstream.refusals, self.upstream.refusals[:3]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.upstream.close()
        if kind is not None:
            for gatehouse in self.gatehouses:
                gatehouse.__exit__(kind, value, trace)
        self.simulator.__exit__(kind, value, trace)


def prefix(rooted, choice):
    """What stands before a document's path: a root and a project, when the document leaves them out."""
    if rooted:
        return ""
    projects = ["", "", f"/{harness.DEMO}", f"/{harness.DEMO}", f"/{harness.OTHER}"]
    return choice.choice(["/v2.1", "/v2"]) + choice.choice(projects)


def run_operation(house, operation, mode, rooted, choice, examples):
    @hypothesis.seed(choice.getrandbits(32))
    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        fields = {"X-Auth-Token": choice.choice(TOKENS)}
        version = choice.choice(VERSIONS)
        if version is not None:
            fields["OpenStack-API-Version"] = f"compute {version}"
        parts = case.as_transport_kwargs(base_url="http://house" + prefix(rooted, choice))
        known = {key: parts.get(key) for key in ("method", "url", "headers", "params", "json", "data", "cookies")}
        house.play(requests.Request(**known).prepare(), fields, choice.random() < 0.2)

    try:
        check()
    except hypothesis.errors.Unsatisfiable:
        # Forms of which exactly one is to hold are not found by every seed.
        return False
    return True


def documents():
    yield pytest.param(harness.COMPUTE, {"definition": str(harness.COMPUTE)}, id="shipped")
    yield pytest.param(PART, {"definition": str(PART), "overlay": str(OVERLAY)}, id="part")
    if GENERATED:
        yield pytest.param(GENERATED, {"definition": GENERATED, "overlay": str(OVERLAY)}, id="generated")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path,api", list(documents()))
def test_every_operation_of_a_document(tmp_path, figures, path, api):
    rooted = path != harness.COMPUTE
    document = yaml.safe_load(open(path)) if rooted else shipped_document(path)
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) == count_operations(document)
    choice = random.Random(SEED)
    began = time.monotonic()
    rounds = 0
    tried = set()
    with House(tmp_path, api) as house:
        while rounds < 5 and len(tried) < len(operations) or time.monotonic() - began < SECONDS:
            for operation in operations:
                if operation.label in tried and time.monotonic() - began >= SECONDS:
                    continue
                if run_operation(house, operation, GenerationMode.POSITIVE, rooted, choice, 2):
                    tried.add(operation.label)
                # Some operations take nothing that could be wrong.
                if operation.path_parameters or operation.query or operation.body:
                    run_operation(house, operation, GenerationMode.NEGATIVE, rooted, choice, 1)
            rounds += 1
        house.close()
        assert house.forwarded and house.refused
        assert tried == {operation.label for operation in operations}
        figures.note(
            f"{house.count} requests over {len(operations)} operations in {time.monotonic() - began:.0f} s: "
            f"{house.forwarded} forwarded unchanged, {house.refused} refused")
