"""What all sinks of the audit trail have in common: at least once and in order, whatever ends, comes back or is changed."""

import os
import random
import re
import signal
import time

import yaml

import audit
import harness
import syslog_receiver

NAME = "gatehouse_audit_sink_"


def sink(receiver, name="syslog", **more):
    return {"syslog": {"name": name, "url": f"tcp://{harness.LOOPBACK}:{receiver.port}", **more}}


def trail_of(directory, *sinks, **more):
    return {"sinks": [{"file": {"path": str(directory / "audit.jsonl")}}, *sinks], **more}


def value(gatehouse, what, name="syslog"):
    return gatehouse.metrics().get(f'{NAME}{what}{{sink="{name}"}}')


def ask(gatehouse, count):
    for number in range(count):
        assert harness.ask(gatehouse.port, "GET", f"/v2.1/servers?limit={number + 1}")[0] == 200


def rest(gatehouse, name="syslog", seconds=60):
    """Waits until the receiver has confirmed everything."""
    harness.wait_until(
        lambda: (value(gatehouse, "lag_bytes", name), value(gatehouse, "failing", name)) == (0, 0), seconds,
        lambda: f"{name} has everything: {gatehouse.metrics()}\n{gatehouse.errors()[-2000:]}")


def reload(gatehouse, trail):
    """Has the gateway read its settings with another `audit`; what it said of it."""
    path = gatehouse.directory / "gatehouse.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["audit"].update(trail)
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    said = len(gatehouse.errors())
    os.kill(gatehouse.pid, signal.SIGHUP)
    harness.wait_until(
        lambda: re.search("settings (read again|not changed)", gatehouse.errors()[said:]), 20, "the settings are read")
    return gatehouse.errors()[said:]


def test_receivers_and_gateways_come_and_go_and_no_event_is_lost(tmp_path, simulator, figures):
    seed = int(os.environ.get("AUDIT_SEED") or random.SystemRandom().randrange(10**9))
    numbers, files = random.Random(seed), audit.Files(tmp_path / "g")
    with syslog_receiver.Receiver() as steady, syslog_receiver.Receiver() as shaky:
        trail = trail_of(tmp_path / "g", sink(steady, "steady"), sink(shaky, "shaky"), rotation={"size": "64KiB"})
        with audit.Clients(seed) as clients:
            for _ in range(4):
                gatehouse = audit.gatehouse(tmp_path / "g", simulator.url, trail)
                clients.target.put(gatehouse)
                for _ in range(3):
                    clients.more(numbers.randrange(5, 150))
                    shaky.close()
                    clients.more(numbers.randrange(5, 150))
                    shaky.open()
                clients.more(numbers.randrange(5, 150))
                gatehouse.kill()
                clients.target.put(None)
        with audit.gatehouse(tmp_path / "g", simulator.url, trail) as gatehouse:
            ask(gatehouse, 3)
            rest(gatehouse, "steady")
            rest(gatehouse, "shaky")
        found = files.check()
        figures.note(
            f"AUDIT_SEED={seed}: {len(found.events)} events in {len(files.all())} files, sent again {steady.repeated()} and "
            f"{shaky.repeated()}", events=len(found.events))
        assert not found.missing(clients.answers)
        assert not steady.problems(found) and not shaky.problems(found)
        assert len(files.rotated()) >= 2


def test_a_reload_adds_removes_and_changes_sinks(tmp_path, simulator):
    with syslog_receiver.Receiver() as first, syslog_receiver.Receiver() as second:
        trail = trail_of(tmp_path / "g", sink(first, "first"))
        with audit.gatehouse(tmp_path / "g", simulator.url, trail) as gatehouse:
            ask(gatehouse, 5)
            rest(gatehouse, "first")
            # A new one begins with the oldest event; what is as it was goes on, and so do its counters.
            reload(gatehouse, trail_of(tmp_path / "g", sink(first, "first"), sink(second, "second")))
            rest(gatehouse, "second")
            assert second.count() == first.count() == value(gatehouse, "events_total", "first") >= 5
            # One that is away for a while goes on where it was, with other settings too.
            reload(gatehouse, trail_of(tmp_path / "g", sink(first, "first")))
            ask(gatehouse, 5)
            rest(gatehouse, "first")
            assert value(gatehouse, "events_total", "second") is None
            assert second.count() < first.count()
            reload(gatehouse, trail_of(tmp_path / "g", sink(first, "first"), sink(second, "second", app_name="edge")))
            rest(gatehouse, "second")
            assert second.count() == first.count() and second.repeated() == first.repeated() == 0
            # What is wrong leaves all as it is.
            wrong = sink(second, "second", tls={"ca": str(tmp_path / "nowhere.crt")})
            assert "settings not changed" in reload(gatehouse, trail_of(tmp_path / "g", wrong))
            ask(gatehouse, 5)
            rest(gatehouse, "first")
            rest(gatehouse, "second")
        found = audit.Files(tmp_path / "g").check()
        assert not first.problems(found) and not second.problems(found)


def test_an_end_does_not_wait_long_for_a_receiver_that_hangs(tmp_path, simulator):
    with syslog_receiver.Receiver() as receiver, syslog_receiver.Receiver() as other:
        trail = trail_of(tmp_path / "g", sink(receiver), sink(other, "other"))
        gatehouse = audit.gatehouse(tmp_path / "g", simulator.url, trail)
        receiver.answers.clear()
        ask(gatehouse, 20)
        rest(gatehouse, "other")
        begun = time.monotonic()
        assert gatehouse.terminate(30) == 0
        # 3 s for sinks; the rest is for the machine.
        assert time.monotonic() - begun < 15
        assert "events are left for the audit sink" in gatehouse.errors()
        receiver.close()
        receiver.answers.set()
        receiver.open()
        with audit.gatehouse(tmp_path / "g", simulator.url, trail) as gatehouse:
            rest(gatehouse)
        found = audit.Files(tmp_path / "g").check()
        assert not receiver.problems(found) and not other.problems(found)
        assert other.repeated() == 0


def test_at_an_end_all_that_is_written_is_sent(tmp_path, simulator):
    with syslog_receiver.Receiver() as receiver:
        gatehouse = audit.gatehouse(tmp_path / "g", simulator.url, trail_of(tmp_path / "g", sink(receiver)))
        ask(gatehouse, 50)
        assert gatehouse.terminate(30) == 0
        found = audit.Files(tmp_path / "g").check("--complete")
        assert not receiver.problems(found) and receiver.repeated() == 0


def test_while_a_receiver_is_away_files_stay_and_numbers_tell(tmp_path, simulator):
    files = audit.Files(tmp_path / "g")
    with syslog_receiver.Receiver() as receiver, syslog_receiver.Receiver() as steady:
        receiver.close()
        trail = trail_of(
            tmp_path / "g", sink(receiver), sink(steady, "steady"), rotation={"size": "64KiB", "keep": 1})
        with audit.gatehouse(tmp_path / "g", simulator.url, trail) as gatehouse:
            ask(gatehouse, 300)
            rest(gatehouse, "steady")
            harness.wait_until(lambda: value(gatehouse, "failing") == 1, 20, "the sink fails")
            values = {what: value(gatehouse, what) for what in ("lag_bytes", "lag_seconds", "events_total", "failures_total")}
            assert values["lag_bytes"] > 2 * 65_536 and values["lag_seconds"] > 0, values
            assert values["events_total"] == 0 and values["failures_total"] > 0, values
            assert len(files.rotated()) >= 2
            assert gatehouse.errors().count("the audit sink does not take events") == 1
            found = files.check()
            receiver.open()
            rest(gatehouse)
            assert value(gatehouse, "lag_seconds") == 0
            harness.wait_until(lambda: len(files.rotated()) <= 1, 20, "read files are removed")
            assert gatehouse.errors().count("the audit sink takes events again") == 1
        assert not receiver.problems(found) and not steady.problems(found)
