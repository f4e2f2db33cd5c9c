"""Three ways to look at a running gateway; each counts what a number of requests cost it, from the outside.

Each is started once and asked for every work, over every transport: what is counted lies between two
requests, so that neither the start nor the first requests of a kind are in it.
"""

import collections
import os
import re
import shutil
import subprocess
import time

import bed
import callgrind
import harness
import ledger

RETAINS = {
    f"swift_{name}{some}" for name in ("retain", "release", "bridgeObjectRetain", "bridgeObjectRelease")
    for some in ("", "_n")}
# Requests that are sent in one piece, to see what a busy connection costs.
AT_ONCE = 16
# Where a C library chooses its code by the processor, it chooses the same everywhere: what nearly all have.
PINNED = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM",
    # FXSR, SSE, SSE2, PCLMULQDQ, SSSE3 and AES, none of the newer ones.
    "OPENSSL_ia32cap": "0x0200020207000000:0x0",
}


class Gatehouse(harness.Gatehouse):
    """The gateway of `bed`, with an environment of its own."""

    def __init__(self, directory, upstream, environment=None, prefix=()):
        directory.mkdir()
        self.environment = environment or {}
        try:
            super().__init__(directory, upstream, bed.settings(directory, upstream), prefix=prefix)
        except BaseException:
            if self.child is not None and self.child.poll() is None:
                self.kill()
            raise


class Counting:
    """Allocations by the preloaded library; it can tell the callers of these, of retains and of releases."""

    requests = 1000

    def __init__(self, directory, upstream):
        directory = directory / "counting"
        path = directory.with_suffix(".ledger")
        path.touch()
        self.gatehouse = Gatehouse(
            directory, upstream, {"LD_PRELOAD": os.environ["COUNTING_LIBRARY"], "COUNTING_FILE": str(path)})
        self.ledger = ledger.Ledger(path)

    def measure(self, ask, count):
        before = self.ledger.counts()
        self.ledger.count(True)
        ask(count)
        self.ledger.count(False)
        self.by_owner = ledger.difference(before, self.ledger.counts())
        total = sum(numbers[kind] for numbers in self.by_owner.values() for kind in ledger.ALLOCATIONS)
        return {"allocations": total / count}

    def trace(self, ask, count, kinds):
        """The callers of what is of these kinds."""
        before = {stack.frames + (stack.kind,): stack.count for stack in self.ledger.stacks()}
        self.ledger.count(True, kinds)
        ask(count)
        self.ledger.count(False)
        fresh = [stack._replace(count=stack.count - before.get(stack.frames + (stack.kind,), 0))
                 for stack in self.ledger.stacks()]
        return [stack for stack in fresh if stack.count]


class SystemCalls:
    """Calls of the kernel by strace, a file a thread."""

    requests = 400
    CALL = re.compile(r"([a-z][a-z0-9_]*)\((?:\d+<([^>]*)>)?")
    # How often a loop looks for work and sleeps is a matter of the clock, and of who else runs.
    WAITS = {
        "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "futex", "poll", "ppoll", "sched_yield",
        "timerfd_settime"}

    def __init__(self, directory, upstream):
        self.prefix = directory / "strace"
        self.gatehouse = Gatehouse(
            directory / "system-calls", upstream,
            prefix=["strace", "-D", "-ff", "-y", "-s", "0", "-o", self.prefix])

    def files(self):
        return {path: path.stat().st_size for path in self.prefix.parent.glob("strace.*")}

    def settled(self):
        """The files once nothing more is written to them."""
        found = self.files()
        for _ in range(200):
            time.sleep(0.03)
            again = self.files()
            if again == found:
                return found
            found = again
        raise AssertionError("the gateway does not come to rest")

    def measure(self, ask, count):
        calls, waits = self.counted(ask, count, AT_ONCE)
        at_once = calls / count
        calls, waits = self.counted(ask, count, 1)
        return {"system calls": calls / count, "waits": waits / count, "calls at once": at_once}

    def counted(self, ask, count, at_once):
        """How many calls there were, and how many waits."""
        before = self.settled()
        ask(count, at_once)
        after = self.settled()
        self.by_name, waits = collections.Counter(), 0
        for path in after:
            with open(path, encoding="utf-8", errors="replace") as file:
                file.seek(before.get(path, 0))
                for line in file:
                    # What is left of a call that began before has no name.
                    if not (call := self.CALL.match(line)):
                        continue
                    name, what = call.groups()
                    is_wait = name in self.WAITS or (what or "").startswith("anon_inode:")
                    waits += is_wait
                    self.by_name[name + (" (wait)" if is_wait else "")] += 1
        return self.by_name.total() - waits, waits


class Instructions:
    """Instructions of the program itself, and its retains and releases, by callgrind."""

    requests = 100

    def __init__(self, directory, upstream):
        self.output, self.parts = directory / "callgrind", 0
        stripped = directory / "gatehouse-stripped"
        # valgrind cannot read the debugging information of Swift's compiler; names of functions stay.
        shutil.copy(harness.gatehouse_path(), stripped)
        subprocess.run(["strip", "--strip-debug", stripped], check=True, timeout=60)
        real = os.environ["GATEHOUSE_BIN"]
        os.environ["GATEHOUSE_BIN"] = str(stripped)
        try:
            self.gatehouse = Gatehouse(
                directory / "instructions", upstream, PINNED,
                ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--demangle=no",
                 f"--callgrind-out-file={self.output}"])
        finally:
            os.environ["GATEHOUSE_BIN"] = real

    def control(self, *arguments):
        done = subprocess.run(
            ["callgrind_control", *arguments, str(self.gatehouse.pid)], capture_output=True, text=True,
            timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def measure(self, ask, count):
        self.control("-i", "on")
        ask(count)
        self.control("-i", "off")
        self.control("--dump")
        self.parts += 1
        self.profile = callgrind.Profile(f"{self.output}.{self.parts}")
        retains = self.profile.callers(RETAINS).total()
        return {"instructions": self.profile.total / count, "retains": retains / count}


ALL = (Counting, SystemCalls, Instructions)
