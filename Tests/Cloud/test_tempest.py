"""tempest's own compute tests, through Gatehouse and without it: each one ends the same.

By default the tests that `tempest_lists/include.txt` chooses; CLOUD_TEMPEST=REGEX takes others, and
`^tempest\\.api\\.compute` all that this cloud can serve.
"""

import os
import pathlib
import re

import pytest

import tempest_runs

LISTS = pathlib.Path(__file__).with_name("tempest_lists")
# A run of all of them takes this long on two cores that do other work besides.
SECONDS = 3600
# How a test may end in a cloud that serves it: tempest skips what the cloud is not configured for.
GOOD = {"success", "skip", "xfail"}


def lines(name):
    """The patterns of a list, without its comments."""
    return [line for line in (LISTS / name).read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.timeout(4 * SECONDS)
def test_tempest_ends_the_same_with_and_without(cloud, through, tmp_path, figures):
    chosen = os.environ.get("CLOUD_TEMPEST")
    include, exclude = [chosen] if chosen else lines("include.txt"), lines("exclude.txt")
    regions = {"direct": cloud.region, "through": through.region}
    before = len(through.gateway.access_lines())
    found = {}
    for way, region in regions.items():
        found[way] = tempest_runs.run(cloud, region, tmp_path / way, include, exclude, SECONDS)
        if way == "direct":
            assert len(through.gateway.access_lines()) == before, "a test without Gatehouse came through it"
    seen = len(through.gateway.access_lines()) - before
    different = compare(found)
    repeated = sorted(different)
    if different:
        # A server that was slow to build once says nothing of the way to it: what ended differently is run again, both ways.
        again = [f"^{re.escape(name)}" for name in classes(different)]
        for way, region in regions.items():
            found[way] |= tempest_runs.run(cloud, region, tmp_path / f"{way}-again", again, exclude, SECONDS)
        different = compare(found)
    ended = [status for status, _ in found["through"].values()]
    figures.note(
        f"{len(ended)} tests both ways, {ended.count('success')} passed, {ended.count('skip')} skipped by tempest, "
        f"{len(repeated)} repeated {repeated or ''}; {seen} requests through Gatehouse")
    assert seen > len(ended), "tempest did not come through Gatehouse"
    assert not different, "\n\n".join(
        f"{name}: {one[0]} without, {other[0]} through Gatehouse\n{(one[1] + other[1])[-3000:]}"
        for name, (one, other) in different.items())
    bad = {name: details[-2000:] for name, (status, details) in found["direct"].items() if status not in GOOD}
    assert not bad, f"this cloud does not serve: {bad}"


def compare(found):
    """test -> how it ended without and through Gatehouse, for those where that is not the same."""
    nothing = ("nothing", "")
    pairs = {
        name: (found["direct"].get(name, nothing), found["through"].get(name, nothing))
        for name in {*found["direct"], *found["through"]}}
    return {name: pair for name, pair in pairs.items() if pair[0][0] != pair[1][0] or pair[0][0] not in GOOD}


def classes(names):
    """The test classes of these tests; a class that could not be set up goes by «setUpClass (name)»."""
    return sorted({
        match[1] if (match := re.match(r"(?:setUp|tearDown)Class \((.*)\)", name)) else name.rsplit(".", 1)[0]
        for name in names})
