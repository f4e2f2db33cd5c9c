"""Fifty pollers of one project's list on the real Nova, with and without Gatehouse in front.

Reported, not judged by a number of the day: what is asserted holds on any machine.
"""

import collections
import json
import os
import re
import subprocess
import time

import pytest

import harness
from gateway import Gateway
from stack.processes import cpu_seconds

POLLERS = 50
SECONDS = int(os.environ.get("CLOUD_LOAD_SECONDS", "15"))
LISTS = {"a list of 20": "/servers?limit=20", "a page of 1,000": "/servers"}

# Every poller has a token of its own. A JSON line at the end: wrk's own words round.
SCRIPT = """
local tokens = {%s}
local turn = 0
request = function()
    turn = turn %% #tokens + 1
    return wrk.format("GET", nil, {["X-Auth-Token"] = tokens[turn], ["Accept"] = "application/json"})
end
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %%d, "microseconds": %%d, "status": %%d, "broken": %%d, "timeout": %%d, "median": %%d, "p99": %%d}\\n',
        summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write,
        errors.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


@pytest.fixture(scope="module")
def script(cloud, tmp_path_factory):
    tokens = ", ".join(f'"{cloud.new_token("alice")}"' for _ in range(POLLERS))
    path = tmp_path_factory.mktemp("load") / "pollers.lua"
    path.write_text(SCRIPT % tokens)
    return path


def wait_until_idle(cloud, seconds=180):
    """Nova goes on with what its clients gave up: the next run must not pay for it."""
    readings = collections.deque(maxlen=2)

    def is_idle():
        if not readings or time.monotonic() - readings[-1][0] > 0.5:
            readings.append((time.monotonic(), cpu_seconds(cloud.facts["processes"])))
            if len(readings) == 2:
                name = "nova" if "nova" in readings[0][1] else "nova-api"
                return readings[1][1][name] - readings[0][1][name] < 0.05
        return False

    harness.wait_until(is_idle, seconds, "nova is idle")


def poll(cloud, script, url, path):
    """What fifty pollers got in the time: answers per second, the cloud's CPU in cores and per answer."""
    wait_until_idle(cloud)
    before = cpu_seconds(cloud.facts["processes"])
    began = time.monotonic()
    done = subprocess.run(
        [harness.find_program("wrk"), "--threads", "2", "--connections", str(POLLERS), "--duration", f"{SECONDS}s",
         "--timeout", "60s", "--script", script, f"{url}/v2.1/{cloud.projects['A']}{path}"],
        capture_output=True, text=True, timeout=SECONDS + 120)
    elapsed = time.monotonic() - began
    after = cpu_seconds(cloud.facts["processes"])
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(re.search(r"^\{.*\}$", done.stdout, re.M)[0])
    spent = sum(after[name] - before[name] for name in after)
    return {
        "rate": result["requests"] / (result["microseconds"] / 1e6), "answers": result["requests"],
        "refused": result["status"], "broken": result["broken"], "median_ms": result["median"] / 1000,
        "p99_ms": result["p99"] / 1000, "cores": spent / elapsed,
        "cpu_ms": spent * 1000 / max(result["requests"], 1)}


def in_words(result):
    return (
        f"{result['rate']:,.1f} answers/s, median {result['median_ms']:,.1f} ms, p99 {result['p99_ms']:,.0f} ms; "
        f"the cloud used {result['cores']:.2f} cores, {result['cpu_ms']:,.3f} ms an answer")


@pytest.mark.parametrize("name", LISTS)
def test_fifty_pollers(cloud, script, tmp_path, figures, name):
    direct = poll(cloud, script, cloud.compute_url, LISTS[name])
    # None of the pollers' tokens is known at first, and all come from one address.
    with Gateway(tmp_path, cloud) as running:
        through = poll(cloud, script, running.url, LISTS[name])
        # What wrk gave up on still waits for Nova's one answer.
        running.wait_for_rest(90)
    versions = cloud.facts["versions"]
    figures.note(
        f"{time.strftime('%Y-%m-%d')}, nova {versions['nova']}, keystone {versions['keystone']}, "
        f"{os.cpu_count()} cores shared by all, {POLLERS} pollers, {SECONDS} s")
    figures.note(f"{name}, Nova alone: {in_words(direct)}", **direct)
    figures.note(f"{name}, through Gatehouse: {in_words(through)}", **through)
    assert through["refused"] == through["broken"] == 0, through
    assert through["rate"] > direct["rate"]
    assert through["cpu_ms"] < direct["cpu_ms"]
