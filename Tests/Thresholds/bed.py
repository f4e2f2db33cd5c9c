"""The gateway as it is counted: one loop, every stage on, and an upstream of the same bytes each time."""

import contextlib
import socket
import threading

import client
import harness

TOKENS = 64
PROJECT = harness.DEMO
LIST = "/v2.1/servers?limit=20"
SECOND = "127.0.0.2"
KEY = bytes(range(64))
# Rates that no count reaches: what is counted is the charging.
RULES = [
    {"name": "all", "per": "address", "rate": "1000000/s", "burst": 1_000_000},
    {"name": "reads", "operations": ["GET"], "per": ["project", "user"], "rate": "1000000/s",
     "burst": 1_000_000, "hit_cost": 0.1},
    {"name": "lists", "operations": ["class:list"], "per": "project", "at_once": 1000},
]


def tokens():
    """Tokens of one project, each of a user of its own, as long as Keystone's Fernet ones are."""
    return [harness.token(f"{number:02d}" + "gAAAAAB" * 25, PROJECT) for number in range(TOKENS)]


def settings(directory, upstream):
    """What is laid over the harness's settings: everything on that costs a request something."""
    key = directory / "audit.key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    pair = {name: str(client.CERTIFICATES / f"localhost-ecdsa.{end}")
            for name, end in (("certificate", "crt"), ("private_key", "key"))}
    return {
        "workers": 1,
        "listeners": [
            {"address": f"{harness.LOOPBACK}:0"}, {"address": f"{SECOND}:0", "tls": pair}],
        "identity": {"static": {"tokens": tokens()}},
        "limits": {"rules": RULES},
        "cache": {"lists": {"fresh": "1h"}},
        "audit": {
            "sinks": [{"file": {"path": str(directory / "audit.jsonl")}}], "durability": "written",
            "key": str(key)},
    }


class CannedUpstream:
    """Answers each target that it knows with the bytes it was given for it, on any number of connections."""

    def __init__(self, answers):
        self.answers = answers
        self.listener = socket.create_server((harness.LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"http://{harness.LOOPBACK}:{self.port}"

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        pending = b""
        with contextlib.suppress(OSError), connection:
            while received := connection.recv(65_536):
                pending += received
                while b"\r\n\r\n" in pending:
                    head, _, pending = pending.partition(b"\r\n\r\n")
                    connection.sendall(self.answers[head.split(b" ")[1].decode()])

    def close(self):
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def recorded(simulator, path):
    """The bytes that the stand-in of Nova answers to one request, with the length of its content told."""
    status, fields, content = harness.ask(simulator.ports["nova"], "GET", path)
    assert status == 200, (path, status, content)
    kept = [f"{name}: {value}" for name, value in fields.items()
            if name.lower() not in ("content-length", "connection", "transfer-encoding")]
    lines = ["HTTP/1.1 200 OK", *kept, f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content, content


@contextlib.contextmanager
def canned(directory):
    """An upstream with a list of servers and one of them, from the simulator; and the path of that one."""
    with harness.Simulator(directory, "--servers", "25") as simulator:
        listed, content = recorded(simulator, LIST)
        server = f"/v2.1/servers/{harness.json.loads(content)['servers'][0]['id']}"
        shown, _ = recorded(simulator, server)
    upstream = CannedUpstream({LIST: listed, server: shown})
    try:
        yield upstream, server
    finally:
        upstream.close()
