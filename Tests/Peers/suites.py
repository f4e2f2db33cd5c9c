"""Runs suites beside each other, each in a pytest of its own, and adds up what they say.

Most of them wait: for deadlines, for slow peers, for a stop to end. So some run at once, in lanes. Tests that measure come after
all of them: those marked `calm`, which do little but wait, beside others of the kind, and those marked `alone` with nothing
beside them. What a suite prints stays together and comes in the order of the suites.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
LANES = int(os.environ.get("PEERS_LANES", "3"))
# The long ones in as many parts as here; every part takes each so-manieth test of the suite.
PARTS = {"identity_trouble": 3, "schemathesis": 2, "tls_scan": 2, "upstream_http2": 2, "limits": 2}
# These begin first, so that nothing long is left over at the end.
LONG = ["schemathesis", "identity_trouble", "faults", "audit", "slow", "tls_scan", "limits", "upstream_http2"]
ORDINARY = "not calm and not alone"
NO_TESTS = 5


@dataclasses.dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    # Suites in which something failed.
    names: list = dataclasses.field(default_factory=list)
    # Tests of the suite that were left out for their marks, by mark.
    left: dict = dataclasses.field(default_factory=dict)
    figures: list = dataclasses.field(default_factory=list)
    output: bytes = b""
    seconds: float = 0.0

    def add(self, other):
        for name in ("passed", "failed", "skipped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


class Children:
    """The running pytests, so that an end of this program is one of theirs."""

    def __init__(self):
        self.lock, self.running, self.is_over = threading.RLock(), set(), False

    def start(self, *arguments, **more):
        with self.lock:
            if self.is_over:
                return None
            child = subprocess.Popen(*arguments, **more)
            self.running.add(child)
            return child

    def forget(self, child):
        with self.lock:
            self.running.discard(child)

    def end(self, number, _):
        """After Ctrl-C they have had the signal too; after anything else they are told by it."""
        with self.lock:
            self.is_over = True
            for child in self.running:
                if number != signal.SIGINT:
                    child.send_signal(signal.SIGINT)


CHILDREN = Children()


def run_part(suite, marks, part=None, is_shown=False):
    """One pytest over `suite`; `marks` chooses tests by their marks, `part` is (which, of how many)."""
    began, result = time.monotonic(), Result()
    with tempfile.TemporaryDirectory() as directory:
        counts, figures = pathlib.Path(directory) / "counts", pathlib.Path(directory) / "figures"
        environment = {
            **os.environ, "PEERS_COUNTS": str(counts), "PEERS_FIGURES": str(figures),
            "PEERS_PART": "/".join(map(str, part)) if part else ""}
        arguments = [sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE),
                     "-p", "no:cacheprovider", str(HERE / f"test_{suite}.py"), *(["-m", marks] if marks else [])]
        shown = {} if is_shown else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        child = CHILDREN.start(arguments, env=environment, stdin=subprocess.DEVNULL, **shown)
        if child is None:
            return Result(failed=1, output=f"{suite}: not begun\n".encode())
        result.output = child.communicate()[0] or b""
        CHILDREN.forget(child)
        if counts.exists():
            for name, value in json.loads(counts.read_text()).items():
                setattr(result, name, value)
        if figures.exists():
            result.figures = json.loads(figures.read_text())
    # Nothing to run is right only when all of it is left for later. A pytest that broke is a failure of its own.
    is_empty = child.returncode == NO_TESTS and result.left.get("all", 0) > 0
    if is_empty:
        result.output = b""
    elif child.returncode and not result.failed:
        result.failed = 1
    result.seconds = time.monotonic() - began
    return result


def show(suite, results, what=""):
    """Prints what the parts of a suite said, and their sum; the seconds of parts beside each other count each."""
    total = Result()
    for result in results:
        total.add(result)
        sys.stdout.buffer.write(result.output)
    sys.stdout.buffer.write(
        f"{suite}{what}: {total.line()}, {sum(result.seconds for result in results):.0f} s\n\n".encode())
    sys.stdout.buffer.flush()
    return total


def run_all(suites):
    total, figures = Result(), []

    def take(suite, results, what=""):
        found = show(suite, results, what)
        total.add(found)
        if found.failed:
            total.names.append(suite + what)
        for result in results:
            figures.extend(result.figures)

    if len(suites) == 1:
        result = run_part(suites[0], "", is_shown=True)
        return result, result.figures
    left = {"calm": [], "alone": []}
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        parts = {
            suite: [lanes.submit(run_part, suite, ORDINARY, part) for part in parts_of(PARTS.get(suite, 1))]
            for suite in sorted(suites, key=lambda name: (LONG + [name]).index(name))}
        for suite in suites:
            results = [part.result() for part in parts[suite]]
            for mark, suites_left in left.items():
                if any(result.left.get(mark) for result in results):
                    suites_left.append(suite)
            if any(result.output for result in results):
                take(suite, results)
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        for suite in left["calm"]:
            parts = [lanes.submit(run_part, suite, "calm", part) for part in parts_of(LANES)]
            take(suite, [part.result() for part in parts], ", calm")
    for suite in left["alone"]:
        take(suite, [run_part(suite, "alone")], ", alone")
    return total, figures


def parts_of(count):
    """Each part as (which, of how many); None for a suite that is not divided."""
    return [(which, count) for which in range(1, count + 1)] if count > 1 else [None]


def main():
    signal.signal(signal.SIGTERM, CHILDREN.end)
    signal.signal(signal.SIGINT, CHILDREN.end)
    total, figures = run_all(sys.argv[1:])
    path = os.environ.get("PEERS_FIGURES")
    if path and figures:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(json.dumps(figures, indent=1) + "\n")
    if total.names:
        print(f"failures in: {'; '.join(total.names)}")
    print(total.line())
    return 1 if total.failed or not (total.passed or total.skipped) else 0


if __name__ == "__main__":
    sys.exit(main())
