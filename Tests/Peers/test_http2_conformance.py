"""Every MUST of RFC 9113 and RFC 7541 that a server can break, row by row, as raw bytes.

The public h2spec suite with its strict cases is the least that the rows ask; most ask for more: a connection error says
GOAWAY with its code before the end, a stream error leaves the connection working, and nothing malformed reaches the upstream.
"""

import socket
import string

import pytest

import harness
import peer as peers
import recording
import rows
import rows_fields
import rows_framing
import rows_hpack
import rows_kinds
import rows_messages

# The listener with TLS.
SECOND = "127.0.0.2"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
ROWS = [*rows_framing.ROWS, *rows_kinds.ROWS, *rows_messages.ROWS, *rows_fields.ROWS, *rows_hpack.ROWS]
RUNS = [(row, over) for row in ROWS for over in row.over]


def mark_of(number):
    """Eight letters of a run's own."""
    letters = bytearray()
    for _ in range(5):
        number, digit = divmod(number, 26)
        letters.append(ord(string.ascii_lowercase[digit]))
    return b"row" + bytes(letters)


def answer(message):
    """What the upstream says, by the last part of the path."""
    name = message.target.rsplit(b"/", 1)[-1]
    if name.startswith(b"hop."):
        return 200, [("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-Kept", "1"),
                     ("Proxy-Connection", "keep-alive")], b"{}"
    if name.startswith(b"large."):
        return 200, [], b"x" * 100_000
    return 200, [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], b"{}"


class MarkedPeer(peers.Peer):
    """A peer of one row: its mark goes into all that is sent."""

    def __init__(self, mark, upstream, *arguments, **named):
        super().__init__(*arguments, **named)
        self.mark, self.upstream = mark, upstream

    def marked(self, written):
        return written.replace(rows.MARK, self.mark)

    def send(self, written):
        super().send(self.marked(written))

    def messages(self):
        """The marked messages that arrived at the upstream."""
        return [message for message in self.upstream.messages if self.mark in message.target]


@pytest.fixture(scope="module")
def upstream():
    with recording.RecordingUpstream(answer) as running:
        yield running


@pytest.fixture(scope="module")
def gatehouse(tmp_path_factory, upstream):
    settings = {
        "listeners": [
            {"address": f"{harness.LOOPBACK}:0"},
            {"address": f"{SECOND}:0", "tls": {
                "certificate": str(CERTIFICATES / "localhost-ecdsa.crt"),
                "private_key": str(CERTIFICATES / "localhost-ecdsa.key")}}],
        "cache": False,
    }
    with harness.Gatehouse(
            tmp_path_factory.mktemp("rows"), upstream.url, settings, definitions=(harness.COMPUTE, harness.STREAM)) as running:
        running.forbidden = []
        yield running


def play(row, over, gatehouse, upstream, mark):
    context = peers.tls_context(CERTIFICATES / "ca.crt") if over == "tls" else None
    host = SECOND if over == "tls" else harness.LOOPBACK
    with MarkedPeer(mark, upstream, gatehouse.ports[host], context, host=host) as peer:
        if row.settings is not None:
            peer.start(*row.settings)
        for step in row.steps if isinstance(row.steps, list) else [row.steps]:
            if isinstance(step, bytes):
                peer.send(step)
            else:
                step(peer)
        row.seen(peer)
        assert not peer.wrong, peer.wrong


def has_reached(upstream, mark, reaches):
    """Whether the upstream got what the row allows: an exact count of whole messages, or no byte of it."""
    whole = [message for message in upstream.messages if mark in message.target]
    if reaches == "nothing":
        return not any(mark in kept for kept in upstream.connections)
    if reaches == "cut":
        return not whole
    return reaches == "anything" or len(whole) == 1


@pytest.fixture(scope="module")
def stalled(tmp_path_factory):
    """A gateway before an upstream that takes connections and reads nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        listener.bind((harness.LOOPBACK, 0))
        listener.listen(128)
        url = f"http://{harness.LOOPBACK}:{listener.getsockname()[1]}"
        with harness.Gatehouse(tmp_path_factory.mktemp("stalled"), url, definitions=(harness.STREAM,)) as running:
            running.forbidden = []
            yield running


@pytest.mark.parametrize("number", range(len(RUNS)), ids=[f"{row.id}, {over}" for row, over in RUNS])
def test_row(request, upstream, number):
    row, over = RUNS[number]
    gatehouse = request.getfixturevalue("stalled" if over == "stalled" else "gatehouse")
    mark = mark_of(number)
    gatehouse.forbidden.append((row, mark))
    play(row, over, gatehouse, upstream, mark)
    reached = f"{row.sentence}: what reached the upstream is not «{row.reaches}»"
    if row.reaches == "whole":
        # A row may be over before its request has come through.
        harness.wait_until(lambda: has_reached(upstream, mark, row.reaches), 5, reached)
    assert has_reached(upstream, mark, row.reaches), reached


def test_nothing_malformed_has_reached_the_upstream_later(gatehouse, upstream, figures):
    """All rows again, now that everything is over; and what did arrive was HTTP/1.1 in order."""
    gatehouse.wait_for_rest()
    late = [row.id for row, mark in gatehouse.forbidden if row.reaches in ("nothing", "cut")
            and not has_reached(upstream, mark, row.reaches)]
    assert not late, late
    assert not upstream.refusals, upstream.refusals[:3]
    # A connection that was opened for a request whose mistake came first has nothing on it.
    for kept in filter(None, upstream.connections):
        reason = recording.read_with_h11(bytes(kept))[1]
        assert reason in (None, "the last message is cut short"), (reason, bytes(kept[:2_000]))
    over_tls = len([over for _, over in RUNS if over == "tls"])
    figures.note(f"test_http2_conformance: {len(ROWS)} rows, {len(RUNS) - over_tls} over cleartext, {over_tls} over TLS",
                 rows=len(ROWS))


def test_no_two_rows_have_one_name():
    names = [row.id for row in ROWS]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    assert all(row.sentence and set(row.over) <= {"plain", "tls", "stalled"} for row in ROWS)
