"""Identity from a Keystone that is shielded, fails in every way, and comes back; with the counters of both sides."""

import asyncio
import itertools
import json
import threading
import time

import pytest

import harness
from keystone import WRITE, Asker, Client, Cloud

VALIDATIONS = "gatehouse_identity_validations_total"
COLLAPSED = "gatehouse_identity_collapsed_total"
HITS = "gatehouse_identity_hits_total"
STALE = "gatehouse_identity_stale_total"
FAILURES = "gatehouse_identity_failures_total"
REFUSED = "gatehouse_identity_refused_by_budget_total"
RENEWALS = "gatehouse_identity_credential_renewals_total"


@pytest.fixture
def cloud(tmp_path):
    with Cloud(tmp_path) as running:
        yield running


async def crowd(port, tokens, path="/v2.1/flavors/1"):
    """One connection for each token; the requests go out at one moment, when all are connected."""
    pairs = [await asyncio.open_connection(harness.LOOPBACK, port) for _ in tokens]
    for token, (_, writer) in zip(tokens, pairs):
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\nConnection: close\r\n\r\n".encode())
    answers = await asyncio.gather(*[reader.read() for reader, _ in pairs])
    for _, writer in pairs:
        writer.close()
    return [int(answer.split(b" ", 2)[1]) for answer in answers]


# What Keystone is spared


def test_1000_equal_first_requests_are_one_question(tmp_path, cloud, figures):
    cloud.add(["t"])
    cloud.keystone.fault("delay", delay_ms=1_000)
    with cloud.gatehouse(tmp_path) as gatehouse:
        statuses = asyncio.run(crowd(gatehouse.port, ["t"] * 1_000))
        assert statuses == [200] * 1_000
        values = gatehouse.metrics()
        figures.note(f"1,000 requests: {values[COLLAPSED]:.0f} waited for the one question")
        assert cloud.keystone.asked() == values[VALIDATIONS] == 1
        assert values[COLLAPSED] + values[HITS] == 999 and values[COLLAPSED] > 500
        assert cloud.keystone.asked("issue") == values[RENEWALS] == 1


def test_every_question_is_counted_once_on_both_sides(tmp_path, cloud):
    """Good and bad tokens, each several times, over several connections."""
    good, bad = cloud.add([f"good-{index}" for index in range(50)]), [f"bad-{index}" for index in range(30)]
    with cloud.gatehouse(tmp_path) as gatehouse:
        clients = [Client(gatehouse.port) for _ in range(4)]
        for round_ in range(3):
            for index, token in enumerate(good + bad):
                answer = clients[(index + round_) % 4].ask(token)
                assert answer.status == (200 if token in good else 401), answer
        for client in clients:
            client.close()
        values, counts = gatehouse.metrics(), cloud.keystone.counts()
        assert counts["requests"]["validate"] == counts["subjects"] == values[VALIDATIONS] == 80
        assert counts["answers"]["validate"] == {"200": 50, "404": 30}
        assert values[HITS] == 160 and values[COLLAPSED] == values[FAILURES] == values[STALE] == values[REFUSED] == 0
        assert counts["requests"]["issue"] == values[RENEWALS] == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_2000_bad_tokens_of_one_address_cost_keystone_no_more_than_its_budget(tmp_path, cloud, figures, workers):
    cloud.add(["known", "late"])
    budget = {"bad_tokens": {"rate": "120/min", "burst": 20}}
    with cloud.gatehouse(tmp_path, budget, workers=workers) as gatehouse:
        assert Client(gatehouse.port).ask("known").status == 200
        before, begun = cloud.keystone.asked(), time.monotonic()
        known = Asker(gatehouse.port, itertools.repeat("known"))
        guessing = [
            Asker(gatehouse.port, [f"guess-{place}-{index}" for index in range(250)], pause=0) for place in range(8)]
        for asker in [known, *guessing]:
            asker.start()
        for asker in guessing:
            asker.join(60)
            asker.end()
        known.end()
        seconds = time.monotonic() - begun
        asked = cloud.keystone.asked() - before
        answers = [answer for asker in guessing for answer in asker.answers]
        statuses = [answer.status for answer in answers]
        figures.note(f"2,000 guesses in {seconds:.1f} s: {asked} asked, {statuses.count(429)} refused", asked=asked)
        assert len(answers) == 2_000 and set(statuses) == {401, 429}
        assert asked == statuses.count(401) <= 20 + 2 * seconds + 1
        assert asked >= 20
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers if answer.status == 429)
        assert gatehouse.metrics()[REFUSED] == statuses.count(429)
        assert {answer.status for answer in known.answers} == {200} and len(known.answers) > 10
        # The address has its budget back after a while, and a good token then costs it nothing.
        harness.wait_until(
            lambda: Client(gatehouse.port).ask("late").status == 200, 10, "a good token of this address is let in again")


def test_few_connections_carry_all_questions(tmp_path, cloud, figures):
    names = cloud.add([f"t{index}" for index in range(400)])
    cloud.keystone.fault("delay", delay_ms=20)
    with cloud.gatehouse(tmp_path, {"max_connections": 2}, workers=2) as gatehouse:
        opened = cloud.keystone.control("GET", "/requests?limit=0")["counters"]["connections_accepted"]
        most, over = [0], threading.Event()

        def watch():
            while not over.wait(0.01):
                counters = cloud.keystone.control("GET", "/requests?limit=0")["counters"]
                # The one that asks this is among them.
                most[0] = max(most[0], counters["connections_open"] - 1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        statuses = asyncio.run(crowd(gatehouse.port, names))
        over.set()
        watcher.join()
        figures.note(f"400 tokens at once: at most {most[0]} connections to Keystone", most=most[0])
        assert statuses == [200] * 400
        assert 1 <= most[0] <= 4 and opened >= 1
        assert cloud.keystone.asked() == 400


def test_no_question_is_lost_to_a_keystone_that_drops_idle_connections(tmp_path, cloud):
    names = cloud.add([f"t{index}" for index in range(200)])
    cloud.keystone.fault("close_idle", after_ms=2)
    with cloud.gatehouse(tmp_path, workers=1) as gatehouse:
        client = Client(gatehouse.port)
        statuses = []
        for index, name in enumerate(names):
            statuses.append(client.ask(name).status)
            # Now and then as long as the idle connection lives.
            threading.Event().wait([0, 0.001, 0.002, 0.003][index % 4])
        client.close()
        assert statuses == [200] * 200


def test_the_table_of_tokens_stays_bounded(tmp_path, cloud, figures):
    names = cloud.add([f"t{index}" for index in range(6_000)])
    with cloud.gatehouse(tmp_path, {"cache": {"max_tokens": 256}}) as gatehouse:
        client = Client(gatehouse.port)
        for name in names[:2_000]:
            assert client.ask(name).status == 200
        early = gatehouse.resident_bytes()
        for name in names[2_000:]:
            assert client.ask(name).status == 200
        growth = gatehouse.resident_bytes() - early
        asked = cloud.keystone.asked()
        figures.note(f"4,000 tokens past a table of 256: {growth / 1e3:.0f} kB more", bytes=growth)
        assert asked == 6_000
        assert growth < 2_000_000
        # The latest is known, and of the earliest hardly any.
        assert client.ask(names[-1]).status == 200 and cloud.keystone.asked() == asked
        for name in names[:500]:
            assert client.ask(name).status == 200
        assert cloud.keystone.asked() >= asked + 400
        client.close()


# What a token is worth, and for how long


def test_a_revoked_token_stops_working_within_max_age(tmp_path, cloud, figures):
    cloud.add(["gone", "stays"])
    with cloud.gatehouse(tmp_path, {"cache": {"max_age": "2s"}}) as gatehouse:
        client = Client(gatehouse.port)
        assert [client.ask(token).status for token in ("gone", "stays")] == [200, 200]
        cloud.keystone.revoke("gone")
        begun = time.monotonic()
        harness.wait_until(lambda: client.ask("gone").status == 401, 10, "the revoked token is refused")
        figures.note(f"refused {time.monotonic() - begun:.1f} s after it was revoked, with max_age 2 s")
        assert time.monotonic() - begun < 3
        assert client.ask("gone").status == 401 and client.ask("stays").status == 200
        client.close()


def test_a_revocation_that_nova_knows_of_first_ends_the_token_here(tmp_path, cloud):
    cloud.add(["gone"])
    with cloud.gatehouse(tmp_path, {"cache": {"max_age": "1h"}}) as gatehouse:
        client = Client(gatehouse.port)
        assert client.ask("gone").status == 200
        for simulator in (cloud.keystone, cloud.nova):
            simulator.control("DELETE", "/tokens?token=gone")
        harness.wait_until(
            lambda: client.ask("gone").status == 401 and cloud.keystone.asked() == 2, 10, "it is asked about again")
        seen = len(cloud.nova.requests())
        assert client.ask("gone").status == 401 and len(cloud.nova.requests()) == seen
        client.close()


def test_a_token_ends_with_its_own_time(tmp_path, cloud):
    cloud.add(["short"], expires_in=3)
    with cloud.gatehouse(tmp_path, {"cache": {"max_age": "1h"}}) as gatehouse:
        client = Client(gatehouse.port)
        assert client.ask("short").status == 200
        harness.wait_until(lambda: client.ask("short").status == 401, 10, "its time is over")
        client.close()


def test_an_expired_token_is_good_next_to_the_token_of_a_service(tmp_path, cloud):
    cloud.add(["ended"], expires_in=-60)
    cloud.add(["service"], project="service", roles=["service"])
    cloud.add(["plain"])
    with cloud.gatehouse(tmp_path) as gatehouse:
        client = Client(gatehouse.port)
        rows = [
            ("ended", "service", 200), ("ended", None, 401), ("ended", "plain", 401), ("ended", "ended", 401),
            ("ended", "wrong", 401), ("plain", "service", 200), ("plain", "wrong", 401), ("plain", "plain", 401),
            ("plain", "", 200), ("ended", "service", 200)]
        for token, service, status in rows:
            headers = {} if service is None else {"X-Service-Token": service}
            assert client.ask(token, headers=headers).status == status, (token, service)
        client.close()
        # The Nova behind judges by the same rules, so none of the 200s was ours alone.
        statuses = {request["status"] for request in cloud.nova.requests("/v2.1/")}
        assert statuses == {200}


def test_access_rules_bind_a_token(tmp_path, cloud):
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/flavors/*"}]
    cloud.add(["narrow"], access_rules=rules)
    with cloud.gatehouse(tmp_path) as gatehouse:
        client = Client(gatehouse.port)
        assert client.ask("narrow").status == 200
        for request in [("GET", "/v2.1/flavors"), ("GET", "/v2.1/servers"), WRITE]:
            assert client.ask("narrow", request).status == 401, request
        client.close()
        assert len(cloud.nova.requests("/v2.1/")) == 1


# The gateway's own token


def test_its_own_token_is_renewed_before_it_ends(tmp_path, figures):
    with Cloud(tmp_path, "--token-seconds", "4") as cloud:
        names = cloud.add([f"t{index}" for index in range(200)])
        with cloud.gatehouse(tmp_path, workers=2) as gatehouse:
            asker = Asker(gatehouse.port, names, pause=0.05)
            asker.start()
            asker.join(60)
            asker.end()
            counts = cloud.keystone.counts()
            figures.note(f"200 questions in 10 s with own tokens of 4 s: {counts['requests']['issue']} of these")
            assert {answer.status for answer in asker.answers} == {200}
            assert counts["answers"]["validate"] == {"200": 200}
            assert 3 <= counts["requests"]["issue"] <= 10
            assert gatehouse.metrics()[RENEWALS] == counts["requests"]["issue"]
            assert max(answer.seconds for answer in asker.answers) < 1


def test_its_own_token_may_be_revoked_at_any_time(tmp_path, cloud):
    names = cloud.add([f"t{index}" for index in range(60)])
    with cloud.gatehouse(tmp_path, workers=2) as gatehouse:
        assert Client(gatehouse.port).ask(names[0]).status == 200
        for start in (1, 20, 40):
            cloud.keystone.revoke(cloud.keystone.own_tokens()[-1])
            statuses = asyncio.run(crowd(gatehouse.port, names[start:start + 19]))
            assert statuses == [200] * 19
        # At most each loop finds out for itself, each time.
        assert 4 <= cloud.keystone.asked("issue") <= 7


def test_an_application_credential_is_as_good_as_a_password(tmp_path, cloud):
    cloud.keystone.control("POST", "/users", {
        "name": "nova", "credentials": [{"id": "c1", "secret": "s", "project": "service"}]})
    cloud.add(["t"])
    settings = {"credential": None}
    with cloud.gatehouse(tmp_path, settings | {"credential": {
            "application_credential_id": "c1", "application_credential_secret": "s"}}) as gatehouse:
        assert Client(gatehouse.port).ask("t").status == 200


# Keystone in trouble


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
    "429": fault("status", status=429, fields=[["Retry-After", "2"]]), "cut": fault("cut_at", at=300),
    "endless": fault("pad", bytes=20_000_000), "slow": fault("trickle", bytes=10, interval_ms=200),
    "refused": fault("unauthorized"), "forbidden": fault("status", status=403),
}
TIMES = {
    "connect_timeout": "1s", "response_timeout": "2s",
    "cache": {"max_age": "2s", "stale_max_age": "1h", "negative_max_age": "1s"},
}
# One question may be sent once more, and its own token asked for before it.
LONGEST = 7


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
        begun = time.monotonic()
        end = TROUBLES[trouble](cloud.keystone)
        # Long enough that every known token is past its time, and that questions run into their time limit.
        harness.wait_until(
            lambda: time.monotonic() > begun + 6 and gatehouse.metrics()[STALE] > 50, 30, lambda: gatehouse.metrics())
        ended = time.monotonic()
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
        # A write needs Keystone's word of the last two seconds.
        late = [answer.status for answer in writer.between(begun + 3, ended)]
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
