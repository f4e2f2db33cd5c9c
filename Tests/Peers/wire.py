"""Raw bytes to a port, and answers read by h11 as a client."""

import socket
import time

import h11


class Answer:
    def __init__(self, status, fields, content, version):
        self.status = status
        self.fields = fields
        self.content = content
        self.version = version

    def values(self, name):
        return [value for found, value in self.fields if found == name]

    def __repr__(self):
        return f"{self.status} {self.fields} {self.content[:200]!r}"


def connect(port, timeout=10):
    peer = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def read_all(peer, seconds=10):
    """Everything until the end of the connection; a reset counts as the end."""
    data = bytearray()
    deadline = time.monotonic() + seconds
    while True:
        peer.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            piece = peer.recv(262_144)
        except ConnectionResetError:
            return bytes(data)
        if not piece:
            return bytes(data)
        data += piece


def send_pieces(peer, data, cuts=()):
    """Sends `data` in pieces; an end by the other side in the middle is not an error of the sender."""
    start = 0
    try:
        for cut in [*sorted(cuts), len(data)]:
            if cut > start:
                peer.sendall(data[start:cut])
                start = cut
                if start < len(data):
                    time.sleep(0.0005)
    except (BrokenPipeError, ConnectionResetError):
        return


def read_answers(data, methods=(), is_ended=True):
    """The answers in `data`, read by h11 as a client that sent `methods`.

    Raises h11.RemoteProtocolError for bytes that are no answer, and for one that is cut short.
    """
    found = []
    while data:
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        response, content = None, b""
        while True:
            event = client.next_event()
            if isinstance(event, h11.InformationalResponse):
                continue
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                found.append(Answer(
                    response.status_code, [(bytes(name), bytes(value)) for name, value in response.headers], content,
                    bytes(response.http_version)))
                data = bytes(client.trailing_data[0])
                break
            elif event is h11.NEED_DATA:
                if not is_ended:
                    return found
                if response is None and client.trailing_data[0] == b"":
                    # Told to go on, the client left.
                    return found
                client.receive_data(b"")
            else:
                raise h11.RemoteProtocolError(f"unexpected {event!r} with {data[:200]!r}")
    return found


def exchange(port, data, methods=(), cuts=(), half_close=True, seconds=10):
    """Sends `data`, ends the sending side, and gives the answers and the raw bytes that came."""
    with connect(port) as peer:
        send_pieces(peer, data, cuts)
        if half_close:
            try:
                peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        raw = read_all(peer, seconds)
    return read_answers(raw, methods), raw


def request(method, target, fields=(), content=b"", token="demo", host="compute.example:8774"):
    """A well-formed request."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: " + host.encode()]
    if token:
        lines.append(b"X-Auth-Token: " + token.encode())
    for name, value in fields:
        lines.append((name if isinstance(name, bytes) else name.encode()) + b": "
                     + (value if isinstance(value, bytes) else value.encode()))
    if content:
        lines.append(b"Content-Length: " + str(len(content)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + content
