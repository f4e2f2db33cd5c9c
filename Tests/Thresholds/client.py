"""One connection at a time that asks, reads the whole answer, and only then asks again.

What is counted is the server's, so the client may be slow; it sends the same bytes in the same pieces.
"""

import socket
import ssl
import struct

import hpack

import frames
import harness

AUTHORITY = "compute.example"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"


def connected(host, port, protocol=None):
    """A socket to the gateway; with a protocol of ALPN over TLS."""
    plain = socket.create_connection((host, port), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if protocol is None:
        return plain
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([protocol])
    sealed = context.wrap_socket(plain, server_hostname="localhost")
    assert sealed.selected_alpn_protocol() == protocol
    return sealed


class HTTP1:
    """A connection of HTTP/1.1 that is kept."""

    def __init__(self, host, port, protocol=None):
        self.socket = connected(host, port, protocol)
        self.pending = b""

    def ask(self, requests):
        """Sends GETs, (path, token, fields) each, in one piece; gives the status and fields of each answer.

        Contents are read and let go.
        """
        sent = []
        for path, token, fields in requests:
            sent += [f"GET {path} HTTP/1.1", f"Host: {AUTHORITY}", f"X-Auth-Token: {token}"]
            sent += [f"{name}: {value}" for name, value in fields] + ["", ""]
        self.socket.sendall("\r\n".join(sent).encode())
        return [self.answer() for _ in requests]

    def answer(self):
        while b"\r\n\r\n" not in self.pending:
            self.receive()
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        answer = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        status = int(lines[0].split()[1])
        assert "transfer-encoding" not in answer, answer
        length = 0 if status == 304 else int(answer["content-length"])
        while len(self.pending) < length:
            self.receive()
        self.pending = self.pending[length:]
        return status, answer

    def receive(self):
        received = self.socket.recv(262_144)
        assert received, "the gateway ended the connection"
        self.pending += received

    def close(self):
        self.socket.close()


class HTTP2:
    """A connection of HTTP/2, with windows so large that none has to be given back."""

    def __init__(self, host, port, protocol=None):
        self.socket = connected(host, port, protocol)
        self.pending, self.stream = b"", -1
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        most = frames.LARGEST_WINDOW
        self.socket.sendall(
            frames.PREFACE + frames.settings((frames.INITIAL_WINDOW_SIZE, most), (frames.ENABLE_PUSH, 0))
            + frames.window_update(0, most - frames.WINDOW))

    def ask(self, requests):
        """As HTTP1.ask; each request on a stream of its own."""
        first, sent = self.stream + 2, b""
        for path, token, fields in requests:
            self.stream += 2
            sent += frames.headers(self.stream, self.encoder.encode([
                (":method", "GET"), (":scheme", "https"), (":authority", AUTHORITY), (":path", path),
                hpack.NeverIndexedHeaderTuple("x-auth-token", token),
                *[(name.lower(), value) for name, value in fields]]))
        self.socket.sendall(sent)
        answers = self.answers(set(range(first, self.stream + 2, 2)))
        return [(int(answers[stream][":status"]), answers[stream]) for stream in sorted(answers)]

    def answers(self, streams):
        """The fields of the answers on these streams, when all have ended."""
        answers = {}
        while streams:
            stream, kind, flags, content = self.next_frame()
            if kind == frames.SETTINGS and not flags & frames.ACK:
                self.socket.sendall(frames.settings(flags=frames.ACK))
            if kind in (frames.GOAWAY, frames.RST_STREAM):
                raise AssertionError(f"the gateway ended it: {kind} {content!r}")
            if kind == frames.HEADERS:
                assert flags & frames.END_HEADERS and not flags & (frames.PADDED | frames.PRIORITIZED)
                answers[stream] = dict(self.decoder.decode(content))
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                streams.remove(stream)
        return answers

    def next_frame(self):
        while len(self.pending) < 9:
            self.receive()
        length = int.from_bytes(self.pending[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.pending[3:9])
        while len(self.pending) < 9 + length:
            self.receive()
        content, self.pending = self.pending[9:9 + length], self.pending[9 + length:]
        return stream, kind, flags, content

    receive = HTTP1.receive
    close = HTTP1.close
