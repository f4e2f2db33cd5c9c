"""Makes odd requests from a seed: the same seed gives the same bytes.

A case is what one client sends on one connection. Most break one rule of RFC 9110 or RFC 9112 in one place; some are
ordinary, so that a gateway that refuses everything does not pass.
"""

import random

SERVER = "0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10"
DEMO = "6f70656e737461636b20342065766572"


class Case:
    def __init__(self, family, data, methods=("GET",), cuts=(), expected=None):
        self.family = family
        self.data = data
        self.methods = list(methods)
        self.cuts = list(cuts)
        # For ordinary requests: (method, target, content) of each, all of which must arrive.
        self.expected = expected


class Draft:
    """A request before it is written; every part can be spoiled."""

    def __init__(self, method, target, lines, content=b"", framing="none"):
        self.method, self.target, self.version = method, target, "HTTP/1.1"
        self.lines = lines
        self.content = content
        self.framing = framing
        self.chunks = None
        self.trailers = b""
        self.end_of_line = b"\r\n"

    def framing_lines(self, rng):
        if self.framing == "length":
            return [(b"Content-Length", str(len(self.content)).encode())]
        if self.framing == "chunked":
            return [(b"Transfer-Encoding", b"chunked")]
        return []

    def body(self, rng):
        if self.framing != "chunked":
            return self.content
        if self.chunks is None:
            self.chunks = chunked(rng, self.content)
        return self.chunks + b"0\r\n" + self.trailers + b"\r\n"

    def write(self, rng):
        body = self.body(rng)
        lines = self.lines + self.framing_lines(rng)
        head = f"{self.method} {self.target} {self.version}".encode("latin-1") + self.end_of_line
        head += b"".join(name + b": " + value + self.end_of_line for name, value in lines)
        return head + self.end_of_line + body


def chunked(rng, content):
    """Chunks of random size, without the last one."""
    data, start = b"", 0
    while start < len(content):
        count = min(len(content) - start, rng.choice([1, 2, 7, 16, 100, 4096, 20_000]))
        digits = f"{count:x}"
        if rng.random() < 0.3:
            digits = "0" * rng.randint(1, 8) + digits
        if rng.random() < 0.3:
            digits = digits.upper()
        data += digits.encode() + b"\r\n" + content[start:start + count] + b"\r\n"
        start += count
    return data


def ordinary(rng):
    """A request that a compute service would take."""
    lines = [(b"Host", rng.choice([b"compute.example:8774", b"192.0.2.1", b"[2001:db8::1]:8774", b"localhost"])),
             (b"X-Auth-Token", b"demo")]
    extra = [
        (b"Accept", b"application/json"), (b"User-Agent", b"peers/1.0 (odd)"), (b"accept-encoding", b"gzip, deflate"),
        (b"X-Trace-Info", b"abc=="), (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        (b"OpenStack-API-Version", b"compute 2.60"), (b"X-Empty", b""), (b"X-Long", b"v" * rng.randint(1, 2000)),
        (b"X-Quoted", b'"a, b"; c="d\\"e"'), (b"x-latin", b"caf\xe9 \xfc\xff"), (b"X-Tab", b"a\tb"),
        (b"Connection", b"keep-alive"), (b"Cookie", b"a=b; c=d"), (b"If-None-Match", b'"x", W/"y"'),
        (b"X-OpenStack-Request-ID", b"req-0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10"),
    ]
    lines += rng.sample(extra, rng.randint(0, 6))
    rng.shuffle(lines)
    kind = rng.randint(0, 7)
    if kind == 0:
        return Draft("GET", rng.choice(["/v2.1/servers", f"/v2.1/{DEMO}/servers", f"/v2/{DEMO}/servers"])
                     + rng.choice(["", "?limit=5", "?name=a%20b", "?status=ACTIVE&limit=1", "?"]), lines)
    if kind == 1:
        return Draft("GET", f"/v2.1/servers/{SERVER}", lines)
    if kind == 2:
        return Draft("DELETE", f"/v2.1/servers/{SERVER}", lines)
    if kind == 3:
        body = b'{"reboot": {"type": "SOFT"}}' + b" " * rng.choice([0, 10, 5000, 60_000])
        return Draft("POST", f"/v2.1/servers/{SERVER}/action", lines + [(b"Content-Type", b"application/json")], body,
                     rng.choice(["length", "chunked"]))
    if kind == 4:
        return Draft("GET", rng.choice(["/", "/v2.1/", "/v2.1", "/v2/"]), lines)
    body = bytes(rng.getrandbits(8) for _ in range(rng.choice([0, 1, 50, 3000]))) * rng.choice([1, 1, 20])
    return Draft(rng.choice(["PUT", "POST"]), f"/v2.1/stream/{rng.randint(0, 9999)}", lines
                 + [(b"Content-Type", b"application/octet-stream")], body, rng.choice(["length", "chunked"]))


def with_content(rng):
    while True:
        draft = ordinary(rng)
        if draft.framing != "none":
            return draft


FRAMINGS = [
    [(b"Content-Length", b"5"), (b"Content-Length", b"5")],
    [(b"Content-Length", b"5"), (b"Content-Length", b"6")],
    [(b"Content-Length", b"5, 5")], [(b"Content-Length", b"5,6")], [(b"Content-Length", b"+5")],
    [(b"Content-Length", b"-5")], [(b"Content-Length", b"5 5")], [(b"Content-Length", b"0x5")],
    [(b"Content-Length", b"5.0")], [(b"Content-Length", b"")], [(b"Content-Length", b"\xb2")],
    [(b"Content-Length", b"18446744073709551616")], [(b"Content-Length", b"9" * 40)],
    [(b"Content-Length", b"00005")], [(b"Content-Length", b"5;")], [(b"Content-Length", b"five")],
    [(b"Content_Length", b"5")], [(b"Content-Length", b"5"), (b"Content_Length", b"9")],
    [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5")],
    [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")],
    [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    [(b"Transfer-Encoding", b"chunked, chunked")], [(b"Transfer-Encoding", b"chunked, identity")],
    [(b"Transfer-Encoding", b"identity, chunked")], [(b"Transfer-Encoding", b"identity")],
    [(b"Transfer-Encoding", b"gzip, chunked")], [(b"Transfer-Encoding", b"gzip")], [(b"Transfer-Encoding", b"x")],
    [(b"Transfer-Encoding", b"")], [(b"Transfer-Encoding", b",chunked")], [(b"Transfer-Encoding", b"chunked,")],
    [(b"Transfer-Encoding", b"Chunked")], [(b"Transfer-Encoding", b"CHUNKED")],
    [(b"Transfer-Encoding", b"\x0bchunked")], [(b"Transfer-Encoding", b"chunked\x0b")],
    [(b"Transfer-Encoding", b"\x00chunked")], [(b"Transfer-Encoding", b"chunked;q=1")],
    [(b"Transfer-Encoding", b"'chunked'")], [(b"Transfer-Encoding", b'"chunked"')],
    [(b"Transfer-Encoding", b"chunked\t")], [(b"Transfer-Encoding", b" chunked")], [(b"Transfer-Encoding", b"xchunked")],
    [(b"Transfer_Encoding", b"chunked")], [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"identity")],
    [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"Transfer-Encoding")],
    [(b"Content-Length", b"5"), (b"Connection", b"Content-Length")],
    [(b"Transfer-Encoding ", b"chunked")], [(b"Content-Length ", b"5")], [(b" Transfer-Encoding", b"chunked")],
    [(b"Transfer-Encoding\t", b"chunked")], [(b"X: y\r\nTransfer-Encoding", b"chunked")],
    [(b"X: y\nTransfer-Encoding", b"chunked")], [(b"X: y\rTransfer-Encoding", b"chunked")],
    [(b"Transfer-Encoding", b"\r\n chunked")], [(b"Content-Length", b"\r\n 5")], [(b"Content-Length", b"5\r\n 5")],
    [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Content-Length", b"5")],
    [(b"Expect", b"100-continue"), (b"Content-Length", b"5")], [(b"Expect", b"200-ok"), (b"Content-Length", b"5")],
    [(b"TE", b"trailers"), (b"Connection", b"TE"), (b"Transfer-Encoding", b"chunked")],
    [(b"Trailer", b"Content-Length"), (b"Transfer-Encoding", b"chunked")],
]


def framing(rng):
    """Ambiguous lengths of every kind, with a second request hidden in the content."""
    draft = with_content(rng)
    lines = rng.choice(FRAMINGS)
    hidden = b"GET /v2.1/servers?limit=7 HTTP/1.1\r\nHost: hidden\r\nX-Auth-Token: demo\r\n\r\n"
    body = rng.choice([b"12345", b"0\r\n\r\n", b"5\r\n12345\r\n0\r\n\r\n", b"", b"0\r\n\r\n" + hidden, b"12345" + hidden])
    position = rng.randint(0, len(draft.lines))
    all_lines = draft.lines[:position] + lines + draft.lines[position:]
    version = rng.choice(["HTTP/1.1"] * 6 + ["HTTP/1.0"])
    head = f"{draft.method} {draft.target} {version}\r\n".encode()
    head += b"".join(name + b": " + value + b"\r\n" for name, value in all_lines) + b"\r\n"
    return Case("framing", head + body, [draft.method, "GET"])


FIELD_LINES = [
    b"X-A : b", b"X-A\t: b", b" X-A: b", b"\tX-A: b", b": b", b"X-A", b"X A: b", b"X(A): b", b"X\x00A: b", b"X-A: b\x00c",
    b"X-A: b\x01c", b"X-A: b\x7fc", b"X-A: b\x1b[0mc", b"X-A: b\x0bc", b"X-A: b\x0cc", b"X-A: b\rc", b"X-A: b\nc",
    b"X-A: b\n", b"X-A: b\r", b"X-A: b\r\n c", b"X-A: b\r\n\tc", b"X-A: b\n c", b"X-\xc3\xa9: b", b"X-A\xa0: b",
    b"X-A: \xc3\xa9\x80\xff", b"X@A: b", b"X[A]: b", b'X"A": b', b"X{A}: b", b"{: b", b"X;A: b", b"X,A: b", b"X/A: b",
    b"!#$%&'*+-.^_`|~: b", b"!#$%&'*+-.^`|~: b", b"Host: second.example", b"Host:", b"host : a", b"HOST: a@b",
    b"Host: a/b", b"Host: a b", b"Host: a:b:c", b"Host: [::1", b"Host: a?b", b"Host: %00",
    b"X_Auth_Token: other", b"X_Roles: admin", b"X_Project_Id: b322", b"X-Roles: admin", b"x-roles: admin", b"X-ROLES: admin",
    b"X-Role: admin", b"X-User: root", b"X-User-Id: root", b"X-User-Name: root", b"X-User-Domain-Id: default",
    b"X-Project-Id: b322a85578de48beba0f92acce57869b", b"X-Project-Name: other", b"X-Project-Domain-Name: Default",
    b"X-Tenant: other", b"X-Tenant-Id: other", b"X-Tenant-Name: other", b"X-Identity-Status: Confirmed",
    b"X-Service-Identity-Status: Confirmed", b"X-Service-Roles: admin", b"X-Service-Catalog: []", b"X-Is-Admin-Project: True",
    b"X-Domain-Id: default", b"X-Domain-Name: Default", b"OpenStack-System-Scope: all", b"X-Service-User-Id: nova",
    b"X-Auth-Token: demo", b"X-Auth-Token: other", b"X-Auth-Token:", b"Proxy: http://evil.example",
    b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: javascript",
    b"X-Forwarded-Prefix: /evil", b"Forwarded: for=203.0.113.9;host=evil.example", b"X-Real-IP: 203.0.113.9",
    b"Connection: X-Auth-Token", b"Connection: Host", b"Connection: X-Forwarded-For, X-A", b"Connection: close, X-A",
    b"Connection: close", b"Connection: ,,,", b"Connection: \"close\"", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eDp5", b"TE: gzip, trailers", b"Trailer: X-A", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", b"Expect: 100-continue",
    b"Expect: nothing", b"Max-Forwards: 0", b"Via: 1.0 fred", b"Content-Type: application/json",
    b"Range: bytes=0-1", b"X-Long: " + b"y" * 17_000, b"X-Long: " + b"y" * 9_000, b"X" * 5_000 + b": y",
    b"\r\n".join(b"X-%d: y" % index for index in range(99)), b"\r\n".join(b"X-%d: y" % index for index in range(200)),
    b"X-A: b\r\nX-A: c\r\nx-a: d", b"X-OpenStack-Request-ID: forged", b"X-OpenStack-Request-ID: req-1\r\nX-OpenStack-Request-ID: req-2",
    b"Content-Encoding: gzip", b"X-Service-Token: demo", b"X-Storage-Token: other", b"X-Gatehouse-Request-Id: mine",
    b"GET / HTTP/1.1", b"OpenStack-API-Version: compute 2.999", b"OpenStack-API-Version: compute nonsense",
]


def field_line(rng):
    """One odd line among ordinary ones."""
    draft = ordinary(rng)
    body = draft.body(rng)
    lines = [name + b": " + value for name, value in draft.lines + draft.framing_lines(rng)]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        lines.insert(rng.randint(0, len(lines)), rng.choice(FIELD_LINES))
    head = f"{draft.method} {draft.target} HTTP/1.1\r\n".encode() + b"\r\n".join(lines) + b"\r\n\r\n"
    return Case("field line", head + body, [draft.method])


REQUEST_LINES = [
    b"GET  {t} HTTP/1.1", b"GET {t}  HTTP/1.1", b" GET {t} HTTP/1.1", b"GET {t} HTTP/1.1 ", b"GET\t{t}\tHTTP/1.1",
    b"GET {t}", b"GET", b"GET {t} HTTP/1.2", b"GET {t} HTTP/2.0", b"GET {t} HTTP/0.9", b"GET {t} HTTP/1.10", b"GET {t} HTTP/01.1",
    b"GET {t} http/1.1", b"GET {t} HTTP/1,1", b"GET {t} HTTP/1.", b"GET {t} HTP/1.1", b"GET {t} HTTP/1.1\x00", b"get {t} HTTP/1.1",
    b"Get {t} HTTP/1.1", b"G@T {t} HTTP/1.1", b"GET\x00 {t} HTTP/1.1", b"M-SEARCH {t} HTTP/1.1", b"PROPFIND {t} HTTP/1.1",
    b"PRI * HTTP/2.0", b"CONNECT example.com:443 HTTP/1.1", b"CONNECT {t} HTTP/1.1", b"TRACE {t} HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"GET * HTTP/1.1", b"OPTIONS {t} HTTP/1.1", b"HEAD {t} HTTP/1.1", b"PATCH {t} HTTP/1.1", b"X" * 30 + b" {t} HTTP/1.1",
    b"GET {t} HTTP/1.0", b"GET {t} HTTP/1.1\rX", b"\r\nGET {t} HTTP/1.1", b"\r\n\r\nGET {t} HTTP/1.1", b"\r\n\r\n\r\nGET {t} HTTP/1.1",
    b"\nGET {t} HTTP/1.1", b"\xef\xbb\xbfGET {t} HTTP/1.1", b"GET {t} HTTP/1.1\nHost: x", b"DELETE {t} HTTP/1.1", b"QUERY {t} HTTP/1.1",
]

TARGETS = [
    b"//v2.1/servers", b"/v2.1//servers", b"/v2.1/./servers", b"/v2.1/../v2.1/servers", b"/v2.1/%2e%2e/v2.1/servers",
    b"/v2.1/.%2E/servers", b"/v2.1%2Fservers", b"/v2.1/servers%2fdetail", b"/v2.1/servers%5cdetail", b"/v2.1/servers%00",
    b"/v2.1/servers%0a", b"/v2.1/servers%0d%0aX: y", b"/v2.1/servers%7f", b"/v2.1/servers%", b"/v2.1/servers%4", b"/v2.1/servers%zz",
    b"/v2.1/%73ervers", b"/v2.1/servers#x", b"/v2.1/servers?a#b", b"/v2.1/servers?a b", b"/v2.1/servers?a=%zz", b"/v2.1/servers?a=%00",
    b"/v2.1/servers?%ff", b"/v2.1/servers?\xff", b"/v2.1/serv\xc3\xa9rs", b"/v2.1/servers\\detail", b"/v2.1/servers;a=b",
    b"/v2.1/servers/", b"/v2.1/servers?", b"/v2.1/servers??", b"/v2.1/servers?a=b&a=c;d", b"/v2.1/servers?limit=abc",
    b"/v2.1/servers?" + b"a=b&" * 1000, b"/v2.1/servers?" + b"x" * 8_100, b"/v2.1/servers?" + b"x" * 8_300, b"/" + b"a" * 20_000,
    b"http://compute.example:8774/v2.1/servers", b"http://other.example/v2.1/servers?limit=1", b"https://a/v2.1/servers",
    b"HTTP://a/v2.1/servers", b"http:///v2.1/servers", b"http://a", b"http://a/", b"http://a@b/v2.1/servers", b"http://a:b/v2.1/servers",
    b"ftp://a/v2.1/servers", b"http:/v2.1/servers", b"http://a?b", b"a", b"v2.1/servers", b"?a", b"#", b"*", b"**", b"example.com:443",
    b"/v2.1/servers\"", b"/v2.1/servers<>", b"/v2.1/servers`", b"/v2.1/servers{}", b"/v2.1/servers|", b"/v2.1/servers^",
    b"/v2.1/servers?a=\"<>`{}|^[]", b"/v2.1/servers?a=[b]", b"/v2.1/servers?a='b'", b"/v2.1/s\x00ervers", b"/v2.1/s\x7fervers",
    b"/v2.1/s\tervers", b"/v2.1/servers.json", b"/V2.1/servers", b"/v2.1/SERVERS", b"/v3/servers", b"/", b"/v2.1", b"/v2.1/",
    b"/v2.1/b322a85578de48beba0f92acce57869b/servers", b"/v2.1/servers/" + SERVER.encode() + b"/../../servers",
    b"/v2.1/servers/%" + b"2e" + b"/detail", b"/v2.1/servers/..;/detail", b"/v2.1/servers/...", b"/v2.1/stream/%20", b"/v2.1/stream/%25%32%66",
    b"/v2.1/stream/a+b", b"/v2.1/stream/~!$&'()*+,;=:@", b"/v2.1/stream/%C3%A9", b"/v2.1/stream/%2e", b"/v2.1/stream/%2E%2e",
]


def request_line(rng):
    """An odd request line, or an ordinary one with an odd target."""
    draft = ordinary(rng)
    head = b"".join(name + b": " + value + b"\r\n" for name, value in draft.lines) + b"\r\n"
    if rng.random() < 0.4:
        line = rng.choice(REQUEST_LINES).replace(b"{t}", draft.target.encode())
    else:
        line = b"GET " + rng.choice(TARGETS) + b" HTTP/1.1"
    method = line.split(b" ")[0].strip().decode("latin-1")
    return Case("request line", line + b"\r\n" + head, ["HEAD" if method == "HEAD" else "GET"])


CHUNKINGS = [
    b"5\r\n12345\r\n0\r\n\r\n", b"5;a=b\r\n12345\r\n0\r\n\r\n", b'5;a="b\\"c"\r\n12345\r\n0\r\n\r\n', b"5 \r\n12345\r\n0\r\n\r\n",
    b" 5\r\n12345\r\n0\r\n\r\n", b"5\t\r\n12345\r\n0\r\n\r\n", b"5 ;a\r\n12345\r\n0\r\n\r\n", b"5;\r\n12345\r\n0\r\n\r\n",
    b"5;a\nb\r\n12345\r\n0\r\n\r\n", b"5;a\rb\r\n12345\r\n0\r\n\r\n", b"+5\r\n12345\r\n0\r\n\r\n", b"-5\r\n12345\r\n0\r\n\r\n",
    b"0x5\r\n12345\r\n0\r\n\r\n", b"5h\r\n12345\r\n0\r\n\r\n", b"\r\n12345\r\n0\r\n\r\n", b"g\r\n12345\r\n0\r\n\r\n",
    b"00000000000000005\r\n12345\r\n0\r\n\r\n", b"0000000000000005\r\n12345\r\n0\r\n\r\n", b"10000000000000005\r\n12345\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\n12345\r\n0\r\n\r\n", b"ffffffffffffffff\r\n12345\r\n0\r\n\r\n", b"7fffffffffffffff\r\n12345\r\n0\r\n\r\n",
    b"100000005\r\n12345\r\n0\r\n\r\n", b"5\n12345\n0\n\n", b"5\r\n12345\n0\r\n\r\n", b"5\n12345\r\n0\r\n\r\n", b"5\r12345\r0\r\r",
    b"5\r\n1234567\r\n0\r\n\r\n", b"5\r\n123\r\n0\r\n\r\n", b"5\r\n123450\r\n\r\n", b"5\r\n12345\r\n0\r\nX-A: b\r\n\r\n",
    b"5\r\n12345\r\n0\r\nContent-Length: 5\r\n\r\n", b"5\r\n12345\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\n12345\r\n0\r\nHost: a\r\n\r\n", b"5\r\n12345\r\n0\r\nX-Auth-Token: other\r\n\r\n", b"5\r\n12345\r\n0\r\nX-Roles: admin\r\n\r\n",
    b"5\r\n12345\r\n0\r\nX_A: b\r\n\r\n", b"5\r\n12345\r\n0\r\nX-A : b\r\n\r\n", b"5\r\n12345\r\n0\r\n X-A: b\r\n\r\n",
    b"5\r\n12345\r\n0\r\nX-A: b\nX-B: c\r\n\r\n", b"5\r\n12345\r\n0\r\nX-A: b\x00\r\n\r\n", b"5\r\n12345\r\n0\r\nX-A\r\n\r\n",
    b"5\r\n12345\r\n0\r\n" + b"X-A: " + b"b" * 9_000 + b"\r\n\r\n", b"5\r\n12345\r\n0\r\n" + b"X-A: b\r\n" * 2_000 + b"\r\n",
    b"5\r\n12345\r\n0;x\r\n\r\n", b"5\r\n12345\r\n00\r\n\r\n", b"5\r\n12345\r\n000000000000000000000\r\n\r\n", b"5\r\n12345\r\n0\r\n",
    b"5\r\n12345\r\n0\n\n", b"5\r\n12345\r\n0\r\n\n", b"5\r\n12345\r\n0\r\n\rX", b"0\r\n\r\n", b"A\r\n0123456789\r\n0\r\n\r\n",
    b"5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n", b"1;" + b"x" * 20_000 + b"\r\n1\r\n0\r\n\r\n", b"5\r\n12345\r\n\r\n0\r\n\r\n", b"5\r\n12345",
]


def chunking(rng):
    """Chunked content that is odd, followed by an ordinary request."""
    follower = b"GET /v2.1/servers?limit=3 HTTP/1.1\r\nHost: a\r\nX-Auth-Token: demo\r\n\r\n"
    line = rng.choice([b"PUT /v2.1/stream/7 HTTP/1.1", b"POST /v2.1/servers/%s/action HTTP/1.1" % SERVER.encode()])
    kind = b"application/octet-stream" if b"stream" in line else b"application/json"
    head = line + b"\r\nHost: a\r\nX-Auth-Token: demo\r\nContent-Type: " + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Case("chunking", head + rng.choice(CHUNKINGS) + rng.choice([b"", follower]), ["PUT", "GET"])


def plain(rng):
    draft = ordinary(rng)
    data = draft.write(rng)
    return Case("ordinary", data, [draft.method], expected=[(draft.method, draft.target, draft.content)])


def pipeline(rng):
    """Several requests at once, sometimes with an odd one among them."""
    drafts = [ordinary(rng) for _ in range(rng.randint(2, 8))]
    parts = [draft.write(rng) for draft in drafts]
    methods = [draft.method for draft in drafts]
    if rng.random() < 0.5:
        expected = [(draft.method, draft.target, draft.content) for draft in drafts]
        return Case("pipeline", b"".join(parts), methods, expected=expected)
    odd = rng.choice([framing, field_line, request_line, chunking])(rng)
    place = rng.randint(0, len(parts) - 1)
    parts[place] = odd.data
    methods[place] = odd.methods[0]
    return Case("odd pipeline", b"".join(parts), methods)


def noise(rng):
    """An ordinary request with bytes changed, added, doubled or taken away."""
    draft = ordinary(rng)
    if draft.content and len(draft.content) > 200:
        draft.content = draft.content[:200]
    data = bytearray(draft.write(rng))
    odd_bytes = b"\r\n\t \x00\x0b\x0c:;,=%/\\\"'#?&+-_.0123456789afAF\x7f\x80\xff"
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place = rng.randrange(len(data))
        what = rng.randint(0, 5)
        if what == 0:
            data[place] = rng.choice(odd_bytes)
        elif what == 1:
            data.insert(place, rng.choice(odd_bytes))
        elif what == 2:
            del data[place]
        elif what == 3:
            end = min(len(data), place + rng.randint(1, 40))
            data[place:place] = data[place:end]
        elif what == 4:
            del data[place:place + rng.randint(1, 20)]
        else:
            data[place] ^= 1 << rng.randrange(8)
        if not data:
            data = bytearray(b"\r\n")
    return Case("noise", bytes(data), ["HEAD" if bytes(data[:5]) == b"HEAD " else "GET"])


def truncation(rng):
    data = ordinary(rng).write(rng)
    return Case("truncation", data[:rng.randrange(len(data))], ["GET"])


FAMILIES = [(plain, 4), (pipeline, 4), (framing, 6), (field_line, 6), (request_line, 5), (chunking, 4), (noise, 8), (truncation, 1)]


def cases(seed, count):
    rng = random.Random(seed)
    makers = [maker for maker, weight in FAMILIES for _ in range(weight)]
    for _ in range(count):
        case = rng.choice(makers)(rng)
        # Most arrive whole, some in a few pieces, some byte by byte at the start.
        how = rng.random()
        if how < 0.25 and len(case.data) > 1:
            case.cuts = [rng.randrange(1, len(case.data)) for _ in range(rng.randint(1, 4))]
        elif how < 0.28:
            case.cuts = list(range(1, min(len(case.data), 60)))
        yield case
