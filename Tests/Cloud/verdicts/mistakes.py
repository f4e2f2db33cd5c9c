"""Requests with one, two or three mistakes at once: a good request, and what to change in it to make each mistake.

Every mistake changes another part of the request, or adds to one, so that any of them go together; where two change the
same part, they cannot both be made of that request, and another one has to show them.
"""

import dataclasses
import itertools

from .generated import NEVER
from .request import Request

# In the order in which Nova judges; the tests ask Nova whether it does. An ended operation is one whose release or
# microversions are over: 410, or 404 in the words of no route.
KINDS = [
    "size 413", "token 401", "route 404", "microversion 406", "microversion 400", "content type 415",
    "malformed content 400", "project 400", "ended", "query encoding 400", "query 400", "content 400", "policy 403",
    "lookup",
]


@dataclasses.dataclass(frozen=True)
class Base:
    """A request that Nova accepts or looks up, and each mistake as changes of its parts; a tuple of texts for `query`
    is added to what is there, everything else takes its place."""

    name: str
    method: str
    path: str
    changes: dict
    who: str = "alice"
    project: str = "{A}"
    version: str | None = None
    query: tuple = ()
    content: str | None = None
    root: str = "/v2.1"
    # Pairs that this one operation judges in the other order.
    swapped: frozenset = frozenset()

    def request(self, mistakes):
        """The request with these mistakes; None when two of them change the same part."""
        parts = {"who": self.who, "project": self.project, "version": self.version, "path": self.path,
                 "content": self.content, "type": "application/json", "padding": ""}
        query, changed = list(self.query), set()
        for mistake in mistakes:
            for part, value in self.changes[mistake].items():
                if part == "query":
                    query += value
                    continue
                if part in changed:
                    return None
                changed.add(part)
                parts[part] = value
        content = parts["content"]
        if parts["padding"]:
            content = (content or "") + parts["padding"]
        if content is None and "content type 415" in mistakes:
            content = ""
        target = f"{self.root}/{parts['project']}{parts['path']}" + ("?" + "&".join(query) if query else "")
        return Request(
            f"{self.name}: {' + '.join(mistakes) or 'good'}", self.method, target, parts["who"], parts["version"],
            content=content, type=parts["type"])

    def requests(self, most=3):
        """(mistakes, request) for none, one, two … of the mistakes, as many as go together."""
        for count in range(most + 1):
            for mistakes in itertools.combinations([kind for kind in KINDS if kind in self.changes], count):
                request = self.request(mistakes)
                if request is not None:
                    yield mistakes, request


EVERYWHERE = {
    "size 413": {"padding": "{ *120000}"},
    "token 401": {"who": "garbage"},
    "query encoding 400": {"query": ("a=%ff",)},
    "microversion 406": {"version": "2.999"},
    "microversion 400": {"version": "compute abc"},
    "content type 415": {"type": "application/xml"},
    "project 400": {"project": "{B}"},
}
ROUTE = {"route 404": {"path": "/nope"}}

BASES = [
    Base("servers", "GET", "/servers", {
        **EVERYWHERE, **ROUTE, "query 400": {"query": ("limit=abc",)}, "policy 403": {"query": ("all_tenants=1",)},
        "lookup": {"query": ("marker=" + NEVER,)}}, query=("limit=1",)),
    Base("servers, strict", "GET", "/servers", {
        "token 401": {"who": None}, "query encoding 400": {"query": ("name=%ff",)},
        "project 400": {"project": "abc"}, "query 400": {"query": ("foo=1",)},
        "policy 403": {"query": ("status=deleted",)}, "lookup": {"query": ("marker=nope",)}},
        query=("limit=1",), version="2.75"),
    # Under /v2 no version counts, and `limit` is read by other code, after the policy.
    Base("servers, v2", "GET", "/servers", {
        **EVERYWHERE, **ROUTE, "query 400": {"query": ("limit=abc",)}, "policy 403": {"query": ("all_tenants=1",)},
        "lookup": {"query": ("marker=" + NEVER,)}}, query=("limit=1",), root="/v2",
        swapped=frozenset({("query 400", "policy 403")})),
    Base("server", "GET", f"/servers/{NEVER}", {
        **EVERYWHERE, "route 404": {"path": f"/servers/{NEVER}/nope"}, "query 400": {"query": ("foo=1",)},
        "lookup": {}}, version="2.102"),
    Base("create", "POST", "/servers", {
        **EVERYWHERE, **ROUTE, "malformed content 400": {"content": "{"},
        "content 400": {"content": '{"server": {}}'}, "policy 403": {"who": "carol"}},
        content='{"server": {"name": "n", "flavorRef": "nope", "imageRef": "%s"}}' % NEVER),
    Base("create, reader", "POST", "/servers", {
        **{kind: change for kind, change in EVERYWHERE.items() if kind != "token 401"}, **ROUTE,
        "token 401": {"who": None}, "malformed content 400": {"content": "{"},
        "content 400": {"content": '{"server": {}}'}, "policy 403": {}},
        who="carol", content='{"server": {"name": "n", "flavorRef": "nope", "imageRef": "%s"}}' % NEVER),
    Base("action", "POST", f"/servers/{NEVER}/action", {
        **EVERYWHERE, "route 404": {"path": f"/servers/{NEVER}/nope"}, "malformed content 400": {"content": "{"},
        "content 400": {"content": '{"reboot": {"type": "nope"}}'}, "policy 403": {"who": "carol"}, "lookup": {}},
        content='{"reboot": {"type": "SOFT"}}'),
    Base("rename", "PUT", f"/servers/{NEVER}", {
        **EVERYWHERE, "route 404": {"path": f"/servers/{NEVER}/nope"}, "malformed content 400": {"content": "{"},
        "content 400": {"content": '{"server": {"name": 1}}'}, "policy 403": {"who": "carol"}, "lookup": {}},
        content='{"server": {"name": "n"}}'),
    Base("hypervisors", "GET", "/os-hypervisors", {
        **EVERYWHERE, **ROUTE, "query 400": {"query": ("limit=abc",)}, "policy 403": {}}, version="2.53"),
    Base("hypervisor", "GET", "/os-hypervisors/" + NEVER, {
        **EVERYWHERE, "route 404": {"path": f"/os-hypervisors/{NEVER}/a/b"},
        "query 400": {"query": ("with_servers=abc",)}, "policy 403": {"who": "alice", "project": "{A}"},
        "lookup": {}}, who="admin", project="{ADMIN}", version="2.53"),
    Base("aggregate", "GET", "/os-aggregates/99999", {
        **EVERYWHERE, "route 404": {"path": "/os-aggregates/99999/nope"}, "query 400": {"query": ("foo=1",)},
        "policy 403": {}, "lookup": {}}, version="2.102"),
    Base("change of an aggregate", "PUT", "/os-aggregates/99999", {
        **EVERYWHERE, "route 404": {"path": "/os-aggregates/99999/nope"}, "malformed content 400": {"content": "["},
        "content 400": {"content": '{"aggregate": {}}'}, "policy 403": {}, "lookup": {}},
        content='{"aggregate": {"name": "n"}}'),
    Base("new aggregate by nobody's admin", "POST", "/os-aggregates", {
        **EVERYWHERE, **ROUTE, "malformed content 400": {"content": "["}, "content 400": {"content": '{"nope": 1}'},
        "policy 403": {}}, content='{"aggregate": {"name": "n"}}'),
    Base("keypair", "DELETE", "/os-keypairs/nope", {
        **EVERYWHERE, "route 404": {"path": "/os-keypairs/nope/nope"}, "query 400": {"query": ("foo=1",)},
        "policy 403": {"query": ("user_id={user_bob}",)}, "lookup": {}}, version="2.75"),
    Base("images, ended", "GET", "/images", {
        **EVERYWHERE, **ROUTE, "ended": {}, "query 400": {"query": ("limit=abc",)}}, version="2.36"),
    Base("hosts, ended", "GET", "/os-hosts/nope", {
        **EVERYWHERE, **ROUTE, "ended": {}, "query 400": {"query": ("foo=1",)}, "policy 403": {}, "lookup": {}},
        version="2.43"),
    Base("tags, not yet", "GET", f"/servers/{NEVER}/tags", {
        **EVERYWHERE, "ended": {}, "query 400": {"query": ("foo=1",)}, "lookup": {}}, version="2.25"),
    # Its query is looked at first, after all, and a query in UTF-8 makes Nova fail.
    Base("virtual interfaces, gone", "GET", f"/servers/{NEVER}/os-virtual-interfaces", {
        **EVERYWHERE, "route 404": {"path": f"/servers/{NEVER}/os-virtual-interfaces/nope"}, "ended": {},
        "lookup": {}}, swapped=frozenset({("ended", "query encoding 400")})),
    Base("cells, gone", "POST", "/os-cells", {
        **EVERYWHERE, **ROUTE, "malformed content 400": {"content": "{"}, "ended": {},
        "content 400": {"content": "[]"}}, content="{}"),
]

# Two mistakes that no request can have, or no operation of Nova's tells apart.
IMPOSSIBLE = {
    ("microversion 406", "microversion 400"): "one field has one value",
    ("malformed content 400", "content 400"): "content that is no JSON has no wrong members",
    ("malformed content 400", "query 400"): "no operation that takes content has rules for its query",
    ("query 400", "content 400"): "no operation that takes content has rules for its query",
}
