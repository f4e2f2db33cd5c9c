"""Asks the real Nova directly and through Gatehouse, and keeps both answers side by side."""

import concurrent.futures
import dataclasses
import json
import time

from . import request as requests
from . import wire

# The cloud has two workers, and other tests may run beside.
SENDERS = 4


@dataclasses.dataclass
class Pair:
    """Both answers to one request; `line` is Gatehouse's access line, None where it wrote none."""

    request: requests.Request
    direct: wire.Answer
    through: wire.Answer
    data: bytes = dataclasses.field(repr=False, default=b"")
    line: dict | None = None

    @property
    def was_forwarded(self):
        return self.line is not None and "upstream" in self.line


class Sides:
    """One cloud, asked in both ways."""

    def __init__(self, cloud, gateway, people):
        self.waits_for_lines = True
        self.direct_port = int(cloud.compute_url.rsplit(":", 1)[1])
        self.gateway = gateway
        self.tokens = people.tokens
        self.ids = requests.derived(cloud.placeholders())
        interfaces = cloud.compute("alice").get(f"/servers/{self.ids['s:A_with_port']}/os-interface")
        self.ids["port"] = interfaces["interfaceAttachments"][0]["port_id"]

    def ask(self, port, request, ids=None):
        data = wire.encode(request, ids or self.ids, self.tokens)
        return data, wire.ask(port, data, request.method)

    def ask_again(self, pair):
        """What Nova answers when it is asked once more, directly."""
        return wire.ask(self.direct_port, pair.data, pair.request.method)

    def play(self, asked):
        """A pair for each request. Groups go one after the other, first on one side, then on the other."""
        groups, single = {}, []
        for request in asked:
            if request.group:
                groups.setdefault(request.group, []).append(request)
            else:
                single.append(request)

        def one(request):
            data, direct = self.ask(self.direct_port, request)
            return Pair(request, direct, wire.ask(self.gateway.port, data, request.method), data)

        with concurrent.futures.ThreadPoolExecutor(SENDERS) as senders:
            pairs = list(senders.map(one, single))
        for group in groups.values():
            answers = [self.play_group(port, group) for port in (self.direct_port, self.gateway.port)]
            pairs += [Pair(request, *both) for request, *both in zip(group, *answers)]
        if self.waits_for_lines:
            self.find_lines(pairs)
        return pairs

    def play_group(self, port, group):
        ids, answers = dict(self.ids), []
        for request in group:
            _, answer = self.ask(port, request, ids)
            answers.append(answer)
            for name, path in request.keep.items():
                value = json.loads(answer.content)
                for key in path.split("."):
                    value = value[key]
                ids[name] = value
        return answers

    def find_lines(self, pairs):
        """Gives each pair the access line of its request; lines are written a moment after the answers."""
        wanted = {pair.through.value("X-Gatehouse-Request-Id"): pair for pair in pairs}
        wanted.pop(None, None)
        deadline = time.monotonic() + 20
        while True:
            for line in self.gateway.access_lines():
                pair = wanted.pop(line["request_id"], None)
                if pair is not None:
                    pair.line = line
            if not wanted:
                return
            assert time.monotonic() < deadline, f"no access line for {len(wanted)} exchanges: {list(wanted)[:3]}"
            time.sleep(0.05)
