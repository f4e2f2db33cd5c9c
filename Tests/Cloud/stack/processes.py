"""Starts, watches and ends the processes of a cloud.

A process is known by its id and its start time: an id that the kernel has given to somebody else since is never taken
for ours. Each leads a session of its own, so what it starts ends with it.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import requests

from .place import LOOPBACK

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class StartFailure(Exception):
    """A process that ended, or that did not answer in time; the message has the end of its log."""


def stat_fields(pid):
    """What follows the name in /proc/PID/stat; None when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def start_time(pid):
    """Clock ticks since boot; None for a process that is not there, or dead and not yet waited for."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def cpu_seconds(processes):
    """User and system time so far of these sessions: name -> seconds. `processes` is name -> [pid, start time].

    What a process waited for its ended children is counted with it, so a worker that was replaced is not lost.
    """
    leaders = {pid: name for name, (pid, start) in processes.items() if start_time(pid) == start}
    seconds = dict.fromkeys(leaders.values(), 0.0)
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields and int(fields[3]) in leaders:
            seconds[leaders[int(fields[3])]] += sum(map(int, fields[11:15])) / TICKS_PER_SECOND
    return seconds


def tail(path, lines=25):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


class Processes:
    """The processes of one place, by name; what is running is written down in its `run` folder."""

    def __init__(self, place):
        self.place = place

    def record(self, name):
        """[pid, start time] of the process of that name that runs; None when none does."""
        try:
            pid, start = json.loads((self.place.run / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        return [pid, start] if start_time(pid) == start else None

    def running(self):
        names = sorted(path.stem for path in self.place.run.glob("*.json"))
        return {name: record for name in names if (record := self.record(name))}

    def log(self, name):
        return self.place.logs / f"{name}.log"

    def spawn(self, name, arguments, environment=None):
        """Starts it unless it runs already."""
        if self.record(name):
            return
        with open(self.log(name), "ab") as log:
            child = subprocess.Popen(
                [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment or self.place.environment(), start_new_session=True, cwd=self.place.state)
        start = start_time(child.pid)
        if start is None:
            raise StartFailure(f"{name} ended at once\n{tail(self.log(name))}")
        (self.place.run / f"{name}.json").write_text(json.dumps([child.pid, start]))

    def wait(self, name, condition, seconds, what):
        """Until `condition()` is true; a failure when the process ends before, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.record(name):
                raise StartFailure(f"{name} ended before {what}; the end of its log:\n{tail(self.log(name))}")
            if time.monotonic() > deadline:
                raise StartFailure(f"{name}: {what}: not within {seconds} s; the end of its log:\n{tail(self.log(name))}")
            time.sleep(0.1)

    def wait_for_port(self, name, port, seconds):
        def listens():
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((LOOPBACK, port)) == 0

        self.wait(name, listens, seconds, f"it listens on {port}")

    def wait_for_answer(self, name, url, seconds):
        """Until the URL answers with a status below 500."""
        session = requests.Session()
        session.trust_env = False

        def answers():
            try:
                return session.get(url, timeout=10).status_code < 500
            except requests.RequestException:
                return False

        self.wait(name, answers, seconds, f"{url} answers")

    def end(self, names, seconds):
        """SIGTERM to all of them, SIGKILL to the sessions of those that are still there after `seconds`."""
        records = {name: record for name in names if (record := self.record(name))}
        for pid, _ in records.values():
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while any(self.record(name) for name in records) and time.monotonic() < deadline:
            time.sleep(0.05)
        for name, (pid, start) in records.items():
            # The leader's id stays taken as long as its group has a member, so the group is still ours.
            if start_time(pid) in (start, None):
                try:
                    os.killpg(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            (self.place.run / f"{name}.json").unlink(missing_ok=True)

    def run(self, name, arguments, seconds=300, environment=None):
        """Runs a program to its end; a failure with the end of its log unless it exits 0."""
        with open(self.log(name), "ab") as log:
            try:
                done = subprocess.run(
                    [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=environment or self.place.environment(), cwd=self.place.state, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise StartFailure(f"{name} took more than {seconds} s\n{tail(self.log(name))}") from None
        if done.returncode != 0:
            raise StartFailure(f"{name} failed with {done.returncode}\n{tail(self.log(name))}")
