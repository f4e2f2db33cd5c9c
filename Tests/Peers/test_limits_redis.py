"""One limit for several processes: a Redis in every state, and what clients notice of it."""

import os
import re
import signal
import subprocess
import time

import pytest

import harness
import redis
from limited import AWAY_LINE, BACK_LINE, LIST, LOOSE, Load, admitted, ask, p99, serve, statuses, wait_for_up

WRK = harness.find_program("wrk")


# Sharing


@pytest.mark.alone
def test_two_processes_share_one_limit_within_two_percent(tmp_path, serve, figures):
    rate, burst, seconds = 100, 100, 6
    rule = {"name": "shared", "per": "project", "rate": f"{rate}/s", "burst": burst}
    # What is measured here is the sharing: a busy machine is not to bring local limits into it.
    more = {"deadline": "500ms"}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule, **more) as one, serve(store, rule, **more) as two:
        wait_for_up(one, two)
        load = Load([one.port, two.port], count=4)
        redis.wait_for_seconds(seconds)
        answers = load.end()
        good = admitted(answers)
        # From the first request to the last answer: what the limit allows in this time, and no more.
        length = max(answer.begun + answer.seconds for answer in answers) - min(answer.begun for answer in answers)
        allowed = burst + rate * length
        refused = len(answers) - len(good)
        values = [gateway.metrics() for gateway in (one, two)]
        local = sum(value["gatehouse_limit_store_late_total"] + value["gatehouse_limit_store_errors_total"]
                    for value in values)
        figures.note(
            f"{len(answers)} requests to two processes in {length:.2f} s: {len(good)} admitted of {allowed:.0f} allowed "
            f"({len(good) / allowed - 1:+.2%}), {refused} refused, {local:.0f} decided without the store",
            admitted=len(good), allowed=allowed)
        assert refused > len(good)
        assert abs(len(good) - allowed) <= 0.02 * allowed, (len(good), allowed)
        # Both had their part.
        assert all(value["gatehouse_limit_store_answers_total"] > 50 for value in values)


def test_a_burst_is_shared_to_the_last_request(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 20}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule) as one, serve(store, rule) as two:
        wait_for_up(one, two)
        found = [status for _ in range(15) for gateway in (one, two) for status in statuses(gateway)]
        assert found == [200] * 20 + [429] * 10
        # Another project's bucket is its own.
        assert statuses(two, "t1") == [200]
        keys = [key for key in store.ask("KEYS", "*") if not key.endswith(":probe")]
        assert sorted(keys) == [f"{redis.PREFIX}:few:project={index + 1:032x}" for index in range(2)]
        assert all(store.ask("PTTL", key) > 0 for key in keys)


def test_a_project_far_over_its_limit_costs_redis_nothing(tmp_path, serve, figures):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 5}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule) as gateway:
        wait_for_up(gateway)
        assert statuses(gateway, "t0", 8) == [200] * 5 + [429] * 3
        before = store.calls("evalsha")
        answers = ask(gateway, "t0", 500)
        assert {answer.status for answer in answers} == {429}
        assert all(int(answer.headers["Retry-After"]) > 3_000 for answer in answers)
        calls = store.calls("evalsha") - before
        figures.note(f"500 refused requests of a project over its limit: {calls} calls of Redis", calls=calls)
        assert calls <= 5


# What is taken


def debt(store, rule, name):
    """Seconds until the debt of a bucket is paid, by Redis's own clock; 0 for a bucket that has none."""
    seconds, microseconds = store.ask("TIME")
    paid = store.ask("GET", f"{redis.PREFIX}:{rule}:{name}") or 0
    return max(0, int(paid) / 1e6 - int(seconds) - int(microseconds) / 1e6)


PROJECT, USER = f"project={1:032x}", "user=user-t0"


def test_nothing_is_taken_from_the_others_when_one_refuses(tmp_path, serve):
    few = {"name": "few", "per": "project", "rate": "60/h", "burst": 3}
    many = {"name": "many", "per": "user", "rate": "1/h", "burst": 90}
    tried = {"name": "tried", "per": "project", "rate": "1/h", "burst": 2, "mode": "shadow"}
    with redis.Redis(tmp_path / "redis") as store, serve(store, few, many, tried, deadline="500ms") as gateway:
        wait_for_up(gateway)
        # What one process knows the other one has to ask for.
        with serve(store, few, many, tried, deadline="500ms") as other:
            wait_for_up(other)
            found = statuses(gateway, count=3) + statuses(other, count=2)
            assert found == [200] * 3 + [429] * 2
            assert 2 * 3_600 < debt(store, "many", USER) <= 3 * 3_600
            assert 2 * 60 < debt(store, "few", PROJECT) <= 3 * 60
            # One that is only tried takes what it would, and refuses nobody.
            assert 3_600 < debt(store, "tried", PROJECT) <= 2 * 3_600
            assert gateway.metrics()['gatehouse_limit_requests_total{rule="tried",outcome="shadowed"}'] == 1


def test_a_hit_is_given_back(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 3, "hit_cost": 0}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule, deadline="500ms") as gateway:
        wait_for_up(gateway)
        answers = ask(gateway, count=20)
        assert {answer.status for answer in answers} == {200}
        fetched = sum("hit" not in answer.headers["Cache-Status"] for answer in answers)
        assert 1 <= fetched <= 3
        harness.wait_until(
            lambda: (fetched - 1) * 3_600 < debt(store, "few", PROJECT) <= fetched * 3_600, 5,
            lambda: f"the debt of {fetched}: {debt(store, 'few', PROJECT)}")


def test_a_clock_that_went_back_keeps_nobody_out(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "60/min", "burst": 3}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule, deadline="500ms") as gateway:
        wait_for_up(gateway)
        # As a server wrote it whose clock is a day ahead.
        late = (int(store.ask("TIME")[0]) + 86_400) * 1_000_000
        store.ask("SET", f"{redis.PREFIX}:few:{PROJECT}", late, "PX", 86_400_000)
        answer, = ask(gateway)
        assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 2
        assert 0 < debt(store, "few", PROJECT) <= 3
        harness.wait_until(lambda: statuses(gateway) == [200], 10, "it is let in again")


# Away and back


def kill(store):
    store.kill()
    return store.start


def stop(store):
    store.stop_running()
    return store.go_on


@pytest.mark.alone
@pytest.mark.parametrize("trouble", [kill, stop], ids=["killed", "stopped"])
def test_no_request_fails_while_redis_is_away(tmp_path, serve, figures, trouble):
    with redis.Redis(tmp_path / "redis") as store, serve(store, LOOSE) as gateway:
        wait_for_up(gateway)
        load = Load([gateway.port], tokens=[f"t{index}" for index in range(4)], count=3, pause=0.004)
        redis.wait_for_seconds(3)
        began = time.monotonic()
        end = trouble(store)
        wait_for_up(gateway, value=0)
        seen = time.monotonic() - began
        redis.wait_for_seconds(3)
        ended = time.monotonic()
        end()
        wait_for_up(gateway)
        back = time.monotonic()
        redis.wait_for_seconds(3)
        answers = load.end()
        values = gateway.metrics()
        phases = [load.answers(0, began), load.answers(began, ended), load.answers(back)]
        figures.note(
            f"p99 before {p99(phases[0]):.1f} ms, during {p99(phases[1]):.1f} ms, after {p99(phases[2]):.1f} ms; slowest "
            f"during {max(answer.seconds for answer in phases[1]) * 1e3:.0f} ms; {len(answers)} requests, "
            f"{values['gatehouse_limit_store_late_total']:.0f} late, {values['gatehouse_limit_store_errors_total']:.0f} "
            f"errors; away after {seen * 1e3:.0f} ms, back after {(back - ended) * 1e3:.0f} ms",
            before=p99(phases[0]), during=p99(phases[1]), after=p99(phases[2]))
        assert {answer.status for answer in answers} == {200}
        assert len(phases[1]) > 200
        assert gateway.errors().count(AWAY_LINE) == 1 and gateway.errors().count(BACK_LINE) == 1
        # Nobody waits for longer than the deadline, but the machine is busy.
        assert p99(phases[1]) < p99(phases[0]) + 100
        # It decides again: what is asked now is asked of it.
        before = values["gatehouse_limit_store_answers_total"]
        assert statuses(gateway) == [200]
        assert gateway.metrics()["gatehouse_limit_store_answers_total"] == before + 1


def test_while_redis_is_away_each_process_gives_its_part(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 20}
    with redis.Redis(tmp_path / "redis") as store, serve(store, rule, instances=2) as gateway:
        wait_for_up(gateway)
        assert statuses(gateway, "t0", 21) == [200] * 20 + [429]
        store.kill()
        wait_for_up(gateway, value=0)
        assert statuses(gateway, "t1", 12) == [200] * 10 + [429] * 2
        store.start()
        wait_for_up(gateway)
        # The store has forgotten, so the whole burst is there again.
        assert statuses(gateway, "t2", 21) == [200] * 20 + [429]


def test_it_starts_while_redis_is_away(tmp_path, serve):
    with redis.Redis(tmp_path / "redis") as store:
        store.kill()
        with serve(store, LOOSE) as gateway:
            wait_for_up(gateway, value=0)
            assert statuses(gateway) == [200]
            store.start()
            wait_for_up(gateway)
            assert gateway.errors().count(AWAY_LINE) == 1 and gateway.errors().count(BACK_LINE) == 1


def test_a_redis_that_is_full_or_forgets_its_scripts_fails_nobody(tmp_path, serve):
    with redis.Redis(tmp_path / "redis") as store, serve(store, LOOSE) as gateway:
        wait_for_up(gateway)
        assert statuses(gateway) == [200]
        store.ask("SCRIPT", "FLUSH")
        before = gateway.metrics()["gatehouse_limit_store_answers_total"]
        assert statuses(gateway) == [200]
        assert store.errors_of("NOSCRIPT") >= 1
        assert gateway.metrics()["gatehouse_limit_store_answers_total"] == before + 1
        store.ask("CONFIG", "SET", "maxmemory", "1")
        assert statuses(gateway) == [200]
        wait_for_up(gateway, value=0)
        assert "OOM" in gateway.errors()
        store.ask("CONFIG", "SET", "maxmemory", "0")
        wait_for_up(gateway)


@pytest.mark.alone
@pytest.mark.skipif(not WRK, reason="wrk is not installed")
def test_as_much_load_as_one_loop_takes(tmp_path, simulator, figures):
    """Lists from the cache on 32 connections, each asked of the store first; nobody is refused or kept waiting."""
    speeds = {}
    with redis.Redis(tmp_path / "redis") as store:
        for name, limits in [("memory", {"store": "memory"}), ("redis", {"store": "redis", "redis": {"url": store.url}})]:
            settings = {
                "workers": 1, "cache": {"lists": {"fresh": "1h"}}, "access_log": None, "limits": {**limits, "rules": [LOOSE]}}
            with harness.Gatehouse(tmp_path / name, simulator.url, settings) as gateway:
                if name == "redis":
                    wait_for_up(gateway)
                assert harness.ask(gateway.port, *LIST)[0] == 200
                done = subprocess.run(
                    [WRK, "-t1", "-c32", "-d4s", "--latency", "-H", "X-Auth-Token: demo", gateway.url + LIST[1]],
                    capture_output=True, text=True, timeout=60, check=True).stdout
                assert "Non-2xx" not in done and "Socket errors" not in done, done
                speeds[name] = float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])
                speeds[name + " p99"] = re.search(r"99%\s+(\S+)", done)[1]
                values = gateway.metrics()
        calls, late = values["gatehouse_limit_store_calls_total"], values["gatehouse_limit_store_late_total"]
        figures.note(
            f"one loop, a stored list: {speeds['memory']:.0f} requests/s (p99 {speeds['memory p99']}) with limits in memory, "
            f"{speeds['redis']:.0f} (p99 {speeds['redis p99']}) in Redis; {late / calls:.2%} of {calls:.0f} questions late",
            memory=speeds["memory"], redis=speeds["redis"])
        assert calls > 0.5 * store.calls("evalsha") > 1_000
        assert values["gatehouse_limit_store_errors_total"] == 0 and AWAY_LINE not in gateway.errors()


# TLS and passwords


def test_tls_and_a_password(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 3}
    with redis.Redis(tmp_path / "redis", password="swordfish", tls=True) as store, serve(store, rule) as gateway:
        wait_for_up(gateway)
        assert statuses(gateway, "t0", 4) == [200] * 3 + [429]
        assert f"{redis.PREFIX}:few:project={1:032x}" in store.ask("KEYS", "*")
        assert "swordfish" not in gateway.errors()


def test_a_user_of_its_own_that_may_do_little(tmp_path, serve):
    rule = {"name": "few", "per": "project", "rate": "1/h", "burst": 3}
    may = ["on", ">open sesame", "~{limits}:*", "-@all", "+evalsha", "+eval", "+set", "+mget", "+get", "+del", "+time"]
    with redis.Redis(tmp_path / "redis") as store:
        store.ask("ACL", "SETUSER", "gate", *may)
        store.ask("ACL", "SETUSER", "default", "off")
        settings = {
            "url": f"redis://localhost:{store.port}/0", "username": "gate", "password": "open sesame", "prefix": "limits"}
        with serve(settings, rule) as gateway:
            wait_for_up(gateway)
            assert statuses(gateway, "t0", 4) == [200] * 3 + [429]


@pytest.mark.parametrize("wrong,reason", [
    ({"password": "no such"}, "WRONGPASS"), ({"tls": {"ca": str(redis.CERTIFICATES / "other-ca.crt")}}, "certificate"),
    ({"tls": {"ca": str(redis.CA), "server_name": "elsewhere.example"}}, "certificate_mismatch"),
])
def test_what_keeps_it_away_is_told(tmp_path, serve, wrong, reason):
    with redis.Redis(tmp_path / "redis", password="swordfish", tls=True) as store:
        with serve(store, LOOSE, deadline="1s", **wrong) as gateway:
            wait_for_up(gateway, value=0)
            # It is not up before it was tried, either.
            harness.wait_until(lambda: AWAY_LINE in gateway.errors(), 10, "the log says that it is away")
            line = next(line for line in gateway.errors().splitlines() if AWAY_LINE in line)
            assert reason in line and "swordfish" not in line and "no such" not in line
            assert statuses(gateway) == [200]


# Reload


def test_a_reload_keeps_the_connections_of_the_same_store(tmp_path, serve):
    with redis.Redis(tmp_path / "redis") as store, serve(store, LOOSE) as gateway:
        wait_for_up(gateway)
        watcher = store.client()

        def connections():
            own = watcher("CLIENT", "ID")
            lines = watcher("CLIENT", "LIST").splitlines()
            return {line.split()[0] for line in lines} - {f"id={own}"}

        before = connections()
        assert len(before) == 2
        path = gateway.directory / "gatehouse.yaml"
        text = path.read_text()
        path.write_text(text.replace("burst: 100000", "burst: 100001"))
        os.kill(gateway.pid, signal.SIGHUP)
        harness.wait_until(lambda: gateway.errors().count("settings read again") == 1, 10, "it is read")
        assert statuses(gateway) == [200]
        assert connections() == before
        # Another prefix is another store.
        path.write_text(text.replace("url: redis", "prefix: other\n    url: redis"))
        load = Load([gateway.port], count=2)
        os.kill(gateway.pid, signal.SIGHUP)
        harness.wait_until(lambda: gateway.errors().count("settings read again") == 2, 10, "it is read")
        harness.wait_until(lambda: len(connections()) == 2 and not connections() & before, 10, "new connections")
        wait_for_up(gateway)
        harness.wait_until(lambda: "{other}:loose" in " ".join(watcher("KEYS", "*")), 10, "a key of the new prefix")
        assert {answer.status for answer in load.end()} == {200}
        assert AWAY_LINE not in gateway.errors()
