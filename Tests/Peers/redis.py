"""Redis, Sentinel and clusters of the real redis-server, each on ports of its own; and a client that asks them."""

import os
import signal
import socket
import ssl
import time

import harness

SERVER = harness.find_program("redis-server")
MISSING = "redis-server is not installed: deploy/packages --test"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
CA = CERTIFICATES / "ca.crt"
PREFIX = "{gatehouse}"


class RedisError(Exception):
    """An error reply."""


def free_port():
    """A port that nobody has now; redis-server takes no port 0, and shares none."""
    with socket.socket() as holder:
        holder.bind((harness.LOOPBACK, 0))
        return holder.getsockname()[1]


class Client:
    """One connection; replies as Python has them (RESP 2)."""

    def __init__(self, port, password=None, tls=False):
        raw = socket.create_connection((harness.LOOPBACK, port), timeout=10)
        if tls:
            raw = ssl.create_default_context(cafile=CA).wrap_socket(raw, server_hostname="localhost")
        self.socket, self.file = raw, raw.makefile("rb")
        if password:
            self("AUTH", password)

    def __call__(self, *arguments):
        parts = [str(argument).encode() for argument in arguments]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        return [self.reply() for _ in range(int(rest))]

    def info(self, section):
        """A section of INFO; values that are themselves lists as text."""
        lines = self("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self):
        self.file.close()
        self.socket.close()


class Redis(harness.Process):
    """One redis-server; ends with SIGKILL, since it has nothing to keep."""

    name = "redis"

    def __init__(self, directory, *options, password=None, tls=False):
        super().__init__(directory)
        assert SERVER, MISSING
        self.options, self.password, self.tls = options, password, tls
        self.port = None
        self.is_stopped = False
        self.start()

    def arguments(self):
        port = ["--port", 0, "--tls-port", self.port] if self.tls else ["--port", self.port]
        if self.tls:
            port += [
                "--tls-cert-file", CERTIFICATES / "localhost-ecdsa.crt", "--tls-key-file",
                CERTIFICATES / "localhost-ecdsa.key", "--tls-ca-cert-file", CA, "--tls-auth-clients", "no"]
        if self.password:
            port += ["--requirepass", self.password]
        return [
            SERVER, *port, "--bind", harness.LOOPBACK, "--save", "", "--appendonly", "no", "--dir", self.directory,
            *self.options]

    def start(self):
        """Starts it, the second time on the port that it had."""
        for _ in range(20):
            self.port = self.port or free_port()
            self.spawn(self.arguments())
            if harness.wait_until(lambda: self.state(), 20, "redis-server is ready") == "ready":
                return self
            assert "Address already in use" in self.log(), self.log()[-2000:]
            # Somebody was quicker.
            self.port = None
        raise AssertionError("no port for redis-server")

    def state(self):
        if self.child.poll() is not None:
            return "ended"
        return "ready" if "Ready to accept connections" in self.log() or "Sentinel ID is" in self.log() else None

    def log(self):
        return self.output_path.read_text(errors="replace")

    @property
    def url(self):
        return f"{'rediss' if self.tls else 'redis'}://localhost:{self.port}"

    def client(self):
        return Client(self.port, self.password, self.tls)

    def ask(self, *arguments):
        client = self.client()
        try:
            return client(*arguments)
        finally:
            client.close()

    def role(self):
        """What it says to ROLE; nothing when a Sentinel just changes that, which ends every connection."""
        try:
            return self.ask("ROLE")
        except ConnectionError:
            return [None]

    def is_master(self):
        return self.role()[0] == "master"

    def follows(self):
        """Whether it is a replica that has its master's data and gets what is new."""
        role = self.role()
        return role[0] == "slave" and role[3] == "connected"

    def calls(self, command):
        """How often a command was run, scripts' own calls among them."""
        client = self.client()
        try:
            line = client.info("commandstats").get(f"cmdstat_{command}", "calls=0,")
            return int(line.split("calls=")[1].split(",")[0])
        finally:
            client.close()

    def errors_of(self, prefix):
        """How many error replies began with a word."""
        client = self.client()
        try:
            return int(client.info("errorstats").get(f"errorstat_{prefix}", "count=0").split("=")[1])
        finally:
            client.close()

    def stop_running(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.is_stopped = True

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)
        self.is_stopped = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.child.poll() is None:
            if kind is not None:
                print(self.log()[-2000:])
            self.kill()


class Sentinel(Redis):
    """A Sentinel that alone decides when `master` is down."""

    name = "sentinel"

    def __init__(self, directory, master):
        self.master = master
        super().__init__(directory)

    def arguments(self):
        # It writes what it learns into its own file.
        path = self.directory / "sentinel.conf"
        path.write_text(
            f"bind {harness.LOOPBACK}\nport {self.port}\ndir {self.directory}\n"
            f"sentinel monitor mymaster {harness.LOOPBACK} {self.master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 300\nsentinel failover-timeout mymaster 3000\n")
        return [SERVER, path, "--sentinel"]


class Cluster:
    """Three masters; every slot is somebody's."""

    def __init__(self, directory):
        self.nodes = []
        for index in range(3):
            bus = free_port()
            self.nodes.append(Redis(
                directory / f"node-{index}", "--cluster-enabled", "yes", "--cluster-port", bus,
                "--cluster-node-timeout", 2_000))
            self.nodes[-1].bus = bus
        bounds = [0, 5461, 10923, 16384]
        for node, low, high in zip(self.nodes, bounds, bounds[1:]):
            node.ask("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", self.nodes.index(node) + 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", harness.LOOPBACK, node.port, node.bus)
        harness.wait_until(
            lambda: all("cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.nodes)
            and all(len(node.ask("CLUSTER", "NODES").splitlines()) == 3 for node in self.nodes), 30, "the cluster is whole")
        self.slot = self.nodes[0].ask("CLUSTER", "KEYSLOT", PREFIX)

    def owner(self):
        """The node that has the slot of all limits."""
        return next(node for node in self.nodes if self.slot in self.slots(node))

    def slots(self, node):
        own = next(line for line in node.ask("CLUSTER", "NODES").splitlines() if "myself" in line)
        found = set()
        for part in own.split()[8:]:
            if not part.startswith("["):
                low, _, high = part.partition("-")
                found.update(range(int(low), int(high or low) + 1))
        return found

    def begin_move(self, source, target):
        names = {node: node.ask("CLUSTER", "MYID") for node in (source, target)}
        target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", names[source])
        source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", names[target])

    def end_move(self, source, target):
        """Moves the keys, then the slot itself; everybody is told."""
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 50):
            source.ask("MIGRATE", harness.LOOPBACK, target.port, "", 0, 5_000, "REPLACE", "KEYS", *keys)
        name = target.ask("CLUSTER", "MYID")
        for node in [target, source, *self.nodes]:
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", name)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        for node in self.nodes:
            node.__exit__(*why)


def wait_for_seconds(seconds):
    """Lets load run for a while; the time is what is measured."""
    end = time.monotonic() + seconds
    harness.wait_until(lambda: time.monotonic() > end, seconds + 5, "time passes")
