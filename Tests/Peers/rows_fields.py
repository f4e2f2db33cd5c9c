"""Rows of RFC 9113 §8.2 and §8.3: fields, pseudo-fields, and what of them an HTTP/1.1 upstream is told."""

from frames import END_HEADERS, END_STREAM, PROTOCOL_ERROR, data, headers
from rows import HOST, TARGET, Row, answer, ask, begin, get, refused, stream_error

NAME = "A request with a field name that holds characters in the ranges 0x00-0x20, 0x41-0x5a or 0x7f-0xff MUST be treated as malformed."
VALUE = "A field value MUST NOT contain the zero value, line feed or carriage return at any position."
BLANKS = "A field value MUST NOT start or end with an ASCII whitespace character."
SPECIFIC = ("An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields; any such message MUST be "
            "treated as malformed.")
SMUGGLE = ("Field names and values that are valid in HTTP/2 but not in HTTP/1.1 must not be forwarded verbatim (§10.3); what is not "
           "valid is malformed.")
ONCE = "The same pseudo-header field name MUST NOT appear more than once in a field block."
MISSING = "All HTTP/2 requests MUST include exactly one valid value for the :method, :scheme, and :path pseudo-header fields."

malformed = stream_error(PROTOCOL_ERROR)


def first(fields):
    """Fields that name no stream's mark elsewhere: those as given, as one request with its end."""
    return headers(1, fields, END_HEADERS | END_STREAM)


def has(name, *values):
    """The one marked message at the upstream has exactly these values of a field."""
    return lambda found, peer: [message.values(name) for message in peer.messages()] == [list(values)]


NAMES = [
    *[Row("8.2.1", f"a name with {byte:#04x}", NAME, ask(1, (b"x-b" + bytes([byte]) + b"d", b"1")), malformed)
      for byte in (0x00, 0x09, 0x0A, 0x0D, 0x1F, 0x20, 0x41, 0x5A, 0x7F, 0x80, 0xE4, 0xFF)],
    *[Row("8.2.1", f"a name with {chr(byte)!r}, which is no token", "Field names are tokens (RFC 9110 §5.1): others are malformed.",
          ask(1, (b"x-b" + bytes([byte]) + b"d", b"1")), malformed) for byte in b'"(),/:;<=>?@[\\]{}'],
    Row("8.2.1", "an empty name", "A field name is a token and has at least one character.", ask(1, (b"", b"1")), malformed),
    Row("8.2.1", "a name that starts with a blank", NAME, ask(1, (b" x-bad", b"1")), malformed),
    Row("8.2.1", "a name that ends with a blank", NAME, ask(1, (b"x-bad ", b"1")), malformed),
    Row("8.2.1", "a name that is only a colon", "Field names MUST NOT contain a colon, but for pseudo-header fields.",
        ask(1, (b":", b"1")), malformed),
    Row("8.2.1", "a line of HTTP/1.1 in a name", SMUGGLE, ask(1, (b"x: y\r\nx-auth-token", b"1")), malformed),
    Row("8.2.1", "an upper-case name", "Field names MUST be converted to lowercase when constructing an HTTP/2 message.",
        ask(1, (b"X-TEST", b"ok")), malformed),
    Row("8.2.1", "an upper-case Host", NAME, ask(1, (b"Host", HOST), authority=None), malformed),
    *[Row("8.2.1", f"a value with {byte:#04x} {place}", VALUE, ask(1, (b"x-test", value)), malformed)
      for byte in (0x00, 0x0A, 0x0D)
      for place, value in [("first", bytes([byte]) + b"a"), ("in the middle", b"a" + bytes([byte]) + b"b"),
                           ("last", b"a" + bytes([byte])), ("alone", bytes([byte]))]],
    *[Row("8.2.1", f"a value that {name}", BLANKS, ask(1, (b"x-test", value)), malformed)
      for name, value in [("starts with a space", b" a"), ("ends with a space", b"a "), ("starts with a tab", b"\ta"),
                          ("ends with a tab", b"a\t"), ("is a space", b" "), ("is a tab", b"\t")]],
    *[Row("8.2.1", f"a value with {byte:#04x}", "Control characters are no part of a field value (RFC 9110 §5.5).",
          ask(1, (b"x-test", b"a" + bytes([byte]) + b"b")), refused()) for byte in (0x01, 0x08, 0x0B, 0x1F, 0x7F)],
    Row("8.2.1", "a line of HTTP/1.1 in a value", SMUGGLE, ask(1, (b"x-test", b"a\r\nx-auth-token: other")), malformed),
    Row("8.2.1", "a request of HTTP/1.1 in a value", SMUGGLE, ask(1, (
        b"x-test", b"a\r\n\r\nGET /v2.1/stream/MARKMARK HTTP/1.1\r\nhost: x"), path=b"/v2.1/stream/unmarked"), malformed),
    Row("8.2.1", "an empty value", "A field value may be empty.", ask(1, (b"x-test", b"")), answer(check=has(b"x-test", b"")),
        reaches="whole"),
    Row("8.2.1", "a value with inner blanks", "Blanks within a value are its own.", ask(1, (b"x-test", b"a \t b")),
        answer(check=has(b"x-test", b"a \t b")), reaches="whole"),
    Row("8.2.1", "a value with bytes above 0x7f", "A recipient treats other allowed octets as opaque data (RFC 9110 §5.5).",
        ask(1, (b"x-test", b"\xc3\xa4")), answer(check=has(b"x-test", b"\xc3\xa4")), reaches="whole"),

    *[Row("8.2.2", f"{name.decode()}: {value.decode()}", SPECIFIC, ask(1, (name, value)), malformed)
      for name, value in [
          (b"connection", b"keep-alive"), (b"connection", b"close"), (b"connection", b"x-test"), (b"proxy-connection", b"keep-alive"),
          (b"keep-alive", b"timeout=5"), (b"upgrade", b"h2c"), (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity"),
          (b"transfer-encoding", b"gzip")]],
    Row("8.2.2", "transfer-encoding: chunked before content", SPECIFIC, begin(1, (b"transfer-encoding", b"chunked")) + data(
        1, b"0\r\n\r\nGET /v2.1/stream/MARKMARK HTTP/1.1\r\n\r\n"), malformed),
    *[Row("8.2.2", f"te: {value.decode()}", "The TE header field MUST NOT contain any value other than 'trailers'.",
          ask(1, (b"te", value)), malformed) for value in (b"gzip", b"trailers, deflate;q=0.5", b"chunked", b"trailers, x")],
    Row("8.2.2", "te: trailers", "TE MAY be present in an HTTP/2 request with the value 'trailers'.", ask(1, (b"te", b"trailers")),
        answer(), reaches="whole"),

    Row("8.2.3", "cookies in crumbs", "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a "
        "single octet string using '; ' before being passed into a non-HTTP/2 context.",
        ask(1, (b"cookie", b"a=b"), (b"x-test", b"between"), (b"cookie", b"c=d; e=f"), (b"cookie", b"g=h")),
        answer(check=has(b"cookie", b"a=b; c=d; e=f; g=h")), reaches="whole"),
    Row("8.2.3", "one cookie", "A cookie in one line is passed as it came.", ask(1, (b"cookie", b"a=b; c=d")),
        answer(check=has(b"cookie", b"a=b; c=d")), reaches="whole"),
    Row("8.2", "two lines of one name", "Lines of one name keep their order.", ask(1, (b"x-test", b"1"), (b"x-test", b"2")),
        answer(check=lambda found, peer: b", ".join(peer.messages()[0].values(b"x-test")) == b"1, 2"), reaches="whole"),
]

PSEUDO = [
    Row("8.3", "an unknown pseudo-field", "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header "
        "fields as malformed.", first([*get()[:4], (b":test", b"ok"), *get()[4:]]), malformed),
    Row("8.3", "a pseudo-field of responses", "Pseudo-header fields defined for responses MUST NOT appear in requests.",
        first([*get()[:4], (b":status", b"200"), *get()[4:]]), malformed),
    Row("8.3", "an upper-case pseudo-field", "Endpoints MUST treat undefined pseudo-header fields as malformed.",
        first([(b":METHOD", b"GET"), *get()[1:]]), malformed),
    *[Row("8.3", f"{name.decode()} behind a field", "All pseudo-header fields MUST appear in a field block before all regular field "
          "lines.", first([pair for pair in get() if pair[0] != name] + [pair for pair in get() if pair[0] == name]), malformed)
      for name in (b":method", b":scheme", b":path", b":authority")],
    *[Row("8.3", f"{name.decode()} twice", ONCE, first([pair for pair in get() for _ in range(1 + (pair[0] == name))]), malformed)
      for name in (b":method", b":scheme", b":path", b":authority")],
    Row("8.3", "two different :path", ONCE, first([*get()[:3], (b":path", b"/v2.1/stream/other"), *get()[3:]]), malformed),
    *[Row("8.3.1", f"no :{name}", MISSING, ask(without=(name,)), malformed) for name in ("method", "scheme", "path")],
    Row("8.3.1", "no pseudo-field at all", MISSING, first([(b"x-auth-token", b"demo"), (b"x-test", b"MARKMARK")]), malformed),
    Row("8.3.1", "an empty field block", MISSING, first(b""), malformed),
    Row("8.3.1", "an empty :path", ":path MUST NOT be empty for 'http' or 'https' URIs.", first(
        [*get(path=b""), (b"x-test", b"MARKMARK")]), malformed),
    *[Row("8.3.1", f":path of {value.decode('latin-1')!r}", ":path starts with '/', or is '*' for OPTIONS.", first(
        [*get(path=value), (b"x-test", b"MARKMARK")]), malformed)
      for value in (b"*", b"v2.1/servers", b"http://compute.example/v2.1/servers", b"?limit=1", b" /v2.1/servers")],
    *[Row("8.3.1", f":path with {name}", SMUGGLE, ask(path=TARGET + value), malformed)
      for name, value in [
          ("a space and a version", b" HTTP/1.1\r\nx-auth-token: other\r\n\r\n"), ("a line end", b"\r\nx: y"), ("a line feed", b"\nx: y"),
          ("a carriage return", b"\rx"), ("a NUL", b"\0x")]],
    *[Row("8.3.1", f":path with {name}", "Such characters are no part of a path or query (RFC 3986 §3.3).", ask(path=TARGET + value),
          refused()) for name, value in [
              ("a space", b"/a b"), ("a space at the end", b" "), ("a tab", b"\tx"), ("DEL", b"\x7f"), ("a fragment", b"#part"),
              ("a control byte", b"\x01"), ("a byte above 0x7f", b"\xe4")]],
    *[Row("8.3.1", f":method of {value!r}", ":method is a token.", ask(method=value), malformed)
      for value in (b"", b"GE T", b"GET /x HTTP/1.1\r\nx: y\r\n\r\nGET", b"GET\r\n", b"G\0T", b"G(T")],
    *[Row("8.3.1", f":scheme of {value!r}", "Invalid values of pseudo-header fields are malformed; a scheme is letters, digits, '+', '-' "
          "and '.'.", ask(scheme=value), malformed) for value in (b"", b"ht tp", b"http\r\nx: y", b"http\0", b"://", b"1http")],
    *[Row("8.3.1", f":authority of {value!r}", ":authority MUST NOT include the deprecated userinfo subcomponent; an invalid value "
          "makes a request malformed.", ask(authority=value), refused())
      for value in (b"user@compute.example", b"user:pw@compute.example:1", b"compute.example/x", b"a b", b"compute.example:port",
                    b"[::1", b"a?b", b"a#b")],
    *[Row("8.3.1", f":authority with {name}", SMUGGLE, ask(authority=value), malformed)
      for name, value in [("a line end", b"x\r\nx-auth-token: other"), ("a NUL", b"x\0"), ("a line feed", b"x\ny: z"),
                          ("a blank before it", b" x")]],
    Row("8.3.1", "neither :authority nor Host", "If the scheme has a mandatory authority component, the request MUST contain either.",
        ask(authority=None), refused()),
    Row("8.3.1", "an empty :authority", "The authority component is mandatory for http and https.", ask(authority=b""), refused()),
    Row("8.3.1", "an empty Host", "The authority component is mandatory for http and https.", ask(1, (b"host", b""), authority=None),
        refused()),
    Row("8.3.1", "Host without :authority", "A request without :authority is for the Host field's authority.",
        ask(1, (b"host", b"other.example:8774"), authority=None), answer(check=has(b"host", b"other.example:8774")), reaches="whole"),
    Row("8.3.1", ":authority becomes Host", "An intermediary that forwards a request over HTTP/1.1 MUST create a Host field from "
        ":authority.", ask(authority=b"other.example:8774"), answer(check=has(b"host", b"other.example:8774")), reaches="whole"),
    Row("8.3.1", "Host equal to :authority", "The same authority said twice is one.", ask(1, (b"host", HOST)),
        answer(check=has(b"host", HOST)), reaches="whole"),
    Row("8.3.1", "Host other than :authority", "A server SHOULD treat a request as malformed if it contains a Host header field that "
        "identifies an entity that differs from that in :authority.", ask(1, (b"host", b"evil.example")), refused()),
    Row("8.3.1", "two Host", "Clients MUST NOT generate a request with two Host fields (RFC 9110 §7.2).", ask(
        1, (b"host", HOST), (b"host", b"evil.example"), authority=None), refused()),
    Row("8.3.1", "two equal Host", "Clients MUST NOT generate a request with two Host fields (RFC 9110 §7.2).", ask(
        1, (b"host", HOST), (b"host", HOST)), refused()),
    Row("8.3.1", ":scheme of https", "The scheme says how the URI began, not how the connection was made.", ask(scheme=b"https"),
        answer(), reaches="whole"),
    Row("8.3.1", "pseudo-fields in another order", "Pseudo-fields may come in any order among themselves.",
        first([get()[2], get()[0], get()[3], get()[1], *get()[4:]]), answer(), reaches="whole"),
    Row("8.3.1", "an unknown method", "The method is passed on or refused by HTTP, not by HTTP/2.", ask(method=b"BREW"),
        refused(statuses=(405, 501, 404))),
    Row("8.2.1", "identity fields are no client's to set", "What a gateway vouches for is not taken from a client.",
        ask(1, (b"x-roles", b"admin"), (b"x-identity-status", b"Confirmed")),
        answer(check=lambda found, peer: not peer.messages()[0].values(b"x-roles")), reaches="whole"),
]

ROWS = [*NAMES, *PSEUDO]
