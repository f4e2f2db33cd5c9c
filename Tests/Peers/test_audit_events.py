"""Audit events as CADF: each is what the standard and OpenStack's library take for one."""

import json
import pathlib
import re

import pytest

import cadf
import harness

GOLDEN = harness.ROOT / "Tests" / "Golden" / "audit"


def golden_events():
    for path in sorted(GOLDEN.glob("*.golden")):
        yield pytest.param(path, id=path.stem)


@pytest.mark.parametrize("path", golden_events())
def test_an_event_of_each_kind_is_cadf(path):
    text = pathlib.Path(path).read_text().split("\n-----\n")[1]
    made = cadf.check(json.loads(text))
    assert made.typeURI == "http://schemas.dmtf.org/cloud/audit/1.0/event"


def test_the_actions_and_targets_of_all_operations_are_cadf():
    action, target = (re.compile(cadf_schema(name)["pattern"]) for name in ("action", "target"))
    lines = (GOLDEN / "operations.txt").read_text().splitlines()
    assert len(lines) > 200
    for line in lines:
        _, _, kind, uri, *_ = line.split()
        assert action.match(kind), line
        assert target.match(uri), line
        made = cadf.rebuilt({
            "eventType": "activity", "id": "x", "eventTime": "now", "action": kind, "outcome": "success",
            "initiator": {"id": "x", "typeURI": "service/security/account/user"}, "target": {"id": "x", "typeURI": uri},
            "observer": {"id": "x", "typeURI": "service/compute/gateway"}})
        assert made.is_valid(), line


def cadf_schema(name):
    whole = json.loads((harness.PEERS / "cadf-event.json").read_text())["$defs"]
    return whole["action"] if name == "action" else whole["target"]["properties"]["typeURI"]


@pytest.mark.parametrize("change", [
    {"action": "destroy"}, {"outcome": "done"}, {"eventType": "report"}, {"id": ""}, {"eventTime": "yesterday"},
    {"observer": None}, {"more": 1},
])
def test_what_is_no_event_is_told_from_one(change):
    """The judges themselves: an event that is wrong in one place does not pass."""
    path = next(GOLDEN.glob("a-list-*.golden"))
    event = json.loads(path.read_text().split("\n-----\n")[1])
    cadf.check(event)
    with pytest.raises((AssertionError, ValueError)):
        cadf.check({key: value for key, value in {**event, **change}.items() if value is not None})
