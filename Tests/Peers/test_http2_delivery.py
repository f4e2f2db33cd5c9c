"""How answers of HTTP/2 are delivered: in what order, how they end, and what a connection's end leaves whole."""

import json
import os
import signal
import time
import zlib

import pytest

import bulk
import h2client
import harness
import peer as peers
import recording
import test_streaming
from frames import END_HEADERS, INTERNAL_ERROR, NO_ERROR, data, headers
from rows import get, put

upstream = test_streaming.upstream


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with harness.Simulator(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def gatehouse(tmp_path_factory, cloud, upstream):
    with h2client.run_gatehouse(tmp_path_factory.mktemp("clients"), cloud, upstream) as running:
        yield running


# Priorities (RFC 9218). Who is first shows while the upstream keeps up, so nothing runs beside them.


@pytest.mark.alone
@pytest.mark.parametrize("signal_by", ["the field", "PRIORITY_UPDATE"])
def test_what_is_urgent_comes_before_what_is_large_and_is_not(gatehouse, signal_by):
    """The large answer is well under way with its windows open when the urgent one is asked for."""
    client = h2client.Client(gatehouse, "cleartext")
    client.widen(1 << 24)
    by_field = signal_by == "the field"
    large = client.ask(*([("priority", "u=7")] if by_field else []), path="/v2.1/stream/12000000")
    if not by_field:
        client.socket.sendall(b"\0\0\x07\x10\0\0\0\0\0" + large.to_bytes(4, "big") + b"u=7")
    while len(client.contents.get(large, b"")) < 100_000:
        client.receive()
    urgent = client.ask(*([("priority", "u=0")] if by_field else []), path="/v2.1/stream/2000000")
    if not by_field:
        client.socket.sendall(b"\0\0\x07\x10\0\0\0\0\0" + urgent.to_bytes(4, "big") + b"u=0")
    client.until(urgent, large)
    assert client.order == [urgent, large]
    client.socket.close()


@pytest.mark.alone
def test_equal_priorities_are_fair_when_incremental(gatehouse):
    """Two large answers of one urgency, both incremental: while both come, neither gets much more than the other."""
    client = h2client.Client(gatehouse, "cleartext")
    client.widen(1 << 26)
    streams = [client.ask(("priority", "u=3, i"), path="/v2.1/stream/20000000") for _ in range(2)]
    while not set(streams) <= set(client.contents):
        client.receive()
    begun = [len(client.contents[stream]) for stream in streams]
    while not client.ended & set(streams):
        client.receive()
    came = sorted(len(client.contents[stream]) - before for stream, before in zip(streams, begun))
    assert came[0] > came[1] / 2, came
    client.until(*streams)
    client.socket.close()


# What arrives, and the end


def test_cookies_in_crumbs_arrive_as_one_line(tmp_path):
    with recording.RecordingUpstream() as kept, harness.Gatehouse(tmp_path, kept.url, {"cache": False}) as gatehouse:
        client = h2client.Client(gatehouse, "cleartext")
        client.until(client.ask(("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")))
        assert kept.messages[0].values(b"cookie") == [b"a=b; c=d; e=f"]
        client.socket.close()


@pytest.mark.parametrize("over", h2client.OVER)
def test_sigterm_drains_streams_in_progress_finish_and_no_new_ones_begin(tmp_path, upstream, over):
    changes = {"listeners": h2client.listeners(), "drain_timeout": "20s"}
    gatehouse = harness.Gatehouse(tmp_path, upstream, changes, definitions=(harness.COMPUTE, harness.STREAM))
    host = h2client.SECOND if over == "TLS" else harness.LOOPBACK
    context = peers.tls_context(h2client.CA) if over == "TLS" else None
    count = 3_000_000
    with peers.Peer(gatehouse.ports[host], context, seconds=15, gives_back=True, host=host) as client:
        client.start()
        client.send(headers(1, get(path=b"/v2.1/stream/%d" % count)))
        client.send(headers(3, put(path=b"/v2.1/stream/upload"), END_HEADERS) + data(3, b"half", 0))
        client.until(lambda: 1 in client.answers and client.answers[1].content, "content")
        os.kill(gatehouse.pid, signal.SIGTERM)
        client.until(lambda: client.going_away, "GOAWAY")
        assert client.going_away[1] == NO_ERROR
        # A notice first may leave room for what is on its way; the last word names the last stream.
        client.until(lambda: client.going_away[0] < 1 << 30, "the last stream's name")
        assert client.going_away == (3, NO_ERROR)
        client.send(headers(5, get(path=b"/v2.1/stream/10")))
        client.send(data(3, b"whole"))
        assert client.answer(1).status == 200 and zlib.crc32(bytes(client.answers[1].content)) == bulk.pattern_crc(count)
        assert json.loads(bytes(client.answer(3).content))["count"] == 9
        client.until_end()
        assert 5 not in client.answers or client.answers[5].fields is None, client.answers
        assert not client.wrong, client.wrong
    assert gatehouse.child.wait(10) == 0, gatehouse.errors()[-2_000:]


@pytest.mark.parametrize("action, more", [
    ("cut_at", {"at": 30}), ("cut_at", {"at": 400}), ("reset", {"at": 0}), ("reset", {"at": 300}), ("wrong_length", {"delta": 50}),
    ("garbage", {}), ("close_before_answer", {}), ("html", {"status": 502}), ("empty", {"status": 503})])
@pytest.mark.parametrize("path", [b"/v2.1/servers?limit=7", b"/v2.1/flavors/1", b"/v2.1/servers/detail"])
def test_an_upstream_fault_is_one_answer_or_a_reset_stream(gatehouse, cloud, path, action, more):
    """What was cut is never ended as if it were whole (RFC 9113 §8.1.1), and the connection's other streams go on."""
    cloud.add_fault(action, path.split(b"?")[0].decode(), count=0, **more)
    fresh = (b"cache-control", b"no-cache")
    with peers.Peer(gatehouse.port, seconds=20, gives_back=True) as client:
        client.start()
        client.send(headers(1, get(fresh, path=path)) + headers(3, get(path=b"/v2.1/stream/3000000")))
        found = client.answer(1)
        if found.is_ended and found.status == 200:
            assert set(json.loads(bytes(found.content))) <= {"servers", "flavor", "servers_links"} and action != "wrong_length"
        elif found.is_ended:
            assert found.status in (502, 503, 504) and len(json.loads(bytes(found.content))) == 1, found
        else:
            assert found.reset == INTERNAL_ERROR, found
        assert zlib.crc32(bytes(client.answer(3).content)) == bulk.pattern_crc(3_000_000)
        cloud.control("DELETE", "/faults")
        client.send(headers(5, get(path=b"/v2.1/stream/10")))
        assert client.answer(5).status == 200 and client.going_away is None and not client.wrong, client.wrong
    harness.wait_until(
        lambda: harness.ask(gatehouse.port, "GET", "/v2.1/servers", {"Cache-Control": "no-cache"})[0] == 200, 10,
        "the upstream is used again")


def test_an_idle_connection_is_told_before_it_is_closed(tmp_path, cloud):
    with harness.Gatehouse(tmp_path, cloud.url, {"http": {"idle_timeout": "1s"}}) as gatehouse:
        with peers.Peer(gatehouse.port, seconds=10) as client:
            client.start()
            client.send(headers(1, get(path=h2client.SERVERS.encode())))
            assert client.answer(1).status == 200
            client.until_end()
            assert client.going_away == (1, NO_ERROR) and not client.wrong


def test_a_busy_connection_outlives_the_idle_timeout(tmp_path, cloud):
    with harness.Gatehouse(tmp_path, cloud.url, {"http": {"idle_timeout": "1s", "head_timeout": "1s"}}) as gatehouse:
        with peers.Peer(gatehouse.port, seconds=10, gives_back=True) as client:
            client.start()
            begun, stream = time.monotonic(), 1
            while time.monotonic() < begun + 3:
                client.send(headers(stream, get(path=h2client.SERVERS.encode())))
                assert client.answer(stream).status == 200
                stream += 2
            assert client.going_away is None
