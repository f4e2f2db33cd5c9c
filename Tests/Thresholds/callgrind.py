"""Reads what callgrind wrote: the cost of each function of its own, and of each call."""

import collections
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?")
# A function that calls itself is written again with its depth behind it.
DEPTH = re.compile(r"'\d+$")


class Profile:
    """Instructions by function, and calls (how often, how many instructions below) by caller and callee."""

    def __init__(self, path):
        self.own = collections.Counter()
        self.by_object = collections.Counter()
        self.calls = collections.Counter()
        self.below = collections.Counter()
        self.names, self.objects = {}, {}
        self.read(path)

    def named(self, text, place):
        number, name = NAME.fullmatch(text).groups()
        if name:
            # A library without names for its own functions has addresses.
            self.names[number] = f"{place} {name}" if name.startswith("0x") else DEPTH.sub("", name)
        return self.names[number]

    def object(self, text):
        number, path = NAME.fullmatch(text).groups()
        if path:
            self.objects[number] = path.rsplit("/", 1)[-1]
        return self.objects[number]

    def read(self, path):
        function = callee = count = place = called = None
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                line = line.rstrip("\n")
                if line.startswith("ob="):
                    place = self.object(line[3:])
                elif line.startswith("cob="):
                    called = self.object(line[4:])
                elif line.startswith("fn="):
                    function = self.named(line[3:], place)
                elif line.startswith("cfn="):
                    callee, called = self.named(line[4:], called or place), None
                elif line.startswith("calls="):
                    count = int(line[6:].split()[0])
                elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
                    cost = int(line.split()[1])
                    if count is None:
                        self.own[function] += cost
                        self.by_object[place] += cost
                    else:
                        self.calls[function, callee] += count
                        self.below[function, callee] += cost
                        count = None

    @property
    def total(self):
        return self.own.total()

    def inclusive(self):
        """By function, with everything it calls."""
        found = collections.Counter(self.own)
        for (caller, callee), cost in self.below.items():
            if caller != callee:
                found[caller] += cost
        return found

    def callers(self, names):
        """How often each function calls one of `names`; calls among those are one."""
        found = collections.Counter()
        for (caller, callee), count in self.calls.items():
            if callee in names and caller not in names:
                found[caller] += count
        return found
