"""Load by wrk (HTTP/1.1) and h2load (HTTP/2) from the load's core, with what they counted."""

import dataclasses
import json
import pathlib
import re
import subprocess

import harness
from place import HTTP2, TOKENS

HERE = pathlib.Path(__file__).resolve().parent
WRK, H2LOAD = (harness.find_program(name) for name in ("wrk", "h2load"))
# All servers and both tools could do with another; with this one each row has the same.
OPENSSL = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = tls
[tls]
Ciphersuites = TLS_AES_256_GCM_SHA384
"""


@dataclasses.dataclass
class Counted:
    """Answers, over how many seconds, and how long one took in microseconds."""

    answers: int
    seconds: float
    p50: float
    p99: float


def environment(place):
    path = place.directory / "openssl.cnf"
    if not path.exists():
        path.write_text(OPENSSL)
    return {"PATH": "/usr/bin:/bin", "OPENSSL_CONF": str(path)}


def run(place, server, work, transport, seconds):
    """Loads a server for some seconds; fails when an answer is not the one wanted."""
    if transport == HTTP2:
        return http2(place, server, work, seconds)
    return http1(place, server, work, transport, seconds)


def warm_up(place, server, work, transport, is_brief):
    """What is measured later has been done before; over HTTP/2 this tells how many requests a second are, too."""
    if transport == HTTP2:
        server.pace = request(place, server, work, work.first)
    if not is_brief:
        run(place, server, work, transport, 1)


def fields(work, token):
    return [part for name, value in work.fields(token) for part in ("-H", f"{name}: {value}")]


def http1(place, server, work, transport, seconds):
    done = subprocess.run(
        [*place.on_load_core, WRK, "-t1", f"-c{work.connections}", f"-d{seconds}s", "--timeout", "20s",
         *fields(work, None), "-s", HERE / "load.lua", server.url(transport)],
        capture_output=True, text=True, timeout=seconds + 60,
        env={**environment(place), "LOAD_TOKENS": " ".join(TOKENS[:work.token_count])})
    found = re.search(r"^\{.*\}$", done.stdout, re.M)
    assert done.returncode == 0 and found, f"{server.label}: {done.stdout}{done.stderr}"
    figures = json.loads(found[0])
    count = figures["requests"]
    assert count > 0 and figures["failed"] == 0, f"{server.label}: {done.stdout}"
    assert figures["refused"] == (count if work.status >= 400 else 0), f"{server.label}: {done.stdout}"
    # The heads are in it, and the last answers may have been read in part.
    mean = figures["bytes"] / count
    assert mean > 0.9 * work.length(server), f"{server.label}: {mean} bytes an answer, not {work.length(server)}"
    return Counted(count, figures["microseconds"] / 1e6, figures["p50"], figures["p99"])


def http2(place, server, work, seconds):
    """As many requests as the server answered in that time when it was asked last.

    h2load can end by the clock as well, but then hangs now and then.
    """
    count = max(work.first, int(server.pace.answers / server.pace.seconds * seconds / work.processes))
    server.pace = request(place, server, work, count)
    return server.pace


def request(place, server, work, count):
    """`count` requests by each of several processes of h2load, which have a connection and a token of their own."""
    logs = [place.directory / f"h2load-{number}.log" for number in range(work.processes)]
    for log in logs:
        log.unlink(missing_ok=True)
    running = [
        subprocess.Popen(
            [*place.on_load_core, H2LOAD, "-t1", "-c1", f"-m{work.streams}", f"-n{count}", f"--log-file={log}",
             *fields(work, TOKENS[number % work.token_count]), server.url(HTTP2)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(place))
        for number, log in enumerate(logs)]
    try:
        outputs = [one.communicate(timeout=120)[0] for one in running]
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{server.label}, {work.name}: h2load does not end") from late
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
                one.wait()
    seconds = max(judged(output, server, work, count) for output in outputs)
    times = sorted(
        int(line.split("\t")[2]) for log in logs for line in log.read_text().splitlines() if line.count("\t") == 2)
    assert len(times) == count * work.processes, f"{server.label}: h2load has {len(times)} times"
    return Counted(len(times), seconds, times[len(times) // 2], times[len(times) * 99 // 100])


def judged(output, server, work, count):
    """How many seconds one process took; every answer must be the one wanted."""
    took = re.search(r"^finished in ([\d.]+)(s|ms|us),", output, re.M)
    states = re.search(
        r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output, re.M)
    codes = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output, re.M)
    data = re.search(r"^traffic: .*\((\d+)\) data", output, re.M)
    assert took and states and codes and data, f"{server.label}: {output}"
    done, _, _, errored, late = map(int, states.groups())
    wanted = int(codes[3 if work.status >= 400 else 1])
    assert done == wanted == count and errored == late == 0, f"{server.label}: {output}"
    # What is compressed anew each time is not each time as long.
    least = (0.9 if work.coding else 1) * count * work.length(server)
    assert int(data[1]) >= least, f"{server.label}: {output}"
    return float(took[1]) * {"s": 1, "ms": 1e-3, "us": 1e-6}[took[2]]
