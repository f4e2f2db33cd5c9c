"""Fixtures of all suites, and the counts that `run` prints."""

import json
import os
import pathlib

import pytest

import harness
import keystone

FIGURES = []


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


def pytest_terminal_summary(terminalreporter):
    counts = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
    if FIGURES:
        terminalreporter.section("figures")
        for figure in FIGURES:
            terminalreporter.write_line(f"{figure['test']}: {figure['text']}")
        path = os.environ.get("PEERS_FIGURES")
        if path:
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(path).write_text(json.dumps(FIGURES, indent=1) + "\n")
    path = os.environ.get("PEERS_COUNTS")
    if path:
        line = f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed"
        if counts["skipped"]:
            line += f", {counts['skipped']} skipped"
        pathlib.Path(path).write_text(line)
