"""A real Keystone that is killed, hangs or talks nonsense under Gatehouse.

The Keystone in trouble is one of the test's own, a second one on the cloud's database and keys, so that nothing else feels it.
"""

import os
import pathlib
import signal
import socket
import threading
import time
import uuid

import pytest

import harness
from gateway import keystone_identity
from stack.place import LOOPBACK, Place, find_free_ports
from stack.processes import Processes
from stack.rest import Rest
from stack.services import Services

# A time that Keystone gets for an answer: long enough for a busy machine, short enough for a test.
RESPONSE_TIMEOUT = "2s"


class SpareKeystone:
    """Another Keystone over the same database, with a port of its own that stays the same."""

    def __init__(self, cloud, folder):
        self.place = Place(folder)
        self.place.configuration = pathlib.Path(cloud.facts["configuration"])
        self.services = Services(self.place, print)
        self.processes = Processes(self.place)
        (self.port,) = find_free_ports(1)
        self.start()

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self.port}/v3"

    def start(self):
        self.services.start_web("keystone", self.port)
        self.services.wait_web("keystone", self.port)

    def signal(self, number):
        pid, _ = self.processes.record("keystone")
        os.killpg(pid, number)

    def kill(self):
        """Ends it as a power cut would."""
        pid, _ = self.processes.record("keystone")
        os.killpg(pid, signal.SIGKILL)
        harness.wait_until(lambda: not self.processes.record("keystone"), 10, "keystone is gone")

    def end(self):
        if self.processes.record("keystone"):
            self.signal(signal.SIGCONT)
        self.processes.end(["keystone"], 5)


@pytest.fixture(scope="module")
def spare(cloud, tmp_path_factory):
    running = SpareKeystone(cloud, tmp_path_factory.mktemp("keystone"))
    yield running
    running.end()


@pytest.fixture
def behind(cloud, gateway):
    """Starts a gateway that asks the Keystone at a URL, with tokens that are soon past their time."""

    def start(url, **changes):
        settings = {
            "cache": {"max_age": "1s", "negative_max_age": "1s", "stale_max_age": "10m"},
            "response_timeout": RESPONSE_TIMEOUT, "connect_timeout": "1s"}
        return gateway({
            "identity": keystone_identity(cloud, url, **harness.merged(settings, changes)),
            # Every request is to be judged anew, not answered from a stored list alone.
            "cache": "off"})

    return start


class Asked:
    """What a gateway answers to one user's requests."""

    def __init__(self, cloud, gateway):
        self.cloud = cloud
        self.gateway = gateway

    def __call__(self, token, method="GET", path="/servers?limit=1", body=None):
        base = f"{self.gateway.url}/v2.1/{self.cloud.projects['A']}"
        return Rest(base).ask(method, path, body, headers={"X-Auth-Token": token})

    def until(self, token, status, seconds=30):
        """The first answer of that status."""
        answers = []

        def came():
            answers.append(self(token))
            return answers[-1].status_code == status

        harness.wait_until(
            came, seconds, lambda: f"{status} for a token, but {[each.status_code for each in answers][-5:]}")
        return answers[-1]

    def until_past_its_time(self, token):
        """Until `token` is only good for reads: one more answer that Gatehouse counts as served stale."""
        before = self.stale()
        harness.wait_until(
            lambda: self(token).status_code == 200 and self.stale() > before, 30, "a read is served stale")

    def stale(self):
        return self.gateway.metrics()["gatehouse_identity_stale_total"]


def is_unavailable(answer):
    """503 in Nova's form, with a time to wait."""
    assert answer.status_code == 503, (answer.status_code, answer.text)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    (fault,) = answer.json().values()
    assert fault["code"] == 503 and fault["message"]
    return True


def test_a_keystone_that_is_killed_and_comes_back(cloud, behind, spare, figures):
    asked = Asked(cloud, behind(spare.url))
    known, unknown = cloud.new_token("alice"), cloud.new_token("alice")
    assert asked(known).status_code == 200
    spare.kill()
    try:
        asked.until_past_its_time(known)
        before = asked.gateway.metrics()
        for _ in range(20):
            assert asked(known).status_code == 200
        after = asked.gateway.metrics()
        assert after["gatehouse_identity_stale_total"] - before["gatehouse_identity_stale_total"] == 20
        # Not every one of them asks a Keystone that does not answer.
        assert after["gatehouse_identity_validations_total"] - before["gatehouse_identity_validations_total"] < 10
        assert is_unavailable(asked(unknown))
        # What changes something is not done on an old word.
        body = {"server": {"name": "never"}}
        assert is_unavailable(asked(known, "POST", "/servers", body))
    finally:
        spare.start()
    # No restart, no reload: it recovers by itself.
    asked.until(unknown, 200)
    asked.until(known, 200)
    metrics = asked.gateway.metrics()
    assert metrics["gatehouse_identity_failures_total"] >= 1
    figures.note(
        f"{metrics['gatehouse_identity_validations_total']:.0f} validations asked, "
        f"{metrics['gatehouse_identity_hits_total']:.0f} saved, "
        f"{metrics['gatehouse_identity_stale_total']:.0f} reads served stale, "
        f"{metrics['gatehouse_identity_failures_total']:.0f} questions without an answer")


def test_a_keystone_that_hangs(cloud, behind, spare, figures):
    running = behind(spare.url, cache={"max_age": "60s"})
    asked = Asked(cloud, running)
    known = cloud.new_token("alice")
    assert asked(known).status_code == 200
    spare.signal(signal.SIGSTOP)
    try:
        waiting = [threading.Thread(target=asked, args=(cloud.new_token("alice"),)) for _ in range(12)]
        for thread in waiting:
            thread.start()
        # Those who wait for Keystone are in nobody's way.
        slowest = 0
        while any(thread.is_alive() for thread in waiting):
            began = time.monotonic()
            assert asked(known).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        for thread in waiting:
            thread.join()
        assert is_unavailable(asked(cloud.new_token("alice")))
        figures.note(f"the slowest answer for a known token while 12 unknown ones waited took {slowest * 1000:.0f} ms")
    finally:
        spare.signal(signal.SIGCONT)
    asked.until(cloud.new_token("alice"), 200)


def test_an_old_word_is_worth_nothing_in_the_end(cloud, behind, spare):
    asked = Asked(cloud, behind(spare.url, cache={"max_age": "1s", "stale_max_age": "2s"}))
    known = cloud.new_token("alice")
    assert asked(known).status_code == 200
    spare.kill()
    try:
        assert is_unavailable(asked.until(known, 503))
    finally:
        spare.start()
    asked.until(known, 200)


class Crossing:
    """A port that leads to Keystone, or answers every connection with the same bytes."""

    def __init__(self, port):
        self.target = port
        self.answer = None
        self.listener = socket.create_server((LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self.port}/v3"

    def accept(self):
        while True:
            try:
                arrived, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(arrived,), daemon=True).start()

    def serve(self, arrived):
        with arrived:
            if self.answer is not None:
                arrived.recv(65536)
                arrived.sendall(self.answer)
                return
            with socket.create_connection((LOOPBACK, self.target)) as onward:
                back = threading.Thread(target=self.pump, args=(onward, arrived), daemon=True)
                back.start()
                self.pump(arrived, onward)
                back.join(30)

    @staticmethod
    def pump(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def crossing(cloud):
    running = Crossing(int(cloud.identity_url.rsplit(":", 1)[1].split("/")[0]))
    yield running
    running.close()


def http(status, content, kind="application/json"):
    return (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
            f"Connection: close\r\n\r\n{content}").encode()


@pytest.mark.parametrize("answer", [
    pytest.param(b"\x00\xff\xfe not HTTP at all\r\n\r\n", id="bytes"),
    pytest.param(b"", id="nothing"),
    pytest.param(http("200 OK", "<html>a sign-in page</html>", "text/html"), id="html"),
    pytest.param(http("200 OK", '{"token": {"user": 7}}'), id="other-json"),
    pytest.param(http("200 OK", '{"token": {'), id="half-json"),
    pytest.param(http("500 Internal Server Error", ""), id="500"),
    pytest.param(http("429 Too Many Requests", ""), id="429"),
    pytest.param(http("302 Found", ""), id="302"),
])
def test_a_keystone_that_talks_nonsense(cloud, behind, crossing, answer):
    asked = Asked(cloud, behind(crossing.url))
    known, unknown = cloud.new_token("alice"), cloud.new_token("alice")
    assert asked(known).status_code == 200
    crossing.answer = answer
    asked.until_past_its_time(known)
    assert is_unavailable(asked(unknown))
    crossing.answer = None
    asked.until(unknown, 200)
    asked.gateway.assert_alive()


def test_a_token_of_our_own_that_is_revoked_is_renewed(cloud, gateway):
    """Keystone answers 401 to us, not to the client: a new token is got, and nobody notices."""
    identity = cloud.identity()
    roles = {role["name"]: role["id"] for role in identity.get("/roles")["roles"]}
    name = f"gatehouse-{uuid.uuid4().hex[:8]}"
    user = identity.post("/users", {"user": {"name": name, "password": cloud.password}})["user"]["id"]
    for role in ("service", "admin"):
        identity.do("PUT", f"/projects/{cloud.projects['service']}/users/{user}/roles/{roles[role]}")
    try:
        running = gateway({"identity": keystone_identity(cloud, credential={"username": name})})
        asked = Asked(cloud, running)
        assert asked(cloud.new_token("alice")).status_code == 200
        # A password that is set ends every token of the user, also when it is the same.
        identity.do("PATCH", f"/users/{user}", {"user": {"password": cloud.password}})
        # What Keystone issues in that same second is over at once, too: the renewal of ours may need a second one.
        asked.until(cloud.new_token("alice"), 200)
        assert running.metrics()["gatehouse_identity_credential_renewals_total"] >= 2
    finally:
        identity.do("DELETE", f"/users/{user}")
