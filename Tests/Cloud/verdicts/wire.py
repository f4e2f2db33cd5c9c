"""One request on a connection of its own, byte by byte as it is written down, and the answer as it came."""

import dataclasses
import socket
import time

from . import request as requests

HOST = "cloud.example:8774"


@dataclasses.dataclass
class Answer:
    """`status` is None when the connection ended without an answer."""

    status: int | None
    fields: list
    content: bytes

    def value(self, name):
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        return found[0] if found else None


def encode(request, ids, tokens):
    """The bytes of `request`; the same Host for whoever receives them, so that links in answers are the same."""
    target = requests.fill(request.target, ids)
    form = request.form
    if form.get("target") == "absolute":
        target = f"http://{HOST}{target}"
    elif "target" in form:
        target = form["target"] + target
    lines = [f"{request.method} {target} HTTP/{form.get('version', '1.1')}"]
    names = {name.lower() for name, _ in request.fields}
    if form.get("host", True) and "host" not in names:
        lines.append(f"Host: {HOST}")
    if request.who is not None:
        lines.append(f"X-Auth-Token: {tokens[request.who]}")
    if request.version_field is not None:
        lines.append(f"OpenStack-API-Version: {request.version_field}")
    for name, value in request.fields:
        value = requests.TOKEN.sub(lambda match: tokens.get(match[1], match[0]), value)
        lines.append(f"{name}: {requests.fill(value, ids)}")
    content = None
    if request.content is not None:
        content = requests.fill(request.content, ids).encode("latin-1")
        if request.type is not None and "content-type" not in names:
            lines.append(f"Content-Type: {request.type}")
        if form.get("chunked"):
            lines.append("Transfer-Encoding: chunked")
        if "length" in form or not form.get("chunked"):
            lines.append(f"Content-Length: {form.get('length', len(content))}")
        if "second_length" in form:
            lines.append(f"Content-Length: {form['second_length']}")
        if form.get("chunked"):
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
    if "connection" not in names:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (content or b"")


def ask(port, data, method, timeout=60):
    """Sends `data` to `port` and reads one answer; interim answers are skipped."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            peer.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # It answered, and ended, before it had everything: the answer may be there all the same.
            pass
        return read_answer(peer, method, timeout)


def read_answer(peer, method, timeout):
    received = bytearray()
    deadline = time.monotonic() + timeout

    def more():
        peer.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            piece = peer.recv(262_144)
        except ConnectionResetError:
            piece = b""
        received.extend(piece)
        return bool(piece)

    while True:
        while b"\r\n\r\n" not in received:
            if not more():
                return Answer(None, [], bytes(received))
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        if status >= 200:
            break
        received[:] = rest
    fields = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines[1:]]
    answer = Answer(status, fields, b"")
    start = len(head) + 4
    if method == "HEAD" or status in (204, 304):
        return answer
    length = answer.value("Content-Length")
    if length is not None:
        while len(received) - start < int(length) and more():
            pass
        answer.content = bytes(received[start:start + int(length)])
    else:
        while more():
            pass
        answer.content = bytes(received[start:])
        if (answer.value("Transfer-Encoding") or "").lower() == "chunked":
            answer.content = dechunk(answer.content)
    return answer


def dechunk(data):
    content = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        content += data[:size]
        data = data[size + 2:]
    return content
