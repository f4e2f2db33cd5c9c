"""The tables, the goals, and whether they hold."""

import dataclasses
import datetime
import statistics

from place import HTTP2, PLAIN, TLS

KIB, MIB = 1024, 1024 * 1024
# A stage that leaves its work undone would be cheap.
MOST_DROPPED = 0.01


@dataclasses.dataclass
class Goal:
    """Gatehouse's CPU per request over a peer's is at most `most`; with several peers, over each one's."""

    text: str
    work: str
    transport: str
    peers: list
    most: float


@dataclasses.dataclass
class MemoryGoal:
    """A figure of Gatehouse's idle connections is at most `most` of `unit`."""

    text: str
    transport: str
    figure: str
    unit: int
    most: float


GOALS = [
    Goal("cached list, HTTP/1.1: at most 1.4 × bare answerer", "cached-list", PLAIN, ["bare answerer"], 1.4),
    Goal("cached list, HTTP/1.1: at most 0.9 × haproxy's cache", "cached-list", PLAIN, ["haproxy"], 0.9),
    Goal("cached list, HTTP/1.1: at most 0.5 × varnish", "cached-list", PLAIN, ["varnish"], 0.5),
    Goal("refusal: at most 1.0 × haproxy's `http-request return`", "refusal", PLAIN, ["haproxy"], 1.0),
    Goal("pass-through: at most 1.0 × nginx's bare `proxy_pass`", "pass-through", PLAIN, ["nginx"], 1.0),
    Goal("pass-through: at most 1.2 × bare relay", "pass-through", PLAIN, ["bare relay"], 1.2),
    Goal("cached detail, 1.5 MB: at most 1.0 × the best peer", "cached-detail", PLAIN, ["nginx", "haproxy", "varnish"], 1.0),
    Goal("cached detail, gzip: at most 1/5 of peers that compress per request", "cached-detail-gzip", PLAIN,
         ["nginx, gzip per request", "haproxy, gzip per request"], 0.2),
    Goal("cached list, HTTP/2 over TLS: at most 1.0 × nginx and nghttpx", "cached-list", HTTP2, ["nginx", "nghttpx"], 1.0),
    MemoryGoal("idle connection: at most 1 KiB", PLAIN, "bytes", KIB, 1),
    MemoryGoal("idle connection, TLS: at most 12 KiB", TLS, "bytes", KIB, 12),
    MemoryGoal("resident base: at most 40 MiB", PLAIN, "resident", MIB, 40),
]


@dataclasses.dataclass
class Verdict:
    goal: object
    # One of each run, the worst of several peers.
    figures: list
    # The largest share of access lines that were dropped in a run's rounds of it.
    dropped: float

    @property
    def holds(self):
        return max(self.figures) <= self.goal.most and self.dropped <= MOST_DROPPED

    @property
    def text(self):
        if self.dropped > MOST_DROPPED:
            return f"does not count: {self.dropped:.0%} of the access lines were dropped"
        return "holds" if self.holds else "does not hold"


def moment():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def median(rounds, name):
    return statistics.median(one[name] for one in rounds)


def paired(ours, theirs):
    """Round by round, since the machine's speed drifts."""
    return statistics.median(our["microseconds"] / their["microseconds"] for our, their in zip(ours, theirs))


def markdown(run, parsed):
    """Everything one run measured."""
    parts = [
        f"{run['begun']}; {', '.join(run['versions'])}; {run['machine']} at the begin. Medians of {parsed.rounds} rounds of "
        f"{parsed.seconds} s; each server has one core, load and upstream have the other."]
    if run["works"]:
        parts += [works_table(run["works"]), matrix(run["works"]), dropped(run["works"])]
    if run.get("idle"):
        parts.append(idle_table(run["idle"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def works_table(works):
    lines = [
        "| work | over | server | requests/s | CPU, µs a request | p50, µs | p99, µs | gatehouse to it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for work, transports in works.items():
        for transport, servers in transports.items():
            for label, rounds in sorted(servers.items(), key=lambda item: median(item[1], "microseconds")):
                ratio = "" if label == "gatehouse" else f"{paired(servers['gatehouse'], rounds):.2f}"
                lines.append(
                    f"| {work} | {transport} | {label} | {median(rounds, 'rate'):,.0f} | "
                    f"{median(rounds, 'microseconds'):,.1f} | {median(rounds, 'p50'):,.0f} | "
                    f"{median(rounds, 'p99'):,.0f} | {ratio} |")
    return "\n".join(lines)


COLUMNS = ["gatehouse", "bare", "nginx", "haproxy", "varnish", "envoy", "nghttpx"]


def matrix(works):
    """CPU alone, a row for each work and transport; a peer's variant stands where the peer has no plain form."""
    lines = ["| CPU, µs a request | over | " + " | ".join(COLUMNS) + " |", "| --- |" + " --- |" * (len(COLUMNS) + 1)]
    for work, transports in works.items():
        for transport, servers in transports.items():
            cells = []
            for column in COLUMNS:
                labels = sorted(label for label in servers if label.startswith(column))
                cells.append(f"{median(servers[labels[0]], 'microseconds'):,.1f}" if labels else "")
            lines.append(f"| {work} | {transport} | {' | '.join(cells)} |")
    return "\n".join(lines)


def dropped(works):
    """What Gatehouse left undone of its work, if anything."""
    figures = [one for transports in works.values() for servers in transports.values() for one in servers["gatehouse"]]
    lines, answers = (sum(one[name] for one in figures) for name in ("dropped", "answers"))
    if lines == 0:
        return ""
    return f"Gatehouse dropped {lines:,.0f} access lines of {answers:,.0f}: the file did not take them in time."


def idle_table(idle):
    labels = list(dict.fromkeys(label for servers in idle.values() for label in servers))
    lines = [
        "| server | " + " | ".join(f"idle connection, {transport}" for transport in idle) + " | resident base |",
        "| --- |" + " --- |" * (len(idle) + 1)]
    for label in labels:
        figures = [servers.get(label) for servers in idle.values()]
        cells = [f"{one['bytes'] / KIB:.2f} KiB" if one else "" for one in figures]
        resident = next(one["resident"] for one in figures if one)
        lines.append(f"| {label} | {' | '.join(cells)} | {resident / MIB:.1f} MiB |")
    return "\n".join(lines)


def figure_of(goal, run):
    """What a run says of a goal; None where not all that it needs was measured."""
    if isinstance(goal, MemoryGoal):
        figures = run.get("idle", {}).get(goal.transport, {}).get("gatehouse")
        return figures and figures[goal.figure] / goal.unit
    servers = run["works"].get(goal.work, {}).get(goal.transport, {})
    if not all(label in servers for label in [*goal.peers, "gatehouse"]):
        return None
    return max(paired(servers["gatehouse"], servers[peer]) for peer in goal.peers)


def dropped_share(goal, run):
    """How many of the access lines of a goal's rounds were dropped."""
    rounds = run["works"].get(getattr(goal, "work", None), {}).get(goal.transport, {}).get("gatehouse", [])
    answers = sum(one["answers"] for one in rounds)
    return sum(one["dropped"] for one in rounds) / answers if answers else 0


def judged(runs):
    """Verdicts on all goals that every run has figures of."""
    found = []
    for goal in GOALS:
        figures = [figure_of(goal, run) for run in runs]
        if None not in figures:
            found.append(Verdict(goal, figures, max(dropped_share(goal, run) for run in runs)))
    return found


def goals(verdicts):
    """Each goal with what every run measured; it has to hold in all."""
    lines = ["| goal | measured | |", "| --- | --- | --- |"]
    for verdict in verdicts:
        figures = ", ".join(f"{figure:.2f}" for figure in verdict.figures)
        lines.append(f"| {verdict.goal.text} | {figures} | {verdict.text} |")
    return "\n".join(lines)
