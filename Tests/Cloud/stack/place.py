"""Where one cloud lives: its folder, its ports, its password."""

import json
import os
import pathlib
import random
import secrets
import socket
import sys

LOOPBACK = "127.0.0.1"
PORT_NAMES = (
    "keystone", "nova", "placement", "neutron", "glance", "mariadb", "memcached", "rabbitmq", "rabbitmq_peers", "epmd")

# Below the kernel's own range for outgoing connections, so that none of those takes one before its service binds it.
PORT_RANGE = range(20000, 32000)


def find_free_ports(count):
    """Ports that nobody listens on, all different."""
    held = []
    try:
        for port in random.SystemRandom().sample(PORT_RANGE, len(PORT_RANGE)):
            candidate = socket.socket()
            try:
                candidate.bind((LOOPBACK, port))
            except OSError:
                candidate.close()
                continue
            held.append(candidate)
            if len(held) == count:
                return [each.getsockname()[1] for each in held]
        raise RuntimeError(f"fewer than {count} free ports in {PORT_RANGE}")
    finally:
        for each in held:
            each.close()


class Place:
    """A folder with everything that a cloud keeps; the ports and the password are chosen once and stay.

    CLOUD_PORT_KEYSTONE, CLOUD_PORT_NOVA and so on choose a port for a new one.
    """

    @staticmethod
    def exists(state):
        """Whether the folder was made by this class: only such a one is ever ended or deleted."""
        return (pathlib.Path(state) / "place.json").exists()

    def __init__(self, state):
        self.state = pathlib.Path(state).resolve()
        self.logs = self.state / "log"
        self.run = self.state / "run"
        self.configuration = self.state / "conf"
        self.description = self.state / "cloud.json"
        self.programs = pathlib.Path(sys.executable).parent
        for folder in (self.logs, self.run, self.configuration, self.state / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        choices = self.state / "place.json"
        if not choices.exists():
            free = dict(zip(PORT_NAMES, find_free_ports(len(PORT_NAMES))))
            ports = {name: int(os.environ.get(f"CLOUD_PORT_{name.upper()}", free[name])) for name in PORT_NAMES}
            choices.write_text(json.dumps({"ports": ports, "password": secrets.token_hex(12)}))
            choices.chmod(0o600)
        chosen = json.loads(choices.read_text())
        self.ports = chosen["ports"]
        self.password = chosen["password"]
        self.socket = self.run / "mariadb.sock"

    def folder(self, *parts):
        path = self.state.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def url(self, service):
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def database(self, name):
        return f"mysql+pymysql://cloud:{self.password}@{LOOPBACK}:{self.ports['mariadb']}/{name}"

    @property
    def identity_url(self):
        return self.url("keystone") + "/v3"

    @property
    def transport(self):
        return f"rabbit://guest:guest@{LOOPBACK}:{self.ports['rabbitmq']}/"

    def environment(self, **more):
        """The environment of every program of the cloud: no proxy, and the installed programs first."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        services = {
            f"OS_{name.upper()}_CONFIG_DIR": str(self.configuration / name)
            for name in ("keystone", "nova", "placement", "neutron", "glance")}
        return {
            **kept, "PATH": f"{self.programs}:{kept.get('PATH', '/usr/bin:/bin')}:/usr/sbin", "PYTHONWARNINGS": "ignore",
            "LC_ALL": "C.UTF-8", "OS_NEUTRON_CONFIG_FILES": "neutron.conf", **services, **more}
