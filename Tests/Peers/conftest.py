"""Fixtures of all suites, and what `suites.py` is told of them."""

import json
import os
import pathlib

import pytest

import harness
import keystone
import measured
from measured import figures  # noqa: F401, a fixture of all suites

# Tests that the choice of a mark left out.
LEFT = []


@pytest.fixture(scope="session")
def demo_tokens():
    return harness.demo_tokens()


@pytest.fixture
def simulator(tmp_path):
    with harness.Simulator(tmp_path) as running:
        yield running


@pytest.fixture
def cloud(tmp_path):
    """Keystone and Nova apart from each other."""
    with keystone.Cloud(tmp_path) as running:
        yield running


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """`PEERS_PART` is `2/3` for the second of three parts of a suite."""
    part = os.environ.get("PEERS_PART")
    if part:
        which, count = map(int, part.split("/"))
        items[:] = items[which - 1::count]


def pytest_deselected(items):
    LEFT.extend(items)


def pytest_terminal_summary(terminalreporter):
    measured.tell(terminalreporter, "PEERS_FIGURES")
    path = os.environ.get("PEERS_COUNTS")
    if path:
        left = {mark: sum(item.get_closest_marker(mark) is not None for item in LEFT) for mark in ("calm", "alone")}
        left["all"] = len(LEFT)
        pathlib.Path(path).write_text(json.dumps({**measured.counts(terminalreporter), "left": left}))
