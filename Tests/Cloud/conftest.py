"""The fixtures of the tests against a real cloud, and the counts that `run` prints.

`cloud`     a running one, of stack.description.Cloud: the one that the file named by GATEHOUSE_CLOUD describes, or one
            that is started for this run and ended after it
`gateway`   call it, as often as you like, with settings: a Gatehouse of the test's own in front of that cloud
`through`   one Gatehouse for the whole run, published in the catalog: region and requests that it has seen
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import pytest

import measured
from gateway import Gateway
from measured import Figures, figures  # noqa: F401, a fixture of all tests
from stack.description import Cloud

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    path = os.environ.get("GATEHOUSE_CLOUD")
    if path:
        yield Cloud.read(path)
        return
    state = tmp_path_factory.mktemp("cloud")
    command = [sys.executable, HERE / "cloud.py"]
    began = time.monotonic()
    try:
        started = subprocess.run([*command, "start", "--state", state], timeout=600)
        assert started.returncode == 0, "the cloud did not start; what it said is above"
        Figures("test_cloud").note(f"started and filled in {time.monotonic() - began:.0f} s")
        yield Cloud.read(state / "cloud.json")
    finally:
        subprocess.run([*command, "stop", "--state", state, "--wipe"], check=True)


@pytest.fixture
def gateway(cloud, tmp_path):
    running = []

    def start(settings=None, api=None, **more):
        running.append(Gateway(tmp_path / f"gatehouse-{len(running)}", cloud, settings, api, **more))
        return running[-1]

    yield start
    # Each is ended, also when one before it did not end well.
    with contextlib.ExitStack() as ends:
        for one in running:
            ends.callback(one.close)


class Published:
    """A gateway and the region of the catalog that leads through it."""

    def __init__(self, cloud, running, home):
        self.cloud = cloud
        self.gateway = running
        self.home = home
        self.region = cloud.publish(running.url)

    def environment(self, user, project=None):
        return self.cloud.client_environment(user, project, self.region, self.home)


@pytest.fixture(scope="session")
def through(cloud, tmp_path_factory):
    directory = tmp_path_factory.mktemp("through")
    with Gateway(directory, cloud) as running:
        published = Published(cloud, running, directory)
        yield published
        cloud.withdraw(published.region)


def pytest_terminal_summary(terminalreporter):
    measured.tell(terminalreporter, "CLOUD_FIGURES")
    path = os.environ.get("CLOUD_COUNTS")
    if path:
        # Nothing here may be left out silently: what was skipped counts as failed.
        counts = measured.counts(terminalreporter)
        pathlib.Path(path).write_text(f"{counts['passed']} passed, {counts['failed'] + counts['skipped']} failed")
