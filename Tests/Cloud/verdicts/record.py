"""Plays a list of requests against a running cloud and writes what is said, one JSON line for each.

    python -m verdicts.record CLOUD_JSON LIST [GATEWAY_URL] >answers.jsonl

Run in Tests/Cloud with the environment of `run`. LIST is a file of requests, or `generated`, or `order`. Each line has
the request's id, what Nova answers (status, fault name, message, and who that depends on: class and whether the request
alone decides) and, with GATEWAY_URL, what is said through there and whether that differs.
"""

import json
import sys

from stack.description import Cloud

from . import classes, exceptions, forms, generated, judge, mistakes, people, play, request


class Elsewhere:
    """A gateway that is none of ours: its access lines are not to be had."""

    def __init__(self, url):
        self.port = int(url.rstrip("/").rsplit(":", 1)[1])

    def access_lines(self):
        return []


def requests_of(name):
    if name == "generated":
        return generated.everything()
    if name == "order":
        return [asked for base in mistakes.BASES for _, asked in base.requests()]
    return request.read_list(name)


def said(answer):
    if answer.status is None or answer.status < 400:
        return {"status": answer.status, "bytes": len(answer.content)}
    status, name, message = forms.normal(answer)
    return {"status": status, "fault": name, "message": message}


def main(cloud_path, name, gateway_url=None):
    cloud = Cloud.read(cloud_path)
    sides = play.Sides(cloud, Elsewhere(gateway_url or cloud.compute_url), people.People(cloud))
    sides.waits_for_lines = False
    for pair in sides.play(requests_of(name)):
        line = {"id": pair.request.id, "request": str(pair.request), "nova": said(pair.direct)}
        if (pair.direct.status or 0) >= 400:
            line["class"], line["alone"] = classes.classify(pair.request, pair.direct)
        if gateway_url:
            line["gateway"] = said(pair.through)
            line["differs"] = judge.difference(pair)
            row = exceptions.exception_for(pair) if line["differs"] else None
            line["on purpose"] = row.name if row else None
        print(json.dumps(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
