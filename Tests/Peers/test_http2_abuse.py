"""Peers that cost more than they pay: their connections end with ENHANCE_YOUR_CALM, and others notice nothing.

Each attack is repeated on new connections for some seconds while a client of HTTP/1.1 and one of HTTP/2 go on at a steady
pace; their slowest hundredth is printed beside what it was just before.
"""

import socket
import time

import pytest

import frames
import harness
import peer as peers
import steady
from attacks import ATTACKS, LIST, LIST_BLOCK, OTHER_CODES, Attacker
from frames import (
    END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, INITIAL_WINDOW_SIZE, block, data, headers, settings, window_update)
from rows import get, put

QUIET, ATTACK = 1.0, 2.0
SECOND = "127.0.0.2"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
FAILURES = "gatehouse_http2_failures_total"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with harness.Simulator(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def gatehouse(tmp_path_factory, cloud):
    with harness.Gatehouse(tmp_path_factory.mktemp("abuse"), cloud.url, {"cache": {"lists": {"fresh": "600s"}}}) as running:
        harness.ask(running.port, "GET", "/v2.1/servers")
        yield running


def ends(gatehouse, reasons):
    """How many connections were ended for one of `reasons`."""
    values = gatehouse.metrics()
    return sum(int(values.get(f'{FAILURES}{{reason="{reason}"}}', 0)) for reason in reasons)


def all_ends(gatehouse):
    return {name[len(FAILURES):]: int(value) for name, value in gatehouse.metrics().items() if name.startswith(FAILURES)}


def attack_once(gatehouse, attack, codes):
    """One connection from its start to its end, which must say why."""
    with Attacker(gatehouse.port, seconds=10) as peer:
        peer.start()
        attack(peer)
        peer.until_end()
        assert not peer.wrong, peer.wrong
        assert peer.going_away and peer.going_away[1] in codes, f"{peer.going_away}, reset {peer.was_reset}: {peer.frames[-5:]}"


def compare(figures, others, begun, middle, ended, words):
    """Prints the slowest hundredth of both steady clients without and with the attack, and bounds the second."""
    parts = []
    for protocol, name in (("http1", "HTTP/1.1"), ("http2", "HTTP/2")):
        quiet, loud = others.percentile(protocol, begun, middle), others.percentile(protocol, middle, ended)
        parts.append(f"{name} {quiet * 1e3:.1f} ms without, {loud * 1e3:.1f} ms with")
        # The attacker is a busy process on a machine of few cores; a stall for others would be far longer.
        assert loud < max(0.25, 10 * quiet), parts
    figures.note(f"{words}; p99 of {', '.join(parts)}")
    assert others.statuses() == {"200"}, others.statuses()


@pytest.mark.alone
@pytest.mark.parametrize("attack, reasons", ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_an_attacking_connection_ends_and_others_do_not_notice(gatehouse, figures, attack, reasons):
    codes = {ENHANCE_YOUR_CALM} | {OTHER_CODES[reason] for reason in reasons if reason in OTHER_CODES}
    before, resident = ends(gatehouse, reasons), gatehouse.resident_bytes()
    count = 0
    with steady.Steady(gatehouse.port) as others:
        time.sleep(0.3)
        begun = time.monotonic()
        time.sleep(QUIET)
        middle = time.monotonic()
        while time.monotonic() < middle + ATTACK:
            attack_once(gatehouse, attack, codes)
            count += 1
        ended = time.monotonic()
        most = gatehouse.resident_bytes()
    harness.wait_until(
        lambda: ends(gatehouse, reasons) >= before + count, 5, lambda: f"{before} + {count} of {reasons}: {all_ends(gatehouse)}")
    compare(figures, others, begun, middle, ended, f"{count} connections ended, {(most - resident) / 1e6:+.1f} MB")
    gatehouse.wait_for_rest()
    assert most - resident < 64 << 20


# Those who do little, slowly

SLOW = {
    "http": {"head_timeout": "2s", "content_progress_timeout": "2s", "idle_timeout": "2s"},
    "cache": {"lists": {"fresh": "600s"}},
    "listeners": [
        {"address": f"{harness.LOOPBACK}:0"},
        {"address": f"{SECOND}:0", "tls": {
            "certificate": str(CERTIFICATES / "localhost-ecdsa.crt"),
            "private_key": str(CERTIFICATES / "localhost-ecdsa.key")}}],
}


@pytest.fixture(scope="module")
def patient(tmp_path_factory, cloud):
    with harness.Gatehouse(tmp_path_factory.mktemp("slow"), cloud.url, SLOW) as running:
        harness.ask(running.port, "GET", "/v2.1/servers")
        yield running


def bare(gatehouse, host):
    peer = socket.create_connection((host, gatehouse.ports[host]), timeout=10)
    return peer


def no_handshake(gatehouse):
    return bare(gatehouse, SECOND), b"", 0


def half_a_handshake(gatehouse):
    """A record of a ClientHello whose rest never comes."""
    return bare(gatehouse, SECOND), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0


def slow_handshake(gatehouse):
    """A ClientHello byte by byte."""
    return bare(gatehouse, SECOND), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, 0.2


def half_a_preface(gatehouse):
    return bare(gatehouse, harness.LOOPBACK), frames.PREFACE[:20], 0


def slow_preface(gatehouse):
    return bare(gatehouse, harness.LOOPBACK), frames.PREFACE + settings(), 0.3


def preface_alone(gatehouse):
    return bare(gatehouse, harness.LOOPBACK), frames.PREFACE, 0


def started(gatehouse, more):
    peer = bare(gatehouse, harness.LOOPBACK)
    peer.sendall(frames.PREFACE + settings((INITIAL_WINDOW_SIZE, 0)) + settings(flags=frames.ACK))
    return peer, more


def half_a_head(gatehouse):
    return *started(gatehouse, headers(1, LIST_BLOCK)[:-3]), 0


def head_without_its_end(gatehouse):
    return *started(gatehouse, headers(1, LIST_BLOCK, END_STREAM)), 0


def slow_head(gatehouse):
    return *started(gatehouse, headers(1, LIST_BLOCK)), 0.2


def content_that_never_comes(gatehouse):
    fields = put(path=LIST, method=b"POST")[:5] + [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    return *started(gatehouse, headers(1, fields, END_HEADERS) + data(1, b"{", 0)), 0


def windows_of_nothing(gatehouse):
    return *started(gatehouse, b"".join(headers(stream, LIST_BLOCK) for stream in range(1, 200, 2))), 0


def nothing_at_all(gatehouse):
    return *started(gatehouse, b""), 0


SLOW_ONES = [no_handshake, half_a_handshake, slow_handshake, half_a_preface, slow_preface, preface_alone, half_a_head,
             head_without_its_end, slow_head, content_that_never_comes, windows_of_nothing, nothing_at_all]


@pytest.mark.calm
@pytest.mark.parametrize("slow", SLOW_ONES, ids=[slow.__name__ for slow in SLOW_ONES])
def test_slow_connections_end_by_a_deadline_and_others_do_not_notice(patient, figures, slow):
    """50 of them, each told off within a deadline and some."""
    with steady.Steady(patient.port) as others:
        time.sleep(0.3)
        begun = time.monotonic()
        time.sleep(QUIET)
        middle = time.monotonic()
        peers_of_slow = [slow(patient) for _ in range(50)]
        places, pace = [0] * 50, peers_of_slow[0][2]
        alive, last = set(range(50)), middle
        while alive and time.monotonic() < middle + 20:
            for index in sorted(alive):
                peer, written, _ = peers_of_slow[index]
                until = len(written) if not pace else min(len(written), int((time.monotonic() - middle) / pace) + 1)
                if not advance(peer, written, places, index, until):
                    alive.discard(index)
                    last = time.monotonic()
            time.sleep(0.01)
        ended = max(last, middle + 1)
        for peer, _, _ in peers_of_slow:
            peer.close()
    assert not alive, f"{len(alive)} of 50 are still open after 20 s"
    compare(figures, others, begun, middle, ended, f"50 connections ended {last - middle:.1f} s after they began")
    patient.wait_for_rest()


def advance(peer, written, places, index, until):
    """Sends what is due and reads what came; whether the connection is still open."""
    try:
        if places[index] < until:
            peer.sendall(written[places[index]:until])
            places[index] = until
        while peer.recv(65_536, socket.MSG_DONTWAIT):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("which", ["no window", "an upload that stops"])
def test_a_stalled_stream_ends_by_a_deadline_though_others_of_its_connection_go_on(patient, figures, which):
    """Streams that wait for their client end one by one; the connection is not what is slow."""
    with peers.Peer(patient.port, seconds=10) as client:
        client.start((INITIAL_WINDOW_SIZE, 0))
        if which == "no window":
            client.send(b"".join(headers(stream, LIST_BLOCK) for stream in range(1, 20, 2)))
        else:
            fields = [*get(method=b"POST", path=LIST), (b"content-type", b"application/json"), (b"content-length", b"1000")]
            client.send(b"".join(headers(stream, fields, END_HEADERS) + data(stream, b"{", 0) for stream in range(1, 20, 2)))
        begun, stream = time.monotonic(), 101

        def are_over():
            found = [client.answers.get(stream) for stream in range(1, 20, 2)]
            return all(answer and (answer.is_ended or answer.reset is not None or answer.status == 408) for answer in found)

        while not are_over():
            assert time.monotonic() < begun + 15, client.answers
            client.send(headers(stream, LIST_BLOCK) + window_update(stream, 100_000) + window_update(0, 20_000))
            answer = client.answer(stream)
            assert answer.status == 200 and answer.is_ended, answer
            stream += 2
            time.sleep(0.02)
        figures.note(f"ten streams ended after {time.monotonic() - begun:.1f} s; {(stream - 101) // 2} requests went on beside them")
        assert client.going_away is None and not client.wrong, client.wrong
    patient.wait_for_rest()


# Many who read nothing

STREAMS, CONNECTIONS = 100, 100
# What all of it may cost: a stream's slot and its head, and the blocks of each connection; 12 KiB a stream.
BOUND = 12_288 * STREAMS * CONNECTIONS


def peak_bytes(process):
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("how", ["no window", "unread"])
def test_10000_streams_over_100_connections_of_stalled_readers_stay_inside_a_bound(tmp_path, figures, how):
    """Either the windows are closed, or they are wide and nobody reads from the socket."""
    window = 0 if how == "no window" else frames.LARGEST_WINDOW
    fields = block(get(path=LIST + b"/detail"))
    with harness.Simulator(tmp_path / "cloud", "--servers", "1000") as cloud:
        changes = {"cache": {"lists": {"fresh": "600s"}}, "limits": None}
        with harness.Gatehouse(tmp_path / "memory", cloud.url, changes) as gatehouse:
            size = len(harness.ask(gatehouse.port, "GET", (LIST + b"/detail").decode())[2])
            before = gatehouse.resident_bytes()
            readers = []
            for _ in range(CONNECTIONS):
                reader = peers.Peer(gatehouse.port, seconds=60, receive_buffer=4_096)
                reader.start((INITIAL_WINDOW_SIZE, window))
                if window:
                    reader.send(window_update(0, frames.LARGEST_WINDOW - frames.WINDOW))
                reader.send(b"".join(headers(stream, fields) for stream in range(1, 2 * STREAMS, 2)))
                readers.append(reader)
            if not window:
                for reader in readers:
                    reader.until(lambda: len(reader.answers) == STREAMS, "100 heads")
            harness.wait_until(
                lambda: gatehouse.metrics()["gatehouse_http2_streams_total"] >= STREAMS * CONNECTIONS, 60, "10,000 streams")
            now, most = gatehouse.resident_bytes(), peak_bytes(gatehouse)
            answer = harness.ask(gatehouse.port, "GET", "/v2.1/servers?limit=1")
            figures.note(
                f"{STREAMS * CONNECTIONS} streams of {size} bytes each, stalled: VmRSS {before / 1e6:.1f} MB before, "
                f"{now / 1e6:.1f} MB with them, VmHWM {most / 1e6:.1f} MB, bound {BOUND / 1e6:.0f} MB over the first",
                resident=now, peak=most, bound=BOUND)
            assert answer[0] == 200 and size > 20_000
            assert now - before < BOUND and most - before < BOUND
            for reader in readers:
                reader.close()
            gatehouse.wait_for_rest(60)


def test_content_that_no_upstream_takes_is_bounded_by_the_windows(tmp_path, figures):
    """2,000 uploads on 20 connections fill every window they are given; the upstream reads none of it."""
    connections = 20
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        listener.bind((harness.LOOPBACK, 0))
        listener.listen(1_024)
        url = f"http://{harness.LOOPBACK}:{listener.getsockname()[1]}"
        with harness.Gatehouse(tmp_path, url, definitions=(harness.STREAM,)) as gatehouse:
            harness.ask(gatehouse.port, "GET", "/v2.1/none")
            before, sent = gatehouse.resident_bytes(), 0
            senders = []
            for _ in range(connections):
                sender = peers.Peer(gatehouse.port, seconds=10).start()
                sender.pong(b"all said")
                window, room = sender.settings.get(INITIAL_WINDOW_SIZE, frames.WINDOW), frames.WINDOW
                room += sum(int.from_bytes(found.payload, "big") for found in sender.frames
                            if found.kind == frames.WINDOW_UPDATE and not found.stream)
                for stream in range(1, 2 * STREAMS, 2):
                    size = min(window, room, frames.FRAME_BYTES)
                    sender.send(headers(stream, put(path=b"/v2.1/stream/upload"), END_HEADERS) + data(stream, b"x" * size, 0))
                    room -= size
                    sent += size
                sender.pong(b"all read")
                senders.append(sender)
            now, most = gatehouse.resident_bytes(), peak_bytes(gatehouse)
            bound = sent + connections * STREAMS * 10_240 + (16 << 20)
            figures.note(
                f"{connections * STREAMS} uploads, {sent / 1e6:.1f} MB sent into the windows: VmRSS {before / 1e6:.1f} MB before, "
                f"{now / 1e6:.1f} MB with them, VmHWM {most / 1e6:.1f} MB, bound {bound / 1e6:.0f} MB over the first")
            assert most - before < bound
            for sender in senders:
                sender.close()
