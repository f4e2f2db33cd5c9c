"""Gatehouse in front of an origin, requests to it, and what it says of them."""

import json
import threading

import harness
import origin

PATH = "/v2.1/flavors/1"
STREAM = (harness.COMPUTE, harness.STREAM)


def gatehouse(directory, urls, definitions=(harness.COMPUTE,), settings=None, **upstream):
    """The gateway with one worker, so that connections and streams are easy to count."""
    tls = {"tls": {"ca": origin.CA}} if str(urls).startswith(("https", "['https")) else {}
    return harness.Gatehouse(
        directory, urls, harness.merged({"workers": 1, "cache": False}, settings or {}), definitions=definitions,
        upstream_settings={**tls, **upstream})


def access_lines(running):
    return [json.loads(line) for line in (running.directory / "access.log").read_text().splitlines()]


def assert_last_error(running, word):
    harness.wait_until(
        lambda: any(line["error"] == word for line in access_lines(running)), 5,
        lambda: f"{word} in {access_lines(running)}")


def ask_all(running, count, path=PATH, **more):
    """`count` requests at once; their statuses and contents."""
    found = [None] * count

    def ask(place):
        status, _, content = harness.ask(running.port, "GET", path, **more)
        found[place] = (status, content)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def post(running, content=b'{"keypair": {"name": "a"}}', **more):
    return harness.ask(
        running.port, "POST", "/v2.1/os-keypairs", {"Content-Type": "application/json"}, content, **more)
