"""What the kernel says of a server's processes: CPU time to the nanosecond, memory, and who its children are."""

import contextlib
import os
import pathlib
import time


def family(pid):
    """A process and all that descend from it."""
    found, pending = [], [pid]
    while pending:
        one = pending.pop()
        found.append(one)
        for path in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                pending += map(int, path.read_text().split())
            except FileNotFoundError:
                continue
    return found


def cpu_seconds(pids):
    """What each process has used, with threads that have ended; CPUCLOCK_SCHED in the form of clock_getcpuclockid(3)."""
    used = {}
    for pid in pids:
        # Some have a child for a moment, as nginx to read what is stored.
        with contextlib.suppress(OSError):
            used[pid] = time.clock_gettime((~pid << 3) | 2)
    return used


def cpu_seconds_between(before, after):
    return sum(seconds - before.get(pid, 0) for pid, seconds in after.items())


def rollup(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {key} of {pid}")


def proportional_bytes(pids):
    """Memory of these processes, a page that several of them share counted once."""
    return sum(rollup(pid, "Pss") for pid in pids)


def resident_bytes(pids):
    return sum(rollup(pid, "Rss") for pid in pids)


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores of {model}, Linux {os.uname().release}, load average {load}"
