"""How fast events are found in an audit trail of a size that no reader would go through."""

import json
import os
import subprocess

import pytest

BENCH = os.environ.get("BENCH_BIN", "")
MEBIBYTES = int(os.environ.get("AUDIT_SEARCH_MIB", "256"))


@pytest.mark.alone
def test_one_user_is_found_at_500_mb_a_second(figures):
    assert os.path.exists(BENCH), "no gatehouse-bench found: run 'swift build' first, or set BENCH_BIN"
    done = subprocess.run(
        [BENCH, "audit-search", "--json", "--size", str(MEBIBYTES), "--rounds", "3"],
        capture_output=True, text=True, timeout=600)
    # It has compared the events that it found with those that there are.
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rates = {}
    for row in report["searches"]:
        rates[row["name"]] = row["megabytesPerSecond"]
        figures.note(
            f"audit search for {row['name']}: {row['megabytesPerSecond']:.0f} MB/s (at most {row['most']:.0f}), "
            f"{row['found']} of {report['events']} events in {report['bytes'] / 1e6:.0f} MB", **row)
    if "release" not in os.path.realpath(BENCH):
        pytest.skip("a debug build is not judged by its speed")
    assert rates["one user of 1,000"] >= 500
