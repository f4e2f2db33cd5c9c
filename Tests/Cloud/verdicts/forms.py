"""Brings an error answer of any producer into the one form that Gatehouse speaks: status, fault name, message.

Written from the facts about the forms, apart from Gatehouse's own code. A real Nova has four: its own faults,
keystonemiddleware's `error` object, WebOb's three (JSON, HTML, plain text: whichever Accept asks for) and none at all
for HEAD.
"""

import html
import json
import re

NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}


def fault_name(status):
    return NAMES.get(status, "computeFault")


def shape(answer):
    """Which producer's form an error has: nova, keystone, webob, empty or other."""
    if answer.content == b"":
        return "empty"
    value = read_json(answer.content)
    if isinstance(value, dict):
        if is_fault(value):
            return "nova"
        if isinstance(value.get("error"), dict):
            return "keystone"
        if "title" in value and isinstance(value.get("code"), str):
            return "webob"
    text = answer.content.decode("latin-1")
    if re.match(rf"\s*(<html>.*<h1>)?{answer.status} ", text, re.DOTALL):
        return "webob"
    return "other"


def is_fault(value):
    if len(value) != 1:
        return False
    (name, fault), = value.items()
    return name not in ("error", "errors") and isinstance(fault, dict) and isinstance(fault.get("code"), int)


def read_json(content):
    try:
        return json.loads(content)
    except ValueError:
        return None


def plain(text):
    """Free text without tags, its white space run together."""
    text = re.sub(r"<[^>]*>", " ", text)
    return " ".join(html.unescape(text).split())


def normal(answer):
    """(status, fault name, message) of an error; the message is None where the answer holds no content."""
    status = answer.status
    found = shape(answer)
    if found == "empty":
        return status, fault_name(status), None
    if found == "nova":
        (name, fault), = read_json(answer.content).items()
        return status, name, fault["message"]
    if found == "keystone":
        return status, fault_name(status), read_json(answer.content)["error"]["message"]
    if found == "webob":
        value = read_json(answer.content)
        if value is not None:
            return status, fault_name(status), plain(value["message"])
        text = answer.content.decode("utf-8", "replace")
        page = re.search(r"</h1>(.*)</body>", text, re.DOTALL)
        return status, fault_name(status), plain(page[1] if page else text.strip().split("\n", 1)[-1])
    return status, "?", answer.content.decode("utf-8", "replace")[:300]
