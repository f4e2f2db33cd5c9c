"""Where everything of a run stands: directory, cores, certificate, the canned contents and what they are asked with."""

import json
import os
import pathlib

import harness

CERTIFICATE = harness.ROOT / "Tests" / "Certificates" / "localhost-ecdsa.crt"
KEY = harness.ROOT / "Tests" / "Certificates" / "localhost-ecdsa.key"
PLAIN, TLS, HTTP2 = "HTTP/1.1", "HTTP/1.1, TLS", "HTTP/2, TLS"
TRANSPORTS = {"plain": PLAIN, "tls": TLS, "h2": HTTP2}
# As long as a Fernet token of Keystone's; what is in them is nobody's business but Keystone's.
TOKEN_LENGTH, TOKEN_COUNT = 183, 64
TOKENS = [f"gAAAAAB{number:04}".ljust(TOKEN_LENGTH, "x") for number in range(TOKEN_COUNT)]
CORES = sorted(os.sched_getaffinity(0))
LISTED, DETAILED = 20, 1000
REFUSED = "/v2.1/servers?limit=abc"


class Place:
    """One run's directory, and the two cores: one for the server that is measured, one for all else."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        cores = CORES
        if len(cores) < 2:
            raise SystemExit("two cores are needed: one for the server that is measured, one for load and upstream")
        taskset = harness.find_program("taskset")
        self.on_server_core = [taskset, "-c", str(cores[0])]
        self.on_load_core = [taskset, "-c", str(cores[1])]
        # What runs here is load.
        os.sched_setaffinity(0, {cores[1]})
        self.upstream = None
        self.keystone_url = None
        self.keystone_asked = None

    def make(self, name):
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path


class Contents:
    """What the canned upstream answers with, made once by the bundled stand-in of Nova."""

    def __init__(self, simulator):
        port, token = simulator.ports["nova"], TOKENS[0]

        def get(path, wanted=200):
            status, _, content = harness.ask(port, "GET", path, token=token)
            assert status == wanted, (path, status, content[:200])
            return content

        self.list = get(f"/v2.1/servers?limit={LISTED}")
        self.detail = get(f"/v2.1/servers/detail?limit={DETAILED}")
        self.server_id = json.loads(self.list)["servers"][0]["id"]
        self.server = get(f"/v2.1/servers/{self.server_id}")
        self.refusal = get(REFUSED, 400)
        assert len(json.loads(self.list)["servers"]) == LISTED
        assert len(json.loads(self.detail)["servers"]) == DETAILED
