"""What the audit trail costs: CPU of a stored list on one loop, with and without, in the same minute on the same core."""

import contextlib
import os
import statistics
import subprocess
import time

import pytest

import audit
import harness

pytestmark = pytest.mark.alone

ROUNDS = int(os.environ.get("PEERS_SPEED_ROUNDS", "5"))
SECONDS = 2
GOAL = 1.15
PATH = "/v2.1/servers?limit=10"
WRK, TASKSET = (harness.find_program(name) for name in ("wrk", "taskset"))
# Two files of it at most: ten thousands of events a second are written while it is measured.
ROTATION = {"rotation": {"size": "256MiB", "keep": 1}}
WAYS = {
    "off": None,
    "folded, written": {"policies": None},
    "each, best_effort": {**ROTATION, "durability": "best_effort"},
    "each, written": ROTATION,
    "each, synced": {**ROTATION, "durability": "synced"},
}


def processor_seconds(pid):
    """Of all threads of a process; CPUCLOCK_SCHED in the form of clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def measure(gatehouse, prefix):
    """Microseconds of CPU a request, and requests a second."""
    name = "gatehouse_exchanges_total"
    count, used, begun = gatehouse.metrics()[name], processor_seconds(gatehouse.pid), time.monotonic()
    done = subprocess.run(
        [*prefix, WRK, "-t1", "-c64", f"-d{SECONDS}s", "-H", "X-Auth-Token: demo", "-H", "Accept: application/json",
         f"http://{harness.LOOPBACK}:{gatehouse.port}{PATH}"], capture_output=True, text=True, timeout=60, check=True)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    used = processor_seconds(gatehouse.pid) - used
    count = gatehouse.metrics()[name] - count
    assert count > 1_000
    return used / count * 1e6, count / (time.monotonic() - begun)


@pytest.mark.skipif(not WRK, reason="wrk is not installed")
@pytest.mark.timeout(600)
def test_the_default_policy_costs_at_most_15_percent_more_than_no_trail(tmp_path, figures):
    cores = sorted(os.sched_getaffinity(0))
    apart = TASKSET is not None and len(cores) > 1
    server = [TASKSET, "-c", str(cores[0])] if apart else []
    load = [TASKSET, "-c", str(cores[1])] if apart else []
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(harness.Simulator(tmp_path, "--servers", "25"))
        running = {}
        for number, (way, trail) in enumerate(WAYS.items()):
            directory = tmp_path / str(number)
            more = {"workers": 1, "cache": {"lists": {"fresh": "1h"}}}
            settings = audit.settings(directory, simulator.url, trail, **more)
            if trail is None:
                settings["audit"] = None
            running[way] = stack.enter_context(harness.Gatehouse(directory, simulator.url, settings, prefix=server))
            assert harness.ask(running[way].port, "GET", PATH)[0] == 200
        costs, rates = {way: [] for way in WAYS}, {way: [] for way in WAYS}

        def median(way):
            # Round by round, since the machine's speed drifts.
            return statistics.median(cost / off for cost, off in zip(costs[way], costs["off"]))

        while len(costs["off"]) < ROUNDS or (len(costs["off"]) < 2 * ROUNDS and median("folded, written") > GOAL):
            # Forwards and backwards by turns: a machine that gets slower or faster favours neither.
            for way in list(running)[::-1 if len(costs["off"]) % 2 else 1]:
                cost, rate = measure(running[way], load)
                costs[way].append(cost)
                rates[way].append(rate)
        events = {way: gatehouse.metrics().get("gatehouse_audit_events_total", 0) for way, gatehouse in running.items()}
        for way, gatehouse in running.items():
            assert gatehouse.metrics()['gatehouse_cache_verdicts_total{verdict="hit"}'] > 1_000, way
    for way in WAYS:
        figures.note(
            f"{way}: {statistics.median(costs[way]):.2f} µs of CPU a request ({median(way):.3f} of off; {min(costs[way]):.2f} to "
            f"{max(costs[way]):.2f}), {statistics.median(rates[way]):.0f}/s, {events[way]:.0f} events, "
            f"{'release' if harness.is_release_build() else 'debug'} build",
            way=way, microseconds=costs[way], ratio=median(way), release=harness.is_release_build())
    assert events["off"] == 0 < events["folded, written"] < 1_000 < events["each, written"]
    if not harness.is_release_build():
        pytest.skip(f"a debug build is not judged by its speed: {median('folded, written'):.3f} of off")
    assert median("folded, written") <= GOAL
