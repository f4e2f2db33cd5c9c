"""A receiver of syslog messages over TCP (RFC 6587 §3.4.1) that comes and goes as a test wants it."""

import contextlib
import json
import re
import socket
import struct
import threading

import harness

MESSAGE = re.compile(rb"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) audit (-|(?:\[.*?[^\\]\])+) (\{.*\})\Z", re.DOTALL)


class Receiver:
    """Keeps the events of each message it has read to its connection's end, by their ids, in the order of their coming."""

    def __init__(self):
        self.lock, self.events, self.writers = threading.Lock(), [], {}
        # Cleared, it reads and never ends a connection.
        self.answers = threading.Event()
        self.answers.set()
        self.connections, self.errors = set(), []
        self.listener = None
        self.reservation, self.port = harness.reserve_port()
        self.open()

    def open(self):
        self.listener = socket.create_server((harness.LOOPBACK, self.port), reuse_port=True)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Goes away, and resets what is connected."""
        # Whoever waits in accept has the socket too.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RD)

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection, listener), daemon=True).start()

    def serve(self, connection, listener):
        content = b""
        try:
            while piece := connection.recv(1 << 16):
                content += piece
            # One that went away has confirmed nothing, whatever it has read.
            if listener.fileno() < 0:
                return
            self.take(content)
            self.answers.wait(60)
        except OSError:
            return
        except Exception as error:
            self.errors.append(repr(error))
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def take(self, content):
        found = []
        while content:
            size, _, rest = content.partition(b" ")
            # A gateway that was killed may have ended inside a message.
            if not size.isdigit() or len(rest) < int(size):
                break
            message, content = rest[:int(size)], rest[int(size):]
            match = MESSAGE.match(message)
            if not match:
                raise ValueError(f"no message: {message[:200]!r}")
            found.append((match[5].decode(), json.loads(match[7])["id"]))
        with self.lock:
            for writer, name in found:
                self.events.append(name)
                self.writers.setdefault(writer, []).append(name)

    def count(self):
        with self.lock:
            return len(set(self.events))

    def repeated(self):
        with self.lock:
            return len(self.events) - len(set(self.events))

    def problems(self, trail):
        """What of a trail's events has not arrived, or not in the order of its writer."""
        with self.lock:
            problems = list(self.errors)
            expected = {}
            for line in trail.lines:
                if line.kind == "event":
                    expected.setdefault(line.record["writer"], []).append(line.record["event"]["id"])
            for writer, names in expected.items():
                first = list(dict.fromkeys(self.writers.get(writer, [])))
                if first != names:
                    missing = [name for name in names if name not in set(first)]
                    problems.append(f"writer {writer}: {len(names)} events, {len(missing)} missing, {missing[:3]}")
            strangers = set(self.writers) - set(expected)
            return problems + [f"writer {writer} is not in the trail" for writer in strangers]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.set()
        self.close()
        self.reservation.close()
