"""Where Gatehouse on purpose answers otherwise than Nova: one table, each row with its reason.

A row that no request of the lists needs any more fails the test, so the table says no more than what is true.
"""

import dataclasses
import re
import typing

from . import forms, judge

VERSION_DOCUMENTS = {"/", "/v2", "/v2/", "/v2.1", "/v2.1/"}
ODD_PATH = re.compile(r"//|/\.{1,2}(/|$)|%2[fF]|%00|%0[aAdD]|%5[cC]|\\")
ODD_BYTE = re.compile(r"[\x00-\x20\x7f-\xff#\"<>^`{|}\\]")
AMBIGUOUS = {"length", "second_length"}


@dataclasses.dataclass(frozen=True)
class Exception_:
    """`fits(pair)` must be narrow: what was asked, and both answers."""

    name: str
    reason: str
    fits: typing.Callable


def message(answer):
    return forms.normal(answer)[2] or "" if (answer.status or 0) >= 400 else ""


def field_names(pair):
    return [name.lower() for name, _ in pair.request.fields]


def is_below_a_root(path):
    return re.match(r"/v2(\.1)?(/|$)", path) is not None


TABLE = [
    Exception_(
        "405 for a known path with another method",
        "RFC 9110 §15.5.6 and the documents' own code; Nova's router knows no 405. Allow names the methods.",
        lambda pair: pair.direct.status == 404 and pair.through.status == 405
        and forms.shape(pair.direct) in ("webob", "empty") and pair.through.value("Allow") is not None),
    Exception_(
        "version documents are for GET",
        "Nova answers any method with them; nobody asks for a document with PATCH, and 405 says so.",
        lambda pair: pair.request.path in VERSION_DOCUMENTS and pair.request.method != "GET"
        and pair.direct.status == 200 and pair.through.status == 405),
    Exception_(
        "OPTIONS is a method like others",
        "Nova's CORS filter answers OPTIONS with an empty 200 to anybody, whatever the path: no preflight of ours.",
        lambda pair: pair.request.method == "OPTIONS" and pair.direct.status == 200
        and pair.through.status in (401, 404, 405)),
    Exception_(
        "paths that are not in normal form",
        "Nova collapses //, /./ and /../ after decoding and decodes %2F; two readings of one path dodge rules.",
        lambda pair: ODD_PATH.search(pair.request.path) and pair.through.status == 400
        and message(pair.through) == "The path is not in normal form."),
    Exception_(
        "bytes that no request target may have",
        "RFC 9112 §3.2 and RFC 3986: uWSGI passes fragments, control bytes and raw bytes above 0x7F on.",
        lambda pair: ODD_BYTE.search(pair.request.target) and pair.through.status == 400
        and re.match(r"The request target is malformed\.|A control byte stands", message(pair.through))),
    Exception_(
        "a request line without a target",
        "RFC 9112 §3: uWSGI reads it as a path of nothing.",
        lambda pair: pair.request.target == "" and message(pair.through) == "The request line is malformed."),
    Exception_(
        "Host: exactly one, and a valid one",
        "RFC 9112 §3.2. Nova builds links from whatever stands there.",
        lambda pair: ("host" in field_names(pair) or pair.request.form.get("host") is False)
        and pair.through.status == 400 and re.match(r"The (Host field|host) is ", message(pair.through))),
    Exception_(
        "HTTP versions that are none",
        "RFC 9110 §15.6.6; uWSGI takes any.",
        lambda pair: "version" in pair.request.form and pair.through.status == 505),
    Exception_(
        "targets longer than max_target_size",
        "uWSGI drops a query of more than 32 kB silently, and with it limit and filters.",
        lambda pair: pair.through.status == 414 and "*" in pair.request.target),
    Exception_(
        "heads larger than max_head_size or max_fields",
        "uWSGI drops the connection at 64 kB or 120 lines; the limit here is lower and says what it is.",
        lambda pair: pair.through.status == 431 and pair.request.fields),
    Exception_(
        "framing that can be read in two ways",
        "RFC 9112 §6.3 and §11.2: uWSGI reads no content at all, or the first length.",
        lambda pair: AMBIGUOUS & set(pair.request.form) and pair.through.status == 400
        and re.match(r"The (Content-Length field|length of the content) is ", message(pair.through))),
    Exception_(
        "chunked content is read",
        "uWSGI hands Nova no chunked content; it gets a length here, so Nova judges what was sent.",
        lambda pair: pair.request.form.get("chunked") and pair.direct.status == 400 and pair.through.status == 400
        and message(pair.direct) == "None is not of type 'object'"),
    Exception_(
        "field names with an underscore",
        "Under WSGI they are the same as names with a dash, so they are dropped, whatever they say.",
        lambda pair: any("_" in name for name in field_names(pair))
        and pair.direct.status == 200 and pair.through.status == 401),
    Exception_(
        "content that is not UTF-8 is malformed",
        "Nova fails with 500 on it.",
        lambda pair: pair.direct.status == 500 and pair.through.status == 400
        and message(pair.through) == "Malformed request body"),
    Exception_(
        "what is gone is gone, with a query too",
        "Nova has no rules for the query of an operation that ended, and fails with 500 on any.",
        lambda pair: pair.direct.status == 500 and "KeyError" in message(pair.direct)
        and pair.request.query and pair.through.status == 410),
    Exception_(
        "paths outside the API's roots",
        "Nova answers any with 300 and a list of choices; this house serves /v2 and /v2.1.",
        lambda pair: pair.direct.status in (200, 300) and pair.through.status in (401, 404)
        and not is_below_a_root(pair.request.path)),
    Exception_(
        "the order of allowed sort keys",
        "From 2.73 Nova words it from a Python set, whose order changes with every start.",
        lambda pair: judge.is_set_in_another_order(pair) and "sort_key" in message(pair.direct)),
]


def exception_for(pair):
    return next((row for row in TABLE if row.fits(pair)), None)
