"""The order of verdicts: what wins when a request is wrong in two or three ways at once. The real Nova says it."""

import collections
import itertools

import pytest

from verdicts import exceptions, forms, judge, mistakes, people, play

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def sides(cloud, tmp_path_factory):
    asking = people.People(cloud)
    with people.gateway(tmp_path_factory.mktemp("order"), cloud) as running:
        yield play.Sides(cloud, running, asking)


@pytest.fixture(scope="module")
def played(sides):
    """base -> {mistakes: pair}; no mistakes at all are among them."""
    asked = [(base, made, request) for base in mistakes.BASES for made, request in base.requests()]
    pairs = sides.play([request for *_, request in asked])
    found = collections.defaultdict(dict)
    for (base, made, _), pair in zip(asked, pairs, strict=True):
        found[base.name][made] = pair
    return found


def verdict(answer):
    return forms.normal(answer) if (answer.status or 0) >= 400 else (answer.status, None, None)


@pytest.mark.parametrize("count", [1, 2, 3], ids=["one mistake", "two mistakes", "three mistakes"])
def test_gatehouse_says_what_nova_says_of(played, figures, count):
    wrong, number = [], 0
    for pair in (pair for pairs in played.values() for made, pair in pairs.items() if len(made) == count):
        number += 1
        found = judge.difference(pair)
        if found and exceptions.exception_for(pair) is None:
            wrong.append(f"{pair.request}\n    {found}")
    figures.note(f"{number} requests with {count} mistakes, {len(wrong)} verdicts differ")
    assert number > 100
    assert not wrong, f"{len(wrong)} of {number} verdicts differ:\n" + "\n".join(wrong[:60])


def is_made(base, pairs, kind):
    """Whether Nova minds this mistake in this operation: it says something else than to the request without it."""
    return base.changes[kind] == {} or verdict(pairs[(kind,)].direct) != verdict(pairs[()].direct)


def winners(played):
    """(base, the two kinds, the winner's) for every pair that Nova minds both of, and says different things to."""
    for base in mistakes.BASES:
        pairs = played[base.name]
        for made, pair in pairs.items():
            if len(made) != 2 or not all(is_made(base, pairs, kind) for kind in made):
                continue
            alone = [verdict(pairs[(kind,)].direct) for kind in made]
            both = verdict(pair.direct)
            if alone[0] != alone[1] and both in alone:
                yield base, made, made[alone.index(both)]


def test_every_pair_of_mistakes_is_asked_or_cannot_be_made(played):
    asked = {made for pairs in played.values() for made in pairs if len(made) == 2}
    missing = [pair for pair in itertools.combinations(mistakes.KINDS, 2) if pair not in asked]
    assert sorted(missing) == sorted(mistakes.IMPOSSIBLE)


def test_nova_judges_in_the_order_that_is_written_down(played, figures):
    wrong, seen = [], set()
    for base, made, winner in winners(played):
        seen.add(made)
        expected = made[1] if made in base.swapped else made[0]
        # What a request is looked up by is asked before or after the policy, as each operation has it.
        if winner != expected and made != ("policy 403", "lookup"):
            wrong.append(f"{base.name}: of {made} it is {winner}")
    figures.note(f"{len(seen)} pairs of mistakes were told apart, in this order: {', '.join(mistakes.KINDS)}")
    assert len(seen) > 60
    assert not wrong, "\n".join(wrong)
