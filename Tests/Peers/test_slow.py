"""slowhttptest in its three modes: everybody slow is dropped by the deadlines, others are served all the while."""

import csv
import re
import subprocess
import threading
import time

import pytest

import harness
import test_streaming

CONNECTIONS = 400
SETTINGS = {
    "http": {"head_timeout": "4s", "content_progress_timeout": "4s", "idle_timeout": "4s"},
    "cache": {"lists": {"fresh": "1s"}},
}
PROGRAM = harness.find_program("slowhttptest")
# It cannot send fields of one's own; the token goes in behind a cookie.
TOKEN = ["-j", "a=b\r\nX-Auth-Token: demo"]

upstream = test_streaming.upstream

MODES = {
    # Heads that never end.
    "H": ["-H", "-i", "1", "-x", "24", "-u", "/v2.1/servers"],
    # Content that never comes; with a token, or it would not be waited for.
    "B": ["-B", "-i", "1", "-x", "10", "-s", "8192", "-f", "application/json", *TOKEN, "-u", "/v2.1/servers"],
    # A large answer through a window of some bytes.
    "X": ["-X", "-w", "8", "-y", "16", "-n", "1", "-z", "4", "-k", "2", *TOKEN, "-u", "/v2.1/stream/400000000"],
}


class Prober:
    """Asks for a list ten times a second and notes how long the slowest answer took."""

    def __init__(self, port):
        self.port, self.statuses, self.slowest, self.is_over = port, {}, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over.wait(0.1):
            begun = time.monotonic()
            try:
                status = harness.ask(self.port, "GET", "/v2.1/servers", timeout=5)[0]
            except OSError as error:
                status = repr(error)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


@pytest.mark.calm
@pytest.mark.skipif(PROGRAM is None, reason="slowhttptest is not installed")
@pytest.mark.parametrize("mode", list(MODES))
def test_slow_clients_are_dropped_and_others_are_served(tmp_path, simulator, upstream, figures, mode):
    endpoints = {"endpoints": [upstream], "max_connections": 1024}
    settings = {**SETTINGS, "apis": [
        {"definition": str(harness.COMPUTE), "upstream": {"endpoints": [simulator.url]}},
        {"definition": str(harness.STREAM), "upstream": endpoints}]}
    with harness.Gatehouse(tmp_path, simulator.url, settings) as gatehouse:
        harness.ask(gatehouse.port, "GET", "/v2.1/servers")
        gatehouse.note_base()
        *options, path = MODES[mode]
        command = [PROGRAM, "-c", str(CONNECTIONS), "-r", "200", "-l", "40", "-p", "5", "-g", "-o", str(tmp_path / "slow"),
                   "-v", "2", *options, gatehouse.url + path]
        most, dropped_after = 0, None
        with test_streaming.Watch(gatehouse) as watch, Prober(gatehouse.port) as prober:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(child.stdout))
            reader.start()
            while child.poll() is None:
                values = gatehouse.metrics()
                most = max(most, values["gatehouse_connections_open"])
                # A probe may be open just now.
                if dropped_after is None and most > 100 and values["gatehouse_connections_open"] <= 2:
                    dropped_after = time.monotonic() - watch.begun
                assert time.monotonic() - watch.begun < 90
                time.sleep(0.1)
            reader.join()
        dropped_after = dropped_after or (child.returncode == 0 and watch.seconds)
        output = re.sub(r"\x1b\[[0-9;]*m", "", "".join(lines))
        rows = list(csv.DictReader((tmp_path / "slow.csv").open()))
        values = gatehouse.metrics()
        figures.note(
            f"{most:.0f} connections at once, {values['gatehouse_downstream_timeouts_total']:.0f} dropped by a deadline, all "
            f"gone {dropped_after or -1:.1f} s after the start, probes {prober.statuses}, the slowest "
            f"{prober.slowest:.2f} s, growth {watch.growth / 1e6:.1f} MB")
        assert most >= CONNECTIONS * 0.6, output[-3000:]
        assert dropped_after is not None and dropped_after < 25, output[-3000:]
        # A slow reader has received more than it has read, so it learns of its end much later.
        assert mode == "X" or "No open connections left" in output, output[-3000:]
        assert all(row["Service Available"] != "0" for row in rows), rows
        assert set(prober.statuses) == {200} and prober.slowest < 4
        assert values["gatehouse_downstream_timeouts_total"] >= CONNECTIONS
        # A block or four for each slow one at most, given back and not grown again.
        assert watch.growth < 100 << 20
