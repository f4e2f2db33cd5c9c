"""What tests measured: a fixture to say it with, and what becomes of it at the end."""

import json
import os
import pathlib

import pytest

FIGURES = []


class Figures:
    """What a test measured; printed at the end and written to a file."""

    def __init__(self, test):
        self.test = test

    def note(self, text, **values):
        FIGURES.append({"test": self.test, "text": text, **values})


@pytest.fixture
def figures(request):
    return Figures(request.node.name)


def tell(terminalreporter, variable):
    """Prints the figures, and writes them to the file that the environment variable names."""
    if not FIGURES:
        return
    terminalreporter.section("figures")
    for figure in FIGURES:
        terminalreporter.write_line(f"{figure['test']}: {figure['text']}")
    path = os.environ.get(variable)
    if path:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(json.dumps(FIGURES, indent=1) + "\n")


def counts(terminalreporter):
    """How many tests passed, failed (those that broke among them) and were skipped."""
    found = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
    found["failed"] += found.pop("error")
    return found
