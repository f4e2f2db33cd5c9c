"""Fixtures of all suites, and what `suites.py` is told of them."""

import json
import os
import pathlib

import pytest

import harness
import keystone

FIGURES = []
# Tests that the choice of a mark left out.
LEFT = []


class Figures:
    """What a test measured; printed at the end and written to the file that `PEERS_FIGURES` names."""

    def __init__(self, test):
        self.test = test

    def note(self, text, **values):
        FIGURES.append({"test": self.test, "text": text, **values})


@pytest.fixture
def figures(request):
    return Figures(request.node.name)


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
    counts = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
    if FIGURES:
        terminalreporter.section("figures")
        for figure in FIGURES:
            terminalreporter.write_line(f"{figure['test']}: {figure['text']}")
        path = os.environ.get("PEERS_FIGURES")
        if path:
            pathlib.Path(path).write_text(json.dumps(FIGURES))
    path = os.environ.get("PEERS_COUNTS")
    if path:
        counts["failed"] += counts.pop("error")
        left = {mark: sum(item.get_closest_marker(mark) is not None for item in LEFT) for mark in ("calm", "alone")}
        left["all"] = len(LEFT)
        pathlib.Path(path).write_text(json.dumps({**counts, "left": left}))
