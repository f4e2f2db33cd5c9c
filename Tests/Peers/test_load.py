"""The list cache under load: what it saves the upstream, and that nobody ever sees what is not theirs."""

import asyncio
import gzip
import http.client
import json
import os
import random
import socket
import struct
import threading
import time
import zlib

import pytest

import harness
import recording

pytestmark = pytest.mark.alone

SEED = int(os.environ.get("PEERS_SEED", "20260901"))


# Many clients, one list


async def poll(port, deadline, tally):
    """One client that asks for the same list again and again on one connection."""
    reader, writer = await asyncio.open_connection(harness.LOOPBACK, port)
    question = (
        f"GET /v2.1/{harness.DEMO}/servers HTTP/1.1\r\nHost: compute.example\r\nX-Auth-Token: demo\r\n"
        "Accept: application/json\r\n\r\n").encode()
    while time.monotonic() < deadline:
        writer.write(question)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        content = await reader.readexactly(length)
        tally["statuses"].add(lines[0].split()[1])
        tally["contents"].add(content)
        tally["count"] += 1
        age = next((int(line.split(":")[1]) for line in lines if line.startswith("age:")), 0)
        tally["oldest"] = max(tally["oldest"], age)
        await asyncio.sleep(0.01)
    writer.close()


def test_100_clients_that_poll_one_list_for_10_s_cost_the_upstream_at_most_6_fetches(tmp_path, simulator, figures):
    with harness.Gatehouse(tmp_path, simulator.url, {"cache": {"lists": {"fresh": "2s"}}}) as gatehouse:
        tally = {"count": 0, "statuses": set(), "contents": set(), "oldest": 0}

        async def everybody():
            deadline = time.monotonic() + 10
            await asyncio.gather(*[poll(gatehouse.port, deadline, tally) for _ in range(100)])

        asyncio.run(everybody())
        fetches = len(simulator.requests(f"/v2.1/{harness.DEMO}/servers"))
        figures.note(
            f"{tally['count']} answers to 100 clients in 10 s cost {fetches} fetches, oldest answer {tally['oldest']} s",
            answers=tally["count"], fetches=fetches)
        assert tally["statuses"] == {"200"} and len(tally["contents"]) == 1
        assert tally["count"] > 5_000
        assert 4 <= fetches <= 6
        assert tally["oldest"] <= 3


def test_equal_misses_are_one_fetch(tmp_path, simulator):
    """100 clients at the same moment, a slow upstream, nothing stored yet."""
    with harness.Gatehouse(tmp_path, simulator.url) as gatehouse:
        simulator.add_fault("delay", "/v2.1/servers", delay_ms=800, count=0)
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(harness.ask(gatehouse.port, "GET", "/v2.1/servers")))
            for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {status for status, _, _ in answers} == {200} and len(answers) == 100
        assert len({content for _, _, content in answers}) == 1
        assert len({headers["X-Gatehouse-Request-Id"] for _, headers, _ in answers}) == 100
        assert len(simulator.requests("/v2.1/servers")) == 1


def test_a_stored_list_is_coded_as_the_client_accepts(tmp_path, simulator):
    with harness.Gatehouse(tmp_path, simulator.url) as gatehouse:
        plain = harness.ask(gatehouse.port, "GET", "/v2.1/servers", {"Accept-Encoding": "identity"})[2]
        decoders = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: lambda content: content}
        rows = [
            ("gzip, deflate, compress", "gzip"), ("deflate", "deflate"), ("gzip;q=0, deflate", "deflate"),
            ("compress", None), ("gzip;q=0", None), ("*", "gzip"), ("gzip;q=0.1, deflate;q=0.9", "deflate"), ("", None),
        ]
        for accepted, coding in rows:
            status, headers, content = harness.ask(
                gatehouse.port, "GET", "/v2.1/servers", {"Accept-Encoding": accepted})
            assert status == 200 and headers["Content-Encoding"] == coding, (accepted, headers.items())
            assert "accept-encoding" in ",".join(headers.get_all("Vary")).lower()
            assert decoders[coding](content) == plain
            again, found, nothing = harness.ask(
                gatehouse.port, "GET", "/v2.1/servers",
                {"Accept-Encoding": accepted, "If-None-Match": headers["ETag"]})
            assert again == 304 and nothing == b"" and found["ETag"] == headers["ETag"]


# Nobody sees what is not theirs

PROJECTS = [f"{index:032x}" for index in range(0xA0, 0xA0 + 20)]
CLASSES = {"reader": ["reader"], "member": ["member", "reader"], "admin": ["admin", "member", "reader"]}


class CountingCloud:
    """An upstream whose lists say for whom they are and how many writes their project has seen."""

    def __init__(self):
        self.writes = {project: 0 for project in PROJECTS}
        self.fetches = 0
        self.lock = threading.Lock()

    def answer(self, message):
        token = message.values(b"x-auth-token")[0].decode()
        project, role, _ = token.split(".")
        if message.method in (b"POST", b"DELETE"):
            with self.lock:
                self.writes[project] += 1
            return (202, [], b"{}")
        with self.lock:
            self.fetches += 1
            count = self.writes[project]
        # Read before it is sent: a write that comes meanwhile makes this answer old.
        time.sleep(0.0005)
        target = message.target.decode()
        body = {"servers": [], "project": project, "role": role, "writes": count, "target": target,
                "host": message.values(b"host")[0].decode(), "user": token}
        return (200, [("OpenStack-API-Version", "compute 2.1")], json.dumps(body).encode())


class Watcher:
    """One client with many tokens: asks at random and judges each answer at once."""

    def __init__(self, seed, port, known, mistakes):
        self.random = random.Random(seed)
        self.port, self.known, self.mistakes = port, known, mistakes
        self.connection = http.client.HTTPConnection(harness.LOOPBACK, port, timeout=30)
        self.reads = self.writes = self.stored = 0

    def run(self, count):
        for _ in range(count):
            project = self.random.choice(PROJECTS)
            role = self.random.choice(list(CLASSES))
            token = f"{project}.{role}.{self.random.randint(0, 1)}"
            if self.random.random() < 0.1:
                self.write(project, token)
            else:
                self.read(project, role, token)

    def write(self, project, token):
        path = self.random.choice(["", f"/{project}"]) + "/servers"
        if self.random.random() < 0.5:
            self.connection.request(
                "DELETE", f"/v2.1{path}/0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10", headers={"X-Auth-Token": token})
        else:
            self.connection.request(
                "POST", f"/v2.1{path}", b'{"server": {"name": "n", "flavorRef": "1"}}',
                {"X-Auth-Token": token, "Content-Type": "application/json"})
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 202:
            self.mistakes.append(f"write: {answer.status}")
        self.writes += 1
        with self.known["lock"]:
            self.known[project] += 1

    def read(self, project, role, token):
        # The same path for everybody in half of the cases: only the token tells whose list it is.
        path = "/v2.1" + self.random.choice(["", f"/{project}"]) + self.random.choice(["/servers", "/servers/detail"])
        path += self.random.choice(["", "", "?limit=5", "?status=ACTIVE"])
        headers = {"X-Auth-Token": token, "Host": self.random.choice(["a.example", "b.example"])}
        coding = self.random.choice([None, "gzip", "deflate", "identity"])
        if coding:
            headers["Accept-Encoding"] = coding
        if self.random.random() < 0.05:
            headers["Cache-Control"] = "no-cache"
        with self.known["lock"]:
            at_least = self.known[project]
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            content = gzip.decompress(content)
        elif answer.headers["Content-Encoding"] == "deflate":
            content = zlib.decompress(content)
        self.reads += 1
        self.stored += "; hit" in (answer.headers["Cache-Status"] or "")
        body = json.loads(content)
        expected = {"project": project, "role": role, "target": path, "host": headers["Host"]}
        got = {name: body.get(name) for name in expected}
        if answer.status != 200 or got != expected:
            self.mistakes.append(f"{token} asked {path} of {headers['Host']} and got {body}")
        if body["writes"] < at_least:
            self.mistakes.append(
                f"{token} read {body['writes']} writes at {path} after {at_least} were answered: "
                f"{answer.headers['Cache-Status']} age {answer.headers['Age']}")


def test_10000_requests_of_20_projects_and_3_role_classes_never_leak_and_see_their_writes(tmp_path, figures):
    cloud = CountingCloud()
    tokens = [
        harness.token(f"{project}.{role}.{user}", project, roles)
        for project in PROJECTS for role, roles in CLASSES.items() for user in (0, 1)]
    settings = {
        "identity": {"static": {"tokens": tokens}},
        # Long, so that an answer that should be gone would still be there.
        "cache": {"lists": {"fresh": "60s", "stale_while_revalidate": "60s", "stale_if_error": "60s"}},
    }
    known = {"lock": threading.Lock(), **{project: 0 for project in PROJECTS}}
    mistakes = []
    with recording.RecordingUpstream(cloud.answer) as upstream:
        with harness.Gatehouse(tmp_path, upstream.url, settings) as gatehouse:
            watchers = [Watcher(SEED + index, gatehouse.port, known, mistakes) for index in range(8)]
            threads = [threading.Thread(target=watcher.run, args=(1_250,)) for watcher in watchers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for watcher in watchers:
                watcher.connection.close()
            reads, writes = sum(one.reads for one in watchers), sum(one.writes for one in watchers)
            stored = sum(one.stored for one in watchers)
            figures.note(
                f"seed {SEED}: {reads} reads, {writes} writes, {cloud.fetches} fetches, {stored} answers from the store")
            assert not mistakes, f"{len(mistakes)}: {mistakes[:5]}"
            assert reads + writes == 10_000
            # A cache that never answers would pass, so it must have answered a good part.
            assert stored > reads // 10 and cloud.fetches < reads


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_write_whose_client_left_is_seen_by_the_next_read(tmp_path, how):
    """The client is gone before the upstream answers; what it wrote was carried out all the same."""
    cloud = CountingCloud()
    project = PROJECTS[0]
    token = f"{project}.member.0"
    arrived = threading.Event()

    def answer(message):
        result = cloud.answer(message)
        if message.method == b"POST":
            arrived.set()
            time.sleep(0.4)
        return result

    settings = {
        "identity": {"static": {"tokens": [harness.token(token, project, ["member"])]}},
        "cache": {"lists": {"fresh": "60s"}},
    }
    with recording.RecordingUpstream(answer) as upstream:
        with harness.Gatehouse(tmp_path, upstream.url, settings) as gatehouse:
            assert json.loads(harness.ask(gatehouse.port, "GET", "/v2.1/servers", token=token)[2])["writes"] == 0
            leaving = http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=10)
            leaving.request(
                "POST", "/v2.1/servers", b'{"server": {"name": "n", "flavorRef": "1"}}',
                {"X-Auth-Token": token, "Content-Type": "application/json"})
            assert arrived.wait(5)
            if how == "reset":
                leaving.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.close()
            harness.wait_until(
                lambda: gatehouse.metrics()["gatehouse_exchanges_in_flight"] == 0, 5, "the gateway saw the client leave")
            found = json.loads(harness.ask(gatehouse.port, "GET", "/v2.1/servers", token=token)[2])
            assert found["writes"] == 1, found
