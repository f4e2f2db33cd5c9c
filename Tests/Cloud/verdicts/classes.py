"""Which mechanism of Nova a refusal comes from, and whether it depends on the request alone.

Judged by Nova's own answer, never by Gatehouse's. «The request alone» means: the same request by the same person gets
the same refusal from every Nova of this release, whatever servers, quotas, policies and hosts there are. These refusals
a proxy can make; the others (who may, what exists, what state it is in) only Nova can.
"""

import re

from . import forms

UUID = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")

# (class, status, what the message looks like); the first that fits counts.
BY_THE_REQUEST_ALONE = [
    ("size", 413, r"Request is too large"),
    ("query encoding", 400, r"Query string is not UTF-8 encoded$"),
    ("microversion", 406, r"Version \S+ is not supported by the API\."),
    ("microversion", 400, r"API Version String .* is of invalid format\."),
    ("content type", 415, r"Unsupported Content-Type$"),
    ("malformed content", 400, r"Malformed request body$"),
    ("project", 400, r"Malformed request URL: URL's project_id '"),
    ("query", 400, r"Invalid input for query parameters "),
    ("query", 400, r"'.*' does not match any of the regexes: "),
    ("query", 400, r"Invalid input received: (limit|offset|marker|page_size|Unknown sort direction)"),
    ("query", 400, r"(limit|offset|page_size) must be "),
    ("query", 400, r"Unrecognized value '"),
    ("query", 400, r"Invalid status value$"),
    ("query", 400, r"Invalid (minRam|minDisk|is_public) filter \["),
    ("query", 400, r"Invalid filter field: "),
    ("query", 400, r"The value of changes-since must be less than or equal to changes-before\."),
    ("query", 400, r"Invalid datetime string: |Invalid (start|end) "),
    ("content", 400, r"Invalid input for field/attribute "),
    ("content", 400, r"There is no such action: "),
    ("content", 400, r".* is not of type '(object|array|null)'"),
    ("content", 400, r"'[^']*' is a required property$"),
    ("content", 400, r".*(should be non-empty|is not valid under any of the given schemas)$"),
    ("content", 400, r"(Missing imageRef attribute|.*(too many|not enough|non-empty) properties)"),
    ("gone", 410, r""),
    ("query", 400, r"'delete_info'$"),
    ("path", 400, r"Invalid (uuid|timestamp for date) "),
    ("path", 400, r"Invalid input received: id must be an integer|Security group id should be uuid"),
]
ADDITIONAL = re.compile(r"Additional properties are not allowed \(|.* does not have enough properties")
LOOKUP = re.compile(r".*(could not be found|not found|has no |does not exist|is not mapped|not a member)", re.DOTALL)
DEFAULT_404 = "The resource could not be found."


def classify(request, answer):
    """(class, depends on the request alone) of Nova's refusal."""
    status, _, message = forms.normal(answer)
    shape = forms.shape(answer)
    if status == 401:
        return "identity", False
    if status == 403:
        return "policy", False
    if status >= 500:
        return "error of Nova's", False
    if status == 404 and (shape in ("webob", "empty") or message == DEFAULT_404):
        # WebOb's own words: no route has this path and method, or none at this microversion.
        return ("route" if shape != "nova" else "route by microversion"), True
    message = message or ""
    for name, expected, pattern in BY_THE_REQUEST_ALONE:
        if status == expected and re.match(pattern, message, re.DOTALL):
            return name, True
    if status == 400 and ADDITIONAL.match(message):
        return ("query" if request.content is None else "content"), True
    if status == 404 and has_odd_id(request):
        return "path", True
    if LOOKUP.match(message):
        return "lookup", False
    return "state", False


def has_odd_id(request):
    """Whether the path names a server by something that is no UUID, so that none can have it."""
    match = re.match(r"/v2(?:\.1)?(?:/[^/]+)?/servers/([^/]+)", request.path)
    if match is None or match[1].startswith("{"):
        return match is not None and not re.fullmatch(r"\{[^{}]*\}", match[1])
    return match[1] != "detail" and not UUID.fullmatch(match[1])
