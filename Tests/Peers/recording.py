"""An upstream that keeps every byte that arrives, and two independent readers of what was kept.

Neither reader is ours: `h11` is a pure Python state machine, `httptools` is Node's llhttp in its strict form.
"""

import socket
import threading

import h11
import httptools


class Message:
    """A request as one reader understood it."""

    def __init__(self, method, target, version, fields, content):
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.content = content

    def values(self, name):
        return [value for found, value in self.fields if found == name]

    def __eq__(self, other):
        return (self.method, self.target, self.version, self.fields, self.content) == (
            other.method, other.target, other.version, other.fields, other.content)

    def __repr__(self):
        return f"{self.method} {self.target} {self.version} {self.fields} {self.content[:80]!r}({len(self.content)})"


def read_with_h11(data):
    """The whole requests at the front of `data`, and why h11 stopped there; None when nothing is left over."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    found = []
    request, content = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, content = event, b""
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                fields = [(bytes(name), bytes(value)) for name, value in request.headers]
                fields += [(bytes(name), bytes(value)) for name, value in event.headers]
                found.append(Message(
                    bytes(request.method), bytes(request.target), bytes(request.http_version), fields, content))
                request = None
                if request_closes(fields, found[-1].version):
                    left = connection.trailing_data[0]
                    return found, "bytes after the last message" if left else None
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return found, "h11 will not go on"
                connection.start_next_cycle()
            elif event is h11.NEED_DATA:
                break
            else:
                return found, f"unexpected {event!r}"
    except h11.ProtocolError as error:
        return found, str(error)
    if request is not None or connection.trailing_data[0]:
        return found, "the last message is cut short"
    return found, None


def request_closes(fields, version):
    """Whether no further request may follow on the connection (RFC 9112 §9.3)."""
    options = [
        word.strip().lower() for name, value in fields if name == b"connection" for word in value.split(b",")]
    return b"close" in options or (version == b"1.0" and b"keep-alive" not in options)


class _Collector:
    def __init__(self):
        self.found = []
        self.parser = None
        self.is_whole = True

    def on_message_begin(self):
        self.target, self.fields, self.content, self.is_whole = b"", [], b"", False

    def on_url(self, target):
        self.target += target

    def on_header(self, name, value):
        self.fields.append((name.lower(), (value or b"").strip(b" \t")))

    def on_body(self, content):
        self.content += content

    def on_message_complete(self):
        self.is_whole = True
        self.found.append(Message(
            self.parser.get_method(), self.target, self.parser.get_http_version().encode(), self.fields, self.content))


def read_with_httptools(data):
    """The whole requests at the front of `data`, and why httptools stopped there; None when nothing is left over."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    collector.parser = parser
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as error:
        return collector.found, f"upgrade at {error}"
    except httptools.HttpParserError as error:
        return collector.found, str(error)
    return collector.found, None if collector.is_whole else "the last message is cut short"


class RecordingUpstream:
    """Answers every request with 200 and a Content-Length, and keeps what arrived, connection by connection.

    `answer(message)` gives status, fields and content for a message; by default an empty JSON object.
    """

    def __init__(self, answer=None):
        self.answer = answer or (lambda message: (200, [], b"{}"))
        self.connections = []
        self.messages = []
        self.refusals = []
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.is_ending = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self):
        while not self.is_ending:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept = bytearray()
        with self.lock:
            self.connections.append(kept)
        reader = h11.Connection(h11.SERVER)
        request, content = None, b""
        try:
            with peer:
                while True:
                    event = reader.next_event()
                    if event is h11.NEED_DATA:
                        data = peer.recv(65_536)
                        kept += data
                        reader.receive_data(data)
                    elif isinstance(event, h11.Request):
                        request, content = event, b""
                    elif isinstance(event, h11.Data):
                        content += bytes(event.data)
                    elif isinstance(event, h11.EndOfMessage):
                        message = Message(
                            bytes(request.method), bytes(request.target), bytes(request.http_version),
                            [(bytes(name), bytes(value)) for name, value in request.headers], content)
                        with self.lock:
                            self.messages.append(message)
                        self._send(peer, reader, message)
                        if reader.our_state is h11.MUST_CLOSE:
                            return
                        reader.start_next_cycle()
                    else:
                        return
        except h11.RemoteProtocolError as error:
            # A request cut short by an end of the connection is allowed: the client left in its middle.
            if b"closed" not in str(error).encode():
                with self.lock:
                    self.refusals.append((str(error), bytes(kept)))
        except OSError:
            pass

    def _send(self, peer, reader, message):
        status, fields, content = self.answer(message)
        head = h11.Response(
            status_code=status,
            headers=[("Content-Type", "application/json"), ("Content-Length", str(len(content))), *fields])
        data = reader.send(head)
        if message.method != b"HEAD":
            data += reader.send(h11.Data(data=content))
        data += reader.send(h11.EndOfMessage())
        peer.sendall(data)

    def close(self):
        self.is_ending = True
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
