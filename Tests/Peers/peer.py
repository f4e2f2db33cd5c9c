"""A client's end of an HTTP/2 connection that judges every frame it is sent.

Nothing here is read or written by the library that the gateway uses; field blocks are read by the package `hpack`.
"""

import socket
import ssl
import struct
import time

import hpack

from frames import (
    ACK, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FRAME_BYTES, GOAWAY, HEADER_TABLE_SIZE, HEADERS,
    INITIAL_WINDOW_SIZE, LARGEST_WINDOW, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIORITIZED, RST_STREAM, SETTINGS, WINDOW,
    WINDOW_UPDATE, Frame, code_name, ping, settings, window_update)

CONNECTION_SPECIFIC = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


class Answer:
    """What has come on one stream."""

    def __init__(self):
        self.interim, self.fields, self.content, self.trailers = [], None, bytearray(), None
        self.is_ended, self.reset = False, None

    @property
    def status(self):
        return None if self.fields is None else int(dict(self.fields)[b":status"])

    def values(self, name):
        return [value for found, value in self.fields or [] if found == name]

    def __repr__(self):
        ending = f"reset with {code_name(self.reset)}" if self.reset is not None else "ended" if self.is_ended else "open"
        return f"{self.status} with {len(self.content)} bytes, {ending}"


def tls_context(authority, protocols=("h2",)):
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    context.set_alpn_protocols(list(protocols))
    return context


class Peer:
    """A client's end of one connection: sends what it is told, reads frames and notes every wrong one in `wrong`.

    It acknowledges SETTINGS and PING by itself and gives windows back only when `gives_back` is set.
    """

    def __init__(self, port, context=None, seconds=5.0, gives_back=False, receive_buffer=None,
                 host="127.0.0.1"):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost", suppress_ragged_eofs=True)
        self.seconds, self.gives_back = seconds, gives_back
        self.input, self.frames, self.wrong, self.raw_start = bytearray(), [], [], b""
        self.is_ended = self.was_reset = False
        self.decoder = hpack.Decoder(max_header_list_size=1 << 20)
        self.open_block = None
        self.answers, self.opened, self.largest = {}, set(), 0
        # What the server announced, what it may still send, and our SETTINGS that it has not acknowledged.
        self.settings, self.is_settled = {}, False
        self.window, self.windows, self.initial_window = WINDOW, {}, WINDOW
        self.unacknowledged, self.frame_bytes = [], FRAME_BYTES
        self.acknowledged, self.pongs, self.going_away = 0, [], None

    def start(self, *pairs):
        """The connection preface with SETTINGS; returns once the server's have come and ours are acknowledged."""
        self.send(PREFACE + settings(*pairs))
        self.until(lambda: self.is_settled and self.acknowledged >= 1, "both SETTINGS and the acknowledgement")
        return self

    # Sending

    def send(self, written):
        """Sends bytes, and keeps track of those of its frames that change what the server may do."""
        self.note(written)
        self.socket.settimeout(self.seconds)
        try:
            self.socket.sendall(written)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            # What the server said before it left is read by whoever waits for it.
            pass

    def note(self, written):
        place = len(PREFACE) if written.startswith(PREFACE) else 0
        while place + 9 <= len(written):
            length = int.from_bytes(written[place:place + 3], "big")
            kind, flags, stream = struct.unpack(">BBI", written[place + 3:place + 9])
            payload, stream = written[place + 9:place + 9 + length], stream & LARGEST_WINDOW
            place += 9 + length
            if kind == HEADERS and stream:
                self.opened.add(stream)
                self.largest = max(self.largest, stream)
            elif kind == SETTINGS and not flags & ACK and length % 6 == 0:
                self.announce([struct.unpack(">HI", payload[at:at + 6]) for at in range(0, length, 6)])
            elif kind == WINDOW_UPDATE and length == 4:
                increment = int.from_bytes(payload, "big")
                if stream == 0:
                    self.window += increment
                else:
                    self.windows[stream] = self.windows.get(stream, 0) + increment

    def announce(self, pairs):
        changes = dict(pairs)
        self.unacknowledged.append(changes)
        # A larger value holds from now on, a smaller one only once the server says so.
        self.initial_window = max(self.initial_window, changes.get(INITIAL_WINDOW_SIZE, 0))
        self.frame_bytes = max(self.frame_bytes, changes.get(MAX_FRAME_SIZE, 0))
        if changes.get(HEADER_TABLE_SIZE, 0) > self.decoder.max_allowed_table_size:
            self.decoder.max_allowed_table_size = changes[HEADER_TABLE_SIZE]

    def settle(self):
        self.acknowledged += 1
        if not self.unacknowledged:
            self.blame("an acknowledgement of SETTINGS that were never sent")
            return
        changes = self.unacknowledged.pop(0)
        pending = [later.get(INITIAL_WINDOW_SIZE) for later in self.unacknowledged]
        if INITIAL_WINDOW_SIZE in changes:
            self.initial_window = max([changes[INITIAL_WINDOW_SIZE], *[size for size in pending if size is not None]])
        if HEADER_TABLE_SIZE in changes:
            self.decoder.max_allowed_table_size = changes[HEADER_TABLE_SIZE]

    # Receiving

    def blame(self, what):
        self.wrong.append(what)

    def read(self, seconds=None):
        """The next frame, None at the end of the connection; TimeoutError when nothing comes."""
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        while True:
            if len(self.input) >= 9:
                length = int.from_bytes(self.input[:3], "big")
                if length > self.frame_bytes:
                    raise AssertionError(f"not a frame of HTTP/2, or too large: {bytes(self.input[:60])!r}")
                if len(self.input) >= 9 + length:
                    kind, flags, stream = struct.unpack(">BBI", self.input[3:9])
                    found = Frame(kind, flags, stream & LARGEST_WINDOW, bytes(self.input[9:9 + length]))
                    del self.input[:9 + length]
                    self.judge(found, stream >> 31)
                    return found
            if self.is_ended:
                return None
            self.receive(deadline)

    def receive(self, deadline):
        # Past the deadline it still takes what is there.
        self.socket.settimeout(max(0, deadline - time.monotonic()))
        try:
            piece = self.socket.recv(262_144)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            raise TimeoutError(f"nothing more; before that: {self.frames[-12:]}") from None
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset, piece = True, b""
        except ssl.SSLError as error:
            self.blame(f"the end of TLS: {error}")
            piece = b""
        if not piece:
            self.is_ended = True
        if len(self.raw_start) < 64:
            self.raw_start += piece[:64]
        self.input += piece

    def judge(self, found, reserved):
        """Notes what a server must not send (RFC 9113), and keeps what it sent."""
        if not self.frames and (found.kind != SETTINGS or found.flags & ACK):
            self.blame("§3.4: the first frame is not SETTINGS")
        self.frames.append(found)
        if reserved:
            self.blame("§4.1: the reserved bit is set")
        if self.open_block and (found.kind != CONTINUATION or found.stream != self.open_block[0]):
            self.blame("§6.10: a frame inside a field block")
        judge = self.JUDGES.get(found.kind)
        if judge:
            judge(self, found)
        else:
            self.blame(f"a frame that nobody asked for: {found}")

    def judge_settings(self, found):
        if found.stream or len(found.payload) % 6 or found.flags & ACK and found.payload:
            self.blame(f"§6.5: {found}")
        if found.flags & ACK:
            self.settle()
            return
        for place in range(0, len(found.payload) - 5, 6):
            name, value = struct.unpack(">HI", found.payload[place:place + 6])
            self.settings[name] = value
        if self.settings.get(ENABLE_PUSH) or self.settings.get(INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW or not (
                FRAME_BYTES <= self.settings.get(MAX_FRAME_SIZE, FRAME_BYTES) < 1 << 24):
            self.blame(f"§6.5.2: {self.settings}")
        self.is_settled = True
        self.send(settings(flags=ACK))

    def judge_ping(self, found):
        if found.stream or len(found.payload) != 8:
            self.blame(f"§6.7: {found}")
        if found.flags & ACK:
            self.pongs.append(found.payload)
        else:
            self.send(ping(found.payload, ACK))

    def judge_goaway(self, found):
        last, code = struct.unpack(">II", found.payload[:8])
        if found.stream or self.going_away and last > self.going_away[0]:
            self.blame(f"§6.8: {found}")
        if last not in (LARGEST_WINDOW,) and last > self.largest:
            self.blame(f"§6.8: a last stream {last} that was never opened")
        self.going_away = (last, code)

    def judge_window_update(self, found):
        if len(found.payload) != 4 or not int.from_bytes(found.payload, "big"):
            self.blame(f"§6.9: {found}")
        self.check_stream(found)

    def judge_rst_stream(self, found):
        if len(found.payload) != 4 or found.stream not in self.opened:
            self.blame(f"§6.4: {found}")
        answer = self.answers.setdefault(found.stream, Answer())
        answer.reset = int.from_bytes(found.payload, "big")

    def check_stream(self, found):
        answer = self.answers.get(found.stream)
        if found.stream and found.stream not in self.opened:
            self.blame(f"§5.1: on an idle stream: {found}")
        elif answer and answer.reset is not None:
            self.blame(f"§5.1: after RST_STREAM: {found}")
        elif answer and answer.is_ended and found.kind != WINDOW_UPDATE:
            self.blame(f"§5.1: after END_STREAM: {found}")

    def judge_headers(self, found):
        self.check_stream(found)
        content = found.payload
        if found.flags & PADDED:
            content = content[1:len(content) - content[0]]
        if found.flags & PRIORITIZED:
            content = content[5:]
        self.open_block = (found.stream, found.flags & END_STREAM, bytearray(content))
        if found.flags & END_HEADERS:
            self.close_block()

    def judge_continuation(self, found):
        if not self.open_block:
            self.blame("§6.10: CONTINUATION without HEADERS")
            return
        self.open_block[2].extend(found.payload)
        if found.flags & END_HEADERS:
            self.close_block()

    def close_block(self):
        stream, is_end, content = self.open_block
        self.open_block = None
        fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(bytes(content), raw=True)]
        answer = self.answers.setdefault(stream, Answer())
        names = [name for name, _ in fields]
        if any(name != name.lower() or name in CONNECTION_SPECIFIC for name in names) or any(
                value != value.strip(b" \t") or set(value) & {0, 10, 13} for _, value in fields):
            self.blame(f"§8.2: {fields}")
        if answer.fields is not None:
            if not is_end or any(name.startswith(b":") for name in names):
                self.blame(f"§8.1: trailers {fields}")
            answer.trailers = fields
        else:
            if names[:1] != [b":status"] or any(name.startswith(b":") for name in names[1:]):
                self.blame(f"§8.3.2: {fields}")
            status = int(dict(fields).get(b":status", b"0"))
            if 100 <= status < 200:
                answer.interim.append(fields)
                if is_end or status == 101:
                    self.blame(f"§8.6: {fields}")
            else:
                answer.fields = fields
        if is_end:
            self.end(answer)

    def judge_data(self, found):
        self.check_stream(found)
        answer = self.answers.setdefault(found.stream, Answer())
        if answer.fields is None:
            self.blame(f"§8.1: content before a head: {found}")
        content = found.payload
        if found.flags & PADDED:
            content = content[1:len(content) - content[0]]
        answer.content += content
        self.window -= len(found.payload)
        self.windows[found.stream] = self.windows.get(found.stream, 0) - len(found.payload)
        if found.payload and (self.window < 0 or self.windows[found.stream] + self.initial_window < 0):
            self.blame(f"§6.9.1: beyond a window: {found}")
        if found.flags & END_STREAM:
            self.end(answer)
        if self.gives_back and found.payload:
            more = b"" if found.flags & END_STREAM else window_update(found.stream, len(found.payload))
            self.send(more + window_update(0, len(found.payload)))

    def end(self, answer):
        answer.is_ended = True
        lengths = answer.values(b"content-length")
        if lengths and answer.content and int(lengths[0]) != len(answer.content):
            self.blame(f"§8.1.1: {lengths} and {len(answer.content)} bytes")

    JUDGES = {
        DATA: judge_data, HEADERS: judge_headers, CONTINUATION: judge_continuation, SETTINGS: judge_settings,
        PING: judge_ping, GOAWAY: judge_goaway, WINDOW_UPDATE: judge_window_update, RST_STREAM: judge_rst_stream}

    # Waiting

    def until(self, condition, what, seconds=None):
        """Reads frames until `condition()` holds."""
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        while not condition():
            if self.read(max(0, deadline - time.monotonic())) is None and not condition():
                raise AssertionError(f"the connection ended instead of {what}: {self.frames[-12:]}")

    def until_end(self, seconds=None):
        """Reads frames until the server has closed the connection."""
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        while self.read(max(0, deadline - time.monotonic())) is not None:
            pass

    def answer(self, stream, seconds=None):
        """Waits for the end of what comes on `stream`."""
        def is_over():
            found = self.answers.get(stream)
            return found and (found.is_ended or found.reset is not None)

        self.until(is_over, f"an answer on {stream}", seconds)
        return self.answers[stream]

    def pong(self, content):
        """A round trip: whatever was sent before has been read by the server when this returns."""
        self.send(ping(content))
        self.until(lambda: content in self.pongs, "an answer to PING")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
