"""Gatehouse beside its peers: the same work on one core each, rounds in turn, medians.

Started by `run`, which installs and builds what this needs.
"""

import argparse
import contextlib
import gzip
import json
import pathlib
import shutil
import signal
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Peers"))

import harness  # noqa: E402, found by the path above
import idle  # noqa: E402
import load  # noqa: E402
import measure  # noqa: E402
import table  # noqa: E402
from place import DETAILED, HTTP2, TOKENS, TRANSPORTS, Contents, Place  # noqa: E402
from servers import nginx  # noqa: E402
from works import all_works, idle_work  # noqa: E402


def options(arguments):
    parser = argparse.ArgumentParser(prog="Tests/Benchmarks/run", description="Measures Gatehouse beside its peers.")
    parser.add_argument("--work", action="append", help="only this one; may be given several times")
    parser.add_argument("--transport", action="append", choices=list(TRANSPORTS), help="only this one, as above")
    parser.add_argument("--peer", action="append", help="only those with this in their name; gatehouse always runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of a round")
    parser.add_argument("--runs", type=int, default=1, help="the whole table again; a goal has to hold in each")
    parser.add_argument("--idle", type=int, default=5000, metavar="COUNT", help="of idle connections")
    parser.add_argument("--quick", action="store_true", help="one round of a second, cold: shows that every part runs")
    parser.add_argument("--json", metavar="FILE", help="every figure of every round")
    parser.add_argument("--judge", action="store_true", help="exit with 1 when a goal does not hold")
    parser.add_argument("--floor", metavar="DIRECTORY", required=True, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        parsed.rounds, parsed.seconds, parsed.idle = 1, 1, 200
    return parsed


def is_chosen(kind, chosen):
    return not chosen or kind.label == "gatehouse" or any(name in kind.label for name in chosen)


def check_answers(server, work):
    """Every transport gives the status and the content that are wanted, in the coding that was asked for."""
    for transport in server.transports:
        status, version, content = server.ask(transport)
        work.lengths[server.label] = len(content)
        if work.coding and content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        elif work.coding:
            raise AssertionError(f"{server.label}, {transport}: not gzip: {content[:60]!r}")
        assert status == work.status and content == work.content, f"{server.label}, {transport}: {status} {content[:300]!r}"
        assert version == ("2" if transport == HTTP2 else "1.1"), f"{server.label}, {transport}: HTTP/{version}"


def measure_round(place, server, work, transport, seconds):
    server.before_round()
    before = measure.cpu_seconds(server.pids())
    counted = load.run(place, server, work, transport, seconds)
    used = measure.cpu_seconds_between(before, measure.cpu_seconds(server.pids()))
    server.assert_alive()
    more = server.after_round(counted.answers)
    return {
        "microseconds": used / counted.answers * 1e6, "rate": counted.answers / counted.seconds, "p50": counted.p50,
        "p99": counted.p99, "answers": counted.answers, **more}


def run_work(place, work, transports, parsed):
    """All rounds of one work: {transport: {server: [figures of each round]}}."""
    found = {transport: {} for transport in transports}
    with contextlib.ExitStack() as stack:
        servers = []
        for kind in work.servers:
            if is_chosen(kind, parsed.peer) and set(kind.transports) & set(transports):
                server = kind(place, work)
                stack.callback(server.end)
                work.gatehouse = work.gatehouse or server
                check_answers(server, work)
                servers.append(server)
        for transport in transports:
            speaking = [server for server in servers if transport in server.transports]
            for server in speaking:
                load.warm_up(place, server, work, transport, parsed.quick)
            for number in range(parsed.rounds):
                # Forwards and backwards by turns: a machine that gets slower or faster favours nobody.
                for server in speaking[::-1 if number % 2 else 1]:
                    figures = measure_round(place, server, work, transport, parsed.seconds)
                    found[transport].setdefault(server.label, []).append(figures)
            print(f"measured {work.name}, {transport}", file=sys.stderr, flush=True)
    work.gatehouse = None
    # Access lines and trails of ten thousands of requests a second.
    for path in place.directory.glob(f"{work.name}-*"):
        shutil.rmtree(path)
    return found


def run_idle(place, work, transports, parsed):
    """Idle connections to the servers of a work: {transport: {server: figures}}, each to a process of its own."""
    found = {}
    for transport in transports:
        for kind in work.servers:
            if is_chosen(kind, parsed.peer):
                server = kind(place, work)
                with contextlib.ExitStack() as stack:
                    stack.callback(server.end)
                    check_answers(server, work)
                    figures = idle.measure_idle(server, work, transport, parsed.idle)
                found.setdefault(transport, {})[server.label] = figures
        print(f"measured idle connections, {transport}", file=sys.stderr, flush=True)
    return found


def chosen_works(works, names):
    known = [*(work.name for work in works), "idle"]
    for name in names or ():
        if name not in known:
            raise SystemExit(f"no work {name}; there are: {' '.join(known)}")
    return [work for work in works if not names or work.name in names]


def run_all(parsed, directory):
    """Every work that is chosen, once: its table's figures, and those of idle connections."""
    place = Place(directory)
    shutil.copytree(pathlib.Path(parsed.floor), place.directory / "floor")
    tokens = place.directory / "tokens"
    tokens.write_text("".join(f"{token}:{harness.DEMO}:member,reader\n" for token in TOKENS))
    transports = [TRANSPORTS[name] for name in parsed.transport or TRANSPORTS]
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(harness.Simulator(
            place.make("simulator"), "--servers", str(DETAILED), "--token-file", tokens))
        place.keystone_url = f"http://{harness.LOOPBACK}:{simulator.ports['identity']}/v3"
        contents = Contents(simulator)
        place.upstream = nginx.Upstream(place, contents)
        stack.callback(place.upstream.end)
        works = all_works(contents)
        found = {
            "begun": table.moment(), "machine": measure.machine(),
            "works": {work.name: run_work(place, work, transports, parsed)
                      for work in chosen_works(works, parsed.work)}}
        if not parsed.work or "idle" in parsed.work:
            over = [transport for transport in transports if transport != HTTP2]
            found["idle"] = run_idle(place, idle_work(contents), over, parsed)
        found["ended"] = measure.machine()
        kinds = [kind for work in works for kind in work.servers if is_chosen(kind, parsed.peer)]
        found["versions"] = sorted({kind.version() for kind in kinds} - {None})
        return found


def main(arguments):
    parsed = options(arguments)
    # Whoever ends this ends what it started, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    runs = []
    for _ in range(parsed.runs):
        with tempfile.TemporaryDirectory(prefix="gatehouse-benchmarks-") as directory:
            runs.append(run_all(parsed, directory))
        print(table.markdown(runs[-1], parsed), flush=True)
        if parsed.json:
            pathlib.Path(parsed.json).write_text(json.dumps({"runs": runs}, indent=1))
    verdicts = table.judged(runs)
    print(table.goals(verdicts))
    return 1 if parsed.judge and not all(verdict.holds for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
