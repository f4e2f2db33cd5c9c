"""Rows of RFC 9113 §8.1, §8.4 to §8.8 and §10: how messages are framed, lengths, trailers, limits, other methods."""

from frames import (
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, HEADERS, PROTOCOL_ERROR,
    STREAM_CLOSED, block, data, frame, headers, literal, window_update)
from rows import (
    TARGET, Row, answer, answered, ask, begin, connection_error, get, holds, put, refused, round_trip, stream_error, well)
from rows_framing import STALLED, has_head
from rows_kinds import LARGE, arrives

MALFORMED = "Malformed requests that are detected MUST be treated as a stream error of type PROTOCOL_ERROR."
SUM = ("A request is malformed if the value of a content-length field does not equal the sum of the DATA frame payload lengths "
       "that form the content.")
TRAILERS = [(b"x-checksum", b"12345")]


def length(value):
    return (b"content-length", value)


SEQUENCE = [
    Row("8.1", "a second HEADERS without an end", "An endpoint that receives a HEADERS frame without END_STREAM after the one that "
        "opened a request MUST treat the request as malformed.", begin() + data(1, b"x", 0) + headers(1, TRAILERS, END_HEADERS)
        + data(1, b"y"), stream_error(PROTOCOL_ERROR), reaches="cut"),
    Row("8.1", "a second HEADERS with a request", "An HTTP request consists of one HEADERS frame, content, and one for trailers.",
        begin() + begin() + data(1, b"y"), stream_error(PROTOCOL_ERROR), reaches="cut"),
    Row("8.1", "trailers", "One HEADERS frame, followed by zero or more CONTINUATION frames, contains the trailer section, if present.",
        begin() + data(1, b"ab", 0) + headers(1, TRAILERS), answer(check=arrives(b"ab")), reaches="whole"),
    Row("8.1", "trailers without content", "The trailer section may follow the head.", begin() + headers(1, TRAILERS),
        answer(check=arrives(b"")), reaches="whole"),
    Row("8.1", "DATA after trailers", "A HEADERS frame with END_STREAM carries a trailer section and ends the message.",
        [begin(1, path=b"/v2.1/stream/unmarked"), headers(1, TRAILERS) + data(1, b"x")], stream_error(STREAM_CLOSED)),
    Row("8.1", "HEADERS after trailers", "A HEADERS frame with END_STREAM ends the message.",
        [begin(1, path=b"/v2.1/stream/unmarked"), headers(1, TRAILERS) + headers(1, TRAILERS)], stream_error(STREAM_CLOSED)),
    *[Row("8.1", f"trailers with {name}", "Trailers MUST NOT include pseudo-header fields.", begin() + data(1, b"x", 0) + headers(
        1, [field]), stream_error(PROTOCOL_ERROR), reaches="cut")
      for name, field in [(":method", (b":method", b"POST")), (":path", (b":path", b"/")), (":authority", (b":authority", b"x")),
                          (":status", (b":status", b"200")), ("an unknown one", (b":trailer", b"x"))]],
    *[Row("8.1", f"trailers with {name}", "Trailer fields are subject to the same rules as any field (§8.2).",
          begin() + data(1, b"x", 0) + headers(1, [field]), stream_error(PROTOCOL_ERROR), reaches="cut")
      for name, field in [
          ("an upper-case name", (b"X-Checksum", b"1")), ("connection", (b"connection", b"close")),
          ("transfer-encoding", (b"transfer-encoding", b"chunked")), ("a line end", (b"x-checksum", b"1\r\nx: y")),
          ("a NUL", (b"x-checksum", b"1\0")), ("a colon in the name", (b"x:checksum", b"1")), ("an empty name", (b"", b"1"))]],
    Row("8.1", "HEAD", "A response to HEAD has no content; the stream ends with its head.", ask(method=b"HEAD"), answer(
        405, check=lambda found, peer: not [sent for sent in peer.frames if sent.kind == DATA])),
    Row("8.1", "several requests at once", "Streams are independent.", b"".join(
        headers(stream, get(path=b"/v2.1/stream/unmarked"), END_HEADERS | END_STREAM) for stream in range(1, 41, 2)) + ask(41),
        lambda peer: all_answered(peer), reaches="whole"),
    Row("8.1", "requests whose content is mixed", "Frames of several streams may be interleaved.",
        begin(1) + begin(3) + data(3, b"c", 0) + data(1, b"a", 0) + data(3, b"d") + data(1, b"b"),
        lambda peer: mixed(peer), reaches="anything"),
    Row("8.1", "an answer before the content is over", "A server can send a complete response prior to the client sending an entire "
        "request, and MAY request that the client abort by a RST_STREAM with NO_ERROR.",
        headers(1, put(path=TARGET, without=())[:4] + [(b"content-length", b"9000000000")], END_HEADERS),
        lambda peer: early(peer)),
]


def all_answered(peer):
    for stream in range(1, 43, 2):
        assert peer.answer(stream).status == 200, f"{stream}: {peer.answers}"
    well(peer)


def mixed(peer):
    assert peer.answer(1).status == peer.answer(3).status == 200
    assert sorted(message.content for message in peer.messages()) == [b"ab", b"cd"], peer.messages()
    well(peer)


def early(peer):
    """An error answer comes, whole, and the stream's rest is refused or taken; the connection works."""
    peer.until(lambda: 1 in peer.answers and peer.answers[1].is_ended, "a whole answer")
    assert peer.answers[1].status in (401, 413), f"{peer.answers[1]}"
    round_trip(peer)
    assert peer.answers[1].reset in (None, 0, CANCEL), f"{peer.answers[1]}"
    well(peer)


LENGTHS = [
    *[Row("8.1.1", f"content-length and {name}", SUM, [begin(1, length(value)), *(rest if isinstance(rest, list) else [rest])],
          stream_error(PROTOCOL_ERROR), reaches="cut")
      for name, value, rest in [
          ("too little content", b"5", data(1, b"test")), ("too much content", b"3", data(1, b"test")),
          ("too much in two frames", b"3", data(1, b"te", 0) + data(1, b"st")),
          ("too much behind as much as it says", b"3", [data(1, b"tes", 0), round_trip, data(1, b"t")]),
          ("content late against 0", b"0", [b"", round_trip, data(1, b"x")]),
          ("too little in two frames", b"5", data(1, b"te", 0) + data(1, b"st")), ("no content", b"5", data(1)),
          ("content against 0", b"0", data(1, b"x")), ("too little before trailers", b"5", data(1, b"te", 0) + headers(1, TRAILERS)),
          ("too much, of which padding is none", b"10", data(1, b"\5test!\0\0\0\0\0", 0x9))]],
    Row("8.1.1", "content-length and an end at once", SUM, headers(1, put(length(b"5"))), stream_error(PROTOCOL_ERROR), reaches="cut"),
    *[Row("8.1.1", f"content-length of {name}", MALFORMED, begin(1, *lines) + data(1, b"test"), stream_error(PROTOCOL_ERROR))
      for name, lines in [
          ("a sign", [length(b"+4")]), ("a negative number", [length(b"-4")]), ("letters", [length(b"four")]),
          ("hexadecimal digits", [length(b"0x4")]), ("nothing", [length(b"")]), ("two values", [length(b"4, 5")]),
          ("two lines that differ", [length(b"4"), length(b"5")]), ("more than 2^64", [length(b"18446744073709551620")]),
          ("digits and a space", [length(b"4 4")])]],
    Row("8.1.1", "content-length in two equal lines", "Two lengths are one too many for an upstream that may take either (RFC 9110 "
        "§8.6).", begin(1, length(b"4"), length(b"4")) + data(1, b"test"), refused()),
    Row("8.1.1", "a content-length that is right", SUM, begin(1, length(b"4")) + data(1, b"te", 0) + data(1, b"st"),
        answer(check=arrives(b"test")), reaches="whole"),
    Row("8.1.1", "a content-length that is right, before trailers", SUM, begin(1, length(b"4")) + data(1, b"test", 0) + headers(
        1, TRAILERS), answer(check=arrives(b"test")), reaches="whole"),
    Row("8.1.1", "a content-length that is right but for padding", SUM, begin(1, length(b"4")) + data(1, b"\5test\0\0\0\0\0", 0x9),
        answer(check=arrives(b"test")), reaches="whole"),
    Row("8.1.1", "a content-length of 0 and an end", SUM, headers(1, put(length(b"0"))), answer(check=arrives(b"")), reaches="whole"),
    Row("8.1.1", "GET with content", "Content in a GET has no defined semantics; its length has.", headers(
        1, get(length(b"3")), END_HEADERS) + data(1, b"test"), stream_error(PROTOCOL_ERROR), reaches="cut"),
    Row("8.1.1", "compute content that is too short", SUM, headers(1, put(
        length(b"40"), method=b"POST", path=b"/v2.1/servers/MARKMARK/action")[:5] + [
            (b"content-type", b"application/json"), length(b"40")], END_HEADERS) + data(1, b'{"pause": null}'),
        stream_error(PROTOCOL_ERROR)),
]

OTHERS = [
    Row("8.5", "CONNECT with :scheme and :path", "The :scheme and :path pseudo-header fields MUST be omitted; a CONNECT request that "
        "does not conform is malformed.", headers(1, get(method=b"CONNECT"), END_HEADERS), stream_error(PROTOCOL_ERROR)),
    Row("8.5", "CONNECT without :authority", "The :authority pseudo-header field contains the host and port to connect to.",
        headers(1, get(method=b"CONNECT", without=("scheme", "path", "authority")), END_HEADERS), stream_error(PROTOCOL_ERROR)),
    Row("8.5", "CONNECT as it should be", "This server is no proxy for TCP: it refuses.",
        headers(1, get(method=b"CONNECT", authority=b"MARKMARK:80", without=("scheme", "path")), END_HEADERS),
        refused(statuses=(400, 404, 405, 501))),
    Row("8441 4", "extended CONNECT unasked", "A client MUST NOT send :protocol unless the server has sent "
        "ENABLE_CONNECT_PROTOCOL: the request is malformed.", headers(1, [*get(method=b"CONNECT")[:4], (b":protocol", b"websocket")],
                                                                      END_HEADERS), stream_error(PROTOCOL_ERROR)),
    Row("8.6", "Upgrade by HTTP/2", "HTTP/2 removes support for 101; the upgrade field is malformed.",
        ask(1, (b"upgrade", b"websocket")), stream_error(PROTOCOL_ERROR)),
    Row("8.1", "OPTIONS of everything", "An OPTIONS request without a path component MUST include :path with a value of '*'.",
        ask(method=b"OPTIONS", path=b"*"), holds(lambda peer: peer.answers.get(1) and peer.answers[1].is_ended and
                                               peer.answers[1].status < 500), reaches="nothing"),
    Row("8.1", "Expect: 100-continue", "A server that wants the content sends 100 before the final response (§8.1, §8.6).",
        [begin(1, (b"expect", b"100-continue"), length(b"4")), lambda peer: peer.until(
            lambda: 1 in peer.answers and peer.answers[1].interim, "100"), data(1, b"test")],
        answer(check=lambda found, peer: found.interim[0][0] == (b":status", b"100")), reaches="whole"),
]


def size(count):
    """Fields that make a list of about `count` bytes, by names and values."""
    return [(b"x-%06d" % index, b"v" * 1_000) for index in range(count // 1_040)]


LIMITS = [
    Row("10.5.1", "a field section over the limit", "A server that receives a larger field block than it is willing to handle can send "
        "431; the field block MUST be processed to keep the compression state.",
        lambda peer: peer.send(large_head(1, 30_000)), answer(431)),
    Row("10.5.1", "too many field lines", "A server that receives a larger field block than it is willing to handle can send 431.",
        lambda peer: peer.send(headers(1, get(*[(b"x-%d" % index, b"") for index in range(600)]))), answer(431)),
    Row("10.5.1", "a field section far over the limit", "An endpoint that is sent far more than it wants ends the connection.",
        lambda peer: peer.send(large_head(1, 2_000_000)), connection_error(ENHANCE_YOUR_CALM)),
    Row("10.5.1", "the table after 431", "The field block MUST be processed to ensure a consistent connection state.",
        [lambda peer: peer.send(large_head(1, 30_000, literal(b"x-auth-token", b"demo", 0x40))), answered(1),
         headers(3, block(get()[:4]) + b"\xbe")], answer(stream=3), reaches="whole"),
    Row("10.3", "what the answer may hold", "Field names are lower case, no field is specific to a connection, one :status comes first.",
        ask(), answer(check=lambda found, peer: found.values(b"x-gatehouse-request-id") and not peer.wrong), reaches="whole"),
    Row("8.2.2", "what an HTTP/1.1 answer says of its connection", "An intermediary transforming an HTTP/1.x message to HTTP/2 MUST "
        "remove connection-specific header fields.", ask(path=b"/v2.1/stream/hop.MARKMARK"), answer(
            check=lambda found, peer: found.values(b"x-kept") and not found.values(b"x-hop")), reaches="whole"),
    Row("8.2.3", "two Set-Cookie of the upstream", "Fields of a list of lines that cannot be joined stay apart.", ask(),
        answer(check=lambda found, peer: found.values(b"set-cookie") == [b"a=b", b"c=d"]), reaches="whole"),
    Row("6.9.1", "one stalled stream of many", "A sender that is stalled on one stream can send on others.",
        [ask(1, path=LARGE), has_head(1), b"".join(headers(stream, get(path=b"/v2.1/stream/unmarked")) + window_update(stream, 9)
                                                   for stream in range(3, 43, 2))],
        lambda peer: all_but_first(peer), STALLED, "whole"),
    Row("6.9.1", "content beyond the windows", "A receiver MUST respond with FLOW_CONTROL_ERROR, on the stream or the connection, to "
        "content that it was not given room for.", lambda peer: flood_windows(peer), lambda peer: was_over_window(peer),
        reaches="anything", over=("stalled",)),
    Row("6.9.1", "content beyond the connection's window", "A receiver MUST respond with FLOW_CONTROL_ERROR to content that it was not "
        "given room for.", lambda peer: flood_windows(peer, 40), lambda peer: was_over_window(peer), reaches="anything",
        over=("stalled",)),
]


def large_head(stream, count, more=b""):
    content = block(get(*size(count))) + more
    pieces = [content[place:place + 16_000] for place in range(0, len(content), 16_000)]
    return frame(HEADERS, END_STREAM, stream, pieces[0]) + b"".join(
        frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, stream, piece) for piece in pieces[1:])


def all_but_first(peer):
    for stream in range(3, 43, 2):
        assert peer.answer(stream).status == 200
    assert not peer.answers[1].is_ended
    well(peer)


def flood_windows(peer, streams=1):
    """Sends content that the upstream does not take, whatever the windows say, until the server has had enough."""
    names = range(1, 2 * streams, 2)
    peer.send(b"".join(headers(stream, put(), END_HEADERS) for stream in names))
    for _ in range(4_096 // streams):
        try:
            peer.send(b"".join(data(stream, b"x" * 16_000, 0) for stream in names))
        except TimeoutError:
            return
        if is_over_window(peer):
            return


def is_over_window(peer):
    """Whether FLOW_CONTROL_ERROR has been said; looks without waiting."""
    try:
        while peer.read(0) is not None:
            pass
    except TimeoutError:
        pass
    return peer.is_ended or any(found.reset is not None for found in peer.answers.values())


def was_over_window(peer):
    peer.until(lambda: peer.is_ended or peer.going_away or any(
        found.reset is not None for found in peer.answers.values()), "an end of the stream or the connection")
    codes = {found.reset for found in peer.answers.values()} | {peer.going_away and peer.going_away[1]}
    assert FLOW_CONTROL_ERROR in codes, f"{peer.frames[-12:]}"


ROWS = [*SEQUENCE, *LENGTHS, *OTHERS, *LIMITS]
