"""A client that asks for a list at a steady pace and says how long each answer took.

Run as a program with a protocol (`http1` or `http2`), a port and a pace in requests a second, it prints a line for each
answer: when it was asked for on the monotonic clock, the seconds it took and its status. It stops when its standard input
ends.
"""

import http.client
import select
import subprocess
import sys
import time

import frames
import peer as peers

PATH = "/v2.1/servers"
FIELDS = {"X-Auth-Token": "demo", "Accept": "application/json"}


class OverHTTP1:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self):
        self.connection.request("GET", PATH, headers=FIELDS)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


class OverHTTP2:
    def __init__(self, port):
        self.peer = peers.Peer(port, seconds=20, gives_back=True).start()
        self.stream = -1

    def ask(self):
        self.stream += 2
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", PATH.encode()), (b":authority", b"compute.example")]
        fields += [(name.lower().encode(), value.encode()) for name, value in FIELDS.items()]
        self.peer.send(frames.headers(self.stream, fields))
        answer = self.peer.answer(self.stream)
        del self.peer.answers[self.stream], self.peer.frames[1:]
        return answer.status if answer.is_ended else f"reset {answer.reset}"


def main():
    protocol, port, pace = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    client = {"http1": OverHTTP1, "http2": OverHTTP2}[protocol](port)
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
        begun = time.monotonic()
        try:
            status = client.ask()
        except Exception as error:
            print(begun, time.monotonic() - begun, repr(error), flush=True)
            return
        print(begun, time.monotonic() - begun, status, flush=True)
        due = max(due + 1 / pace, time.monotonic())


class Steady:
    """Both clients, each in a process of its own, while the body of the `with` runs."""

    def __init__(self, port, pace=100):
        self.children = {
            protocol: subprocess.Popen(
                [sys.executable, __file__, protocol, str(port), str(pace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True)
            for protocol in ("http1", "http2")}
        self.answers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for protocol, child in self.children.items():
            output, _ = child.communicate()
            rows = [line.split(" ", 2) for line in output.splitlines()]
            self.answers[protocol] = [(float(begun), float(took), status) for begun, took, status in rows]

    def percentile(self, protocol, begun, ended, part=0.99):
        """The share `part` of what was asked between two times took no longer than this, in seconds."""
        found = sorted(took for when, took, _ in self.answers[protocol] if begun <= when < ended)
        assert len(found) >= 20, f"{protocol}: only {len(found)} answers from {begun} to {ended}"
        return found[min(len(found) - 1, int(len(found) * part))]

    def statuses(self):
        return {status for rows in self.answers.values() for _, _, status in rows}


if __name__ == "__main__":
    main()
