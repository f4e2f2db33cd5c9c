"""Gateways that share their limits through a Redis, and the load on them."""

import contextlib
import itertools
import time

import pytest

import harness
import redis
from keystone import Asker, Client

LIST = ("GET", "/v2.1/servers")
UP = "gatehouse_limit_store_up"
AWAY_LINE = "the store of limits cannot be used, local limits decide"
BACK_LINE = "the store of limits is used again"
# Far more than the load asks for.
LOOSE = {"name": "loose", "per": "project", "rate": "100000/s", "burst": 100_000}


def projects(count):
    return [harness.token(f"t{index}", f"{index + 1:032x}") for index in range(count)]


@pytest.fixture
def serve(tmp_path, simulator):
    """Makes gateways that share `store`, a Redis or settings of one."""
    numbers = itertools.count()
    simulator.control("POST", "/projects", {
        "tokens": [f"{entry['token']}:{entry['project']['id']}:member" for entry in projects(100)], "servers": 1})

    def make(store, *rules, tokens=4, **more):
        settings = store if isinstance(store, dict) else {
            "url": store.url, **({"password": store.password} if store.password else {}),
            **({"tls": {"ca": str(redis.CA)}} if store.tls else {})}
        return harness.Gatehouse(
            tmp_path / f"gatehouse-{next(numbers)}", simulator.url, {
                "limits": {"store": "redis", "redis": {**settings, **more}, "rules": list(rules)},
                "identity": {"provider": "static", "static": {"tokens": projects(tokens)}}})

    return make


def wait_for_up(*gateways, value=1, seconds=15):
    for gateway in gateways:
        harness.wait_until(
            lambda: gateway.metrics()[UP] == value, seconds,
            lambda: f"{UP} is {value}\n{gateway.errors()[-2000:]}")


def ask(gateway, token="t0", count=1):
    """So many lists on one connection; their answers."""
    with contextlib.closing(Client(gateway.port)) as client:
        return [client.ask(token, LIST) for _ in range(count)]


def statuses(gateway, token="t0", count=1):
    return [answer.status for answer in ask(gateway, token, count)]


def p99(answers):
    durations = sorted(answer.seconds for answer in answers)
    return durations[min(len(durations) - 1, len(durations) * 99 // 100)] * 1e3


class Load:
    """Lists, asked for by several clients at once; some wait between two of them."""

    def __init__(self, ports, tokens=("t0",), count=4, pause=0.002):
        self.askers = [
            Asker(port, itertools.cycle(tokens), LIST, pause) for port in ports for _ in range(count // len(ports))]
        self.begun = time.monotonic()
        for asker in self.askers:
            asker.start()

    def answers(self, begin=0, end=float("inf")):
        return [answer for asker in self.askers for answer in list(asker.answers) if begin <= answer.begun <= end]

    def end(self):
        for asker in self.askers:
            asker.end()
        return self.answers()


def admitted(answers):
    assert {answer.status for answer in answers} <= {200, 429}
    return [answer for answer in answers if answer.status == 200]
