"""A Keystone in every kind of trouble: who is known reads on, nobody is wrongly refused, and all is well afterwards."""

import itertools
import json
import socket
import struct
import threading
import time

import pytest

import harness
import wire
from keystone import FAILURES, STALE, VALIDATIONS, WRITE, Asker, Client


def kill(keystone):
    keystone.kill()
    return keystone.start


def stop(keystone):
    keystone.stop_running()
    return keystone.go_on


def fault(action, **more):
    def begin(keystone):
        for method in ("GET", "POST"):
            keystone.fault(action, method=method, **more)
        return keystone.clear_faults
    return begin


TROUBLES = {
    "killed": kill, "stopped": stop, "hanging": fault("hang"), "closing": fault("close_before_answer"),
    "garbage": fault("garbage"), "nonsense": fault("literal", status=200, content="{\"token\": 7}"),
    "page": fault("html", status=404), "500": fault("status", status=500),
    "429": fault("status", status=429, fields=[["Retry-After", "2"]]), "cut": fault("cut_at", at=150),
    "endless": fault("pad", bytes=20_000_000), "slow": fault("trickle", bytes=10, interval_ms=200),
    "refused": fault("unauthorized"), "forbidden": fault("status", status=403),
}
TIMES = {
    "connect_timeout": "1s", "response_timeout": "1s",
    "cache": {"max_age": "1s", "stale_max_age": "1h", "negative_max_age": "1s"},
}
# One question may be sent once more, and its own token asked for before it.
LONGEST = 5


@pytest.mark.parametrize("trouble", TROUBLES)
def test_known_tokens_read_on_while_keystone_is_in_trouble(tmp_path, cloud, figures, trouble):
    known = cloud.add([f"known-{index}" for index in range(12)])
    fresh = cloud.add([f"fresh-{index}" for index in range(4_000)])
    with cloud.gatehouse(tmp_path, TIMES, workers=2) as gatehouse:
        client = Client(gatehouse.port)
        assert {client.ask(token).status for token in known} == {200}
        readers = [Asker(gatehouse.port, itertools.cycle(known[place::3])) for place in range(3)]
        writer = Asker(gatehouse.port, itertools.cycle(known), WRITE, pause=0.02)
        strangers = [Asker(gatehouse.port, fresh[place::2], pause=0.02) for place in range(2)]
        guesser = Asker(gatehouse.port, (f"guess-{index}" for index in itertools.count()), pause=0.05)
        everybody = [*readers, writer, *strangers, guesser]
        for asker in everybody:
            asker.start()
        harness.wait_until(lambda: len(writer.answers) > 5 and len(guesser.answers) > 5, 20, "the load is on")
        begun, asked = time.monotonic(), cloud.keystone.asked()
        end = TROUBLES[trouble](cloud.keystone)
        # Long enough that every known token is past its time, and that questions run into their time limit.
        harness.wait_until(
            lambda: time.monotonic() > begun + 4 and gatehouse.metrics()[STALE] > 50, 30, lambda: gatehouse.metrics())
        ended = time.monotonic()
        if trouble == "429":
            # It named two seconds, so each loop has tried a few times at most; some questions were under way before.
            assert cloud.keystone.asked() - asked < 40
        end()
        harness.wait_until(
            lambda: strangers[0].answers[-1].status == 200 and writer.answers[-1].status == 404, 15, "it is over")
        back = time.monotonic() - ended
        for asker in everybody:
            asker.end()
        slowest = max(answer.seconds for reader in readers for answer in reader.answers)
        during = [answer for asker in (*strangers, guesser) for answer in asker.between(begun + 0.5, ended)]
        longest = max(answer.seconds for answer in during)
        values = gatehouse.metrics()
        figures.note(
            f"{trouble}: {sum(len(reader.answers) for reader in readers)} known reads, the slowest {slowest * 1e3:.0f} ms, "
            f"{values[STALE]:.0f} by old words; {len(during)} unknown 503, the longest {longest:.1f} s; "
            f"well again after {back:.1f} s; {values[FAILURES]:.0f} failures", slowest=slowest, back=back)
        # Known tokens read, at once, all the time.
        assert {answer.status for reader in readers for answer in reader.answers} == {200}
        assert slowest < 1
        # Nobody is told that a good token is bad, and nobody waits long.
        for asker in strangers:
            assert {answer.status for answer in asker.answers} <= {200, 503}
        assert {answer.status for answer in guesser.answers} <= {401, 503}
        assert {answer.status for answer in during} == {503} and len(during) > 3
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in during)
        assert longest < LONGEST
        # A write needs Keystone's word of the last second.
        late = [answer.status for answer in writer.between(begun + 2, ended)]
        assert set(late) == {503} or not late, late
        assert {answer.status for answer in writer.answers} <= {404, 503}
        assert values[FAILURES] > 0
        check_recovery(gatehouse, client, cloud, known)


def check_recovery(gatehouse, client, cloud, known):
    """Everything is as before: no old words, and every number of the two sides the same from now on."""
    harness.wait_until(
        lambda: all(client.ask(token, WRITE).status == 404 for token in known), 10, "every known token writes again")
    before, asked = gatehouse.metrics(), cloud.keystone.asked()
    names = cloud.add([f"after-{index}" for index in range(20)])
    assert {client.ask(token).status for token in names} == {200}
    values = gatehouse.metrics()
    assert values[STALE] == before[STALE] and values[FAILURES] == before[FAILURES]
    assert values[VALIDATIONS] - before[VALIDATIONS] >= 20
    assert cloud.keystone.asked() - asked == values[VALIDATIONS] - before[VALIDATIONS]
    client.close()


def test_it_starts_while_keystone_is_away(tmp_path, cloud):
    cloud.add(["t"])
    cloud.keystone.kill()
    with cloud.gatehouse(tmp_path, TIMES) as gatehouse:
        answer = Client(gatehouse.port).ask("t")
        assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1
        assert list(json.loads(answer.content)) == ["serviceUnavailable"]
        cloud.keystone.start()
        harness.wait_until(lambda: Client(gatehouse.port).ask("t").status == 200, 10, "Keystone is found")


@pytest.mark.parametrize("trouble", ["stopped", "hanging", "slow"])
def test_a_crowd_of_strangers_while_keystone_answers_nothing(tmp_path, cloud, figures, trouble):
    """400 at once, each with a token of its own; those who are known notice nothing."""
    known = cloud.add(["known-1", "known-2"])
    with cloud.gatehouse(tmp_path, {**TIMES, "max_connections": 2}, workers=2) as gatehouse:
        client = Client(gatehouse.port)
        assert {client.ask(token).status for token in known} == {200}
        end = TROUBLES[trouble](cloud.keystone)
        reader = Asker(gatehouse.port, itertools.cycle(known))
        strangers = [Asker(gatehouse.port, [f"stranger-{place}"]) for place in range(400)]
        for asker in [reader, *strangers]:
            asker.start()
        for asker in strangers:
            asker.join(30)
            asker.end()
        reader.end()
        end()
        answers = [answer for asker in strangers for answer in asker.answers]
        longest = max(answer.seconds for answer in answers)
        slowest = max(answer.seconds for answer in reader.answers)
        figures.note(f"{trouble}: 400 strangers told within {longest:.1f} s, known reads within {slowest * 1e3:.0f} ms")
        assert len(answers) == 400 and {answer.status for answer in answers} == {503}
        assert longest < LONGEST
        assert {answer.status for answer in reader.answers} == {200} and slowest < 1
        check_recovery(gatehouse, client, cloud, known)


@pytest.mark.parametrize("how", ["end", "reset"])
def test_clients_that_leave_while_keystone_is_asked(tmp_path, cloud, how):
    names = cloud.add([f"t{index}" for index in range(150)])
    with cloud.gatehouse(tmp_path, {**TIMES, "response_timeout": "5s"}, workers=2) as gatehouse:
        assert Client(gatehouse.port).ask(names[0]).status == 200
        gatehouse.note_base()
        cloud.keystone.fault("hang")
        peers = []
        # Each token is waited for by two: the one who asked, and one who joined.
        for name in names[1:] * 2:
            peers.append(wire.connect(gatehouse.port))
            peers[-1].sendall(wire.request("GET", "/v2.1/flavors/1", token=name))
        harness.wait_until(
            lambda: gatehouse.metrics()[VALIDATIONS] >= len(names), 10, lambda: gatehouse.metrics()[VALIDATIONS])
        for peer in peers:
            if how == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        cloud.keystone.clear_faults()
        cloud.keystone.control("DELETE", "/connections?listener=identity")
        gatehouse.wait_for_rest(20)
        client = Client(gatehouse.port)
        assert {client.ask(name).status for name in names} == {200}
        client.close()


def test_sigterm_does_not_wait_for_a_keystone_that_hangs(tmp_path, cloud):
    cloud.add(["known", "unknown"])
    gatehouse = cloud.gatehouse(tmp_path, TIMES, drain_timeout="20s")
    assert Client(gatehouse.port).ask("known").status == 200
    cloud.keystone.fault("hang")
    found = []
    thread = threading.Thread(target=lambda: found.append(Client(gatehouse.port).ask("unknown")))
    thread.start()
    harness.wait_until(lambda: cloud.keystone.asked() == 2, 10, "Keystone is asked")
    begun = time.monotonic()
    assert gatehouse.terminate(30) == 0, gatehouse.errors()
    thread.join(10)
    assert time.monotonic() - begun < LONGEST
    assert [answer.status for answer in found] == [503]
