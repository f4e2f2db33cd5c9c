"""What all servers that are measured have in common."""

import pathlib
import re
import socket
import subprocess

import harness
import measure
from place import CERTIFICATE, HTTP2, KEY, PLAIN, TLS

CURL = harness.find_program("curl")
VERSION = r"\b(\d+\.\d+[\w.+~-]*)"
VERSIONS = {PLAIN: "--http1.1", TLS: "--http1.1", HTTP2: "--http2"}


def fill(template, **values):
    """A configuration with each `@name@` replaced."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template


class Server(harness.Process):
    """A server with a port for plain connections and one for TLS, pinned to the core that is measured."""

    # Of the table; a variant of a peer has its own.
    label = name = None
    program = None
    transports = (PLAIN, TLS, HTTP2)
    # Whether it can answer from a store, as is asked of it in a work of hits.
    is_store = True
    # How it tells its version.
    version_arguments = ("-v",)

    def __init__(self, place, work):
        self.name = self.name or self.label
        super().__init__(place.make(f"{work.name}-{type(self).__name__}"))
        self.place, self.work = place, work
        self.holders = []
        self.addresses = {}
        # What the last load over HTTP/2 counted; set by it.
        self.pace = None
        try:
            self.start()
            for transport in self.transports:
                harness.wait_until(
                    lambda: self.answers(transport), 30, lambda: f"{self.label} answers: {self.errors()[-3000:]}")
        except BaseException:
            self.abandon()
            raise

    def start(self):
        """Writes the configuration and spawns."""
        raise NotImplementedError

    def hold_ports(self):
        """Ports of the kernel's choice for both listeners; held until the end, so that nobody else gets them."""
        for names in ((PLAIN,), (TLS, HTTP2)):
            holder, port = harness.reserve_port()
            # Some peers bind with this option alone.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.holders.append(holder)
            for name in names:
                self.addresses[name] = (harness.LOOPBACK, port)

    @property
    def plain_port(self):
        return self.addresses[PLAIN][1]

    @property
    def tls_port(self):
        return self.addresses[TLS][1]

    def settings(self, **more):
        """What configurations are filled with."""
        return {
            "directory": self.directory, "plain": self.plain_port, "tls": self.tls_port, "certificate": CERTIFICATE,
            "key": KEY, "nova": self.place.upstream.port, "storable": self.place.upstream.storable_port, **more}

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def launch(self, *arguments, environment=None):
        self.spawn([*self.place.on_server_core, *arguments], environment)

    def url(self, transport):
        host, port = self.addresses[transport]
        return f"{'http' if transport == PLAIN else 'https'}://{host}:{port}{self.work.path}"

    def ask(self, transport):
        """One request of the work by curl: status, version, content as it came."""
        fields = [part for name, value in self.work.fields() for part in ("-H", f"{name}: {value}")]
        path = self.directory / "content"
        done = subprocess.run(
            [CURL, "-sk", "-m", "20", VERSIONS[transport], "-o", path, "-w", "%{http_code} %{http_version}", *fields,
             self.url(transport)], capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            return None
        status, version = done.stdout.split()
        return int(status), version, path.read_bytes()

    def answers(self, transport):
        self.assert_alive()
        return self.ask(transport) is not None

    def processes(self):
        """What was spawned; each may have children."""
        return [self]

    def pids(self):
        return [pid for one in self.processes() for pid in measure.family(one.pid)]

    def before_round(self):
        """What has to be noted outside of the time that is measured."""
        self.asked = self.place.upstream.request_count()

    def after_round(self, count):
        """Asserts that the answers of a round, `count` of them, came from where they should; what else there is to tell."""
        asked = self.place.upstream.request_count() - self.asked - 1
        if self.work.kind == "pass" or not self.is_store:
            assert asked >= count, f"{self.label}: {asked} requests came upstream for {count} answers"
        else:
            # A token may be asked for again.
            assert asked <= self.work.token_count, f"{self.label}: {asked} requests came upstream for {count} answers"
        return {}

    def end(self):
        for one in reversed(self.processes()):
            one.terminate()
        for holder in self.holders:
            holder.close()

    @classmethod
    def version(cls):
        return cls.program and version_of(cls.program, *cls.version_arguments)


def version_of(program, *arguments):
    """A program's name, and the first thing in what it says of its version that looks like one."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return f"{pathlib.Path(program).name} {re.search(VERSION, done.stdout + done.stderr)[1]}"
