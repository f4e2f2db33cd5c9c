"""Counts what a request costs, and holds the counts against the bounds of thresholds.yaml."""

import argparse
import math
import os
import pathlib
import sys
import time

import yaml

import instruments
import measured
import origins
import works

PATH = pathlib.Path(__file__).with_name("thresholds.yaml")
# Of one row, before it is believed: what the clock adds is not there each time, what the code does is.
ATTEMPTS, ACCEPTING_ATTEMPTS = 3, 6
MEASURES = {
    "allocations": instruments.Counting,
    "retains": instruments.Instructions,
    "system calls": instruments.SystemCalls,
    "calls at once": instruments.SystemCalls,
    "waits": instruments.SystemCalls,
    "instructions": instruments.Instructions,
}
# What is aimed at; said beside a count that is more.
GOALS = {("allocations", work): 2 if work == "pass-through" else 0 for work in works.WORKS}
HEAD = """\
# Counts per request: work, transport, measure. README.md tells what they are; `Tests/Thresholds/run --accept`
# writes this file, and whoever commits it says why it changed.

"""


def bounds(measure, count):
    """What is accepted around a count: as little as it wavers, which is upwards for what the clock adds."""
    if measure == "allocations":
        # Whole ones are a request's; parts of one are lines and events that leave in batches.
        whole = math.floor(count + 0.1)
        if count <= whole + 0.2:
            return whole, whole + 0.25
        return round(count - 0.15, 2), round(count + 0.15, 2)
    if measure == "retains":
        # A loop that goes to sleep between two requests wakes up with some more.
        return max(0, round(count - max(1, 0.02 * count), 1)), round(count + max(3, 0.03 * count), 1)
    if measure == "calls at once":
        spread = max(0.1, 0.15 * count)
        return round(count - spread, 2), round(count + spread, 2)
    if measure == "system calls":
        return round(count - 0.25, 2), round(count + 0.25, 2)
    if measure == "waits":
        return round(count / 3, 1), round(2 * count + 3, 1)
    return round(count * 0.97), round(count * 1.035)


class Row:
    """One count: of what, over what, and what came out."""

    def __init__(self, work, transport, measure):
        self.work, self.transport, self.measure, self.counts = work, transport, measure, []

    def lie(self, thresholds):
        """The row's bounds; None when it has none yet."""
        found = thresholds.get(self.work, {}).get(self.transport, {}).get(self.measure)
        return found and (found["lower"], found["upper"])

    def is_inside(self, thresholds):
        lie = self.lie(thresholds)
        return lie is not None and any(lie[0] <= count <= lie[1] for count in self.counts)

    @property
    def count(self):
        """The least of what was counted: the clock only adds."""
        return min(self.counts)

    def said(self, thresholds):
        """The line about it: whether it passed, and the way on when it did not."""
        lie, passed = self.lie(thresholds), self.is_inside(thresholds)
        count = next((count for count in self.counts if passed and lie[0] <= count <= lie[1]), self.count)
        text = f"{'PASS' if passed else 'FAIL'} {self.work:12} {self.transport:15} {self.measure:13}"
        text += f" {shown(count):>9}"
        text += f"   {lie[0]:,} to {lie[1]:,}" if lie else "   no bounds"
        goal = GOALS.get((self.measure, self.work))
        if goal is not None and count > goal + 0.25:
            text += f" (goal {goal})"
        if not passed:
            text += f": {self.way_on(lie, count)}"
        return text

    def way_on(self, lie, count):
        if lie and count > lie[1]:
            return ("more than before; where it comes from: Tests/Thresholds/run "
                    f"--profile {self.work} --over '{self.transport}'")
        before = "less than before, " if lie else ""
        return f"{before}to be written down in the same commit: Tests/Thresholds/run --accept"


def shown(count):
    return f"{count:,.0f}" if count >= 1000 else f"{count:,.2f}"


def measure_all(measures, thresholds, accepts):
    """Every row of these measures, counted until it is inside its bounds; for new ones as often as may be."""
    rows = {(work, transport, measure): Row(work, transport, measure)
            for work in works.WORKS for transport in works.TRANSPORTS for measure in measures}
    for instrument in instruments.ALL:
        told = [measure for measure in measures if MEASURES[measure] is instrument]
        if not told:
            continue
        with measured.directory() as path, measured.running(instrument, path) as (one, asking):
            for work in works.WORKS:
                for transport in works.TRANSPORTS:
                    ask = asking(work, transport)
                    here = [rows[work, transport, measure] for measure in told]
                    for _ in range(ACCEPTING_ATTEMPTS if accepts else ATTEMPTS):
                        found = one.measure(ask, one.requests)
                        for row in here:
                            row.counts.append(found[row.measure])
                        if not accepts and all(row.is_inside(thresholds) for row in here):
                            break
    return list(rows.values())


def write(rows, thresholds):
    """Puts bounds around these rows, and leaves the others as they are."""
    for row in rows:
        lower, upper = bounds(row.measure, row.count)
        over = thresholds.setdefault(row.work, {}).setdefault(row.transport, {})
        over[row.measure] = {"lower": lower, "upper": upper}
    lines = []
    for work in works.WORKS:
        lines.append(f"{work}:")
        for transport in works.TRANSPORTS:
            lines.append(f"  {transport}:")
            for measure in MEASURES:
                if lie := thresholds[work][transport].get(measure):
                    lines.append(f"    {measure}: {{lower: {lie['lower']}, upper: {lie['upper']}}}")
    PATH.write_text(HEAD + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="Tests/Thresholds/run", description=__doc__)
    parser.add_argument("--only", metavar="MEASURE", choices=list(MEASURES), help=", ".join(MEASURES))
    parser.add_argument("--accept", action="store_true", help="write new bounds around what is counted")
    parser.add_argument("--profile", metavar="WORK", choices=works.WORKS, help=", ".join(works.WORKS))
    parser.add_argument("--over", metavar="TRANSPORT", default="HTTP/1.1", choices=list(works.TRANSPORTS))
    asked = parser.parse_args()
    assert "/debug/" not in os.path.realpath(os.environ["GATEHOUSE_BIN"]), "this is not a release build"
    if asked.profile:
        origins.show(asked.profile, asked.over)
        return 0
    began = time.monotonic()
    thresholds = (yaml.safe_load(PATH.read_text()) if PATH.exists() else None) or {}
    rows = measure_all([asked.only] if asked.only else list(MEASURES), thresholds, asked.accept)
    if asked.accept:
        write(rows, thresholds)
        thresholds = yaml.safe_load(PATH.read_text())
    for row in rows:
        print(row.said(thresholds))
    failed = sum(not row.is_inside(thresholds) for row in rows)
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
