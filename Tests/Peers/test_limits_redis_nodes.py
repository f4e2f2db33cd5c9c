"""Limits in a cluster whose slots move, and in a Redis that Sentinels watch over."""

import time

import pytest

import harness
import redis
from limited import AWAY_LINE, LOOSE, UP, Load, admitted, p99, projects, serve, statuses, wait_for_up


@pytest.mark.alone
def test_a_slot_that_moves_during_load(tmp_path, serve, figures):
    rate, burst = 200, 100
    # The busy project's bucket is soon paid; those of the others last.
    rule = {
        "name": "shared", "per": "project", "rate": "60/h", "burst": 10,
        "overrides": [{"project": projects(1)[0]["project"]["id"], "rate": f"{rate}/s", "burst": burst}]}
    tokens = 60
    with redis.Cluster(tmp_path / "cluster") as cluster:
        source = cluster.owner()
        seed = next(node for node in cluster.nodes if node is not source)
        target = next(node for node in cluster.nodes if node not in (source, seed))
        with serve(seed, rule, tokens=tokens, deadline="500ms") as gateway:
            wait_for_up(gateway)
            # The one of the settings does not have the slot.
            assert seed.errors_of("MOVED") >= 1
            moved = source.errors_of("MOVED")
            load = Load([gateway.port], tokens=["t0"], count=3, pause=0.001)
            redis.wait_for_seconds(1.5)
            cluster.begin_move(source, target)
            # Projects that come now have no bucket yet: theirs are made at the new node.
            assert {status for index in range(1, tokens) for status in statuses(gateway, f"t{index}")} == {200}
            asked = source.errors_of("ASK")
            cluster.end_move(source, target)
            redis.wait_for_seconds(1.5)
            answers = load.end()
            good = admitted(answers)
            length = max(answer.begun + answer.seconds for answer in answers) - load.begun
            values = gateway.metrics()
            figures.note(
                f"{asked} ASK and {source.errors_of('MOVED') - moved} MOVED; {len(good)} of {len(answers)} admitted, at most "
                f"{burst + rate * length:.0f} allowed; {values['gatehouse_limit_store_errors_total']:.0f} errors, "
                f"{values['gatehouse_limit_store_late_total']:.0f} late", asked=asked)
            assert asked >= tokens - 1
            assert source.errors_of("MOVED") > moved
            assert len(good) <= 1.02 * (burst + rate * length)
            assert target.calls("evalsha") > 0
            # Those that were there came along, those that were not were made there.
            keys = {key for key in target.ask("KEYS", "*") if not key.endswith(":probe")}
            assert len(keys) == tokens
            assert AWAY_LINE not in gateway.errors()
            before = values["gatehouse_limit_store_answers_total"]
            assert statuses(gateway, "t1") == [200]
            assert gateway.metrics()["gatehouse_limit_store_answers_total"] == before + 1


def test_a_node_of_a_cluster_is_found_without_the_one_of_the_settings(tmp_path, serve):
    with redis.Cluster(tmp_path / "cluster") as cluster:
        owner = cluster.owner()
        seed = next(node for node in cluster.nodes if node is not owner)
        with serve(seed, LOOSE) as gateway:
            wait_for_up(gateway)
            seed.kill()
            # Its own connection ends; those to the node that has the keys need nothing from it.
            watcher = owner.client()
            watcher("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            harness.wait_until(
                lambda: statuses(gateway) == [200] and gateway.metrics()[UP] == 1
                and gateway.metrics()["gatehouse_limit_store_reconnects_total"] >= 2, 15, "it is connected again")


@pytest.mark.alone
def test_sentinel_names_the_new_master(tmp_path, serve, figures):
    with redis.Redis(tmp_path / "one") as master:
        with redis.Redis(tmp_path / "two", "--replicaof", harness.LOOPBACK, master.port) as replica:
            with redis.Sentinel(tmp_path / "sentinel", master) as sentinel:
                harness.wait_until(
                    lambda: sentinel.ask("SENTINEL", "REPLICAS", "mymaster") and "master_link_status:up" in replica.ask(
                        "INFO", "replication"), 30, "the replica is known")
                gone = redis.free_port()
                settings = {
                    "sentinels": [f"{harness.LOOPBACK}:{gone}", f"{harness.LOOPBACK}:{sentinel.port}"],
                    "master": "mymaster"}
                with serve(settings, LOOSE) as gateway:
                    wait_for_up(gateway)
                    load = Load([gateway.port], tokens=["t0", "t1"], count=2, pause=0.005)
                    redis.wait_for_seconds(1)
                    assert master.calls("evalsha") > 0
                    # Wanted by an operator: the old master lives on as a replica.
                    began = time.monotonic()
                    sentinel.ask("SENTINEL", "FAILOVER", "mymaster")
                    harness.wait_until(replica.is_master, 20, "the replica is master")
                    wait_for_use(gateway, replica)
                    wanted = time.monotonic() - began
                    harness.wait_until(master.follows, 30, "the old master follows")
                    # Not wanted by anybody.
                    began = time.monotonic()
                    replica.kill()
                    harness.wait_until(master.is_master, 30, "the old master is master")
                    wait_for_use(gateway, master)
                    unwanted = time.monotonic() - began
                    answers = load.end()
                    figures.note(
                        f"used again {wanted:.1f} s after a fail-over that was wanted, {unwanted:.1f} s after a kill -9; "
                        f"{len(answers)} requests, p99 {p99(answers):.1f} ms", wanted=wanted, unwanted=unwanted)
                    assert {answer.status for answer in answers} == {200}


def wait_for_use(gateway, store):
    """Waits until the gateway asks `store` and gets its answers."""
    calls = store.calls("evalsha")
    before = gateway.metrics()["gatehouse_limit_store_answers_total"]
    harness.wait_until(
        lambda: store.calls("evalsha") > calls + 5
        and gateway.metrics()["gatehouse_limit_store_answers_total"] > before + 5 and gateway.metrics()[UP] == 1, 30,
        lambda: f"it is used\n{gateway.errors()[-2000:]}")
