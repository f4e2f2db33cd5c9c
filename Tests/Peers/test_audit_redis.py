"""The audit trail's events in a stream of the real redis-server: all of them, in their order, whatever happens to it."""

import json
import random

import audit
import harness
import redis

KEY = "gatehouse:audit"
FAILS, TAKES = "the audit sink does not take events", "the audit sink takes events again"
LAST = ["--appendonly", "yes", "--appendfsync", "always"]


def metric(gatehouse, name):
    return gatehouse.metrics()[f'gatehouse_audit_sink_{name}{{sink="redis"}}']


def start(directory, upstream, store, **more):
    """A gateway with a sink of the stream of `store`, which is a server or says where one is."""
    place = store if isinstance(store, dict) else {"url": store.url}
    file = {"file": {"path": str(directory / "audit.jsonl")}}
    return audit.gatehouse(directory, upstream, {"sinks": [file, {"redis": {**place, **more}}]})


def entries_of(store, key=KEY, database=0):
    """Every entry of the stream, oldest first, as its fields."""
    client, found, after = store.client(), [], "-"
    try:
        if database:
            client("SELECT", database)
        while page := client("XRANGE", key, after, "+", "COUNT", 1_000):
            found += [dict(zip(fields[::2], fields[1::2])) for _, fields in page]
            after = f"({page[-1][0]}"
        return found
    finally:
        client.close()


def wait_for_all(gatehouse, seconds=30):
    """Waits until the receiver has confirmed all that is written, and finds nothing wrong."""

    def state():
        return {name: metric(gatehouse, name) for name in ("lag_bytes", "lag_seconds", "failing")}

    harness.wait_until(lambda: not any(state().values()), seconds, lambda: f"{state()}\n{gatehouse.errors()[-2000:]}")


def check(files, entries, figures, what, may_lose=0):
    """The stream has each event of the trail, in the trail's order; what came twice is the same twice."""
    trail = files.check()
    events = {line.record["event"]["id"]: line for line in trail.lines if line.kind == "event"}
    firsts = {}
    for entry in entries:
        line, before = events[entry["id"]], firsts.setdefault(entry["id"], entry)
        assert before == entry
        assert json.loads(entry["event"]) == line.record["event"]
        assert (entry["writer"], int(entry["sequence"])) == (line.record["writer"], line.record["sequence"])
    lost = [name for name in events if name not in firsts]
    repeated = len(entries) - len(firsts)
    figures.note(
        f"{what}: {len(events)} events, {len(lost)} not in the stream, {repeated} there more than once", events=len(events),
        lost=len(lost), repeated=repeated)
    assert len(lost) <= may_lose, lost[:10]
    # In the order in which each came first.
    assert list(firsts) == [name for name in events if name in firsts]
    return trail


def ask_often(gatehouse, count):
    for _ in range(count):
        assert harness.ask(gatehouse.port, "GET", audit.LIST)[0] == 200


def test_every_event_arrives_through_kills_of_either_and_a_stopped_server(tmp_path, simulator, figures):
    directory, numbers = tmp_path / "g", random.Random(7)
    with redis.Redis(tmp_path / "redis", *LAST) as store, audit.Clients("redis", plain=2) as clients:

        def end_it():
            store.kill()
            clients.more(numbers.randrange(20, 60))
            harness.wait_until(lambda: metric(gatehouse, "failing") == 1, 20, "the sink fails")
            store.start()

        def hold_it():
            store.stop_running()
            clients.more(100)
            store.go_on()

        def replace_gatehouse():
            nonlocal gatehouse
            gatehouse.kill()
            gatehouse = start(directory, simulator.url, store)
            clients.target.put(gatehouse)

        gatehouse = start(directory, simulator.url, store)
        clients.target.put(gatehouse)
        for trouble in (end_it, hold_it, replace_gatehouse, end_it, replace_gatehouse, end_it):
            clients.more(numbers.randrange(50, 150))
            trouble()
        clients.more(50)
        with gatehouse:
            clients.target.put(None)
            wait_for_all(gatehouse)
            # The last end of the server was a failure of this process's sink, and was told once each way.
            assert metric(gatehouse, "failures_total") >= 1
            assert gatehouse.errors().count(FAILS) == gatehouse.errors().count(TAKES) == 1
            assert str(store.port) in gatehouse.errors().split(FAILS)[1].splitlines()[0]
        trail = check(
            audit.Files(directory), entries_of(store), figures, "three ends of the server, two of the gateway")
        assert not trail.missing(clients.answers)


def test_what_was_settled_is_not_sent_again_after_a_restart(tmp_path, simulator, figures):
    directory = tmp_path / "g"
    with redis.Redis(tmp_path / "redis") as store:
        # It may do no more than it has to.
        store.ask("ACL", "SETUSER", "gatehouse", "on", ">secret", f"~{KEY}", "+xadd")
        for _ in range(3):
            with start(directory, simulator.url, store, username="gatehouse", password="secret") as gatehouse:
                ask_often(gatehouse, 20)
                wait_for_all(gatehouse)
        entries = entries_of(store)
        check(audit.Files(directory), entries, figures, "three orderly ends")
        assert len(entries) == 60


def test_with_tls_and_a_password_that_changes(tmp_path, simulator, figures):
    directory, right = tmp_path / "g", "right-one-of-7"
    with redis.Redis(tmp_path / "redis", password=right, tls=True) as store:
        place = {"url": f"{store.url}/3", "password": right, "tls": {"ca": str(redis.CA)}}
        with start(directory, simulator.url, place) as gatehouse:
            ask_often(gatehouse, 20)
            wait_for_all(gatehouse)
            operator = store.client()
            operator("CONFIG", "SET", "requirepass", "another")
            # Those that were let in stay so.
            operator("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            ask_often(gatehouse, 20)
            harness.wait_until(lambda: FAILS in gatehouse.errors(), 20, "the password is refused")
            assert metric(gatehouse, "failing") == 1 and metric(gatehouse, "lag_bytes") > 0
            operator("CONFIG", "SET", "requirepass", right)
            operator.close()
            wait_for_all(gatehouse)
            assert TAKES in gatehouse.errors()
            assert "WRONGPASS" in gatehouse.errors() and right not in gatehouse.errors()
        check(audit.Files(directory), entries_of(store, database=3), figures, "TLS, a password that changed")


def test_a_key_of_another_type_is_told_and_waited_for(tmp_path, simulator, figures):
    directory = tmp_path / "g"
    with redis.Redis(tmp_path / "redis") as store:
        store.ask("SET", "elsewhere", "somebody's")
        with start(directory, simulator.url, store, stream="elsewhere") as gatehouse:
            ask_often(gatehouse, 20)
            harness.wait_until(lambda: FAILS in gatehouse.errors(), 20, "the sink fails")
            assert "WRONGTYPE" in gatehouse.errors()
            harness.wait_until(lambda: metric(gatehouse, "failures_total") >= 3, 20, "it is tried again")
            assert gatehouse.errors().count(FAILS) == 1
            assert store.ask("GET", "elsewhere") == "somebody's"
            store.ask("DEL", "elsewhere")
            wait_for_all(gatehouse)
        check(audit.Files(directory), entries_of(store, "elsewhere"), figures, "a key of another type")


def test_max_length_keeps_about_as_many(tmp_path, simulator, figures):
    directory, bound = tmp_path / "g", 200
    with redis.Redis(tmp_path / "redis", "--stream-node-max-entries", 20) as store:
        with start(directory, simulator.url, store, max_length=bound) as gatehouse:
            ask_often(gatehouse, 500)
            wait_for_all(gatehouse)
        entries = entries_of(store)
        events = audit.Files(directory).check().events
        figures.note(f"{len(entries)} of {len(events)} entries are left with max_length {bound}", left=len(entries))
        # Whole nodes are taken away, never a part of one.
        assert bound <= len(entries) < bound + 20
        assert [entry["id"] for entry in entries] == [event["id"] for event in events[-len(entries):]]


def test_a_slot_that_moves_takes_the_stream_along(tmp_path, simulator, figures):
    directory, key = tmp_path / "g", f"{redis.PREFIX}:audit"
    with redis.Cluster(tmp_path / "cluster") as cluster, audit.Clients("moves", plain=2, over_http2=0) as clients:
        source = cluster.owner()
        seed = next(node for node in cluster.nodes if node is not source)
        target = next(node for node in cluster.nodes if node not in (source, seed))
        with start(directory, simulator.url, seed, stream=key) as gatehouse:
            clients.target.put(gatehouse)
            clients.more(50)
            cluster.begin_move(source, target)
            clients.more(50)
            asked = source.errors_of("ASK")
            source.ask("MIGRATE", harness.LOOPBACK, target.port, key, 0, 5_000)
            # It is at its new node before that has the slot.
            harness.wait_until(lambda: source.errors_of("ASK") > asked, 20, "ASK")
            wait_for_length(target, key, 50)
            cluster.end_move(source, target)
            clients.more(50)
            wait_for_length(target, key, 50)
            # It was led there, and nothing failed for that.
            assert FAILS not in gatehouse.errors()
            # The one of the settings is needed no more.
            seed.kill()
            target.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            clients.more(50)
            clients.target.put(None)
            wait_for_all(gatehouse)
        trail = check(audit.Files(directory), entries_of(target, key), figures, "a slot that moved")
        assert not trail.missing(clients.answers)


def wait_for_length(node, key, count):
    """Waits until the stream has so many more entries, at a node that may not have its slot yet."""
    client = node.client()

    def length():
        client("ASKING")
        return client("XLEN", key)

    wanted = length() + count
    harness.wait_until(lambda: length() >= wanted, 20, "events arrive there")
    client.close()


def test_a_sentinel_names_the_new_master(tmp_path, simulator, figures):
    directory = tmp_path / "g"
    # A master that nobody follows any more takes nothing, so what it took is somewhere else too.
    followed = ["--min-replicas-to-write", 1]
    with redis.Redis(tmp_path / "one", *followed) as one:
        with redis.Redis(tmp_path / "two", *followed, "--replicaof", harness.LOOPBACK, one.port) as two:
            with redis.Sentinel(tmp_path / "sentinel", one) as sentinel:
                harness.wait_until(
                    lambda: sentinel.ask("SENTINEL", "REPLICAS", "mymaster") and two.follows(), 30, "the replica is known")
                place = {
                    "sentinels": [f"{harness.LOOPBACK}:{port}" for port in (redis.free_port(), sentinel.port)],
                    "master": "mymaster"}
                with audit.Clients("sentinel", plain=1, over_http2=0) as clients:
                    with start(directory, simulator.url, place) as gatehouse:
                        clients.target.put(gatehouse)
                        clients.more(50)
                        # Wanted by an operator: the old master lives on as a replica.
                        sentinel.ask("SENTINEL", "FAILOVER", "mymaster")
                        harness.wait_until(lambda: two.is_master() and one.follows(), 30, "the fail-over")
                        clients.more(50)
                        # Not wanted by anybody; who is left has nobody to follow.
                        one.ask("CONFIG", "SET", "min-replicas-to-write", 0)
                        two.kill()
                        harness.wait_until(one.is_master, 30, "the old master is master")
                        clients.more(50)
                        clients.target.put(None)
                        wait_for_all(gatehouse)
                        assert gatehouse.errors().count(FAILS) == gatehouse.errors().count(TAKES) >= 1
        # Replication is asynchronous: what a master took within its last moment may be nowhere else. It is a few
        # milliseconds' worth of what comes, mostly nothing.
        trail = check(audit.Files(directory), entries_of(one), figures, "two fail-overs", may_lose=20)
        assert not trail.missing(clients.answers)
