"""The audit trail on a disk that takes no more: what is refused, what waits, what is lost and how that is told.

The disk is a limit on the length of the process's files (RLIMIT_FSIZE), which can be lowered to what the trail has and raised
again while the process runs; a write then takes a part of a batch, as a full disk does, and the next one is refused.
"""

import concurrent.futures
import contextlib
import json
import resource

import pytest

import audit
import harness

REFUSED = 'gatehouse_exchange_errors_total{error="audit_unavailable"}'
WAITING = "gatehouse_audit_waiting_bytes"
# Of one loop.
ROOM = 4 << 20
AWAY_LINE = "the audit trail cannot be written"
BACK_LINE = "the audit trail is written again"
LARGE = json.dumps({"server": {"name": "x" * 30_000}}).encode()
CONTENT = [{"operations": ["servers.create"], "record": "each", "content": True}, *audit.EACH]


@pytest.fixture
def upstream():
    with audit.Upstream() as running:
        yield running


class Disk:
    """The room that the process's files have."""

    def __init__(self, gatehouse, files):
        self.gatehouse, self.files = gatehouse, files
        # The trail has to be the longest of the process's files, so that the limit meets it alone.
        for _ in range(4):
            assert create(gatehouse, LARGE)[0] == 202
        harness.wait_until(lambda: files.path.stat().st_size > 100_000, 10, "the first events are in the file")

    def fill(self, left=100):
        """Room for a part of an event."""
        self.set(self.files.path.stat().st_size + left)

    def clear(self):
        self.set(resource.RLIM_INFINITY)

    def set(self, count):
        resource.prlimit(self.gatehouse.pid, resource.RLIMIT_FSIZE, (count, resource.RLIM_INFINITY))

    def wait_for(self, is_failing):
        harness.wait_until(
            lambda: self.gatehouse.metrics()[audit.FAILING] == is_failing, 15,
            lambda: f"{audit.FAILING} is {is_failing}\n{self.gatehouse.errors()[-2000:]}")


def create(gatehouse, content=b'{"server": {"name": "x"}}'):
    return harness.ask(gatehouse.port, "POST", audit.CREATE, audit.JSON, content)


def read(gatehouse):
    return harness.ask(gatehouse.port, "GET", audit.LIST)


def noted(*answers):
    return [(headers[audit.ID], status) for status, headers, _ in answers]


@contextlib.contextmanager
def running(tmp_path, upstream, workers=2, **trail):
    files = audit.Files(tmp_path / "g")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        with audit.gatehouse(tmp_path / "g", upstream.url, {"policies": CONTENT, **trail}, workers=workers) as gatehouse:
            yield gatehouse, files, Disk(gatehouse, files), pool
            # Failures and their end are told once each.
            for line in (AWAY_LINE, BACK_LINE):
                assert gatehouse.errors().count(line) == 1, gatehouse.errors()[-3000:]


def test_refuse_writes_lets_reads_go_on_and_holds_what_was_begun(tmp_path, upstream):
    with running(tmp_path, upstream) as (gatehouse, files, disk, pool):
        upstream.release.clear()
        before = upstream.counts["POST"]
        begun = [pool.submit(create, gatehouse) for _ in range(4)]
        harness.wait_until(lambda: upstream.counts["POST"] == before + 4, 10, "all are at the upstream")
        disk.fill()
        reads = [read(gatehouse) for _ in range(5)]
        assert {status for status, _, _ in reads} == {200}
        disk.wait_for(1)
        # What has been done may not be told while nobody can tell it later.
        upstream.release.set()
        reads += [read(gatehouse) for _ in range(20)]
        assert {status for status, _, _ in reads} == {200}
        assert not any(answer.done() for answer in begun)
        refused = [create(gatehouse) for _ in range(3)]
        for status, headers, content in refused:
            assert status == 503 and headers["Retry-After"] == "1"
            assert json.loads(content)["serviceUnavailable"]["code"] == 503
        assert upstream.counts["POST"] == before + 4
        values = gatehouse.metrics()
        assert values[REFUSED] == 3 and values["gatehouse_audit_failures_total"] >= 1 and values[WAITING] > 0
        assert not any(answer.done() for answer in begun)
        disk.clear()
        answers = [answer.result(15) for answer in begun]
        assert {status for status, _, _ in answers} == {202}
        disk.wait_for(0)
        after = [create(gatehouse), read(gatehouse)]
        assert [status for status, _, _ in after] == [202, 200]
        assert gatehouse.metrics()[audit.LOST] == 0
    trail = files.check("--complete")
    assert not trail.missing(noted(*reads, *refused, *answers, *after))
    assert sum(event["gatehouse"].get("error") == "audit_unavailable" for event in trail.events) == 3


def test_refuse_refuses_everything(tmp_path, upstream):
    # One loop: each learns by an answer of its own that the disk is full.
    with running(tmp_path, upstream, workers=1, on_failure="refuse") as (gatehouse, files, disk, pool):
        disk.fill()
        # It was done before anybody knew, so it waits.
        first = pool.submit(read, gatehouse)
        disk.wait_for(1)
        counts = dict(upstream.counts)
        answers = [read(gatehouse), create(gatehouse), harness.ask(gatehouse.port, "GET", "/v2.1/nowhere")]
        assert {status for status, _, _ in answers} == {503}
        assert upstream.counts == counts and not first.done()
        # The admin listener has no trail.
        assert gatehouse.metrics()[REFUSED] == 3
        disk.clear()
        answers.append(first.result(15))
        assert answers[-1][0] == 200
        disk.wait_for(0)
        answers.append(create(gatehouse))
        assert answers[-1][0] == 202
    assert not files.check("--complete").missing(noted(*answers))


def test_continue_goes_on_and_counts_what_is_lost(tmp_path, upstream):
    with running(tmp_path, upstream, on_failure="continue") as (gatehouse, files, disk, pool):
        disk.fill()
        answers, values = fill_memory(gatehouse, pool)
        disk.clear()
        disk.wait_for(0)
        lost = gatehouse.metrics()[audit.LOST]
        assert lost == values[audit.LOST]
        after = create(gatehouse)
    trail = files.check("--complete")
    missing = trail.missing(noted(*answers))
    assert 0 < len(missing) == lost < len(answers)
    assert not trail.missing(noted(after))


def test_best_effort_is_bounded_and_counts_what_is_lost(tmp_path, upstream):
    with running(tmp_path, upstream, durability="best_effort") as (gatehouse, files, disk, pool):
        disk.fill()
        answers, values = fill_memory(gatehouse, pool)
        disk.clear()
        disk.wait_for(0)
        lost = gatehouse.metrics()[audit.LOST]
        assert lost == values[audit.LOST]
    trail = files.check("--complete")
    missing = trail.missing(noted(*answers))
    assert 0 < len(missing) == lost < len(answers)


def fill_memory(gatehouse, pool):
    """Creations until both loops have lost events: all are answered, and what waits in memory has its bound."""
    answers = []

    def is_full():
        found = list(pool.map(lambda _: create(gatehouse, LARGE), range(50)))
        assert {status for status, _, _ in found} == {202}
        answers.extend(found)
        values = gatehouse.metrics()
        assert values[WAITING] <= 2 * ROOM
        return values if values[audit.LOST] > 20 else None

    values = harness.wait_until(is_full, 60, "events are lost")
    assert values[WAITING] > ROOM / 2 and values[audit.FAILING] == 1
    return answers, values


def test_best_effort_writes_soon_and_answers_at_once(tmp_path, upstream):
    files = audit.Files(tmp_path / "g")
    with audit.gatehouse(tmp_path / "g", upstream.url, {"durability": "best_effort"}) as gatehouse:
        answers = [read(gatehouse) for _ in range(50)]
        # Without an end: nothing waits for long.
        harness.wait_until(lambda: not files.read().missing(noted(*answers)), 10, "the events are in the file")
        assert gatehouse.metrics()["gatehouse_audit_writes_total"] < 50
    files.check("--complete")


@pytest.mark.parametrize("durability", ["written", "synced", "best_effort"])
def test_a_process_that_ends_on_a_full_disk_ends_in_time(tmp_path, upstream, durability):
    files = audit.Files(tmp_path / "g")
    gatehouse = audit.gatehouse(tmp_path / "g", upstream.url, {"policies": CONTENT, "durability": durability})
    disk = Disk(gatehouse, files)
    disk.fill()
    answer = read(gatehouse)
    assert answer[0] == 200
    disk.wait_for(1)
    gatehouse.close()
    # What could not be written is not there, half or whole; the next process goes on.
    trail = files.check()
    assert not trail.of("end")
    with audit.gatehouse(tmp_path / "g", upstream.url, {"policies": CONTENT, "durability": durability}) as gatehouse:
        answer = create(gatehouse)
    assert not files.check().missing(noted(answer))
