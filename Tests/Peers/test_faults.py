"""Upstreams that die, clients that leave or dawdle, descriptors that run out: afterwards nothing is left over."""

import http.client
import json
import os
import random
import signal
import socket
import struct
import threading
import time

import pytest

import harness
import recording
import wire

# Deadlines short enough for a test, and idle upstream connections that go soon.
HURRIED = {
    "http": {"head_timeout": "1s", "content_progress_timeout": "1s", "idle_timeout": "3s"},
    "drain_timeout": "5s",
}
UPSTREAM = {
    "connect_timeout": "1s", "response_timeout": "3s", "progress_timeout": "2s", "idle_timeout": "300ms",
    "ejection": {"failures": 5, "base_time": "100ms", "max_time": "200ms"},
}
SERVERS = "/v2.1/servers"


@pytest.fixture
def gatehouse(tmp_path, simulator):
    with harness.Gatehouse(
            tmp_path, simulator.url, HURRIED, definitions=(harness.COMPUTE, harness.STREAM),
            upstream_settings=UPSTREAM) as running:
        assert harness.ask(running.port, "GET", SERVERS)[0] == 200
        assert harness.ask(running.port, "GET", "/v2.1/stream/10")[0] == 200
        running.note_base()
        yield running


def reset(peer):
    """Ends a connection so that the other side sees a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def probe(gatehouse):
    status, headers, _ = harness.ask(gatehouse.port, "GET", SERVERS, {"Cache-Control": "no-cache"})
    assert status == 200 and headers["X-Gatehouse-Request-Id"]


def read_until_cut(port, path, token="demo"):
    """What a client gets of an answer that is cut: (status, content or None when it saw the cut)."""
    connection = http.client.HTTPConnection(harness.LOOPBACK, port, timeout=15)
    try:
        connection.request("GET", path, headers={"X-Auth-Token": token})
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        except (http.client.IncompleteRead, ConnectionResetError, ValueError):
            return answer.status, None
    finally:
        connection.close()


# The upstream


@pytest.mark.parametrize("path", [
    "/v2.1/stream/5000000", "/v2.1/stream/5000000?chunked=1", f"{SERVERS}/detail", SERVERS, "/v2.1/flavors/detail"])
def test_kill_9_of_the_upstream_in_mid_answer(tmp_path, simulator, gatehouse, path):
    """20 clients are in the middle of an answer; none of them takes a part for the whole."""
    simulator.add_fault("trickle", path.split("?")[0], count=0, bytes=20, interval_ms=50)
    results = []
    # Different pages, so that no list is collapsed with another; each is the whole list.
    paths = [f"{path}?limit={25 + index}" if "stream" not in path else path for index in range(20)]
    threads = [
        threading.Thread(target=lambda path=path: results.append(read_until_cut(gatehouse.port, path))) for path in paths]
    for thread in threads:
        thread.start()
    harness.wait_until(
        lambda: gatehouse.metrics()["gatehouse_exchanges_in_flight"] >= 20, 10, lambda: gatehouse.exchanges())
    time.sleep(0.3)
    port = simulator.ports["nova"]
    simulator.kill()
    for thread in threads:
        thread.join(20)
    assert len(results) == 20
    for status, content in results:
        # Cut short where the head was out already; else an error in Nova's form.
        assert status == 200 and content is None or status in (502, 503) and b"code" in content, (status, content)
    gatehouse.wait_for_rest()
    status, headers, content = harness.ask(gatehouse.port, "GET", SERVERS + "?name=other")
    assert status == 503 and list(json.loads(content)) == ["serviceUnavailable"] and headers["Retry-After"]
    simulator.start(port)
    harness.wait_until(
        lambda: harness.ask(gatehouse.port, "GET", SERVERS + "?name=back")[0] == 200, 10, "the upstream is used again")
    gatehouse.wait_for_rest()


@pytest.mark.parametrize("action,more", [
    ("cut_at", {"at": 30}), ("cut_at", {"at": 400}), ("reset", {"at": 0}), ("reset", {"at": 300}),
    ("wrong_length", {"delta": 50}), ("garbage", {}), ("close_before_answer", {}), ("hang", {}),
    ("html", {"status": 502}), ("empty", {"status": 503}),
])
@pytest.mark.parametrize("path", [SERVERS + "?limit=7", "/v2.1/flavors/1", "/v2.1/stream/3000"])
def test_an_upstream_fault_is_one_answer_or_a_visible_cut(simulator, gatehouse, path, action, more):
    """For stored lists, passed-on answers and streams alike."""
    simulator.add_fault(action, path, count=0, **more)
    whole = None if "stream" in path else {"servers", "flavor"}
    status, content = read_until_cut(gatehouse.port, path)
    if status == 200:
        assert content is None or set(json.loads(content)) <= (whole or set()), (action, content[:300])
        assert action != "wrong_length" or content is None
    else:
        assert status in (502, 503, 504), (status, content)
        body = json.loads(content)
        assert len(body) == 1 and next(iter(body.values()))["code"] == status
        assert b"<" not in content
    simulator.control("DELETE", "/faults")
    harness.wait_until(
        lambda: harness.ask(gatehouse.port, "GET", SERVERS, {"Cache-Control": "no-cache"})[0] == 200, 10,
        "the upstream is used again")
    gatehouse.wait_for_rest()


def test_no_request_is_lost_to_an_upstream_that_drops_idle_connections(simulator, gatehouse, figures):
    """uWSGI's habit: it answers, and ends the connection unannounced a moment later."""
    simulator.add_fault("close_idle", "/v2.1", count=0, after_ms=3)
    chance = random.Random(7)
    statuses = {}
    for index in range(300):
        if index % 3 == 0:
            status, _, _ = harness.ask(
                gatehouse.port, "POST", SERVERS + "/0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10/action", body=b'{"reboot": {"type": "SOFT"}}',
                headers={"Content-Type": "application/json"})
        else:
            status, _, _ = harness.ask(gatehouse.port, "GET", "/v2.1/flavors/1")
        statuses[status] = statuses.get(status, 0) + 1
        time.sleep(chance.choice([0, 0.001, 0.003, 0.006]))
    figures.note(
        f"300 requests: {statuses}, {gatehouse.metrics()['gatehouse_upstream_retries_total']:.0f} sent once more")
    assert set(statuses) == {200, 404}, statuses
    gatehouse.wait_for_rest()


# Clients


def test_clients_that_leave_in_mid_request(gatehouse):
    """300 of them, at any byte of head or content, with an end or a reset."""
    chance = random.Random(11)
    head = wire.request("POST", f"{SERVERS}", [("Content-Type", "application/json")], b'{"server": ' + b" " * 5_000 + b"}")
    stream = (b"PUT /v2.1/stream/upload HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\nTransfer-Encoding: chunked\r\n\r\n"
              + b"1000\r\n" + b"x" * 4096 + b"\r\n") * 2
    for index in range(300):
        data = chance.choice([head, stream])
        peer = wire.connect(gatehouse.port)
        wire.send_pieces(peer, data[:chance.randrange(1, len(data) - 1)])
        if index % 2:
            reset(peer)
        else:
            peer.close()
    gatehouse.wait_for_rest()
    probe(gatehouse)


@pytest.mark.parametrize("path", [SERVERS + "/detail", "/v2.1/stream/50000000", "/v2.1/flavors/1"])
def test_clients_that_leave_in_mid_answer(simulator, gatehouse, path):
    """100 of them: before the head, in the content, with an end or a reset."""
    chance = random.Random(12)
    simulator.add_fault("delay", path, count=0, delay_ms=30)
    for index in range(100):
        peer = wire.connect(gatehouse.port)
        peer.sendall(wire.request("GET", path))
        if index % 4 == 0:
            peer.settimeout(5)
            peer.recv(chance.choice([1, 100, 100_000]))
        elif index % 4 == 1:
            time.sleep(chance.random() * 0.04)
        if index % 2:
            reset(peer)
        else:
            peer.close()
    simulator.control("DELETE", "/faults")
    gatehouse.wait_for_rest(30)
    probe(gatehouse)


@pytest.mark.parametrize("order", ["answer first", "end first"])
def test_an_answer_is_not_lost_when_the_client_ends_its_side_meanwhile(tmp_path, order):
    """A request, some bytes of another one; the answer and the end of the client's side come in one turn of the loop."""
    arrived, released = threading.Event(), threading.Event()

    def answer(message):
        arrived.set()
        released.wait(10)
        return (200, [], b"{}")

    with recording.RecordingUpstream(answer) as upstream:
        with harness.Gatehouse(tmp_path, upstream.url, {"workers": 1}, definitions=(harness.STREAM,)) as gatehouse:
            for rest in (b"12345", b"GET /v2.1/stream/1 HTTP/1.1\r\nHost", b"\r\n", b""):
                arrived.clear()
                released.clear()
                with wire.connect(gatehouse.port) as peer:
                    peer.sendall(wire.request("GET", "/v2.1/stream/10") + rest)
                    assert arrived.wait(10)
                    # While it stands still, both things happen.
                    os.kill(gatehouse.pid, signal.SIGSTOP)
                    try:
                        if order == "end first":
                            peer.shutdown(socket.SHUT_WR)
                        released.set()
                        time.sleep(0.05)
                        if order == "answer first":
                            peer.shutdown(socket.SHUT_WR)
                    finally:
                        os.kill(gatehouse.pid, signal.SIGCONT)
                    answers = wire.read_answers(wire.read_all(peer))
                assert [answer.status for answer in answers] == [200], rest


def drip(gatehouse, before, after, figures, what):
    """Sends `before` at once and then a byte a second: dropped by the deadline, and told so where it can be."""
    with wire.connect(gatehouse.port) as peer:
        peer.sendall(before)
        begun = time.monotonic()
        for place in range(len(after)):
            try:
                peer.sendall(after[place:place + 1])
            except OSError:
                break
            peer.settimeout(1)
            try:
                if peer.recv(65_536, socket.MSG_PEEK) is not None:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        seconds = time.monotonic() - begun
        raw = wire.read_all(peer, 5)
    figures.note(f"{what}: dropped after {seconds:.1f} s")
    assert seconds < 6, f"{what}: still served after {seconds} s"
    gatehouse.wait_for_rest()
    return wire.read_answers(raw)


def test_a_client_that_sends_one_byte_a_second(gatehouse, figures):
    answers = drip(gatehouse, b"", b"GET /v2.1/servers HTTP/1.1\r\nHost: a", figures, "head")
    assert [answer.status for answer in answers] == [408]
    assert list(json.loads(answers[0].content).values())[0]["code"] == 408
    request = wire.request("POST", SERVERS, [("Content-Type", "application/json"), ("Content-Length", "5000")])
    answers = drip(gatehouse, request, b" " * 60, figures, "content")
    assert [answer.status for answer in answers] == [408]
    request = (b"PUT /v2.1/stream/upload HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\nTransfer-Encoding: chunked\r\n\r\n")
    answers = drip(gatehouse, request, b"ff\r\n" + b" " * 60, figures, "streamed content")
    assert [answer.status for answer in answers] == [408]
    probe(gatehouse)


def test_a_client_that_takes_one_byte_a_second(simulator, gatehouse, figures):
    """With a small window; the answer is too large for the kernel's buffers."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    peer.connect((harness.LOOPBACK, gatehouse.port))
    peer.sendall(wire.request("GET", "/v2.1/stream/200000000"))
    begun = time.monotonic()
    harness.wait_until(lambda: gatehouse.metrics()["gatehouse_exchanges_in_flight"] == 1, 5, "the exchange began")
    while gatehouse.metrics()["gatehouse_exchanges_in_flight"] == 1:
        try:
            peer.recv(1)
        except OSError:
            break
        time.sleep(1)
        assert time.monotonic() - begun < 12, gatehouse.exchanges()
    figures.note(f"dropped after {time.monotonic() - begun:.1f} s")
    peer.close()
    gatehouse.wait_for_rest()
    probe(gatehouse)


def test_2000_idle_connections(gatehouse, figures):
    before = gatehouse.resident_bytes()
    peers = [wire.connect(gatehouse.port) for _ in range(2_000)]
    # Half have had an answer, half have never sent a byte.
    for peer in peers[::2]:
        peer.sendall(wire.request("GET", SERVERS))
    for peer in peers[::2]:
        peer.settimeout(10)
        assert peer.recv(65_536).startswith(b"HTTP/1.1 200")
    values = gatehouse.metrics()
    assert values["gatehouse_connections_open"] >= 1_000 and values["gatehouse_exchanges_in_flight"] == 0
    assert values["gatehouse_blocks_lent"] <= 4, "an idle connection holds no block"
    figures.note(
        f"{values['gatehouse_connections_open']:.0f} idle connections cost {(gatehouse.resident_bytes() - before) / 1e6:.1f} MB, "
        f"blocks lent {values['gatehouse_blocks_lent']:.0f}")
    probe(gatehouse)
    # The deadlines end them all, whatever the clients do.
    harness.wait_until(
        lambda: gatehouse.metrics()["gatehouse_connections_open"] == 0, 15,
        lambda: gatehouse.metrics()["gatehouse_connections_open"])
    for peer in peers:
        peer.close()
    gatehouse.wait_for_rest()
    probe(gatehouse)


# Descriptors


def test_descriptors_run_out_and_come_back(tmp_path, simulator, figures):
    """64 of them for all: accepting pauses, what is open goes on, and it recovers when some are free again."""
    settings = {**HURRIED, "workers": 1, "cache": False}
    settings["http"] = {**HURRIED["http"], "head_timeout": "30s", "idle_timeout": "30s", "max_connections": 4096}
    with harness.Gatehouse(
            tmp_path, simulator.url, settings, prefix=("prlimit", "--nofile=64:64"), upstream_settings=UPSTREAM) as gatehouse:
        gatehouse.note_base()
        kept = http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=10)
        kept.request("GET", SERVERS, headers={"X-Auth-Token": "demo"})
        assert kept.getresponse().read()
        # The kernel takes more than the process can accept.
        peers = [wire.connect(gatehouse.port) for _ in range(120)]
        time.sleep(1)
        gatehouse.assert_alive()
        assert gatehouse.descriptor_count() >= 50
        assert gatehouse.descriptor_count() <= 64
        busy = cpu_seconds(gatehouse.pid)
        time.sleep(1)
        spent = cpu_seconds(gatehouse.pid) - busy
        assert spent < 0.3, f"it spins while it is out of descriptors: {spent} s of CPU in 1 s"
        # An open connection is served, also when the upstream cannot be reached for want of a descriptor.
        kept.request("GET", "/v2.1/flavors/1", headers={"X-Auth-Token": "demo"})
        answer = kept.getresponse()
        answer.read()
        assert answer.status in (200, 503)
        for peer in peers:
            peer.close()
        harness.wait_until(lambda: answers(gatehouse), 10, "it takes connections again")
        pauses = gatehouse.metrics()["gatehouse_accept_pauses_total"]
        figures.note(f"accepting paused {pauses:.0f} times, {spent:.2f} s of CPU in 1 s of it, status while out {answer.status}")
        kept.close()
        gatehouse.wait_for_rest()
        assert harness.ask(gatehouse.port, "GET", "/v2.1/flavors/1")[0] == 200


def answers(gatehouse):
    try:
        return harness.ask(gatehouse.port, "GET", SERVERS, timeout=1)[0] == 200
    except OSError:
        return False


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


# The end


def test_sigterm_finishes_what_is_in_flight(tmp_path, simulator):
    simulator.add_fault("delay", "/v2.1/flavors", count=0, delay_ms=1500)
    gatehouse = harness.Gatehouse(tmp_path, simulator.url, HURRIED, upstream_settings=UPSTREAM)
    idle = wire.connect(gatehouse.port)
    results = []
    thread = threading.Thread(target=lambda: results.append(harness.ask(gatehouse.port, "GET", "/v2.1/flavors/1")))
    thread.start()
    harness.wait_until(lambda: gatehouse.metrics()["gatehouse_exchanges_in_flight"] == 1, 5, "the exchange began")
    begun = time.monotonic()
    code = gatehouse.terminate(10)
    thread.join(10)
    assert code == 0, gatehouse.errors()
    assert results and results[0][0] == 200 and results[0][1]["Connection"] == "close"
    assert time.monotonic() - begun < 5
    idle.close()
