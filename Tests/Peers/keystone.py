"""A Keystone and a Nova apart from each other, so that one can fail alone, and load that judges every answer."""

import asyncio
import http.client
import os
import signal
import threading
import time

import harness

# Read without a store in between, so that each request needs its token judged.
READ = ("GET", "/v2.1/flavors/1")
# A write that reaches Nova, which then knows no such server.
WRITE = ("DELETE", "/v2.1/servers/0cc6d0d4-5b8c-4a3e-9c9e-6d1f3d3c7a10")

VALIDATIONS = "gatehouse_identity_validations_total"
COLLAPSED = "gatehouse_identity_collapsed_total"
HITS = "gatehouse_identity_hits_total"
STALE = "gatehouse_identity_stale_total"
FAILURES = "gatehouse_identity_failures_total"
REFUSED = "gatehouse_limit_bad_tokens_total"
RENEWALS = "gatehouse_identity_credential_renewals_total"


async def crowd(port, tokens, path="/v2.1/flavors/1"):
    """One connection for each token; the requests go out at one moment, when all are connected."""
    pairs = [await asyncio.open_connection(harness.LOOPBACK, port) for _ in tokens]
    for token, (_, writer) in zip(tokens, pairs):
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\nConnection: close\r\n\r\n".encode())
    answers = await asyncio.gather(*[reader.read() for reader, _ in pairs])
    for _, writer in pairs:
        writer.close()
    return [int(answer.split(b" ", 2)[1]) for answer in answers]


class Keystone(harness.Simulator):
    """The simulator as an identity service alone; it keeps its port and its tokens over a restart."""

    def __init__(self, directory, *arguments):
        self.port = 0
        self.tokens = []
        super().__init__(directory / "keystone", *arguments)

    def start(self, port=0):
        self.spawn([
            os.environ["SIMULATOR_BIN"], "--listen", f"{harness.LOOPBACK}:0",
            "--identity-listen", f"{harness.LOOPBACK}:{self.port}", "--control-listen", f"{harness.LOOPBACK}:0",
            "--request-log", "20000", *self.arguments])

        def ready():
            self.assert_alive()
            return self.output_path.read_text().endswith("\n")

        harness.wait_until(ready, 30, lambda: f"Keystone is ready\n{self.errors()}")
        self.ports = harness.json.loads(self.output_path.read_text().splitlines()[0])
        self.port = self.ports["identity"]
        self.add_tokens(self, self.tokens)

    @property
    def url(self):
        return f"http://{harness.LOOPBACK}:{self.port}/v3"

    @staticmethod
    def add_tokens(simulator, tokens):
        for start in range(0, len(tokens), 500):
            simulator.control("POST", "/tokens", tokens[start:start + 500])

    def fault(self, action, method="GET", path="/v3/auth/tokens", count=0, **more):
        self.control("POST", "/faults", [{
            "match": {"listener": "identity", "method": method, "path": path, **more.pop("match", {})},
            "action": action, "count": count, **more}])

    def clear_faults(self):
        self.control("DELETE", "/faults")

    def counts(self):
        return self.control("GET", "/identity")

    def asked(self, kind="validate"):
        return self.counts()["requests"][kind]

    def revoke(self, token):
        self.control("DELETE", f"/tokens?token={token}")

    def own_tokens(self):
        """The gateway's own tokens, in the order in which it used them."""
        found = []
        for request in self.requests("/v3/auth/tokens", "identity"):
            for name, value in request["fields"]:
                if name.lower() == "x-auth-token" and value not in found:
                    found.append(value)
        return found

    def stop_running(self):
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def __exit__(self, kind, value, trace):
        if self.child.poll() is None:
            self.go_on()
        super().__exit__(kind, value, trace)


class Cloud:
    """Keystone, Nova, and tokens that both know."""

    def __init__(self, directory, *arguments):
        self.keystone = Keystone(directory, *arguments)
        self.nova = harness.Simulator(directory / "nova")

    def add(self, names, **more):
        tokens = [{"token": name, "user": "demo", "project": harness.DEMO, "expires_in": 86_400, **more} for name in names]
        self.keystone.tokens += tokens
        for simulator in (self.keystone, self.nova):
            Keystone.add_tokens(simulator, tokens)
        return names

    def gatehouse(self, directory, keystone=None, **settings):
        """The gateway between the two; `keystone` is laid over plain settings of `identity.keystone`."""
        plain = {"url": self.keystone.url}
        if "credential" not in (keystone or {}):
            plain["credential"] = {
                "username": "nova", "password": "secret", "user_domain": "Default", "project": "service",
                "project_domain": "Default"}
        base = {
            "identity": {"provider": "keystone", "keystone": harness.merged(plain, keystone or {})},
            "limits": {"bad_tokens": {"rate": "60000/min", "burst": 10_000}}, "cache": False}
        return harness.Gatehouse(directory, self.nova.url, harness.merged(base, settings))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.nova.__exit__(kind, value, trace)
        self.keystone.__exit__(kind, value, trace)


class Answer:
    def __init__(self, begun, seconds, status, headers, content):
        self.begun, self.seconds, self.status, self.headers, self.content = begun, seconds, status, headers, content

    def __repr__(self):
        return f"{self.status} in {self.seconds:.3f} s {self.content[:100]!r}"


class Client:
    """One connection that is kept, as long as the gateway keeps it."""

    def __init__(self, port, timeout=30):
        self.connection = http.client.HTTPConnection(harness.LOOPBACK, port, timeout=timeout)

    def ask(self, token, request=READ, headers=None):
        begun = time.monotonic()
        self.connection.request(*request, headers={"X-Auth-Token": token, **(headers or {})})
        answer = self.connection.getresponse()
        content = answer.read()
        return Answer(begun, time.monotonic() - begun, answer.status, answer.headers, content)

    def close(self):
        self.connection.close()


class Asker(threading.Thread):
    """Asks one request after the other, each with the next token, until told to end; keeps every answer."""

    def __init__(self, port, tokens, request=READ, pause=0.005):
        super().__init__()
        self.client, self.tokens, self.request, self.pause = Client(port), tokens, request, pause
        self.answers, self.error = [], None
        self.is_over = threading.Event()

    def run(self):
        try:
            for token in self.tokens:
                self.answers.append(self.client.ask(token, self.request))
                if self.is_over.wait(self.pause):
                    return
        except Exception as error:
            self.error = error
        finally:
            self.client.close()

    def end(self):
        self.is_over.set()
        self.join(30)
        assert not self.is_alive() and self.error is None, self.error

    def between(self, begin, end):
        """The answers to what was asked and answered between two times."""
        return [answer for answer in self.answers if begin <= answer.begun and answer.begun + answer.seconds <= end]
