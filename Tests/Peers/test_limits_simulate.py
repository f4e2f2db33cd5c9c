"""`gatehouse limits simulate` on access logs that the running program wrote."""

import collections
import http.client
import json
import os
import subprocess
import threading
import time

import harness
import keystone
from harness import DEMO, OTHER, token

TOKENS = [
    token("demo", DEMO), token("second", DEMO), token("other", OTHER), token("spared", OTHER, ("Service", "member"))]
SERVER = "7e37e7a0-45f9-5a34-8ef1-c1d1c85f3b1e"
# Rates that give nothing back while a test runs, so that only the order counts.
RULES = [
    {"name": "create", "operations": ["servers.create"], "per": "project", "rate": "3/day",
     "overrides": [{"project": OTHER, "rate": "5/day"}]},
    {"name": "reboot", "operations": ["reboot"], "per": "user", "rate": "2/day"},
    {"name": "lists", "operations": ["servers.list"], "per": ["user", "operation"], "rate": "4/day", "hit_cost": 0.5,
     "not_modified_cost": 0},
    {"name": "all", "per": "user", "rate": "40/day", "exempt": {"roles": ["service"]}},
    {"name": "tried", "per": "address", "rate": "60/day", "mode": "shadow"}]
REQUESTS = [
    ("GET", "/v2.1/servers", None), ("GET", "/v2.1/servers?limit=1", None), ("GET", "/v2.1/flavors", None),
    ("POST", "/v2.1/servers", {"server": {}}), ("POST", f"/v2.1/servers/{SERVER}/action", {"reboot": {"type": "SOFT"}}),
    ("POST", f"/v2.1/servers/{SERVER}/action", {"lock": None}), ("GET", "/v2.1/nowhere", None),
    ("GET", "/v2.1/limits", None), ("GET", "/v2.1/", None)]


def know_tokens(simulator):
    keystone.Keystone.add_tokens(simulator, [
        {"token": entry["token"], "user": "demo", "project": entry["project"]["id"], "expires_in": 86_400}
        for entry in TOKENS if entry["token"] not in ("demo", "other")])


def settings(rules, **more):
    return {
        "identity": {"static": {"tokens": TOKENS}}, "limits": {"bad_tokens": "off", "rules": rules},
        "access_log": {"path": "access.log"}, **more}


def ask(connection, name, method, path, content=None, headers=None):
    connection.request(
        method, path, None if content is None else json.dumps(content),
        {"X-Auth-Token": name, "Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    answer.read()
    return answer


def settle():
    """Lets the clock go on: a log has milliseconds, and in its order requests are put by when they began."""
    end = time.monotonic() + 0.003
    harness.wait_until(lambda: time.monotonic() > end, 5, "the clock goes on")


def access_lines(gatehouse):
    return [json.loads(line) for line in (gatehouse.directory / "access.log").read_text().splitlines()]


def simulate(config, *arguments, standard_input=None):
    """What it prints with `--each --json`: the limited requests, and the rest."""
    done = subprocess.run(
        [harness.gatehouse_path(), "limits", "simulate", "--config", config, "--each", "--json", *arguments],
        input=standard_input, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *requests, report = map(json.loads, done.stdout.splitlines())
    return requests, report


def test_a_replay_says_what_the_running_program_did(tmp_path, simulator, figures):
    """Request by request, under the settings that it ran with."""
    know_tokens(simulator)
    with harness.Gatehouse(tmp_path / "g", simulator.url, settings(RULES)) as gatehouse:
        connections = [http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=20) for _ in range(4)]
        etag = ask(connections[0], "second", "GET", "/v2.1/servers").getheader("ETag")
        for round_ in range(12):
            for place, (method, path, content) in enumerate(REQUESTS):
                for index, name in enumerate(["demo", "second", "other", "spared"]):
                    connection = connections[(index + place + round_) % 4]
                    ask(connection, name, method, path, content)
                    settle()
        for _ in range(5):
            ask(connections[1], "second", "GET", "/v2.1/servers", headers={"If-None-Match": etag})
            settle()
        # Bad tokens, and none: nobody is asked about these.
        ask(connections[2], "wrong", "GET", "/v2.1/servers")
        for connection in connections:
            connection.close()
        gatehouse.wait_for_rest()
        metrics = gatehouse.metrics()
    lines = access_lines(gatehouse)
    requests, report = simulate(gatehouse.directory / "gatehouse.yaml", "--access-log", gatehouse.directory / "access.log")
    found = {(request["request_id"], request["rule"]) for request in requests}
    expected = {(line["request_id"], line["limited"]) for line in lines if "limited" in line}
    expected |= {(line["request_id"], rule) for line in lines for rule in line.get("shadowed", [])}
    figures.note(f"{len(lines)} lines, {len(found)} limited or shadowed")
    assert {rule for _, rule in expected} == {"create", "reboot", "lists", "all", "tried"}
    assert found == expected and len(requests) == len(found)
    for rule in report["rules"]:
        name = rule["name"]
        limited = "shadowed" if rule["mode"] == "shadow" else "limited"
        counted = {
            outcome: metrics.get(f'gatehouse_limit_requests_total{{rule="{name}",outcome="{outcome}"}}', 0)
            for outcome in ("allowed", limited)}
        assert counted == {"allowed": rule["allowed"], limited: rule["limited"]}, name
    assert report["lines"] == len(lines) and report["unreadable"]["count"] == 0
    places = {(line["request_id"]): number for number, line in enumerate(lines, 1)}
    assert all(places[request["request_id"]] == request["line"] for request in requests)


def test_rules_are_tried_on_a_log_of_a_program_without_any(tmp_path, simulator):
    """Twenty at once of each of two users, each for as long as its server takes."""
    know_tokens(simulator)
    with harness.Gatehouse(tmp_path / "g", simulator.url, settings([], cache="off")) as gatehouse:
        simulator.add_fault("delay", path="/v2.1/flavors", count=40, delay_ms=1_500)

        def ask_once(name):
            connection = http.client.HTTPConnection(harness.LOOPBACK, gatehouse.port, timeout=20)
            assert ask(connection, name, "GET", "/v2.1/flavors").status == 200
            connection.close()

        threads = [threading.Thread(target=ask_once, args=(name,)) for name in ["demo", "other"] * 20]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = access_lines(gatehouse)
    assert len(lines) == 40
    starts = [line["microseconds"]["total"] for line in lines]
    assert min(starts) >= 1_500_000
    config = tmp_path / "new.yaml"
    rules = [{"name": "few", "operations": ["flavors.list"], "per": "project", "at_once": 5}]
    with harness.Gatehouse(tmp_path / "new", simulator.url, settings(rules)) as other:
        config = other.directory / "gatehouse.yaml"
    requests, report = simulate(config, "--access-log", gatehouse.directory / "access.log")
    assert report["rules"][0]["limited"] == 30 and report["rules"][0]["allowed"] == 10
    assert collections.Counter(request["subject"] for request in requests) == {
        f"project={DEMO}": 15, f"project={OTHER}": 15}
    # Logs of two programs, put in order by time, are one.
    log = (gatehouse.directory / "access.log").read_text()
    merged = "".join(sorted((log + log).splitlines(keepends=True)))
    _, both = simulate(config, "--access-log", "-", standard_input=merged)
    assert both["lines"] == 80 and both["rules"][0]["limited"] == 70


def test_the_memory_of_a_replay_is_bounded(tmp_path, simulator, figures):
    """More subjects than are told apart, all of them limited."""
    rules = [{"name": "one", "per": "user", "rate": "1/day"}]
    with harness.Gatehouse(tmp_path / "g", simulator.url, settings(rules)) as gatehouse:
        config = gatehouse.directory / "gatehouse.yaml"
    log = tmp_path / "made.log"
    count = 150_000
    with log.open("w") as out:
        for index in range(2 * count):
            second, millisecond = divmod(index // 50, 1_000)
            out.write(
                f'{{"time":"2026-11-22T05:00:{second:02}.{millisecond:03}Z","request_id":"req-{index:08x}",'
                f'"client":"192.0.2.1","project":"{DEMO}","user":"{index // 2:032x}","roles":"member",'
                '"operation":"servers.list","method":"GET","target":"/v2.1/servers","status":200,"request_bytes":0,'
                '"response_bytes":5,"microseconds":{"total":900}}\n')
    with subprocess.Popen(
            [harness.gatehouse_path(), "limits", "simulate", "--config", config, "--access-log", log, "--json"],
            stdout=subprocess.PIPE) as child:
        output = child.stdout.read()
        # It has ended or is about to: it is waited for here, so that what it used is told.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
    assert status == 0
    report = json.loads(output)
    rule = report["rules"][0]
    assert rule["limited"] == count and rule["limited_subjects"] == count
    assert any("forgotten" in note for note in report["notes"])
    figures.note(
        f"{2 * count:,} lines in {usage.ru_utime + usage.ru_stime:.1f} s of CPU, {usage.ru_maxrss // 1024} MB at most",
        seconds=usage.ru_utime, megabytes=usage.ru_maxrss // 1024)
    assert usage.ru_maxrss < 250 * 1024
