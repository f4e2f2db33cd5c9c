"""Starts and ends the programs under test, and reads what they say of themselves.

Everything listens on 127.0.0.1 with a port that the kernel chose. Every program is ended by its own id with SIGTERM
and must then exit 0 with its counters at rest; what it wrote on standard error is shown when it does not.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(__file__).resolve().parent
COMPUTE = ROOT / "config" / "openapi" / "compute.yaml"
STREAM = PEERS / "definitions" / "stream.yaml"

DEMO = "6f70656e737461636b20342065766572"
OTHER = "b322a85578de48beba0f92acce57869b"
LOOPBACK = "127.0.0.1"


def gatehouse_path():
    return os.environ["GATEHOUSE_BIN"]


def is_release_build():
    return "release" in os.path.realpath(gatehouse_path())


def find_program(name):
    """The path of one of Debian's programs; None when it is not installed."""
    return shutil.which(name) or next(
        (str(path) for path in [pathlib.Path("/usr/sbin") / name] if path.exists()), None)


def wait_until(condition, seconds, what):
    """Waits until `condition()` is true and gives its value; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.01)


def preloaded(directory, name):
    """The environment that preloads the library of `name`.c into a program."""
    compiler = find_program("cc")
    assert compiler, "no compiler of C is installed"
    library = directory / f"{name}.so"
    source = PEERS / f"{name}.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"], check=True)
    # A sanitizer wants to be the first library, which it need not be for these.
    options = filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"])
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": ":".join(options)}


def reserve_port():
    """Holds a port without listening on it, for a program that must be named before it starts.

    The program binds it too: both sides set SO_REUSEPORT, and nobody else gets the port meanwhile.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((LOOPBACK, 0))
    return holder, holder.getsockname()[1]


def token(name, project, roles=("member", "reader"), **more):
    """A token of the settings, with a user of its own name."""
    return {
        "token": name,
        "user": {"id": "user-" + name, "name": name},
        "project": {"id": project, "name": project[:8]},
        "roles": list(roles),
        **more,
    }


def demo_tokens():
    return [
        token("demo", DEMO),
        token("demo-admin", DEMO, ("admin", "member", "reader")),
        token("other", OTHER),
    ]


def merged(base, changes):
    """`base` with `changes` laid over it, mapping by mapping."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(result[key], value) if key in result else value
    return result


class Process:
    """A child with its output in files; ended by its id."""

    name = "process"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.child = None

    def spawn(self, arguments, environment=None):
        serial = len(list(self.directory.glob(f"{self.name}-*.err")))
        self.error_path = self.directory / f"{self.name}-{serial}.err"
        self.output_path = self.directory / f"{self.name}-{serial}.out"
        with open(self.error_path, "wb") as error, open(self.output_path, "wb") as output:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=error,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.child.pid

    def errors(self):
        return self.error_path.read_text(errors="replace")

    def assert_alive(self):
        assert self.child.poll() is None, f"{self.name} ended with {self.child.returncode}\n{self.errors()[-4000:]}"

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def kill(self):
        """Ends it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self.child.wait(10)

    def terminate(self, seconds=20):
        if self.child.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM\n{self.errors()[-4000:]}")


class Simulator(Process):
    """The bundled stand-in of Nova and Keystone, with its control listener."""

    name = "simulator"

    def __init__(self, directory, *arguments):
        super().__init__(directory)
        self.arguments = arguments
        self.start()

    def start(self, port=0):
        self.spawn([
            os.environ["SIMULATOR_BIN"], "--listen", f"{LOOPBACK}:{port}", "--identity-listen", f"{LOOPBACK}:0",
            "--control-listen", f"{LOOPBACK}:0", *self.arguments])

        def ready():
            self.assert_alive()
            return self.output_path.read_text().endswith("\n")

        wait_until(ready, 30, lambda: f"the simulator is ready\n{self.errors()}")
        self.ports = json.loads(self.output_path.read_text().splitlines()[0])

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self.ports['nova']}"

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection(LOOPBACK, self.ports["control"], timeout=10)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, (answer.status, content)
            return json.loads(content) if content else None
        finally:
            connection.close()

    def add_fault(self, action, path="", count=1, **more):
        match = {"path": path, **({"method": more.pop("method")} if "method" in more else {})}
        self.control("POST", "/faults", [{"match": match, "action": action, "count": count, **more}])

    def requests(self, prefix="", listener="nova"):
        """The requests that arrived, oldest first; fields as a list of pairs."""
        return self.control("GET", f"/requests?listener={listener}&prefix={prefix}")["requests"]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.child.poll() is None:
            self.terminate()


class Gatehouse(Process):
    """The gateway in front of `upstream` (one or several), with the test's own settings laid over plain ones."""

    name = "gatehouse"
    # What its process has besides the environment of the tests.
    environment = {}

    def __init__(self, directory, upstream, settings=None, definitions=(COMPUTE,), prefix=(), port=0,
                 upstream_settings=None):
        super().__init__(directory)
        urls = [upstream] if isinstance(upstream, str) else list(upstream)
        plain = {
            "listeners": [{"address": f"{LOOPBACK}:{port}"}],
            "admin": {"address": f"{LOOPBACK}:0"},
            "workers": 2,
            "apis": [
                {"definition": str(definition), "upstream": {"endpoints": urls, **(upstream_settings or {})}}
                for definition in definitions],
            "identity": {"provider": "static", "static": {"tokens": demo_tokens()}},
            "access_log": {"path": str(self.directory / "access.log")},
        }
        # A key laid over with None is left out.
        self.settings = {key: value for key, value in merged(plain, settings or {}).items() if value is not None}
        if self.settings["identity"]["provider"] != "static":
            self.settings["identity"].pop("static", None)
        path = self.directory / "gatehouse.yaml"
        path.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        self.spawn([*prefix, gatehouse_path(), "serve", "--config", path], self.environment)

        def serving():
            self.assert_alive()
            return re.search(r"serving admin=(\S+) listeners=(\"[^\"]*\"|\S+)", self.errors())

        found = wait_until(serving, 60, lambda: f"gatehouse serves\n{self.errors()}")
        self.admin_port = int(found[1].rsplit(":", 1)[1])
        # A second listener of a test has a loopback address of its own, by which it is told from the first.
        addresses = [address.rsplit(":", 1) for address in found[2].strip('"').split()]
        self.ports = {host: int(number) for host, number in addresses}
        self.port = int(addresses[0][1])
        self.is_expected_clean = True
        self.base_descriptors = None

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self.port}"

    # Admin

    def admin(self, path):
        connection = http.client.HTTPConnection(LOOPBACK, self.admin_port, timeout=20)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read().decode()
            assert answer.status == 200, (answer.status, content)
            return content
        finally:
            connection.close()

    def metrics(self):
        """The sum of each metric over its labels, and each labelled one under its full name."""
        values = {}
        for line in self.admin("/metrics").splitlines():
            if not line or line.startswith("#"):
                continue
            name, number = line.rsplit(" ", 1)
            values[name] = float(number)
            if "{" in name:
                bare = name.split("{")[0]
                values[bare] = values.get(bare, 0) + float(number)
        return values

    def exchanges(self):
        return json.loads(self.admin("/exchanges"))

    # Rest

    def leftovers(self):
        """What is still held now that nothing should be; empty when it is at rest."""
        values = self.metrics()
        left = {}
        if values["gatehouse_exchanges_in_flight"] != 0:
            left["exchanges"] = self.exchanges()
        # The request for the metrics has a connection itself, counted by the totals only, and a block at each end of it.
        opened = values["gatehouse_connections_accepted_total"] - values["gatehouse_connections_closed_total"]
        if values["gatehouse_connections_open"] > 0 or opened > 1:
            left["connections"] = (values["gatehouse_connections_open"], opened)
        if values["gatehouse_upstream_busy_connections"] != 0:
            left["busy upstream connections"] = values["gatehouse_upstream_busy_connections"]
        if values["gatehouse_upstream_connections_open"] != values["gatehouse_upstream_idle_connections"]:
            left["upstream connections"] = values["gatehouse_upstream_connections_open"]
        if values["gatehouse_blocks_lent"] > 2:
            left["blocks"] = values["gatehouse_blocks_lent"]
        return left

    def note_base(self):
        """Remembers how many descriptors are open while nothing goes on."""
        self.wait_for_rest(check_descriptors=False)
        wait_until(
            lambda: self.metrics()["gatehouse_upstream_idle_connections"] == 0, 10, "no idle upstream connection")
        self.base_descriptors = self.descriptor_count()

    def check_sums(self):
        """What is counted in two ways is the same number: by status, by duration and by verdict."""
        values = self.metrics()
        total = values.get("gatehouse_exchanges_total", 0)
        assert total == values["gatehouse_exchange_duration_seconds_count"], values
        assert values["gatehouse_cache_verdicts_total"] <= total
        assert values["gatehouse_upstream_busy_connections"] == 0

    def wait_for_rest(self, seconds=15, check_descriptors=True):
        """Waits until nothing is in flight, lent or open beyond the base."""
        self.assert_alive()
        wait_until(lambda: not self.leftovers(), seconds, lambda: f"gatehouse is at rest: {self.leftovers()}")
        if check_descriptors and self.base_descriptors is not None:
            wait_until(
                lambda: self.descriptor_count() <= self.base_descriptors, seconds,
                lambda: f"descriptors are back at {self.base_descriptors}: {self.descriptor_count()}")

    def close(self):
        """Waits for rest, ends it, and asserts that it ended well."""
        if self.child.poll() is not None:
            self.assert_alive()
        self.wait_for_rest()
        self.check_sums()
        code = self.terminate(40)
        assert code == 0, f"gatehouse ended with {code}\n{self.errors()[-4000:]}"
        for word in ("Fatal error", "Sanitizer", "fatalError", "Precondition"):
            assert word not in self.errors(), self.errors()[-4000:]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
        elif self.child.poll() is None:
            with contextlib.suppress(AssertionError):
                self.terminate(5)
        else:
            print(f"gatehouse had ended with {self.child.returncode}\n{self.errors()[-4000:]}")


# Asking


def ask(port, method, path, headers=None, body=None, token="demo", timeout=20):
    """One request on a connection of its own: (status, headers, content)."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        fields = {"Accept": "application/json", **({"X-Auth-Token": token} if token else {}), **(headers or {})}
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()
