"""The audit trail through kills, power cuts and rotation: whoever had an answer finds its event.

A power cut is simulated, since a test that runs anywhere cannot cut the power: `power_cut.c`, preloaded, notes how long the
file was when an fdatasync was called that has returned since. That much a disk has after a cut; of what was written later it
may have any part from the beginning on, since a file grows on the disk in its order (ext4 and XFS set the length after the
data). So the file is cut behind the noted length, at any byte; and it is gone whole where nobody made its name last by an
fsync of the folder. What is not simulated is a disk that lies about fdatasync. That the simulation bites shows the test with
`written`, which promises nothing for a power cut and loses events in it.
"""

import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import time

import pytest

import audit
import harness

KILLS = int(os.environ.get("AUDIT_KILLS", "200"))
CUTS = int(os.environ.get("AUDIT_CUTS", "30"))


@pytest.fixture
def seed(figures):
    found = int(os.environ.get("AUDIT_SEED") or random.SystemRandom().randrange(10**9))
    figures.note(f"AUDIT_SEED={found}", seed=found)
    return found


def spin(seconds):
    """A moment that is no multiple of the scheduler's."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def tear(files, numbers):
    """Leaves the beginning of a line behind the last one, as a write that a kill ends half way does."""
    content = files.path.read_bytes()
    if not content.endswith(b"\n"):
        return 0
    # Of a file that was begun a moment ago there is one line alone.
    line = numbers.choice([line for line in content.split(b"\n") if len(line) > 1])
    with open(files.path, "ab") as file:
        return file.write(line[:numbers.randrange(1, len(line))])


def kill_again_and_again(directory, upstream, seed, count, trail=None, after=None, torn=0, quota=40):
    """Ends the gateway by SIGKILL under load, `count` times, at a moment of its own each time; the answers and the files."""
    numbers, files = random.Random(seed), audit.Files(directory)
    with audit.Clients(seed) as clients:
        for _ in range(count):
            gatehouse = audit.gatehouse(directory, upstream, trail)
            clients.target.put(gatehouse)
            clients.more(numbers.randrange(1, quota))
            spin(numbers.random() / 500)
            gatehouse.kill()
            clients.target.put(None)
            if after:
                after(files, numbers)
            elif numbers.random() < torn:
                tear(files, numbers)
    # A last one finds what the others left, and ends well.
    with audit.gatehouse(directory, upstream, trail) as gatehouse:
        for path in ("/v2.1/servers", "/v2.1/flavors"):
            assert harness.ask(gatehouse.port, "GET", path)[0] == 200
    return clients.answers, files


def test_after_200_kills_every_answer_has_its_event(tmp_path, simulator, seed, figures):
    begun = time.monotonic()
    answers, files = kill_again_and_again(tmp_path / "g", simulator.url, seed, KILLS, torn=0.2)
    seconds = time.monotonic() - begun
    trail = files.check()
    missing = trail.missing(answers)
    starts, repairs, ends = (len(trail.of(kind)) for kind in ("start", "repair", "end"))
    figures.note(
        f"{KILLS} kills in {seconds:.0f} s: {len(answers)} answers, {len(missing)} without their event, {len(trail.events)} "
        f"events, {starts} writers, {repairs} torn ends marked", kills=KILLS, answers=len(answers), missing=len(missing))
    assert not missing, missing[:10]
    assert len({name for name, _ in answers}) == len(answers) >= KILLS
    assert {200, 404} <= {status for _, status in answers}
    # Each loop of each process, of which only the last one ended well.
    assert starts == 2 * (KILLS + 1) and ends == 2
    assert repairs > KILLS / 20


def test_kills_while_files_are_rotated_lose_nothing(tmp_path, simulator, seed, figures):
    rotation = {"rotation": {"size": "64KiB"}}
    answers, files = kill_again_and_again(tmp_path / "g", simulator.url, seed, 25, rotation, torn=0.2, quota=150)
    trail = files.check()
    figures.note(f"25 kills: {len(answers)} answers in {len(files.all())} files", files=len(files.all()))
    assert not trail.missing(answers)
    assert len(files.rotated()) >= 3


# Power cuts


class PowerCut:
    """What the disk has of the trail, as told by the library in the gateway."""

    def __init__(self, directory, watched):
        self.ledger = directory / "ledger"
        self.environment = {
            **harness.preloaded(directory, "power_cut"),
            "POWER_CUT_FILE": str(watched), "POWER_CUT_LEDGER": str(self.ledger)}
        self.lost = self.syncs = 0

    def cut(self, files, numbers):
        noted = self.ledger.read_bytes() if self.ledger.exists() else bytes(32)
        count, inode, named, syncs = struct.unpack("<QQQQ", noted)
        self.syncs += syncs
        about = files.path.stat()
        if named != about.st_ino:
            # Nobody had the folder keep the name: the disk may have the content, but nothing leads to it.
            files.path.unlink()
            self.lost += about.st_size
            self.ledger.unlink(missing_ok=True)
            return
        count = count if inode == about.st_ino else 0
        assert count <= about.st_size
        kept = numbers.randrange(count, about.st_size + 1)
        os.truncate(files.path, kept)
        self.lost += about.st_size - kept
        # What is left is on the disk now.
        self.ledger.write_bytes(struct.pack("<QQQQ", kept, about.st_ino, named, 0))


@pytest.fixture
def power(tmp_path, monkeypatch):
    made = PowerCut(tmp_path, tmp_path / "g" / "audit.jsonl")
    monkeypatch.setattr(harness.Gatehouse, "environment", made.environment)
    return made


def test_with_synced_a_power_cut_takes_no_event_of_an_answer(tmp_path, simulator, seed, power, figures):
    answers, files = kill_again_and_again(
        tmp_path / "g", simulator.url, seed, CUTS, {"durability": "synced"}, after=power.cut)
    trail = files.check()
    missing = trail.missing(answers)
    figures.note(
        f"{CUTS} power cuts: {len(answers)} answers, {len(missing)} without their event, {power.syncs} fdatasync, "
        f"{power.lost} bytes that no answer waited for were lost, {len(trail.of('repair'))} torn ends marked",
        cuts=CUTS, answers=len(answers), missing=len(missing))
    assert not missing, missing[:10]
    # There was something to lose, and one fdatasync serves many answers.
    assert power.lost > 0 and 0 < power.syncs < len(answers)


def test_with_written_a_power_cut_takes_events_and_verify_says_so_of_none(tmp_path, simulator, seed, power):
    answers, files = kill_again_and_again(tmp_path / "g", simulator.url, seed, 3, after=power.cut)
    # It promises a kill alone; what is left is whole all the same, since a lost end looks like one that never was.
    assert files.check().missing(answers)


# Rotation


def test_rotation_by_size_under_load_keeps_every_event_in_one_file(tmp_path, simulator, seed, figures):
    files = audit.Files(tmp_path / "g")
    with audit.gatehouse(tmp_path / "g", simulator.url, {"rotation": {"size": "64KiB"}}) as gatehouse:
        with audit.Clients(seed) as clients:
            clients.target.put(gatehouse)
            clients.more(1_500, 60)
        rotations = gatehouse.metrics()["gatehouse_audit_rotations_total"]
    trail = files.check("--complete")
    figures.note(f"{len(clients.answers)} answers in {len(files.all())} files", files=len(files.all()))
    assert not trail.missing(clients.answers)
    # The events of open windows, which an end writes, may be one more.
    assert len(files.rotated()) >= rotations > 2
    assert all(path.stat().st_size < 1 << 20 for path in files.all())
    # Two lines for each, one at the end and one at the beginning, and an end of each loop.
    assert len(trail.of("rotation")) == 2 * len(files.rotated()) and len(trail.of("end")) == 2
    names = [event["id"] for event in trail.events]
    assert len(set(names)) == len(names)


def test_rotation_by_age_keeps_as_many_files_as_told(tmp_path, simulator, seed):
    files = audit.Files(tmp_path / "g")
    with audit.gatehouse(tmp_path / "g", simulator.url, {"rotation": {"age": "1s", "keep": 2}}) as gatehouse:
        with audit.Clients(seed, plain=1, over_http2=0) as clients:
            clients.target.put(gatehouse)
            harness.wait_until(
                lambda: gatehouse.metrics()["gatehouse_audit_rotations_total"] >= 4, 30, "four rotations")
    trail = files.check()
    assert len(files.rotated()) == 2
    # What is left begins where the file before ended, which is gone.
    assert "after" in trail.lines[0].record["rotation"]
    assert trail.events


@pytest.mark.parametrize("durability", ["written", "synced"])
def test_files_that_are_moved_under_load_keep_every_event(tmp_path, simulator, seed, durability, figures):
    files = audit.Files(tmp_path / "g")
    with audit.gatehouse(tmp_path / "g", simulator.url, {"durability": durability}) as gatehouse:
        with audit.Clients(seed) as clients:
            clients.target.put(gatehouse)
            for number in range(5):
                clients.more(100, 60)
                files.moved.append(files.directory / f"audit.jsonl.{number}")
                files.path.rename(files.moved[-1])
                if number % 2:
                    # Noticed, or not yet.
                    harness.wait_until(lambda: gatehouse.metrics()[audit.FAILING] == 1, 30, "a file that is gone")
                os.kill(gatehouse.pid, signal.SIGHUP)
                harness.wait_until(lambda: files.path.exists() and files.path.stat().st_size > 0, 30, "a new file")
            clients.more(100, 60)
            # Refused at worst, while the file was gone; 403 is more key pairs than a user may have.
            assert {status for _, status in clients.answers} <= {200, 201, 403, 404, 409, 503}
        assert gatehouse.metrics()[audit.FAILING] == 0
    trail = files.check("--complete")
    figures.note(f"{len(clients.answers)} answers in {len(files.all())} files", files=len(files.all()))
    # What is refused meanwhile may be more than there is room for.
    assert not trail.missing([(name, status) for name, status in clients.answers if status != 503])
    assert [start["after"] for start in trail.of("start") if "after" in start] == [path.name for path in files.moved]


def test_SIGTERM_ends_every_chain_and_a_changed_byte_is_found(tmp_path, simulator):
    files = audit.Files(tmp_path / "g")
    with audit.gatehouse(tmp_path / "g", simulator.url) as gatehouse:
        for _ in range(10):
            assert harness.ask(gatehouse.port, "GET", audit.LIST)[0] == 200
    trail = files.check("--complete")
    assert len(trail.of("start")) == len(trail.of("end")) == 2
    content = files.path.read_bytes()
    files.path.write_bytes(content.replace(b'"outcome":"success"', b'"outcome":"failure"', 1))
    assert audit.Trail(files.all()).problems()
    with pytest.raises(AssertionError, match="changed"):
        files.verify()


def test_a_second_process_is_told_that_another_one_has_the_file(tmp_path, simulator):
    with audit.gatehouse(tmp_path / "g", simulator.url) as gatehouse:
        path = gatehouse.directory / "gatehouse.yaml"
        done = subprocess.run(
            [harness.gatehouse_path(), "serve", "--config", path], capture_output=True, text=True, timeout=60)
        assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGILL)
        assert "audit.jsonl" in done.stderr and "another process" in done.stderr, done.stderr
        # The first one goes on, and its trail has nothing of the other.
        assert harness.ask(gatehouse.port, "GET", audit.LIST)[0] == 200
    trail = audit.Files(tmp_path / "g").check("--complete")
    assert len(trail.of("start")) == 2
    assert json.loads(trail.lines[0].raw)["sequence"] == 0
    assert pathlib.Path(tmp_path / "g" / "audit.jsonl").stat().st_mode & 0o777 == 0o640
