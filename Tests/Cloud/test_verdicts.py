"""The same requests to a real Nova directly and through Gatehouse in front of it: the same verdicts.

The lists are `Tests/Corpora/Verdicts/requests.jsonl`, requests good and bad, and what `verdicts/generated.py` makes of
tables. Nova itself is asked in the same run, so there is nothing recorded that could be out of date. With
GATEHOUSE_VERDICTS=DIR what was recorded in DIR/*.jsonl is played too, and what is said through Gatehouse must be what
was recorded, wherever this Nova still says it.
"""

import collections
import os
import pathlib

import pytest

from verdicts import classes, exceptions, forms, generated, judge, people, play, recorded, request

HERE = pathlib.Path(__file__).resolve().parent
LISTED = HERE.parent / "Corpora" / "Verdicts" / "requests.jsonl"
# Bodies are compared up to this size: lists of a thousand differ in nothing that smaller ones do not.
COMPARED_BYTES = 262_144
SHARE_MADE_HERE = 0.90

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def sides(cloud, tmp_path_factory):
    asking = people.People(cloud)
    with people.gateway(tmp_path_factory.mktemp("verdicts"), cloud) as running:
        yield play.Sides(cloud, running, asking)


@pytest.fixture(scope="module")
def listed(sides):
    return sides.play(request.read_list(LISTED))


@pytest.fixture(scope="module")
def systematic(sides):
    return sides.play(generated.everything())


@pytest.fixture(scope="module")
def rows():
    directory = os.environ.get("GATEHOUSE_VERDICTS")
    return recorded.read(directory) if directory else []


@pytest.fixture(scope="module")
def replayed(sides, rows):
    return sides.play([row.request for row in rows])


def describe(pair, difference):
    who = "Nova" if pair.was_forwarded else f"here: {(pair.line or {}).get('error', 'no line')}"
    return "\n".join([
        f"{pair.request}", f"    {difference}",
        f"    Nova      {pair.direct.status} {pair.direct.content[:300]!r}",
        f"    Gatehouse {pair.through.status} {pair.through.content[:300]!r} (by {who})"])


def assert_same(pairs, figures):
    """(a) and (b): who is refused is refused in the same words, who is not is not; exceptions stand in the table."""
    wrong, used = [], collections.Counter()
    for pair in pairs:
        found = judge.difference(pair)
        if found is None:
            continue
        row = exceptions.exception_for(pair)
        if row is None:
            wrong.append(describe(pair, found))
        else:
            used[row.name] += 1
    refused = sum(1 for pair in pairs if (pair.direct.status or 0) >= 400)
    figures.note(
        f"{len(pairs)} requests, {refused} refused by Nova, {len(wrong)} verdicts differ, "
        f"{sum(used.values())} on purpose", exceptions=dict(used))
    assert not wrong, f"{len(wrong)} verdicts differ:\n" + "\n".join(wrong[:60])
    return used


def made_here(pairs):
    """(how many refusals of the request alone are made here, of how many, by class, the others)."""
    total, here, others = collections.Counter(), collections.Counter(), []
    for pair in pairs:
        if (pair.direct.status or 0) < 400:
            continue
        name, alone = classes.classify(pair.request, pair.direct)
        if not alone:
            continue
        total[name] += 1
        if pair.was_forwarded:
            others.append(f"{name}: {pair.request} -> {forms.normal(pair.direct)[::2]}")
        else:
            here[name] += 1
    return total, here, others


def note_made_here(pairs, figures):
    total, here, others = made_here(pairs)
    parts = ", ".join(f"{name} {here[name]}/{total[name]}" for name in sorted(total))
    share = sum(here.values()) / sum(total.values())
    figures.note(
        f"{share:.1%} of the refusals that depend on the request alone are made here ({parts})", by_nova=sorted(others))
    print(f"\nmade by Nova ({len(others)}):")
    print("\n".join(sorted(others)))
    return share


def test_a_real_nova_and_gatehouse_in_front_of_it_agree_on_every_listed_request(listed, figures):
    assert_same(listed, figures)


def test_they_agree_on_every_list_and_write_with_every_kind_of_mistake_at_every_boundary(systematic, figures):
    assert_same(systematic, figures)


def test_every_exception_of_the_table_is_needed(listed, systematic):
    pairs = [pair for pair in [*listed, *systematic] if judge.difference(pair) is not None]
    used = {row.name for pair in pairs if (row := exceptions.exception_for(pair))}
    assert [row.name for row in exceptions.TABLE if row.name not in used] == []


def test_what_nova_accepts_arrives_as_nova_sent_it(sides, listed, systematic, figures):
    wrong, used, compared = [], collections.Counter(), 0
    for pair in [*listed, *systematic]:
        if pair.direct.status != 200 or pair.through.status != 200 or pair.request.group:
            continue
        if len(pair.direct.content) > COMPARED_BYTES:
            continue
        compared += 1
        found = judge.content_difference(pair, lambda: sides.ask_again(pair))
        if not found:
            continue
        row = next((row for row in exceptions.CONTENTS if row.fits(pair)), None)
        if row is None:
            wrong.append(f"{pair.request}: {found}")
        else:
            used[row.name] += 1
    figures.note(f"{compared} contents compared, {len(wrong)} differ, {sum(used.values())} on purpose")
    assert compared > 500
    assert not wrong, f"{len(wrong)} of {compared} contents differ:\n" + "\n".join(wrong[:40])
    # What grows with the time need not have grown.
    assert set(used) >= {row.name for row in exceptions.CONTENTS if "until now" not in row.name}


def test_nine_of_ten_refusals_that_depend_on_the_request_alone_are_made_here(listed, figures):
    assert note_made_here(listed, figures) >= SHARE_MADE_HERE


def test_nine_of_ten_systematic_refusals_are_made_here(systematic, figures):
    assert note_made_here(systematic, figures) >= SHARE_MADE_HERE


def test_recorded_verdicts_are_given_again(rows, replayed, figures):
    if not rows:
        # Nothing to play: the lists above hold the same requests.
        figures.note("GATEHOUSE_VERDICTS is not set: nothing recorded was played")
        return
    by_id = {row.request.id: row for row in rows}
    wrong, changed = [], []
    for pair in replayed:
        row = by_id[pair.request.id]
        if not row.agrees_with(pair.direct):
            # This cloud is another one, or time has passed: then what this Nova says counts.
            changed.append(f"{pair.request}: recorded {row.status} {str(row.message)[:200]!r}, "
                           f"now {pair.direct.status} {pair.direct.content[:200]!r}")
        found = judge.difference(pair)
        if found and exceptions.exception_for(pair) is None:
            wrong.append(describe(pair, found))
    share = note_made_here(replayed, figures)
    figures.note(f"{len(rows)} recorded, {len(changed)} of them are answered otherwise by this Nova", changed=changed)
    assert not wrong, f"{len(wrong)} verdicts differ:\n" + "\n".join(wrong[:60])
    assert len(changed) <= len(rows) // 20, "\n".join(changed[:60])
    assert share >= SHARE_MADE_HERE
