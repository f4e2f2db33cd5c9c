"""The ledger that the counting library shares with us, see counting.c."""

import collections
import mmap
import os
import struct

KINDS = ("malloc", "calloc", "realloc", "aligned", "free", "retain", "release")
ALLOCATIONS, RETAINS = KINDS[:4], KINDS[5:]
HEAD = struct.Struct("<8Q")
OWNER = struct.Struct(f"<64s{len(KINDS)}Q")
STACK = struct.Struct("<28Q")
OWNER_COUNT, STACK_COUNT = 64, 16_384
SIZE = HEAD.size + OWNER_COUNT * OWNER.size + STACK_COUNT * STACK.size

Stack = collections.namedtuple("Stack", "kind count frames")


class Ledger:
    """One side of the file; the program must have mapped it, that is, have started."""

    def __init__(self, path):
        descriptor = os.open(path, os.O_RDWR)
        try:
            self.map = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        assert HEAD.unpack_from(self.map)[2] == 1, "the counting library did not start"

    def count(self, is_counting, traced=()):
        """Starts or stops counting; with `traced` the callers of these kinds are kept as well."""
        mask = sum(1 << KINDS.index(kind) for kind in traced)
        self.map[0:16] = struct.pack("<2Q", int(is_counting), mask)

    def counts(self):
        """By owner (a queue or a thread) and kind, since the program's start."""
        found = {}
        for place in range(HEAD.unpack_from(self.map)[3]):
            name, *numbers = OWNER.unpack_from(self.map, HEAD.size + place * OWNER.size)
            found[name.rstrip(b"\0").decode()] = dict(zip(KINDS, numbers))
        return found

    def stacks(self):
        """The callers that were kept, by addresses of the program."""
        found, start = [], HEAD.size + OWNER_COUNT * OWNER.size
        assert HEAD.unpack_from(self.map)[5] == 0, "more different callers than there is room for"
        for place in range(STACK_COUNT):
            digest, kind, depth, count, *frames = STACK.unpack_from(self.map, start + place * STACK.size)
            if digest:
                found.append(Stack(KINDS[kind], count, tuple(frames[:depth])))
        return found


def difference(before, after):
    """What came between two counts."""
    return {
        owner: {kind: number - before.get(owner, {}).get(kind, 0) for kind, number in numbers.items()}
        for owner, numbers in after.items()}
