"""Plays a list of requests against a running cloud and writes what is said, one JSON line for each.

    cd Tests/Cloud; PYTHON -m verdicts.record CLOUD_JSON LIST [GATEWAY_URL] >answers.jsonl

PYTHON is the one that `run` installs. LIST is a file of requests, or `generated`, or `order`. Each line has the
request's id, what Nova answers (status, fault name, message, and the class of a refusal with whether the request alone
decides it) and, with GATEWAY_URL, what is said through there and what differs. Without, Nova is asked twice.
"""

import json
import pathlib
import sys

# What starts programs under test is there; not in PYTHONPATH, which programs started here would see.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "Peers"))

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
