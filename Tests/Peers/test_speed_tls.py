"""CPU per request and per handshake on one loop, TLS and HTTP/2, against nginx with the same certificate and content.

CPU time of the server is compared, not the clock: the load runs on the other core, and the machine's speed drifts. nginx
answers from its configuration (`return 200`), the cheapest answer it has; the gateway judges the token and the query
and answers from its store.
"""

import os
import re
import statistics
import subprocess

import pytest

import h2client
import harness
import test_speed

pytestmark = pytest.mark.alone

ROUNDS = int(os.environ.get("PEERS_SPEED_ROUNDS", "3"))
REQUESTS = int(os.environ.get("PEERS_SPEED_REQUESTS", "100000"))
SECONDS = int(os.environ.get("PEERS_SPEED_SECONDS", "2"))
# At least as much as nginx. One server's own figures differ by a tenth from round to round, so less than that is no answer.
GOAL, SPREAD = 1.0, 0.1
PATH = "/v2.1/servers?limit=10"
CURL, H2LOAD, NGINX, OPENSSL, TASKSET = (
    harness.find_program(name) for name in ("curl", "h2load", "nginx", "openssl", "taskset"))
CERTIFICATE = h2client.CERTIFICATES / "localhost-ecdsa.crt"
KEY = h2client.CERTIFICATES / "localhost-ecdsa.key"


class Nginx(test_speed.Nginx):
    """The same with TLS and HTTP/2."""

    http = f"ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY}; ssl_protocols TLSv1.2 TLSv1.3;"
    listen = "ssl http2 reuseport"

    def answers(self):
        self.assert_alive()
        return self.worker() is not None

    def worker(self):
        done = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return int(done.stdout.split()[0]) if done.stdout.split() else None


def cpu_seconds(pid):
    """What a process has used, threads that have ended among it."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def request_list(port, prefix):
    """Asks for the stored list on four connections with a hundred streams each; the number of answers."""
    done = subprocess.run(
        [*prefix, H2LOAD, "-t1", "-c4", "-m100", f"-n{REQUESTS}", "-H", "X-Auth-Token: demo",
         f"https://{harness.LOOPBACK}:{port}{PATH}"], capture_output=True, text=True, timeout=120, check=True)
    assert f"status codes: {REQUESTS} 2xx" in done.stdout, done.stdout
    return REQUESTS


def handshakes(*options):
    def shake(port, prefix):
        """Eight clients that connect one after the other; the number of connections."""
        running = [
            subprocess.Popen(
                [*prefix, OPENSSL, "s_time", "-connect", f"{harness.LOOPBACK}:{port}", "-time", str(SECONDS), *options],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(8)]
        count = 0
        for one in running:
            output = one.communicate(timeout=SECONDS + 60)[0]
            count += int(re.search(r"^(\d+) connections in \d+ real", output, re.M)[1])
        assert count > 100
        return count
    return shake


CASES = {
    "requests over HTTP/2 and TLS": request_list,
    "handshakes, TLS 1.3": handshakes("-new", "-tls1_3"),
    "handshakes, TLS 1.2": handshakes("-new", "-tls1_2"),
    "handshakes, resumed": handshakes("-reuse", "-tls1_2"),
}


def per_second(load, server, pid, prefix):
    before = cpu_seconds(pid)
    count = load(server.port, prefix)
    return count / (cpu_seconds(pid) - before)


@pytest.mark.skipif(not all((CURL, H2LOAD, NGINX, OPENSSL)), reason="curl, h2load, nginx or openssl is not installed")
@pytest.mark.timeout(600)
def test_per_cpu_second_tls_and_http2_reach_nginx(tmp_path, figures):
    cores = sorted(os.sched_getaffinity(0))
    apart = TASKSET is not None and len(cores) > 1
    server = [TASKSET, "-c", str(cores[0])] if apart else []
    load = [TASKSET, "-c", str(cores[1])] if apart else []
    settings = {
        "workers": 1, "cache": {"lists": {"fresh": "1h"}}, "access_log": None,
        "listeners": [
            {"address": f"{harness.LOOPBACK}:0",
             "tls": {"certificate": str(CERTIFICATE), "private_key": str(KEY)}}]}
    ratios = {}
    with harness.Simulator(tmp_path, "--servers", "25") as simulator:
        gatehouse = harness.Gatehouse(tmp_path, simulator.url, settings, prefix=server)
        content = subprocess.run(
            [CURL, "-sf", "--cacert", h2client.CA, "-H", "X-Auth-Token: demo",
             f"https://{harness.LOOPBACK}:{gatehouse.port}{PATH}"], capture_output=True, timeout=30, check=True).stdout
        nginx_directory = tmp_path / "nginx"
        nginx_directory.mkdir()
        nginx = Nginx(nginx_directory, content, server)
        try:
            for name, case in CASES.items():
                ours, theirs = [], []

                def ratio():
                    return statistics.median(our / their for our, their in zip(ours, theirs))

                # Pair by pair, since the machine's speed drifts; thrice as many pairs when the first ones say no.
                while len(ours) < ROUNDS or (len(ours) < 3 * ROUNDS and ratio() < GOAL):
                    theirs.append(per_second(case, nginx, nginx.worker(), load))
                    ours.append(per_second(case, gatehouse, gatehouse.pid, load))
                ratios[name] = ratio()
                figures.note(
                    f"{name} per CPU second, {len(ours)} rounds: gatehouse {statistics.median(ours):.0f}, nginx "
                    f"{statistics.median(theirs):.0f}, ratio {ratios[name]:.2f}",
                    name=name, gatehouse=ours, nginx=theirs, ratio=ratios[name], release=harness.is_release_build())
        finally:
            nginx.terminate()
            nginx.holder.close()
        gatehouse.close()
    if not harness.is_release_build():
        pytest.skip(f"a debug build is not judged by its speed: {ratios}")
    assert all(ratio >= GOAL - SPREAD for ratio in ratios.values()), ratios
