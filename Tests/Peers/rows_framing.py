"""Rows of RFC 9113 §3 to §5.5: the preface, frames, field blocks, streams, errors and extensions."""

import frames
from frames import (
    COMPRESSION_ERROR, CONTINUATION, END_HEADERS, END_STREAM, FRAME_BYTES, FRAME_SIZE_ERROR, HEADERS,
    INITIAL_WINDOW_SIZE, PING, PREFACE, PRIORITIZED, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS,
    STREAM_CLOSED, WINDOW_UPDATE, block, data, frame, goaway, headers, literal, ping, priority, rst_stream, settings,
    window_update)
from rows import (
    Row, answer, answered, ask, begin, closed, connection_error, get, holds, ignored, put, round_trip, stream_error,
    unmarked, well)

STARTED = PREFACE + settings()


def is_settled(peer):
    return peer.is_settled and peer.acknowledged


def in_pieces(peer):
    """The preface and a request byte by byte."""
    written = peer.marked(STARTED + ask())
    peer.note(written)
    for place in range(len(written)):
        peer.socket.sendall(written[place:place + 1])


PREFACES = [
    Row("3.4", "the server's first frame", "The server connection preface consists of a potentially empty SETTINGS frame "
        "that MUST be the first frame the server sends.", STARTED, holds(is_settled), None),
    Row("3.4", "a request right behind the preface", "Clients are permitted to send additional frames to the server "
        "immediately after sending the client connection preface.", STARTED + ask(), answer(), None, "whole"),
    Row("3.4", "the preface byte by byte", "It is the same preface however it is cut.", in_pieces, answer(), None, "whole"),
    Row("3.4", "another text", "Clients and servers MUST treat an invalid connection preface as a connection error of type "
        "PROTOCOL_ERROR.", b"INVALID CONNECTION PREFACE\r\n\r\n", closed, None),
    *[Row("3.4", f"a preface with byte {place} changed", "Clients and servers MUST treat an invalid connection preface as a "
          "connection error of type PROTOCOL_ERROR.",
          PREFACE[:place] + bytes([PREFACE[place] ^ 1]) + PREFACE[place + 1:] + settings(), closed, None)
      for place in (4, 6, 11, 14, 16, 18, 19, 20, 23)],
    Row("3.4", "a frame before the preface", "The client connection preface starts with a sequence of 24 octets.",
        settings() + PREFACE, closed, None, over=("tls",)),
    Row("3.4", "HTTP/1.1 where h2 was agreed on", "A connection that negotiated h2 speaks HTTP/2.",
        b"GET /v2.1/stream/MARKMARK HTTP/1.1\r\nHost: x\r\nX-Auth-Token: demo\r\n\r\n", closed, None, over=("tls",)),
    *[Row("3.4", f"{name} instead of the first SETTINGS", "This sequence MUST be followed by a SETTINGS frame.",
          PREFACE + written, connection_error(PROTOCOL_ERROR), None)
      for name, written in [("PING", ping()), ("HEADERS", ask()), ("WINDOW_UPDATE", window_update(0, 1)),
                            ("an unknown frame", frame(0xFA, 0, 0, b"x"))]],
]

def in_four(stream, content):
    pieces = [content[:10], content[10:30], content[30:60], content[60:]]
    return frame(HEADERS, END_STREAM, stream, pieces[0]) + b"".join(
        frame(CONTINUATION, END_HEADERS if index == len(pieces) - 1 else 0, stream, piece)
        for index, piece in list(enumerate(pieces))[1:])


FRAMES = [
    Row("4.1", "an unknown type", "Implementations MUST ignore and discard frames of unknown types.",
        frame(0x16, 0, 0, b"\0" * 8) + ask(), answer(), reaches="whole"),
    Row("4.1", "an unknown type on a stream to come", "Implementations MUST ignore and discard frames of unknown types.",
        frame(0xFF, 0xFF, 1, b"x" * 100) + ask(), answer(), reaches="whole"),
    Row("4.1", "an unknown type between two DATA", "Implementations MUST ignore and discard frames of unknown types.",
        begin() + data(1, b"ab", 0) + frame(0x30, 0xFF, 1, b"x" * 100) + data(1, b"cd"), answer(), reaches="whole"),
    Row("4.1", "an unknown type of the largest size", "Implementations MUST ignore and discard frames of unknown types.",
        frame(0x20, 0, 0, b"x" * FRAME_BYTES) + ask(), answer(), reaches="whole"),
    Row("4.1", "undefined flags of DATA", "Unused flags MUST be ignored upon receipt.",
        begin() + data(1, b"abcd", 0xF7), answer(), reaches="whole"),
    Row("4.1", "undefined flags of HEADERS", "Unused flags MUST be ignored upon receipt.", ask(flags=0xD2), answer(),
        reaches="whole"),
    Row("4.1", "undefined flags of PING", "Unused flags MUST be ignored upon receipt.", ping(b"undefine", 0xFE),
        holds(lambda peer: b"undefine" in peer.pongs)),
    Row("4.1", "undefined flags of SETTINGS", "Unused flags MUST be ignored upon receipt.",
        settings(flags=0xFE), holds(lambda peer: peer.acknowledged == 2)),
    Row("4.1", "undefined flags of WINDOW_UPDATE, RST_STREAM and PRIORITY", "Unused flags MUST be ignored upon receipt.",
        begin(1) + frame(WINDOW_UPDATE, 0xFF, 0, b"\0\0\0\1") + frame(PRIORITY, 0xFF, 1, b"\0\0\0\0\7")
        + frame(RST_STREAM, 0xFF, 1, b"\0\0\0\10"), ignored, reaches="cut"),
    Row("4.1", "the reserved bit of a stream identifier", "The reserved bit MUST be ignored when receiving.",
        frame(HEADERS, END_HEADERS | END_STREAM, 1 << 31 | 1, block(get())), answer(), reaches="whole"),
    Row("4.1", "the reserved bit on the connection", "The reserved bit MUST be ignored when receiving.",
        frame(PING, 0, 1 << 31, b"reserved"), holds(lambda peer: b"reserved" in peer.pongs)),

    Row("4.2", "DATA of 16,384 bytes", "All implementations MUST be capable of receiving and minimally processing frames "
        "up to 2^14 octets in length.", begin() + data(1, b"x" * FRAME_BYTES), answer(), reaches="whole"),
    Row("4.2", "HEADERS of 16,384 bytes", "All implementations MUST be capable of receiving and minimally processing frames "
        "up to 2^14 octets in length.",
        headers(1, get((b"x-fill", b"y" * (FRAME_BYTES - len(block(get((b"x-fill", b"")))) - 2)))),
        holds(lambda peer: peer.answers.get(1) and peer.answers[1].is_ended), reaches="anything"),
    Row("4.2", "DATA over the largest size", "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the "
        "size defined in SETTINGS_MAX_FRAME_SIZE.", begin() + data(1, b"x" * (FRAME_BYTES + 1)),
        stream_error(FRAME_SIZE_ERROR), reaches="cut"),
    *[Row("4.2", f"{name} over the largest size", "A frame size error in a frame that could alter the state of the entire "
          "connection MUST be treated as a connection error.", written, connection_error(FRAME_SIZE_ERROR), reaches="cut")
      for name, written in [
          ("HEADERS", headers(1, block(get()) + literal(b"x-fill", b"y" * FRAME_BYTES))),
          ("CONTINUATION", headers(1, get(), END_STREAM) + frame(
              CONTINUATION, END_HEADERS, 1, literal(b"x-fill", b"y" * FRAME_BYTES))),
          ("SETTINGS", frame(SETTINGS, 0, 0, b"\x0a\x0a\0\0\0\1" * (FRAME_BYTES // 6 + 1))),
          ("GOAWAY", goaway(0, 0, b"x" * FRAME_BYTES)),
          ("an unknown type", frame(0x77, 0, 0, b"x" * (FRAME_BYTES + 1)))]],
    Row("4.2", "the largest length that can be written", "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame "
        "exceeds the size.", frame(HEADERS, END_HEADERS | END_STREAM, 1, block(get()), length=(1 << 24) - 1),
        connection_error(FRAME_SIZE_ERROR)),

    Row("4.3", "a field block that cannot be decoded", "A receiver MUST terminate the connection with a connection error of "
        "type COMPRESSION_ERROR if it does not decompress a field block.", headers(1, block(get()) + b"\x40\x7f\xff\xff"),
        connection_error(COMPRESSION_ERROR)),
    Row("4.3", "a field block of one byte too few", "A decoding error in a field block MUST be treated as a connection error "
        "of type COMPRESSION_ERROR.", headers(1, block(get())[:-1]), connection_error(COMPRESSION_ERROR)),
    Row("4.3", "trailers that cannot be decoded", "A decoding error in a field block MUST be treated as a connection error of "
        "type COMPRESSION_ERROR.", begin() + data(1, b"x", 0) + headers(1, b"\x80"), connection_error(COMPRESSION_ERROR),
        reaches="cut"),
    Row("4.3", "a field block in four frames", "A field block is a single HEADERS frame or a HEADERS frame and one or more "
        "CONTINUATION frames.",
        in_four(1, block(get())), answer(), reaches="whole"),
    *[Row("4.3", f"{name} within a field block", "Field blocks MUST be transmitted as a contiguous sequence of frames, with no "
          "interleaved frames of any other type or from any other stream.",
          headers(1, block(get())[:20], END_STREAM) + written + frame(CONTINUATION, END_HEADERS, 1, block(get())[20:]),
          connection_error(PROTOCOL_ERROR))
      for name, written in [
          ("PRIORITY", priority(1)), ("HEADERS of another stream", unmarked(3)), ("DATA of the stream", data(1, b"x")),
          ("PING", ping()), ("SETTINGS", settings()), ("WINDOW_UPDATE", window_update(0, 1)), ("RST_STREAM", rst_stream(1)),
          ("GOAWAY", goaway()), ("CONTINUATION of another stream", frame(CONTINUATION, END_HEADERS, 3, block(get())[20:])),
          ("HEADERS of the stream", ask(1))]],
    Row("4.3", "the table after a request that was refused", "A receiving endpoint that ignores field blocks MUST still "
        "decode them: the compression state is one for the connection.",
        headers(1, block(get((b"Bad", b"1"), path=b"/v2.1/stream/unmarked")) + literal(b"x-auth-token", b"demo", 0x40))
        + headers(3, block(get()[:4]) + b"\xbe"),
        answer(stream=3), reaches="whole"),
    Row("4.3", "the table after trailers of a refused stream", "The compression state is one for the connection, so blocks on "
        "closed streams MUST still be decoded.",
        headers(1, get((b"Bad", b"1"), path=b"/v2.1/stream/unmarked"), END_HEADERS)
        + headers(1, literal(b"x-auth-token", b"demo", 0x40)) + headers(3, block(get()[:4]) + b"\xbe"),
        answer(stream=3), reaches="whole"),
]


# A window of nothing keeps an answer from ending, and its stream half closed.
STALLED = ((INITIAL_WINDOW_SIZE, 0),)


def has_head(stream):
    return lambda peer: peer.until(
        lambda: stream in peer.answers and peer.answers[stream].fields is not None, f"a head on {stream}")


IDLE = "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated as a connection error of "
HALF = ("If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or RST_STREAM, for a stream that is in "
        "this state, it MUST respond with a stream error of type STREAM_CLOSED.")
CLOSED = "An endpoint MUST NOT send frames other than PRIORITY on a closed stream; STREAM_CLOSED as the strict suite has it."
IN_FLIGHT = ("An endpoint that sends a RST_STREAM frame MUST minimally process and then discard any frames it receives in this "
             "state.")

STATES = [
    *[Row("5.1", f"idle: {name}", IDLE + "type PROTOCOL_ERROR.", written, connection_error(PROTOCOL_ERROR))
      for name, written in [
          ("DATA", data(1, b"test")), ("RST_STREAM", rst_stream(1)), ("WINDOW_UPDATE", window_update(1, 100)),
          ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(get()))), ("DATA above an open one",
          begin(path=b"/v2.1/stream/unmarked") + data(3, b"test")), ("RST_STREAM above an open one", begin(path=b"/v2.1/stream/unmarked") + rst_stream(5))]],
    Row("5.1", "idle: PRIORITY", "PRIORITY can be sent in any stream state.", priority(1) + ask(), answer(), reaches="whole"),

    *[Row("5.1", f"half closed: {name}", HALF, [unmarked(1), has_head(1), written], stream_error(STREAM_CLOSED, may_answer=True),
          STALLED)
      for name, written in [
          ("DATA", data(1, b"test")), ("DATA without an end", data(1, b"test", 0)), ("empty DATA", data(1)),
          ("HEADERS", ask(1)), ("HEADERS without an end", begin(1)), ("trailers", headers(1, [(b"x-late", b"1")]))]],
    *[Row("5.1", f"half closed at once: {name}", HALF, unmarked(1) + written, stream_error(STREAM_CLOSED, may_answer=True))
      for name, written in [("DATA", data(1, b"test")), ("HEADERS", ask(1))]],
    Row("5.1", "half closed: CONTINUATION", HALF, [unmarked(1), has_head(1), frame(
        CONTINUATION, END_HEADERS, 1, block(get()))], connection_error(STREAM_CLOSED, PROTOCOL_ERROR), STALLED),
    Row("5.1", "half closed: WINDOW_UPDATE lets the answer go on", "A stream in the half-closed (remote) state takes "
        "WINDOW_UPDATE frames.", [ask(), has_head(1), window_update(1, 100)],
        answer(), STALLED, "whole"),
    Row("5.1", "half closed: PRIORITY", "An endpoint can receive any PRIORITY frame in this state.",
        [ask(), has_head(1), priority(1), window_update(1, 100)], answer(), STALLED, "whole"),
    Row("5.1", "half closed: RST_STREAM", "Either endpoint can send RST_STREAM, after which the stream is closed.",
        [ask(), has_head(1), rst_stream(1), settings((INITIAL_WINDOW_SIZE, 65_535))],
        lambda peer: (ignored(peer), not_ended(peer)), STALLED, "whole"),

    *[Row("5.1", f"closed by our RST_STREAM: {name}", CLOSED, begin(1, path=b"/v2.1/stream/unmarked") + rst_stream(1) + written,
          stream_error(*codes)) for name, written, codes in [
              ("DATA", data(1, b"test"), [STREAM_CLOSED]), ("HEADERS", ask(1), [STREAM_CLOSED]),
              ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block([(b"x", b"y")])), [STREAM_CLOSED, PROTOCOL_ERROR])]],
    *[Row("5.1", f"closed by our RST_STREAM: {name}", "WINDOW_UPDATE, RST_STREAM and PRIORITY may still come for a short time.",
          begin(1, path=b"/v2.1/stream/unmarked") + rst_stream(1) + written, ignored)
      for name, written in [("PRIORITY", priority(1))]],
    *[Row("5.1", f"closed by both ends: {name}", CLOSED, [unmarked(1), answered(1), written], connection_error(*codes))
      for name, written, codes in [
          ("DATA", data(1, b"test"), [STREAM_CLOSED]), ("empty DATA", data(1, b"", 0), [STREAM_CLOSED]),
          ("HEADERS", ask(1), [STREAM_CLOSED]), ("HEADERS after a later stream", unmarked(3) + ask(1),
                                                [STREAM_CLOSED, PROTOCOL_ERROR]),
          ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block([(b"x", b"y")])), [STREAM_CLOSED, PROTOCOL_ERROR])]],
    *[Row("5.1", f"closed by both ends: {name}", "WINDOW_UPDATE or RST_STREAM frames can be received in this state for a short "
          "period after END_STREAM; PRIORITY can be sent on closed streams.", [ask(1), answered(1), written], ignored,
          reaches="whole")
      for name, written in [
          ("WINDOW_UPDATE", window_update(1, 100)), ("RST_STREAM", rst_stream(1)), ("PRIORITY", priority(1))]],
    *[Row("5.1", f"closed by the server's RST_STREAM: {name} in flight", IN_FLIGHT,
          headers(1, get((b"Bad", b"1")), END_HEADERS) + written, stream_error(PROTOCOL_ERROR))
      for name, written in [
          ("DATA", data(1, b"test", 0) + data(1, b"test")), ("trailers", headers(1, [(b"x-late", b"1")])),
          ("WINDOW_UPDATE", window_update(1, 10)), ("RST_STREAM", rst_stream(1)), ("PRIORITY", priority(1))]],
    Row("5.1", "closed by the server's RST_STREAM: the connection's window", "The content of DATA frames that are ignored "
        "counts toward the connection flow-control window, which MUST be given back.",
        lambda peer: fill_refused_streams(peer), well),
]


def not_ended(peer):
    assert not peer.answers[1].is_ended, f"{peer.frames}"


def fill_refused_streams(peer):
    """Sends content on refused streams, five times the connection's window, as fast as the window allows."""
    def window():
        updates = [found for found in peer.frames if found.kind == WINDOW_UPDATE and found.stream == 0]
        return frames.WINDOW + sum(int.from_bytes(found.payload, "big") for found in updates) - used

    used, stream, left = 0, 1, 5 * frames.WINDOW
    while left > 0:
        peer.send(headers(stream, put((b"Bad", b"1")), END_HEADERS))
        piece = min(16_000, left)
        peer.until(lambda: window() >= piece, "the connection's window")
        peer.send(data(stream, b"x" * piece))
        used, left, stream = used + piece, left - piece, stream + 2


IDENTIFIERS = [
    Row("5.1.1", "an even identifier", "Streams initiated by a client MUST use odd-numbered stream identifiers; an unexpected "
        "stream identifier MUST be responded to with a connection error of type PROTOCOL_ERROR.", ask(2),
        connection_error(PROTOCOL_ERROR)),
    Row("5.1.1", "identifier 0", "A stream identifier of zero cannot be used to establish a new stream.", ask(0),
        connection_error(PROTOCOL_ERROR)),
    Row("5.1.1", "a lower identifier", "The identifier of a newly established stream MUST be numerically greater than all "
        "streams that the initiating endpoint has opened; else a connection error of type PROTOCOL_ERROR.",
        unmarked(5) + ask(3), connection_error(PROTOCOL_ERROR)),
    Row("5.1.1", "a lower identifier after the answer", "The identifier of a newly established stream MUST be numerically "
        "greater than all streams that the initiating endpoint has opened.", [unmarked(5), answered(5), ask(3)],
        connection_error(PROTOCOL_ERROR)),
    Row("5.1.1", "DATA on a skipped identifier", "The first use of a new stream identifier implicitly closes all streams in "
        "the idle state that have a lower-valued stream identifier.", unmarked(5) + data(3, b"test"),
        connection_error(STREAM_CLOSED, PROTOCOL_ERROR)),
    Row("5.1.1", "the largest identifier", "Stream identifiers are 31-bit numbers.", ask((1 << 31) - 1),
        lambda peer: check_largest(peer), reaches="whole"),
    Row("5.1.2", "one stream too many", "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream "
        "limit to be exceeded MUST treat this as a stream error of type PROTOCOL_ERROR or REFUSED_STREAM.",
        lambda peer: fill_streams(peer), lambda peer: last_is_refused(peer)),
    Row("5.1.2", "as many as allowed, again and again", "Streams that are closed count no more.",
        lambda peer: three_times_all(peer), ignored),
    Row("5.2.1", "DATA while another stream's window is closed", "Flow control is per stream: a stalled stream does not hold "
        "another.", [unmarked(1), has_head(1), ask(3) + window_update(3, 1_000)],
        answer(stream=3), STALLED, "whole"),
]


def check_largest(peer):
    found = peer.answer((1 << 31) - 1)
    assert found.status == 200, f"{found}"


def fill_streams(peer):
    """Opens one more request with content to come than the server allows at once."""
    most = peer.settings[frames.MAX_CONCURRENT_STREAMS]
    assert most >= 100, f"§6.5.2: it is recommended that this value be no smaller than 100, not {most}"
    assert most < 10_000, f"{most}"
    peer.send(b"".join(begin(stream, path=b"/v2.1/stream/unmarked") for stream in range(1, 2 * most, 2)) + begin(2 * most + 1))


def last_is_refused(peer):
    most = peer.settings[frames.MAX_CONCURRENT_STREAMS]
    peer.until(lambda: 2 * most + 1 in peer.answers or peer.is_ended, "an end of the last stream")
    if peer.is_ended:
        assert peer.going_away[1] == PROTOCOL_ERROR, f"{peer.frames[-6:]}"
        return
    assert peer.answers[2 * most + 1].reset in (PROTOCOL_ERROR, REFUSED_STREAM), f"{peer.answers[2 * most + 1]}"
    peer.send(b"".join(rst_stream(stream) for stream in range(1, 2 * most, 2)))
    well(peer)


def three_times_all(peer):
    most = min(peer.settings[frames.MAX_CONCURRENT_STREAMS], 50)
    for turn in range(3):
        streams = range(1 + turn * 2 * most, (turn + 1) * 2 * most, 2)
        peer.send(b"".join(unmarked(stream) for stream in streams))
        for stream in streams:
            assert peer.answer(stream).status == 200


UNKNOWN_IN_BLOCK = headers(1, block(get())[:20], END_STREAM) + frame(0x20, 0, 0, b"x") + frame(
    CONTINUATION, END_HEADERS, 1, block(get())[20:])

ERRORS = [
    Row("5.3.1", "HEADERS that depend on themselves", "A stream cannot depend on itself: a stream error of type PROTOCOL_ERROR "
        "(RFC 7540, and the strict suite).", frame(
            HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0\1\xff" + block(get())), stream_error(PROTOCOL_ERROR)),
    Row("5.3.1", "PRIORITY that depends on itself, idle", "A stream cannot depend on itself: an error of type PROTOCOL_ERROR.",
        priority(1, 1, 255), stream_error(PROTOCOL_ERROR)),
    Row("5.3.1", "PRIORITY that depends on itself, open", "A stream cannot depend on itself: an error of type PROTOCOL_ERROR.",
        begin() + priority(1, 1, 255), stream_error(PROTOCOL_ERROR), reaches="cut"),
    Row("5.3.1", "PRIORITY that depends on itself exclusively", "A stream cannot depend on itself.",
        begin() + priority(1, 1 << 31 | 1, 255), stream_error(PROTOCOL_ERROR), reaches="cut"),
    Row("5.3.2", "PRIORITY on a stream that depends on an idle one", "PRIORITY is deprecated, and is parsed and ignored.",
        priority(3, 7) + priority(7, 1 << 31 | 3) + ask(9), answer(stream=9), reaches="whole"),
    Row("5.4.1", "the connection is closed", "After sending the GOAWAY frame for an error condition, the endpoint MUST close "
        "the TCP connection.", frame(PING, 0, 3, b"\0" * 8), connection_error(PROTOCOL_ERROR)),
    Row("5.4.1", "the last stream of GOAWAY", "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame "
        "with the stream identifier of the last stream that it successfully received.",
        [unmarked(1), answered(1), unmarked(3), answered(3), frame(PING, 0, 3, b"\0" * 8)],
        lambda peer: (connection_error(PROTOCOL_ERROR)(peer), check_last(peer))),
    Row("5.4.1", "what comes behind the error is not carried out", "The endpoint MUST close the TCP connection.",
        frame(PING, 0, 3, b"\0" * 8) + ask(1), connection_error(PROTOCOL_ERROR)),
    Row("5.4.2", "no RST_STREAM for a RST_STREAM", "To avoid looping, an endpoint MUST NOT send a RST_STREAM in response to a "
        "RST_STREAM frame.", [begin(1), rst_stream(1), rst_stream(1), round_trip], ignored, reaches="cut"),
    Row("5.5", "an unknown frame within a field block", "Extension frames that appear in the middle of a field block are not "
        "permitted; these MUST be treated as a connection error of type PROTOCOL_ERROR.", UNKNOWN_IN_BLOCK,
        connection_error(PROTOCOL_ERROR)),
    Row("5.5", "an unknown frame on a half-closed stream", "Implementations MUST discard frames that have unknown types.",
        [ask(), has_head(1), frame(0x42, 0, 1, b"x" * 50), window_update(1, 100)], answer(), STALLED,
        "whole"),
    Row("5.5", "an unknown frame on a closed stream", "Implementations MUST discard frames that have unknown types.",
        [ask(), answered(1), frame(0x42, 0, 1, b"x" * 50)], ignored, reaches="whole"),
]


def check_last(peer):
    assert peer.going_away[0] == 3, f"{peer.going_away}"


ROWS = [*PREFACES, *FRAMES, *STATES, *IDENTIFIERS, *ERRORS]
