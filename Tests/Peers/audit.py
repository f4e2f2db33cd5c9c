"""A gateway with an audit trail, clients that keep the id of every answer, and the trail judged from its bytes alone."""

import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import random
import subprocess
import threading

import h2.exceptions

import h2client
import harness

KEY = bytes(range(64))
LOST = "gatehouse_audit_lost_total"
FAILING = "gatehouse_audit_failing"
ID = "X-Gatehouse-Request-Id"
JSON = {"Content-Type": "application/json"}
LIST, CREATE = "/v2.1/servers", "/v2.1/servers"
EACH = [{"operations": ["GET"], "record": "each"}]


def settings(directory, upstream, audit=None, **more):
    """A gateway with a trail, which lets everything through that names an operation, and over TLS in HTTP/2 too."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / "audit.key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    trail = {
        "sinks": [{"file": {"path": str(directory / "audit.jsonl")}}], "key": str(key), "sign_every": 50,
        "policies": EACH, **(audit or {})}
    return {
        "audit": {name: value for name, value in trail.items() if value is not None},
        # What is tested here is that file alone.
        "access_log": None,
        "cache": False,
        "listeners": h2client.listeners(),
        "apis": [{"definition": str(harness.COMPUTE), "validation": {"mode": "off"}, "upstream": {"endpoints": [upstream]}}],
        **more,
    }


def gatehouse(directory, upstream, audit=None, **more):
    return harness.Gatehouse(directory, upstream, settings(directory, upstream, audit, **more))


class Files:
    """The files of a trail, the oldest first."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "audit.jsonl"
        # By others than the gateway, in their order.
        self.moved = []

    def rotated(self):
        def order(path):
            moment, _, number = path.name.removeprefix("audit.jsonl.").partition("-")
            return moment, int(number)

        return sorted(self.directory.glob("audit.jsonl.*Z-*"), key=order)

    def all(self):
        return [*self.rotated(), *self.moved, self.path]

    def read(self):
        return Trail(self.all())

    def verify(self, *more):
        """What `gatehouse audit verify` says of all files; they must be whole."""
        done = subprocess.run(
            [harness.gatehouse_path(), "audit", "verify", "--key", self.directory / "audit.key", *more, *self.all()],
            capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}"
        return done.stdout

    def check(self, *more):
        """Judged by the gateway's own tool and by what stands here; the trail."""
        trail = self.read()
        problems = trail.problems()
        assert not problems, problems[:20]
        self.verify(*more)
        return trail


class Line:
    def __init__(self, path, offset, raw):
        self.path, self.offset, self.raw, self.record = path, offset, raw, None
        self.digest = hashlib.sha256(raw).hexdigest()
        if raw.startswith(b'{"writer":"'):
            with contextlib.suppress(ValueError):
                self.record = json.loads(raw)
        self.kind = next((name for name in self.record if name not in ("writer", "sequence", "previous")), None) \
            if self.record else None

    def __repr__(self):
        return f"{self.path.name}:{self.offset} {self.raw[:160]!r}"


class Trail:
    """Lines of a trail's files, the oldest file first, by the documented form and nothing of the gateway."""

    def __init__(self, paths):
        self.lines, self.ends = [], {}
        for path in paths:
            content, offset = path.read_bytes(), 0
            pieces = content.split(b"\n")
            # Behind the last line feed is nothing, or a line that was torn.
            self.ends[path] = pieces.pop()
            for raw in pieces:
                self.lines.append(Line(path, offset, raw))
                offset += len(raw) + 1

    def of(self, kind):
        return [line.record[kind] for line in self.lines if line.kind == kind]

    @property
    def events(self):
        return self.of("event")

    def by_request(self):
        """The events of each request, in their order."""
        found = {}
        for event in self.events:
            found.setdefault(event["initiator"]["request_id"], []).append(event)
        return found

    def missing(self, answers):
        """Of answers by their request's id, those whose status no event tells."""
        found = self.by_request()
        return [
            (name, status) for name, status in answers
            if not any(event["gatehouse"].get("status") == status for event in found.get(name, ()))]

    def problems(self):
        problems = [f"{path.name} ends in {end[:80]!r}" for path, end in self.ends.items() if end]
        writers, known, fragments = {}, {"0" * 64}, []
        # Older files are gone: writers come in the middle, and name lines that nobody has.
        is_open = bool(self.lines) and self.lines[0].kind == "rotation"
        for line in self.lines:
            if line.record is None:
                fragments.append(line)
                continue
            name, sequence = line.record["writer"], line.record["sequence"]
            before = writers.get(name)
            if before is None:
                if line.kind == "start":
                    if sequence != 0 or line.record["previous"] not in known and not is_open:
                        problems.append(f"no such line before: {line}")
                elif not is_open:
                    problems.append(f"no start: {line}")
            elif sequence != before.record["sequence"] + 1 or line.record["previous"] != before.digest:
                problems.append(f"{line} does not follow {before}")
            if line.kind != "event" and not self.is_signed(line):
                problems.append(f"not signed: {line}")
            writers[name] = line
            known.add(line.digest)
        marks = {
            (line.path, *(line.record["repair"][name] for name in ("offset", "byteCount", "sha256")))
            for line in self.lines if line.kind == "repair"}
        for fragment in fragments:
            if (fragment.path, fragment.offset, len(fragment.raw), fragment.digest) not in marks:
                problems.append(f"an unmarked fragment: {fragment}")
        return problems

    @staticmethod
    def is_signed(line):
        signed, found, rest = line.raw.partition(b',"signature":"')
        return bool(found) and rest[:64] == hmac.digest(KEY, signed, "sha256").hex().encode()


# Clients


class Target:
    """The gateway that serves now, for clients that outlive it."""

    def __init__(self):
        self.condition, self.gatehouse, self.is_over = threading.Condition(), None, False

    def put(self, gatehouse, is_over=False):
        with self.condition:
            self.gatehouse, self.is_over = gatehouse, is_over
            self.condition.notify_all()

    def take(self):
        """The one that serves, waited for; None at the end."""
        with self.condition:
            self.condition.wait_for(lambda: self.gatehouse or self.is_over)
            return None if self.is_over else self.gatehouse


class Load(threading.Thread):
    """Asks for lists and makes things by turns over HTTP/1.1; keeps the id and the status of every answer it got."""

    PATIENCE = 10

    def __init__(self, target, seed):
        super().__init__(daemon=True)
        self.target, self.random, self.answers, self.error = target, random.Random(seed), [], None

    def run(self):
        try:
            while (gatehouse := self.target.take()) is not None:
                # Its end is what these tests are about.
                with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, h2.exceptions.ProtocolError):
                    self.ask_on(gatehouse)
        except Exception as error:
            self.error = error

    def request(self):
        kind = self.random.random()
        if kind < 0.1:
            return "GET", f"/v2.1/nowhere/{kind}", None
        if kind < 0.5:
            return "GET", f"{LIST}?limit={self.random.randrange(100)}", None
        return "POST", "/v2.1/os-keypairs", json.dumps({"keypair": {"name": f"k{self.random.randrange(10**9)}"}}).encode()

    def ask_on(self, gatehouse):
        connection = http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=self.PATIENCE)
        with contextlib.closing(connection):
            while self.target.gatehouse is gatehouse:
                method, path, content = self.request()
                connection.request(method, path, content, {"X-Auth-Token": "demo", **(JSON if content else {})})
                answer = connection.getresponse()
                self.answers.append((answer.headers[ID], answer.status))
                answer.read()


class LoadOverHTTP2(Load):
    """The same with several streams at once, over TLS."""

    def ask_on(self, gatehouse):
        client = h2client.Client(gatehouse, "TLS")
        client.socket.settimeout(self.PATIENCE)
        known = 0
        try:
            while self.target.gatehouse is gatehouse:
                streams = []
                for _ in range(self.random.randrange(1, 9)):
                    method, path, content = self.request()
                    more = [("content-type", "application/json")] if content else []
                    streams.append(client.ask(*more, method=method, path=path, is_end=not content))
                    if content:
                        client.upload(streams[-1], content)
                        client.connection.end_stream(streams[-1])
                client.flush()
                client.until(*streams)
                known = self.note(client, known)
        finally:
            self.note(client, known)
            client.socket.close()

    def note(self, client, known):
        fields = list(client.fields.values())
        self.answers += [(found[ID.lower()], int(found[":status"])) for found in fields[known:]]
        return len(fields)


class Clients:
    """Several of them, while the body of the `with` runs."""

    def __init__(self, seed, plain=3, over_http2=1):
        self.target = Target()
        self.threads = [Load(self.target, f"{seed}/{number}") for number in range(plain)]
        self.threads += [LoadOverHTTP2(self.target, f"{seed}/h{number}") for number in range(over_http2)]

    @property
    def answers(self):
        return [answer for thread in self.threads for answer in list(thread.answers)]

    @property
    def count(self):
        return sum(len(thread.answers) for thread in self.threads)

    def more(self, count, seconds=30):
        """Waits for so many more answers."""
        wanted = self.count + count
        harness.wait_until(lambda: self.count >= wanted, seconds, lambda: f"{count} more answers than {self.count}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.target.put(None, is_over=True)
        for thread in self.threads:
            thread.join(30)
        errors = [thread.error for thread in self.threads if thread.error]
        assert not errors and not any(thread.is_alive() for thread in self.threads), errors


# An upstream


class Upstream:
    """Answers at once, but creations only while `release` is set; counts what it was asked."""

    def __init__(self):
        self.release, self.counts = threading.Event(), {"GET": 0, "POST": 0}
        self.release.set()
        upstream = self

        class Answering(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def answer(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                upstream.counts[self.command] += 1
                if self.command == "POST":
                    upstream.release.wait(60)
                content = b'{"server": {"id": "9168b536-cd40-4630-b43f-b259807c6e87"}}'
                self.send_response(202 if self.command == "POST" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            do_GET = do_POST = answer

            def log_message(self, *_):
                return

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

        self.server = Server((harness.LOOPBACK, 0), Answering)
        self.url = f"http://{harness.LOOPBACK}:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
