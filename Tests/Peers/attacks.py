"""What a peer can do for little that costs a server more; each attack goes on until the connection ends."""

import struct

import frames
import peer as peers
from frames import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PADDED, PRIORITY_UPDATE, block, data, frame,
    headers, literal, ping, priority, rst_stream, settings, window_update)
from rows import get, put

LIST = b"/v2.1/servers"


def in_turns(peer, make, count=200_000, batch=100):
    """Sends `make(index)` for index after index until the connection ends; whether it did."""
    for first in range(0, count, batch):
        peer.send(b"".join(make(index) for index in range(first, first + batch)))
        if peer.has_ended():
            return


class Attacker(peers.Peer):
    """A peer that looks now and then, without waiting, whether it is still wanted."""

    def has_ended(self):
        try:
            while self.read(0) is not None:
                del self.frames[1:-20]
        except TimeoutError:
            return self.is_ended
        return True


LIST_BLOCK = block(get(path=LIST))
BAD_BLOCK = block(get((b"Bad", b"1"), path=LIST))
UPLOAD_BLOCK = block([*get(method=b"POST", path=LIST), (b"content-type", b"application/json")])
REFUSED_BLOCK = block(put(path=LIST))


def rapid_reset(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, LIST_BLOCK) + rst_stream(2 * index + 1))


def rapid_reset_of_uploads(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, UPLOAD_BLOCK, END_HEADERS) + rst_stream(2 * index + 1))


def malformed_requests(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, BAD_BLOCK))


def increments_of_nothing(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, UPLOAD_BLOCK, END_HEADERS) + window_update(2 * index + 1, 0))


def overflowing_windows(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, UPLOAD_BLOCK, END_HEADERS) + window_update(
        2 * index + 1, frames.LARGEST_WINDOW))


def content_after_the_end(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, LIST_BLOCK) + data(2 * index + 1, b"x"))


def requests_that_depend_on_themselves(peer):
    in_turns(peer, lambda index: frame(
        HEADERS, END_HEADERS | END_STREAM | 0x20, 2 * index + 1, struct.pack(">IB", 2 * index + 1, 1) + LIST_BLOCK))


def more_streams_than_allowed(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, UPLOAD_BLOCK, END_HEADERS))


def continuations(peer):
    peer.send(headers(1, LIST_BLOCK, END_STREAM))
    in_turns(peer, lambda index: frame(CONTINUATION, 0, 1, literal(b"x-%d" % index, b"y")))


def continuations_of_nothing(peer):
    peer.send(headers(1, LIST_BLOCK, END_STREAM))
    in_turns(peer, lambda index: frame(CONTINUATION, 0, 1))


def large_continuations(peer):
    peer.send(headers(1, LIST_BLOCK, END_STREAM))
    in_turns(peer, lambda index: frame(CONTINUATION, 0, 1, literal(b"x-large", b"y" * 16_000)), batch=10)


def empty_data(peer):
    peer.send(headers(1, UPLOAD_BLOCK, END_HEADERS))
    in_turns(peer, lambda index: data(1, b"", 0))


def empty_data_of_a_refused_request(peer):
    peer.send(headers(1, REFUSED_BLOCK, END_HEADERS))
    in_turns(peer, lambda index: data(1, b"", 0))


def padding_alone(peer):
    peer.send(headers(1, UPLOAD_BLOCK, END_HEADERS))
    in_turns(peer, lambda index: frame(DATA, PADDED, 1, b"\x0a" + b"\0" * 10))


def empty_heads(peer):
    in_turns(peer, lambda index: headers(2 * index + 1, b"", END_STREAM) + frame(CONTINUATION, END_HEADERS, 2 * index + 1, LIST_BLOCK))


def settings_flood(peer):
    in_turns(peer, lambda index: settings((INITIAL_WINDOW_SIZE, 65_535 + index % 2)))


def empty_settings_flood(peer):
    in_turns(peer, lambda index: settings())


def ping_flood(peer):
    in_turns(peer, lambda index: ping(struct.pack(">Q", index)))


def priority_flood(peer):
    in_turns(peer, lambda index: priority(2 * (index % 1_000) + 1))


def priority_update_flood(peer):
    in_turns(peer, lambda index: frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 2 * (index % 100) + 1) + b"u=%d" % (index % 8)))


def unknown_frames(peer):
    in_turns(peer, lambda index: frame(0x77, 0, 0, b"x"))


def small_increments(peer):
    peer.send(settings((INITIAL_WINDOW_SIZE, 0)) + b"".join(headers(stream, LIST_BLOCK) for stream in range(1, 40, 2)))
    in_turns(peer, lambda index: window_update(2 * (index % 20) + 1, 1))


def windows_of_one_byte(peer):
    """Makes the server write an answer byte by byte."""
    peer.send(settings((INITIAL_WINDOW_SIZE, 1)))
    in_turns(peer, lambda index: headers(2 * index + 1, LIST_BLOCK) + window_update(2 * index + 1, 1) * 60, batch=2)


def small_connection_increments(peer):
    in_turns(peer, lambda index: window_update(0, 1))


def header_bomb(peer):
    """One large entry in the table, then a block that names it thousands of times."""
    peer.send(headers(1, LIST_BLOCK + literal(b"x-bomb", b"b" * 4_000, 0x40)))
    in_turns(peer, lambda index: headers(2 * index + 3, LIST_BLOCK + b"\xbe" * 10_000), batch=2)


def header_bomb_of_crumbs(peer):
    """Cookies of the table again and again, which are joined into one line."""
    peer.send(headers(1, LIST_BLOCK + literal(b"cookie", b"c" * 4_000, 0x40)))
    in_turns(peer, lambda index: headers(2 * index + 3, LIST_BLOCK + b"\xbe" * 10_000), batch=2)


# Each attack, and the reasons that may be counted for its end.
ATTACKS = [
    (rapid_reset, ["resets"]), (rapid_reset_of_uploads, ["resets"]),
    (malformed_requests, ["provoked_resets"]), (increments_of_nothing, ["provoked_resets", "protocol_error"]),
    (overflowing_windows, ["provoked_resets"]), (content_after_the_end, ["provoked_resets", "stream_closed"]),
    (requests_that_depend_on_themselves, ["provoked_resets", "protocol_error"]),
    (more_streams_than_allowed, ["provoked_resets", "protocol_error"]),
    (continuations, ["continuations", "head_too_large"]), (continuations_of_nothing, ["continuations", "empty_frames"]),
    (large_continuations, ["continuations", "head_too_large"]),
    (empty_data, ["empty_frames"]), (empty_data_of_a_refused_request, ["empty_frames"]), (padding_alone, ["empty_frames"]), (empty_heads, ["empty_frames"]),
    (settings_flood, ["control_frames"]), (empty_settings_flood, ["control_frames"]), (ping_flood, ["control_frames"]),
    (priority_flood, ["control_frames"]), (priority_update_flood, ["control_frames"]), (unknown_frames, ["control_frames"]),
    (small_increments, ["small_windows"]), (windows_of_one_byte, ["small_windows"]), (small_connection_increments, ["small_windows"]),
    (header_bomb, ["head_too_large"]), (header_bomb_of_crumbs, ["head_too_large"]),
]
# What the reasons' GOAWAY says where it is another code than ENHANCE_YOUR_CALM: an error of the protocol comes first.
OTHER_CODES = {"stream_closed": frames.STREAM_CLOSED, "protocol_error": frames.PROTOCOL_ERROR}
