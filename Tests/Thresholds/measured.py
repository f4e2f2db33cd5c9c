"""Runs the works over the transports under an instrument."""

import contextlib
import pathlib
import tempfile

import bed
import works

WARMING = 3 * bed.TOKENS


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix="gatehouse-thresholds-") as path:
        yield pathlib.Path(path)


@contextlib.contextmanager
def running(instrument, path):
    """The instrument with its gateway started, and what gives a function that asks for a work."""
    with bed.canned(path) as (upstream, server):
        one = instrument(path, upstream.url)
        with one.gatehouse as gatehouse, contextlib.ExitStack() as stack:
            def asking(work, transport):
                connection = stack.enter_context(contextlib.closing(works.connect(gatehouse, transport)))
                chosen = works.prepared(connection, server)[work]

                def ask(count, at_once=1):
                    for number in range(0, count, at_once):
                        chosen.ask(connection, range(number, number + at_once))

                ask(WARMING)
                return ask

            yield one, asking
