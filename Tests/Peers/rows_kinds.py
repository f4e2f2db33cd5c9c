"""Rows of RFC 9113 §6 and §7, and RFC 9218 §7: each kind of frame, flow control and error codes."""

import struct

from frames import (
    ACK, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY,
    HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, LARGEST_WINDOW, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE, NO_RFC7540_PRIORITIES, PADDED, PING, PRIORITIZED, PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, block, data, frame, goaway, headers, ping,
    priority, rst_stream, settings, window_update)
from rows import (
    Row, answer, answered, ask, begin, connection_error, get, holds, ignored, put, round_trip, stream_error,
    unmarked, well)
from rows_framing import STALLED, has_head

LARGE = b"/v2.1/stream/large.MARKMARK"


def padded(content, padding, announced=None):
    return bytes([padding if announced is None else announced]) + content + b"\0" * padding


def arrives(*contents):
    """The marked messages at the upstream have these contents."""
    return lambda found, peer: [message.content for message in peer.messages()] == list(contents)


PADDING = ("If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a connection "
           "error of type PROTOCOL_ERROR.")

DATA_ROWS = [
    Row("6.1", "DATA on stream 0", "If a DATA frame is received whose Stream Identifier field is 0x00, the recipient MUST respond "
        "with a connection error of type PROTOCOL_ERROR.", data(0, b"test"), connection_error(PROTOCOL_ERROR)),
    Row("6.1", "content in one frame", "DATA frames convey arbitrary sequences of octets.", begin() + data(1, b"test"),
        answer(check=arrives(b"test")), reaches="whole"),
    Row("6.1", "content in many frames", "One or more DATA frames carry the content of a request.",
        begin() + b"".join(data(1, b"%02d" % index, 0) for index in range(50)) + data(1),
        answer(check=arrives(b"".join(b"%02d" % index for index in range(50)))), reaches="whole"),
    Row("6.1", "content of nothing", "A DATA frame may be empty.", begin() + data(1), answer(check=arrives(b"")), reaches="whole"),
    Row("6.1", "padding is no content", "Padding octets contain no application semantic value.",
        begin() + data(1, padded(b"ab", 10), PADDED) + data(1, padded(b"cd", 255), PADDED | END_STREAM),
        answer(check=arrives(b"abcd")), reaches="whole"),
    Row("6.1", "nothing but padding", "A frame may be all padding.", begin() + data(1, padded(b"", 255), PADDED | END_STREAM),
        answer(check=arrives(b"")), reaches="whole"),
    Row("6.1", "padding of no bytes", "A frame can be increased in size by one octet by a Pad Length of zero.",
        begin() + data(1, padded(b"ab", 0), PADDED | END_STREAM), answer(check=arrives(b"ab")), reaches="whole"),
    *[Row("6.1", f"padding as long as {name}", PADDING, begin() + data(1, content, PADDED | END_STREAM),
          connection_error(PROTOCOL_ERROR), reaches="cut")
      for name, content in [("the payload", b"\4abc"), ("more than the payload", b"\xffabc"), ("a payload of one byte", b"\1")]],
    Row("6.1", "PADDED without a length", "A frame that is too small to contain mandatory frame data is a FRAME_SIZE_ERROR.",
        begin() + data(1, b"", PADDED | END_STREAM), connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR), reaches="cut"),
    Row("6.1", "padding counts in the windows", "The entire DATA frame payload is included in flow control; what is not content "
        "is given back too.", [begin(), lambda peer: pad_beyond_the_windows(peer), data(1)],
        answer(check=lambda found, peer: {*peer.messages()[0].content} == {ord("x")}), reaches="whole"),
]


def pad_beyond_the_windows(peer):
    """Sends padding of twice the windows, as fast as they are given back."""
    used = 0
    while used < 2 * WINDOW:
        def room(stream, first, used=used):
            return first - used + sum(int.from_bytes(found.payload, "big") for found in peer.frames
                                      if found.kind == WINDOW_UPDATE and found.stream == stream)

        first = peer.settings.get(INITIAL_WINDOW_SIZE, WINDOW)
        peer.until(lambda: room(0, WINDOW) >= 3_560 and room(1, first) >= 3_560, "windows for padding")
        peer.send(data(1, padded(b"x" * 100, 255), PADDED) * 10)
        used += 3_560


NOT_FIRST = ("A receiver MUST treat the receipt of any other type of frame or a frame on a different stream as a connection error of "
             "type PROTOCOL_ERROR.")
HALF_BLOCK = headers(1, block(get())[:20], END_STREAM)

HEADERS_ROWS = [
    Row("6.2", "HEADERS on stream 0", "If a HEADERS frame is received whose Stream Identifier field is 0x00, the recipient MUST "
        "respond with a connection error of type PROTOCOL_ERROR.", ask(0), connection_error(PROTOCOL_ERROR)),
    Row("6.2", "padded HEADERS", "The HEADERS frame can include padding.", frame(
        HEADERS, END_HEADERS | END_STREAM | PADDED, 1, padded(block(get()), 77)), answer(), reaches="whole"),
    Row("6.2", "HEADERS with a priority", "The priority information is deprecated; it is read and ignored.", frame(
        HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0\0\x10" + block(get())), answer(), reaches="whole"),
    Row("6.2", "padded HEADERS with a priority", "The HEADERS frame can include padding.", frame(
        HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITIZED, 1, padded(b"\x80\0\0\0\x10" + block(get()), 5)), answer(),
        reaches="whole"),
    *[Row("6.2", f"HEADERS with {name}", PADDING, frame(HEADERS, END_HEADERS | END_STREAM | flags, 1, content),
          connection_error(PROTOCOL_ERROR, FRAME_SIZE_ERROR))
      for name, flags, content in [
          ("padding as long as the payload", PADDED, padded(block(get()), 0, len(block(get())) + 1)),
          ("padding longer than the payload", PADDED, padded(block(get()), 0, 255)),
          ("padding over the priority", PADDED | PRIORITIZED, padded(b"\0\0\0\0\x10", 0, 1)),
          ("PADDED without a length", PADDED, b"")]],
    *[Row("6.2", f"HEADERS with a priority of {length} bytes", "A frame that is too small to contain mandatory frame data is a "
          "FRAME_SIZE_ERROR.", frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0\0\x10"[:length]),
          connection_error(FRAME_SIZE_ERROR)) for length in (0, 4)],
    Row("6.2", "HEADERS without END_HEADERS, then DATA", NOT_FIRST, HALF_BLOCK + data(1, b"x"), connection_error(PROTOCOL_ERROR)),
    Row("6.2", "HEADERS without END_HEADERS, then another stream", NOT_FIRST, HALF_BLOCK + unmarked(3),
        connection_error(PROTOCOL_ERROR)),
    Row("6.2", "HEADERS without END_HEADERS, then the rest of another", NOT_FIRST, HALF_BLOCK + frame(
        CONTINUATION, END_HEADERS, 3, block(get())[20:]), connection_error(PROTOCOL_ERROR)),
]

PRIORITY_ROWS = [
    Row("6.3", "PRIORITY on stream 0", "If a PRIORITY frame is received with a stream identifier of 0x00, the recipient MUST "
        "respond with a connection error of type PROTOCOL_ERROR.", priority(0, 1), connection_error(PROTOCOL_ERROR)),
    *[Row("6.3", f"PRIORITY of {length} bytes, {name}", "A PRIORITY frame with a length other than 5 octets MUST be treated as a "
          "stream error of type FRAME_SIZE_ERROR.", before + frame(PRIORITY, 0, 1, b"\0" * length),
          stream_error(FRAME_SIZE_ERROR), reaches="cut")
      for length in (4, 6, 0) for name, before in (("open", begin()), ("idle", b""))],
    Row("6.3", "PRIORITY between the frames of a request", "The PRIORITY frame can be sent in any stream state.",
        begin() + priority(1) + data(1, b"a", 0) + priority(1, 1 << 31, 200) + data(1, b"b"), answer(check=arrives(b"ab")),
        reaches="whole"),
]

RST_ROWS = [
    Row("6.4", "RST_STREAM on stream 0", "If a RST_STREAM frame is received with a stream identifier of 0x00, the recipient MUST "
        "treat this as a connection error of type PROTOCOL_ERROR.", rst_stream(0), connection_error(PROTOCOL_ERROR)),
    Row("6.4", "RST_STREAM on an idle stream", "If a RST_STREAM frame identifying an idle stream is received, the recipient MUST "
        "treat this as a connection error of type PROTOCOL_ERROR.", rst_stream(7), connection_error(PROTOCOL_ERROR)),
    *[Row("6.4", f"RST_STREAM of {length} bytes", "A RST_STREAM frame with a length other than 4 octets MUST be treated as a "
          "connection error of type FRAME_SIZE_ERROR.", begin() + frame(RST_STREAM, 0, 1, b"\0" * length),
          connection_error(FRAME_SIZE_ERROR), reaches="cut") for length in (3, 5, 0, 8)],
    Row("6.4", "RST_STREAM ends an upload", "The RST_STREAM frame fully terminates the referenced stream.",
        begin() + data(1, b"part", 0) + rst_stream(1), ignored, reaches="cut"),
    Row("6.4", "nothing more on a stream that was reset", "After receiving a RST_STREAM on a stream, the receiver MUST NOT send "
        "additional frames for that stream.", [ask(path=LARGE), has_head(1), rst_stream(1), round_trip,
                                               lambda peer: nothing_more(peer)], ignored, reaches="whole"),
]


def nothing_more(peer):
    count = len([found for found in peer.frames if found.stream == 1])
    peer.send(window_update(0, 100_000) + settings((INITIAL_WINDOW_SIZE, 200_000)))
    round_trip(peer)
    peer.pong(b"2nd trip")
    assert len([found for found in peer.frames if found.stream == 1]) == count, f"{peer.frames[-6:]}"


def acknowledges(count):
    return holds(lambda peer: peer.acknowledged == count, f"{count} acknowledgements")


SETTINGS_ROWS = [
    Row("6.5", "an acknowledgement with content", "Receipt of a SETTINGS frame with the ACK flag set and a length field value other "
        "than 0 MUST be treated as a connection error of type FRAME_SIZE_ERROR.", frame(SETTINGS, ACK, 0, b"\0\3\0\0\0\1"),
        connection_error(FRAME_SIZE_ERROR)),
    Row("6.5", "SETTINGS on a stream", "If an endpoint receives a SETTINGS frame whose Stream Identifier field is anything other "
        "than 0x00, the endpoint MUST respond with a connection error of type PROTOCOL_ERROR.", begin() + frame(
            SETTINGS, 0, 1, b"\0\3\0\0\0\1"), connection_error(PROTOCOL_ERROR), reaches="cut"),
    Row("6.5", "empty SETTINGS on a stream to come", "If an endpoint receives a SETTINGS frame whose Stream Identifier field is "
        "anything other than 0x00, the endpoint MUST respond with a connection error of type PROTOCOL_ERROR.",
        frame(SETTINGS, 0, 3), connection_error(PROTOCOL_ERROR)),
    *[Row("6.5", f"SETTINGS of {length} bytes", "A SETTINGS frame with a length other than a multiple of 6 octets MUST be treated "
          "as a connection error of type FRAME_SIZE_ERROR.", frame(SETTINGS, 0, 0, (b"\0\3\0\0\0\1" * 2)[:length]),
          connection_error(FRAME_SIZE_ERROR)) for length in (1, 3, 5, 7)],
    *[Row("6.5.2", f"ENABLE_PUSH of {value}", "Any value other than 0 or 1 MUST be treated as a connection error of type "
          "PROTOCOL_ERROR.", settings((ENABLE_PUSH, value)), connection_error(PROTOCOL_ERROR)) for value in (2, 1 << 31)],
    *[Row("6.5.2", f"ENABLE_PUSH of {value}", "The values 0 and 1 are defined.", settings((ENABLE_PUSH, value)), acknowledges(2))
      for value in (0, 1)],
    *[Row("6.5.2", f"INITIAL_WINDOW_SIZE of {value:#x}", "Values above the maximum flow-control window size of 2^31-1 MUST be treated "
          "as a connection error of type FLOW_CONTROL_ERROR.", settings((INITIAL_WINDOW_SIZE, value)),
          connection_error(FLOW_CONTROL_ERROR)) for value in (1 << 31, (1 << 32) - 1)],
    Row("6.5.2", "INITIAL_WINDOW_SIZE of 2^31-1", "Values up to 2^31-1 are allowed.", settings((INITIAL_WINDOW_SIZE, LARGEST_WINDOW)),
        acknowledges(2)),
    *[Row("6.5.2", f"MAX_FRAME_SIZE of {value}", "Values outside 2^14 to 2^24-1 MUST be treated as a connection error of type "
          "PROTOCOL_ERROR.", settings((MAX_FRAME_SIZE, value)), connection_error(PROTOCOL_ERROR))
      for value in (0, 16_383, 1 << 24)],
    *[Row("6.5.2", f"MAX_FRAME_SIZE of {value}", "The value MUST be between 2^14 and 2^24-1, inclusive.",
          settings((MAX_FRAME_SIZE, value)), acknowledges(2)) for value in (16_384, (1 << 24) - 1)],
    *[Row("6.5.2", f"{name} of {value}", "All values are allowed.", settings((setting, value)) + ask(), answer(), reaches="whole")
      for name, setting, value in [
          ("HEADER_TABLE_SIZE", HEADER_TABLE_SIZE, 0), ("HEADER_TABLE_SIZE", HEADER_TABLE_SIZE, (1 << 32) - 1),
          ("MAX_CONCURRENT_STREAMS", MAX_CONCURRENT_STREAMS, 0), ("MAX_HEADER_LIST_SIZE", MAX_HEADER_LIST_SIZE, 1_000),
          ("MAX_HEADER_LIST_SIZE", MAX_HEADER_LIST_SIZE, (1 << 32) - 1)]],
    *[Row("6.5.2", f"an unknown setting {name:#x}", "An endpoint that receives a SETTINGS frame with any unknown or unsupported "
          "identifier MUST ignore that setting.", settings((name, 0xFFFFFFFF)) + ask(), answer(), reaches="whole")
      for name in (0x0, 0x7, 0xFF, 0xFFFF)],
    Row("6.5.3", "each SETTINGS is acknowledged", "Once all values have been processed, the recipient MUST immediately emit a "
        "SETTINGS frame with the ACK flag set.", settings() + settings((ENABLE_PUSH, 0)) + settings((MAX_FRAME_SIZE, 20_000)),
        acknowledges(4)),
    Row("6.5.3", "the last value holds", "The values in the SETTINGS frame MUST be processed in the order they appear.",
        [settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)), lambda peer: peer.until(
            lambda: peer.acknowledged == 2, "the acknowledgement"), ask()],
        lambda peer: first_content(peer, 1), reaches="whole"),
    Row("6.5", "SETTINGS in the middle of an upload", "SETTINGS apply to a connection and may be sent at any time.",
        begin() + data(1, b"ab", 0) + settings((ENABLE_PUSH, 0)) + data(1, b"cd"), answer(check=arrives(b"abcd")), reaches="whole"),
    *[Row("9218 2.1", f"NO_RFC7540_PRIORITIES of {value}", "Any value other than 0 or 1 MUST be treated as a connection error of "
          "type PROTOCOL_ERROR.", settings((NO_RFC7540_PRIORITIES, value)), connection_error(PROTOCOL_ERROR)) for value in (2, 99)],
]


def first_content(peer, count):
    """The first DATA is as large as the window, and the next ones come as it opens."""
    peer.until(lambda: any(found.kind == DATA for found in peer.frames), "DATA")
    first = next(found for found in peer.frames if found.kind == DATA)
    assert len(first.payload) == count and not first.flags & END_STREAM, f"{first}"
    peer.send(window_update(1, 1_000))
    assert peer.answer(1).content == b"{}"
    well(peer)


PUSH_ROWS = [
    Row("6.6", "PUSH_PROMISE", "A client cannot push: a server MUST treat the receipt of a PUSH_PROMISE frame as a connection error "
        "of type PROTOCOL_ERROR (§8.4).", begin() + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(get())),
        connection_error(PROTOCOL_ERROR), reaches="cut"),
    Row("6.6", "PUSH_PROMISE on stream 0", "If the Stream Identifier field specifies the value 0x00, a recipient MUST respond with a "
        "connection error of type PROTOCOL_ERROR.", frame(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\2" + block(get())),
        connection_error(PROTOCOL_ERROR)),
    Row("6.6", "PUSH_PROMISE on an idle stream", "A client cannot push.", frame(
        PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + block(get())), connection_error(PROTOCOL_ERROR)),
]

PING_ROWS = [
    Row("6.7", "PING is answered", "Receivers of a PING frame that does not include an ACK flag MUST send a PING frame with the ACK "
        "flag set in response, with an identical frame payload.", ping(b"\0\1\2\3\xff\xfe\xfd\xfc"),
        holds(lambda peer: peer.pongs == [b"\0\1\2\3\xff\xfe\xfd\xfc"])),
    Row("6.7", "PING while requests go on", "PING responses SHOULD be given higher priority than any other frame.",
        ask(path=LARGE) + ping(b"amid all"), holds(lambda peer: b"amid all" in peer.pongs), STALLED, "whole"),
    Row("6.7", "an answer to no PING", "An endpoint MUST NOT respond to PING frames containing the ACK flag.",
        [ping(b"unasked!", ACK), round_trip], holds(lambda peer: peer.pongs == [b"together"])),
    Row("6.7", "PING on a stream", "If a PING frame is received with a Stream Identifier field value other than 0x00, the recipient "
        "MUST respond with a connection error of type PROTOCOL_ERROR.", frame(PING, 0, 1, b"\0" * 8),
        connection_error(PROTOCOL_ERROR)),
    *[Row("6.7", f"PING of {length} bytes", "Receipt of a PING frame with a length field value other than 8 MUST be treated as a "
          "connection error of type FRAME_SIZE_ERROR.", frame(PING, 0, 0, b"\0" * length), connection_error(FRAME_SIZE_ERROR))
      for length in (0, 6, 7, 9)],
]

GOAWAY_ROWS = [
    Row("6.8", "GOAWAY on a stream", "An endpoint MUST treat a GOAWAY frame with a stream identifier other than 0x00 as a connection "
        "error of type PROTOCOL_ERROR.", frame(GOAWAY, 0, 1, b"\0" * 8), connection_error(PROTOCOL_ERROR)),
    Row("6.8", "GOAWAY of 4 bytes", "A frame that is too small to contain mandatory frame data is a FRAME_SIZE_ERROR.",
        frame(GOAWAY, 0, 0, b"\0" * 4), connection_error(FRAME_SIZE_ERROR)),
    *[Row("6.8", f"a stream in progress ends after {name}", "Activity on streams numbered lower or equal to the last stream "
          "identifier might still complete successfully.", [begin(), written, data(1, b"ab")],
          lambda peer: finishes(peer), reaches="whole")
      for name, written in [
          ("GOAWAY", goaway()), ("GOAWAY with debug data", goaway(0, 0, b"good bye")), ("two GOAWAY", goaway() + goaway()),
          ("GOAWAY with an unknown code", goaway(0, 0xFACADE))]],
]


def finishes(peer):
    """The stream that was open is answered, and the connection goes on or ends without a fault."""
    assert peer.answer(1).status == 200, f"{peer.answers}"
    peer.send(ping(b"after it"))
    peer.until(lambda: b"after it" in peer.pongs or peer.is_ended, "an answer to PING, or an end")
    assert peer.going_away is None or peer.going_away[1] == 0, f"{peer.going_away}"


WINDOW_ROWS = [
    Row("6.9", "an increment of 0 on the connection", "An increment of 0 on the connection flow-control window MUST be treated as a "
        "connection error of type PROTOCOL_ERROR.", window_update(0, 0), connection_error(PROTOCOL_ERROR)),
    Row("6.9", "an increment of 0 on a stream", "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window "
        "increment of 0 as a stream error of type PROTOCOL_ERROR.", begin() + window_update(1, 0), stream_error(PROTOCOL_ERROR),
        reaches="cut"),
    Row("6.9", "an increment of 0 on a half-closed stream", "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a "
        "flow-control window increment of 0 as a stream error of type PROTOCOL_ERROR.", [ask(), has_head(1), window_update(1, 0)],
        stream_error(PROTOCOL_ERROR, may_answer=True), STALLED, "whole"),
    *[Row("6.9", f"WINDOW_UPDATE of {length} bytes", "A WINDOW_UPDATE frame with a length other than 4 octets MUST be treated as a "
          "connection error of type FRAME_SIZE_ERROR.", frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1\0"[:length]),
          connection_error(FRAME_SIZE_ERROR)) for length in (0, 3, 5)],
    Row("6.9", "the reserved bit of an increment", "The reserved bit MUST be ignored when receiving.",
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 31 | 100)), ignored),

    Row("6.9.1", "a window of one byte", "The sender MUST NOT send a flow-controlled frame with a length that exceeds the space "
        "available in either of the windows.", ask(), lambda peer: first_content(peer, 1), ((INITIAL_WINDOW_SIZE, 1),), "whole"),
    Row("6.9.1", "the connection's window", "The sender MUST NOT send a flow-controlled frame with a length that exceeds the space "
        "available in either of the windows.", ask(path=LARGE), lambda peer: stops_at_the_window(peer),
        ((INITIAL_WINDOW_SIZE, 1_000_000),), "whole"),
    Row("6.9.1", "the connection's window is over 2^31-1", "If a sender receives a WINDOW_UPDATE that causes a flow-control window to "
        "exceed this maximum, it MUST terminate the connection with GOAWAY of FLOW_CONTROL_ERROR.",
        window_update(0, LARGEST_WINDOW), connection_error(FLOW_CONTROL_ERROR)),
    Row("6.9.1", "the connection's window is over it by two", "If a sender receives a WINDOW_UPDATE that causes a flow-control window "
        "to exceed this maximum, it MUST terminate the connection.",
        window_update(0, LARGEST_WINDOW - WINDOW) + window_update(0, 1), connection_error(FLOW_CONTROL_ERROR)),
    Row("6.9.1", "the connection's window is 2^31-1", "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets.",
        window_update(0, LARGEST_WINDOW - WINDOW), ignored),
    Row("6.9.1", "a stream's window is over 2^31-1", "For streams, the sender sends a RST_STREAM with an error code of "
        "FLOW_CONTROL_ERROR.", begin() + window_update(1, LARGEST_WINDOW), stream_error(FLOW_CONTROL_ERROR), reaches="cut"),
    Row("6.9.1", "a half-closed stream's window is over 2^31-1", "For streams, the sender sends a RST_STREAM with an error code of "
        "FLOW_CONTROL_ERROR.", [ask(path=LARGE), lambda peer: peer.until(
            lambda: 1 in peer.answers and len(peer.answers[1].content) == WINDOW, "a window of content"),
            window_update(1, LARGEST_WINDOW)], lambda peer: overflows(peer), ((INITIAL_WINDOW_SIZE, 1_000_000),), "whole"),

    Row("6.9.2", "a window that opens by SETTINGS", "When the value of INITIAL_WINDOW_SIZE changes, a receiver MUST adjust the size "
        "of all stream flow-control windows that it maintains.", [ask(), has_head(1), settings((INITIAL_WINDOW_SIZE, 1))],
        lambda peer: first_content(peer, 1), STALLED, "whole"),
    Row("6.9.2", "a negative window", "A sender MUST track the negative flow-control window and MUST NOT send new flow-controlled "
        "frames until it receives WINDOW_UPDATE frames that cause the window to become positive.",
        ask(path=LARGE), lambda peer: stays_negative(peer), ((INITIAL_WINDOW_SIZE, 1_000),), "whole"),
    Row("6.9.2", "SETTINGS that make a window overflow", "An endpoint MUST treat a change to INITIAL_WINDOW_SIZE that causes any "
        "flow-control window to exceed the maximum size as a connection error of type FLOW_CONTROL_ERROR.",
        begin() + window_update(1, LARGEST_WINDOW - WINDOW) + settings((INITIAL_WINDOW_SIZE, WINDOW + 1)),
        connection_error(FLOW_CONTROL_ERROR), reaches="cut"),
    Row("6.9.2", "SETTINGS leave the connection's window", "A SETTINGS frame cannot alter the connection flow-control window.",
        [settings((INITIAL_WINDOW_SIZE, 1_000_000)), ask(path=LARGE)], lambda peer: stops_at_the_window(peer), reaches="whole"),
]


def overflows(peer):
    """The stream is reset, and the connection works once its window is open again."""
    peer.until(lambda: peer.answers[1].reset is not None, "RST_STREAM")
    assert peer.answers[1].reset == FLOW_CONTROL_ERROR, f"{peer.answers[1]}"
    peer.send(window_update(0, WINDOW))
    well(peer)


def stops_at_the_window(peer):
    """Exactly the connection's window comes, and the rest once it opens."""
    peer.until(lambda: 1 in peer.answers and len(peer.answers[1].content) == WINDOW, "a window of content")
    round_trip(peer)
    assert len(peer.answers[1].content) == WINDOW
    peer.send(window_update(0, 100_000))
    assert len(peer.answer(1).content) == 100_000
    well(peer)


def stays_negative(peer):
    """1,000 bytes come; the window shrinks below nothing; only what makes it positive again is sent."""
    def count():
        return len(peer.answers[1].content) if 1 in peer.answers else 0

    peer.until(lambda: count() == 1_000, "the first window")
    peer.send(settings((INITIAL_WINDOW_SIZE, 100)))
    peer.until(lambda: peer.acknowledged == 2, "the acknowledgement")
    peer.send(window_update(1, 900))
    round_trip(peer)
    assert count() == 1_000
    peer.send(window_update(1, 10))
    peer.until(lambda: count() == 1_010, "ten more bytes")
    peer.send(window_update(1, 200_000) + window_update(0, 100_000))
    assert len(peer.answer(1).content) == 100_000
    well(peer)


WRONG_PLACE = ("A CONTINUATION frame MUST be preceded by a HEADERS, PUSH_PROMISE or CONTINUATION frame without the END_HEADERS flag "
               "set; a recipient that observes violation of this rule MUST respond with a connection error of type PROTOCOL_ERROR.")
REST = frame(CONTINUATION, END_HEADERS, 1, block([(b"x-more", b"1")]))

CONTINUATION_ROWS = [
    Row("6.10", "several CONTINUATION", "Any number of CONTINUATION frames can be sent.", HALF_BLOCK + frame(
        CONTINUATION, 0, 1, block(get())[20:25]) + frame(CONTINUATION, 0, 1, block(get())[25:30]) + frame(
            CONTINUATION, END_HEADERS, 1, block(get())[30:]), answer(), reaches="whole"),
    Row("6.10", "HEADERS of nothing, then CONTINUATION", "Field block fragments may be of any size.", headers(1, b"", END_STREAM)
        + frame(CONTINUATION, END_HEADERS, 1, block(get())), answer(), reaches="whole"),
    Row("6.10", "CONTINUATION of nothing", "Field block fragments may be of any size.", headers(1, block(get()), END_STREAM) + frame(
        CONTINUATION, 0, 1) + frame(CONTINUATION, END_HEADERS, 1), answer(), reaches="whole"),
    Row("6.10", "trailers in two frames", "A trailer section is carried by a field block like any other.",
        begin() + data(1, b"ab", 0) + headers(1, block([(b"x-late", b"1")])[:4], END_STREAM) + frame(
            CONTINUATION, END_HEADERS, 1, block([(b"x-late", b"1")])[4:]), answer(check=arrives(b"ab")), reaches="whole"),
    Row("6.10", "CONTINUATION on stream 0", "If a CONTINUATION frame is received with a Stream Identifier field of 0x00, the recipient "
        "MUST respond with a connection error of type PROTOCOL_ERROR.", HALF_BLOCK + frame(
            CONTINUATION, END_HEADERS, 0, block(get())[20:]), connection_error(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION first", WRONG_PLACE, frame(CONTINUATION, END_HEADERS, 1, block(get())), connection_error(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION after whole HEADERS", WRONG_PLACE, begin(path=b"/v2.1/stream/unmarked") + REST,
        connection_error(PROTOCOL_ERROR)),
    Row("6.10", "CONTINUATION after a whole block in two", WRONG_PLACE, headers(1, put()[:3], 0) + frame(
        CONTINUATION, END_HEADERS, 1, block(put()[3:])) + REST, connection_error(PROTOCOL_ERROR), reaches="cut"),
    Row("6.10", "CONTINUATION after DATA", WRONG_PLACE, begin() + data(1, b"x", 0) + REST, connection_error(PROTOCOL_ERROR),
        reaches="cut"),
    Row("6.10", "CONTINUATION after PING", WRONG_PLACE, begin() + ping() + REST, connection_error(PROTOCOL_ERROR), reaches="cut"),
]

CODES_ROWS = [
    Row("7", "RST_STREAM with an unknown code", "Unknown or unsupported error codes MUST NOT trigger any special behavior.",
        begin() + rst_stream(1, 0xDEADBEEF), ignored, reaches="cut"),
    *[Row("7", f"RST_STREAM with code {code}", "An end of a stream is an end of a stream, whatever its code.",
          begin() + rst_stream(1, code), ignored, reaches="cut") for code in (0, 1, 5, 7, 11)],
]

UPDATES_ROWS = [
    Row("9218 7.1", "PRIORITY_UPDATE before the stream", "An endpoint may send PRIORITY_UPDATE for a stream in the idle state.",
        frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1") + ask(), answer(), reaches="whole"),
    Row("9218 7.1", "PRIORITY_UPDATE of an open stream", "The prioritized stream may be open.",
        begin() + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=7, i") + data(1, b"ab"), answer(check=arrives(b"ab")), reaches="whole"),
    Row("9218 7.1", "PRIORITY_UPDATE of a closed stream", "A PRIORITY_UPDATE for a closed stream is ignored.",
        [ask(), answered(1), frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=0")], ignored, reaches="whole"),
    *[Row("9218 7.1", f"PRIORITY_UPDATE that says {value.decode()!r}", "A value that cannot be parsed is ignored.",
          frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1" + value) + ask(), answer(), reaches="whole")
      for value in (b"", b"u=9", b"???", b"u=1, u=2, x=y")],
    Row("9218 7.1", "PRIORITY_UPDATE on a stream", "A PRIORITY_UPDATE frame on another stream than 0x00 MUST be treated as a "
        "connection error of type PROTOCOL_ERROR.", begin() + frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=1"),
        connection_error(PROTOCOL_ERROR), reaches="cut"),
    Row("9218 7.1", "PRIORITY_UPDATE of stream 0", "If the Prioritized Stream ID is 0x00, the recipient MUST respond with a connection "
        "error of type PROTOCOL_ERROR.", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\0u=1"), connection_error(PROTOCOL_ERROR)),
    Row("9218 7.1", "PRIORITY_UPDATE of 3 bytes", "A frame that is too small to contain mandatory frame data is a FRAME_SIZE_ERROR.",
        frame(PRIORITY_UPDATE, 0, 0, b"\0\0\1"), connection_error(FRAME_SIZE_ERROR)),
]

ROWS = [*DATA_ROWS, *HEADERS_ROWS, *PRIORITY_ROWS, *RST_ROWS, *SETTINGS_ROWS, *PUSH_ROWS, *PING_ROWS, *GOAWAY_ROWS, *WINDOW_ROWS,
        *CONTINUATION_ROWS, *CODES_ROWS, *UPDATES_ROWS]
