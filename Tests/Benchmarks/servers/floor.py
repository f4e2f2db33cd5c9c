"""The floor of the machine: C programs that do nothing but the calls for sockets, in plain HTTP/1.1."""

import socket

import harness
from place import PLAIN
from servers.server import Server


def exchange(address, work):
    """The bytes of one answer as they come, head and content."""
    request = work.request(address)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, content = received.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(content) < length:
            content += connection.recv(65536)
        return head + b"\r\n\r\n" + content


class Floor(Server):
    transports = (PLAIN,)

    def path(self):
        return self.place.directory / "floor" / self.name


class Answerer(Floor):
    """Sends the bytes that Gatehouse sends for the same request."""

    label, name = "bare answerer", "answerer"

    def start(self):
        self.hold_ports()
        path = self.directory / "answer"
        path.write_bytes(exchange(self.work.gatehouse.addresses[PLAIN], self.work))
        self.launch(self.path(), self.plain_port, path)


class Relay(Floor):
    """Carries the canned upstream's answers, whose size it is told."""

    label, name = "bare relay", "relay"

    def start(self):
        self.hold_ports()
        upstream = self.place.upstream.port
        answer = exchange((harness.LOOPBACK, upstream), self.work)
        self.launch(self.path(), self.plain_port, upstream, len(answer))
