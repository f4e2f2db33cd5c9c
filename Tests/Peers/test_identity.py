"""Identity from a Keystone that is well: what it is spared, what tokens are worth, and the counters of both sides."""

import asyncio
import itertools
import threading
import time

import pytest

import harness
from keystone import (
    COLLAPSED, FAILURES, HITS, REFUSED, RENEWALS, STALE, VALIDATIONS, WRITE, Asker, Client, Cloud, crowd)

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
    with cloud.gatehouse(tmp_path, limits=budget, workers=workers) as gatehouse:
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


def test_more_good_tokens_at_once_than_the_burst_of_their_address_are_let_in(tmp_path, cloud):
    """Several users behind one address after a restart: none of them has guessed."""
    names = cloud.add([f"t{index}" for index in range(200)])
    budget = {"bad_tokens": {"rate": "1/h", "burst": 20}}
    with cloud.gatehouse(tmp_path, limits=budget, workers=2) as gatehouse:
        assert asyncio.run(crowd(gatehouse.port, names)) == [200] * 200
        assert cloud.keystone.asked() == 200 and gatehouse.metrics()[REFUSED] == 0
        client = Client(gatehouse.port)
        assert [client.ask(f"wrong-{index}").status for index in range(23)] == [401] * 20 + [429] * 3
        client.close()


def test_each_address_has_a_budget_of_its_own(tmp_path, cloud):
    """Behind a proxy that is trusted: 300 addresses, then 100 in one /64."""
    settings = {"http": {"trusted_proxies": [harness.LOOPBACK]}, "limits": {"bad_tokens": {"rate": "1/h", "burst": 2}}}
    with cloud.gatehouse(tmp_path, **settings) as gatehouse:
        client = Client(gatehouse.port)

        def guess(address, name):
            return client.ask(f"{address}-{name}", headers={"X-Forwarded-For": address}).status

        for place in range(300):
            address = f"192.0.{place // 100}.{place % 100}"
            assert [guess(address, name) for name in range(3)] == [401, 401, 429], address
        assert cloud.keystone.asked() == 600
        statuses = [guess(f"2001:db8:0:7:{place:x}::1", place) for place in range(100)]
        assert statuses == [401, 401] + [429] * 98
        assert cloud.keystone.asked() == 602 and gatehouse.metrics()[REFUSED] == 398
        client.close()


def test_few_connections_carry_all_questions(tmp_path, cloud, figures):
    names = cloud.add([f"t{index}" for index in range(200)])
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
        figures.note(f"200 tokens at once: at most {most[0]} connections to Keystone", most=most[0])
        assert statuses == [200] * 200
        assert 1 <= most[0] <= 4 and opened >= 1
        assert cloud.keystone.asked() == 200


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


def test_tokens_without_a_project_are_judged_as_nova_judges_them(tmp_path, cloud):
    rows = {"unscoped": {"project": None}, "domain": {"project": None, "domain": True, "roles": ["admin"]},
            "system": {"project": None, "system": True, "roles": ["admin"]}}
    for name, more in rows.items():
        cloud.add([name], **more)
    with cloud.gatehouse(tmp_path) as gatehouse:
        client = Client(gatehouse.port)
        for name in rows:
            answer = client.ask(name, ("GET", f"/v2.1/{harness.DEMO}/servers"))
            assert answer.status == 400 and b"doesn't match Context's project_id 'None'" in answer.content, answer
            assert client.ask(name, ("GET", "/v2.1/servers")).status == 403
        client.close()


def test_a_project_is_looked_up_once(tmp_path, cloud):
    cloud.add(["t"])
    nobody = "0" * 32
    with cloud.gatehouse(tmp_path, {"project_lookup": True}) as gatehouse:
        client = Client(gatehouse.port)
        for _ in range(3):
            assert client.ask("t", ("GET", f"/v2.1/{harness.OTHER}/servers")).status == 400
            assert client.ask("t", ("GET", f"/v2.1/{nobody}/servers")).status == 404
            assert client.ask("t", ("GET", f"/v2.1/{harness.DEMO}/flavors")).status == 200
        client.close()
        assert cloud.keystone.asked("project") == 2
        assert not cloud.nova.requests(f"/v2.1/{harness.OTHER}") and not cloud.nova.requests(f"/v2.1/{nobody}")


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
    credential = {"application_credential_id": "c1", "application_credential_secret": "s"}
    with cloud.gatehouse(tmp_path, {"credential": credential}) as gatehouse:
        assert Client(gatehouse.port).ask("t").status == 200
