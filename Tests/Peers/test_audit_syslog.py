"""Events in a real rsyslogd: none is lost, whoever is killed when."""

import os
import random

import pytest

import audit
import harness
import syslogd

KILLS = int(os.environ.get("SYSLOG_KILLS", "4"))
LAG, LAG_SECONDS = "gatehouse_audit_sink_lag_bytes", "gatehouse_audit_sink_lag_seconds"
FAILING = "gatehouse_audit_sink_failing"
REPEATED, SETTLED = "gatehouse_audit_sink_repeated_total", "gatehouse_audit_sink_events_total"


@pytest.fixture
def seed(figures):
    found = int(os.environ.get("AUDIT_SEED") or random.SystemRandom().randrange(10**9))
    figures.note(f"AUDIT_SEED={found}", seed=found)
    return found


@pytest.fixture(params=["tcp", "tls"])
def receiver(request, tmp_path):
    with syslogd.Receiver(tmp_path / "r", request.param) as running:
        yield running


def gatehouse(directory, upstream, receiver, **more):
    sink = {"url": receiver.url, "hostname": "gate.example.org", **more}
    if receiver.transport == "tls":
        sink["tls"] = {"ca": str(syslogd.CA), "server_name": "localhost"}
    path = str(directory / "g" / "audit.jsonl")
    return audit.gatehouse(directory / "g", upstream, {"sinks": [{"file": {"path": path}}, {"syslog": sink}]})


def until(gatehouse, condition, what, seconds=60):
    """Waits for something of the sink's metrics, and gives them."""
    values = {}

    def holds():
        values.update(gatehouse.metrics())
        return condition(values)

    harness.wait_until(holds, seconds, lambda: f"{what}: {[(k, v) for k, v in values.items() if 'sink' in k]}")
    return values


def until_settled(gatehouse):
    return until(gatehouse, lambda values: values[LAG] == 0 and values[LAG_SECONDS] == 0 and values[FAILING] == 0,
                 "all events are settled")


def judge(directory, receiver, figures, what):
    """That the receiver has every event of the trail, as it is there and in its order; prints what came twice."""
    trail = audit.Files(directory / "g").check()
    written = {
        line.record["event"]["id"]: (line.record["writer"], line.record["sequence"], line.record["event"])
        for line in trail.lines if line.kind == "event"}
    messages, first = receiver.messages(), {}
    for message in messages:
        event = message.event
        # A copy is told by the id: it is the same in every part.
        assert first.setdefault(event["id"], message) == message
    missing = [name for name in written if name not in first]
    figures.note(
        f"{what}: {len(written)} events, {len(missing)} missing, {len(messages) - len(first)} came more than once, "
        f"{len(receiver.outputs)} lives of the receiver",
        events=len(written), missing=len(missing), repeated=len(messages) - len(first))
    assert not missing, missing[:10]
    assert first.keys() == written.keys()
    last = {}
    for name, message in first.items():
        writer, sequence, event = written[name]
        assert (message.writer, message.sequence) == (writer, sequence)
        assert message.event == event and message.time == event["eventTime"]
        assert message.priority == 13 * 8 + (5 if event["outcome"] == "failure" else 6)
        assert (message.host, message.app, message.kind) == ("gate.example.org", "gatehouse", "audit")
        assert last.get(writer, 0) < sequence
        last[writer] = sequence
    return len(messages) - len(first)


def test_the_receiver_is_killed_again_and_again(tmp_path, simulator, receiver, seed, figures):
    numbers = random.Random(seed)
    with gatehouse(tmp_path, simulator.url, receiver) as running:
        with audit.Clients(seed) as clients:
            clients.target.put(running)
            for _ in range(KILLS):
                clients.more(numbers.randrange(50, 250))
                receiver.kill()
                before = running.metrics()[LAG]
                clients.more(20)
                until(running, lambda values: values[FAILING] == 1 and values[LAG] > before, "it is missed")
                receiver.start()
                until(running, lambda values: values[FAILING] == 0, "it is back")
            # Stopped, it is a receiver that takes bytes and never ends.
            receiver.stop()
            try:
                until(running, lambda values: values[LAG_SECONDS] > 2, "the lag grows")
                if receiver.transport == "tcp":
                    until(running, lambda values: values[FAILING] == 1, "it is given up")
            finally:
                receiver.go_on()
            clients.more(50)
        values = until_settled(running)
        assert values[SETTLED] >= clients.count
        assert "the audit sink does not take events" in running.errors()
        assert "the audit sink takes events again" in running.errors()
    judge(tmp_path, receiver, figures, f"{KILLS} kills over {receiver.transport}")


def test_the_gateway_goes_on_where_it_was(tmp_path, simulator, receiver, seed, figures):
    numbers, quiet = random.Random(seed), []
    with audit.Clients(seed) as clients:
        for end in ("SIGTERM", "SIGKILL", "SIGTERM, nobody listening", "SIGKILL, nobody listening"):
            running = gatehouse(tmp_path, simulator.url, receiver)
            until_settled(running)
            # What is settled now is not sent again, whatever follows.
            quiet.append((len(audit.Files(tmp_path / "g").read().events), len(receiver.messages())))
            clients.target.put(running)
            clients.more(numbers.randrange(50, 200))
            if "nobody" in end:
                # Whoever comes next finds events that were never sent.
                receiver.kill()
                clients.more(50)
            if "KILL" in end:
                running.kill()
                clients.target.put(None)
            else:
                clients.target.put(None)
                running.terminate(40)
            if receiver.child.poll() is not None:
                receiver.start()
    with gatehouse(tmp_path, simulator.url, receiver) as running:
        until_settled(running)
    judge(tmp_path, receiver, figures, f"four ends of the gateway over {receiver.transport}")
    events = [event["id"] for event in audit.Files(tmp_path / "g").read().events]
    messages = [message.event["id"] for message in receiver.messages()]
    for settled, received in quiet:
        assert not set(events[:settled]) & set(messages[received:])
    assert quiet[-1][0] >= 150


def test_udp_events_arrive_and_a_dead_receiver_is_noticed(tmp_path, simulator, figures):
    with syslogd.Receiver(tmp_path / "r", "udp") as receiver:
        with gatehouse(tmp_path, simulator.url, receiver) as running:
            def ask(count):
                for _ in range(count):
                    assert harness.ask(running.port, "GET", "/v2.1/servers")[0] == 200

            ask(50)
            harness.wait_until(lambda: receiver.count() >= 50, 30, "fifty datagrams")
            until_settled(running)
            receiver.kill()
            ask(20)
            until(running, lambda values: values[FAILING] == 1 and values[LAG] > 0, "it is missed")
            receiver.start()
            until_settled(running)
            harness.wait_until(lambda: receiver.count() >= 70, 30, "twenty more")
        judge(tmp_path, receiver, figures, "one kill over udp")


def test_long_events_are_shortened(tmp_path, simulator):
    with syslogd.Receiver(tmp_path / "r", "tcp") as receiver:
        with gatehouse(tmp_path, simulator.url, receiver, max_message="1KiB") as running:
            path = "/v2.1/servers?name=" + "%C3%A9%22x" * 150
            assert harness.ask(running.port, "GET", path)[0] == 200
            until_settled(running)
        written = audit.Files(tmp_path / "g").check().events[0]
        message = receiver.messages()[0]
        assert message.event["shortened"] is True
        assert message.event["requestPath"].endswith("\u2026")
        assert written["requestPath"].startswith(message.event["requestPath"][:-1]) and len(message.event["requestPath"]) > 200
        assert [message.event[name] for name in ("id", "eventTime", "action", "outcome", "reason")] == \
            [written[name] for name in ("id", "eventTime", "action", "outcome", "reason")]
