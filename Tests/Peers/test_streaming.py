"""Contents of 1 GiB in both directions pass with flat memory; nobody's slowness fills it."""

import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
import zlib

import pytest

import bulk
import harness
import wire

GIB = 1 << 30
# What may be added to the resident size while 1 GiB passes: far below it, above the noise of an allocator.
BOUND = 24 << 20


@pytest.fixture(scope="module")
def upstream():
    child = subprocess.Popen(
        [sys.executable, str(pathlib.Path(bulk.__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    child.stdin.close()
    child.wait(10)


@pytest.fixture
def gatehouse(tmp_path, upstream):
    with harness.Gatehouse(
            tmp_path, upstream, {"access_log": {"path": str(tmp_path / "access.log")}},
            definitions=(harness.COMPUTE, harness.STREAM)) as running:
        harness.ask(running.port, "GET", "/v2.1/stream/1000000")
        yield running


class Watch:
    """The largest resident size while something goes on."""

    def __init__(self, process):
        self.process = process

    def __enter__(self):
        self.before = self.most = self.process.resident_bytes()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.begun = time.monotonic()
        self.thread.start()
        return self

    def look(self):
        while not self.is_over.wait(0.02):
            self.most = max(self.most, self.process.resident_bytes())

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begun
        self.is_over.set()
        self.thread.join()
        self.growth = self.most - self.before

    def words(self, count):
        return (f"{count / self.seconds / 1e6:.0f} MB/s, resident size {self.before / 1e6:.1f} MB before and at most "
                f"{self.most / 1e6:.1f} MB")


def upload(port, count, framing):
    """Sends `count` bytes of the pattern; the answer as read by h11."""
    with wire.connect(port, timeout=60) as peer:
        lines = [("Content-Type", "application/octet-stream")]
        lines.append(("Content-Length", str(count)) if framing == "length" else ("Transfer-Encoding", "chunked"))
        peer.sendall(wire.request("PUT", "/v2.1/stream/upload", [*lines, ("Connection", "close")]))
        for piece in bulk.pieces(count):
            if framing == "chunked":
                peer.sendall(b"%x\r\n" % len(piece))
            peer.sendall(piece)
            if framing == "chunked":
                peer.sendall(b"\r\n")
        if framing == "chunked":
            peer.sendall(b"0\r\n\r\n")
        answers = wire.read_answers(wire.read_all(peer, 120))
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_of_1_gib_passes_with_flat_memory(gatehouse, figures, framing):
    with Watch(gatehouse) as watch:
        answer = upload(gatehouse.port, GIB, framing)
    assert answer.status == 200
    body = json.loads(answer.content)
    assert body == {"count": GIB, "crc": bulk.pattern_crc(GIB), "framing": framing}
    figures.note(watch.words(GIB), growth=watch.growth, seconds=watch.seconds)
    assert watch.growth < BOUND


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_of_1_gib_passes_with_flat_memory(gatehouse, figures, framing):
    connection = harness.http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=60)
    with Watch(gatehouse) as watch:
        connection.request(
            "GET", f"/v2.1/stream/{GIB}" + ("?chunked=1" if framing == "chunked" else ""), headers={"X-Auth-Token": "demo"})
        answer = connection.getresponse()
        assert answer.status == 200 and (answer.headers["Content-Length"] == str(GIB)) == (framing == "length")
        count = crc = 0
        while piece := answer.read(262_144):
            count += len(piece)
            crc = zlib.crc32(piece, crc)
    connection.close()
    assert (count, crc) == (GIB, bulk.pattern_crc(GIB))
    figures.note(watch.words(GIB), growth=watch.growth, seconds=watch.seconds)
    assert watch.growth < BOUND


def test_a_reader_that_pauses_stops_the_upstream(gatehouse, figures):
    """Back-pressure: while the client takes nothing, the gateway takes nothing either; then all of it comes."""
    count = 64 << 20
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        peer.settimeout(20)
        peer.connect((harness.LOOPBACK, gatehouse.port))
        with Watch(gatehouse) as watch:
            peer.sendall(wire.request("GET", f"/v2.1/stream/{count}", [("Connection", "close")]))
            received = settled(gatehouse, "gatehouse_upstream_received_bytes_total")
            values = gatehouse.metrics()
            assert received < count // 4, "the gateway read on while nobody took it"
            assert values["gatehouse_exchanges_in_flight"] == 1
            answer = wire.read_answers(wire.read_all(peer, 60))[0]
        assert zlib.crc32(answer.content) == bulk.pattern_crc(count)
        figures.note(
            f"{received / 1e6:.1f} MB of {count / 1e6:.0f} were read from the upstream during the pause, "
            f"blocks lent {values['gatehouse_blocks_lent']:.0f}, growth {watch.growth / 1e6:.1f} MB")
        assert watch.growth < BOUND and values["gatehouse_blocks_lent"] <= 8


def test_50_readers_that_pause_hold_little_memory(gatehouse, figures):
    peers = []
    with Watch(gatehouse) as watch:
        for _ in range(50):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.connect((harness.LOOPBACK, gatehouse.port))
            peer.sendall(wire.request("GET", f"/v2.1/stream/{GIB}"))
            peers.append(peer)
        settled(gatehouse, "gatehouse_upstream_received_bytes_total")
        values = gatehouse.metrics()
    blocks = values["gatehouse_blocks_lent"]
    figures.note(f"blocks lent {blocks:.0f}, growth {watch.growth / 1e6:.1f} MB")
    # A request head, a block from the upstream and a block to the client each, at most one more.
    assert blocks <= 50 * 4 + 8 and watch.growth < BOUND
    for peer in peers:
        peer.close()
    gatehouse.wait_for_rest()


def test_an_upstream_that_pauses_stops_the_client(tmp_path, figures):
    """Back-pressure the other way: an upstream that reads nothing lets the client send only what buffers hold."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    listener.bind((harness.LOOPBACK, 0))
    listener.listen(8)
    url = f"http://{harness.LOOPBACK}:{listener.getsockname()[1]}"
    with harness.Gatehouse(tmp_path, url, definitions=(harness.COMPUTE, harness.STREAM)) as gatehouse:
        with Watch(gatehouse) as watch, wire.connect(gatehouse.port) as peer:
            peer.sendall(wire.request("PUT", "/v2.1/stream/upload", [("Content-Length", str(GIB))]))
            upstream_peer, _ = listener.accept()
            peer.settimeout(1)
            sent = 0
            try:
                for piece in bulk.pieces(GIB):
                    sent += peer.send(piece)
            except TimeoutError:
                pass
            assert sent < GIB // 8, "the gateway took content that nobody wants"
        figures.note(f"the client could send {sent / 1e6:.1f} MB, growth {watch.growth / 1e6:.1f} MB")
        assert watch.growth < BOUND
        upstream_peer.close()
        gatehouse.wait_for_rest()
    listener.close()


def settled(gatehouse, name):
    """The value of a counter once it has not moved for half a second."""
    last, since = gatehouse.metrics()[name], time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        value = gatehouse.metrics()[name]
        if value != last:
            last, since = value, time.monotonic()
    return last


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_compute_content_over_114688_bytes_is_413(gatehouse, framing):
    content = b'{"server": {"name": "' + b"x" * 114_700 + b'"}}'
    head = [("Content-Type", "application/json")]
    if framing == "length":
        data = wire.request("POST", "/v2.1/servers", head, content)
    else:
        data = wire.request("POST", "/v2.1/servers", [*head, ("Transfer-Encoding", "chunked")])
        for start in range(0, len(content), 5_000):
            piece = content[start:start + 5_000]
            data += b"%x\r\n" % len(piece) + piece + b"\r\n"
        data += b"0\r\n\r\n"
    before = gatehouse.metrics()["gatehouse_upstream_sent_bytes_total"]
    answers, _ = wire.exchange(gatehouse.port, data)
    assert [answer.status for answer in answers] == [413]
    assert list(json.loads(answers[0].content)) == ["overLimit"]
    assert gatehouse.metrics()["gatehouse_upstream_sent_bytes_total"] == before


def test_streamed_content_over_its_limit_is_413(gatehouse):
    data = wire.request("PUT", "/v2.1/stream/upload", [("Content-Length", str((2 << 30) + 1))])
    answers, _ = wire.exchange(gatehouse.port, data)
    assert [answer.status for answer in answers] == [413]


def test_compute_content_of_114688_bytes_passes_with_a_length(gatehouse):
    """Chunked in, a Content-Length out: uWSGI reads no chunks."""
    content = b'{"reboot": {"type": "SOFT"}}'.ljust(114_688)
    data = wire.request(
        "POST", "/v2.1/servers/0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10/action",
        [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")])
    data += b"1c000\r\n" + content + b"\r\n0\r\n\r\n"
    answers, raw = wire.exchange(gatehouse.port, data)
    assert [answer.status for answer in answers] == [200]
    assert json.loads(answers[0].content) == {
        "count": 114_688, "crc": zlib.crc32(content), "framing": "length"}
