"""What a row of the HTTP/2 conformance test is: bytes for a server, and what must be seen then.

A row's requests carry the mark `MARKMARK` in their targets; the runner puts eight letters of the row's own in its place,
which changes no length, and looks for them in all that the upstream was sent.
"""

from typing import NamedTuple

from frames import END_HEADERS, END_STREAM, code_name, headers, window_update

MARK = b"MARKMARK"
TARGET = b"/v2.1/stream/MARKMARK"
HOST = b"compute.example"
# The stream of the request that shows whether the connection still works.
NEXT = 40_001


class Row(NamedTuple):
    section: str
    name: str
    sentence: str
    # Bytes, and calls that take the peer, in order; one of them alone needs no list.
    steps: object
    seen: object
    # The client's first SETTINGS; None: the steps bring their own connection preface.
    settings: tuple = ()
    # What of the marked request the upstream may get: nothing, the message cut short, all of it, or anything.
    reaches: str = "nothing"
    over: tuple = ("plain", "tls")

    @property
    def id(self):
        return f"{self.section} {self.name}"


# Requests


def get(*more, without=(), **pseudo):
    """The fields of a well-formed GET; `pseudo` replaces pseudo-fields, `more` comes behind."""
    fields = {"method": b"GET", "scheme": b"http", "path": TARGET, "authority": HOST, **pseudo}
    pairs = [(b":" + name.encode(), value) for name, value in fields.items() if name not in without and value is not None]
    return [*pairs, (b"x-auth-token", b"demo"), *more]


def put(*more, without=(), **pseudo):
    """The fields of a well-formed PUT, whose content follows."""
    return get((b"content-type", b"application/octet-stream"), *more, without=without, **{"method": b"PUT", **pseudo})


def ask(stream=1, *more, flags=0, **pseudo):
    """A whole GET."""
    return headers(stream, get(*more, **pseudo), END_HEADERS | END_STREAM | flags)


def begin(stream=1, *more, **pseudo):
    """A PUT whose content is to come."""
    return headers(stream, put(*more, **pseudo), END_HEADERS)


FOLLOWING = headers(NEXT, get(path=b"/v2.1/stream/following"))


def unmarked(stream, **pseudo):
    """A GET of no interest to the row."""
    return ask(stream, path=b"/v2.1/stream/unmarked", **pseudo)


# Steps


def answered(stream):
    """Waits until what comes on the stream is over."""
    return lambda peer: peer.answer(stream)


def round_trip(peer):
    """Waits until the server has read all that was sent."""
    peer.pong(b"together")


# What is seen


def well(peer):
    """The connection still works: a following request is answered."""
    peer.send(FOLLOWING + (window_update(NEXT, 1_000) if peer.initial_window < 1_000 else b""))
    answer = peer.answer(NEXT)
    assert answer.status == 200 and answer.is_ended, f"the following request: {answer}"
    assert peer.going_away is None, f"GOAWAY {peer.going_away}"


def connection_error(*codes):
    """GOAWAY with one of `codes`, then the end of the connection (§5.4.1)."""
    def seen(peer):
        peer.until_end()
        assert peer.going_away is not None, f"no GOAWAY before the {'reset' if peer.was_reset else 'end'}: {peer.frames}"
        assert peer.going_away[1] in codes, f"{code_name(peer.going_away[1])}: {peer.frames}"
    return seen


def stream_error(*codes, stream=1, may_answer=False):
    """RST_STREAM with one of `codes`, and the connection works; or the connection ends with that code (§5.4.1).

    `may_answer` is for streams whose request was in order.
    """
    def seen(peer):
        def has_come():
            answer = peer.answers.get(stream)
            return answer and answer.reset is not None or peer.is_ended

        while not has_come():
            peer.read()
        if peer.is_ended:
            assert peer.going_away is not None, f"the end without GOAWAY: {peer.frames}"
            assert peer.going_away[1] in codes, f"GOAWAY {code_name(peer.going_away[1])}: {peer.frames}"
            return
        answer = peer.answers[stream]
        assert answer.reset in codes, f"{answer}: {peer.frames}"
        assert may_answer or answer.status is None or answer.status >= 400, f"{answer}"
        well(peer)
    return seen


def refused(stream=1, statuses=(400,)):
    """What HTTP finds wrong: an error answer, or a stream error of PROTOCOL_ERROR; the connection works."""
    def seen(peer):
        answer = peer.answer(stream)
        assert answer.reset == 1 or answer.status in statuses, f"{answer}"
        well(peer)
    return seen


def answer(status=200, stream=1, check=None):
    """The request is answered, `check(answer, peer)` holds, and the connection works."""
    def seen(peer):
        found = peer.answer(stream)
        assert found.status == status and found.is_ended, f"{found}"
        assert check is None or check(found, peer), f"{found}: {found.fields} {bytes(found.content[:200])}"
        well(peer)
    return seen


def ignored(peer):
    """Nothing happens, and the connection works."""
    well(peer)
    assert all(found.reset is None for found in peer.answers.values()), f"{peer.frames}"


def closed(peer):
    """The connection ends, whatever is said before in HTTP/2; not in HTTP/1.1 (§3.4)."""
    try:
        peer.until_end()
    except AssertionError:
        if not peer.raw_start.startswith(b"HTTP/"):
            raise
    assert not peer.raw_start.startswith(b"HTTP/"), f"answered as HTTP/1.1: {peer.raw_start[:60]!r}"


def holds(check, what=""):
    """`check(peer)` comes to hold, and the connection works."""
    def seen(peer):
        peer.until(lambda: check(peer), what or "what the row waits for")
        well(peer)
    return seen
