"""A request as the lists name it: placeholders for ids, a name for whoever asks, and the oddities of its form.

The lists are JSON lines. Members, all but the first three optional:

    id        names the request in reports
    method    as it is sent
    target    as it is sent, with {A}, {s:A_active} and the like; characters are bytes (ISO 8859-1); {ab*3} is ababab
    who       whose token goes into X-Auth-Token; default alice, null for none
    version   the value of OpenStack-API-Version, `compute 2.90` when it reads `2.90`
    fields    further field lines, [name, value]; <alice> in a value is that name's token
    content   the request's content; Content-Type is application/json unless `fields` or `type` say otherwise
    type      the Content-Type, null for none
    form      {"host": false, "version": "1.0", "length": "abc", "second_length": "3", "chunked": true,
               "target": "absolute" | "http://other.example"}
    group     requests of one group are played in their order, one after the other, on one side and then on the other
    keep      {"created": "server.id"}: a placeholder for later requests of the group, from the answer's content
"""

import dataclasses
import json
import re

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?::[A-Za-z0-9_.-]+)?)\}")
REPEAT = re.compile(r"\{([^{}]+)\*([0-9]+)\}")
TOKEN = re.compile(r"<([a-z0-9@B-]+)>")


@dataclasses.dataclass(frozen=True)
class Request:
    id: str
    method: str
    target: str
    who: str | None = "alice"
    version: str | None = None
    fields: tuple = ()
    content: str | None = None
    type: str | None = "application/json"
    form: dict = dataclasses.field(default_factory=dict, hash=False)
    group: str | None = None
    keep: dict = dataclasses.field(default_factory=dict, hash=False)

    @classmethod
    def read(cls, line):
        value = json.loads(line)
        value["fields"] = tuple((name, text) for name, text in value.get("fields", ()))
        return cls(**value)

    def written(self):
        """The line that `read` makes this request of."""
        plain = Request(self.id, self.method, self.target)
        found = {"id": self.id, "method": self.method, "target": self.target}
        for field in dataclasses.fields(self)[3:]:
            value = getattr(self, field.name)
            if value != getattr(plain, field.name):
                found[field.name] = value
        return json.dumps(found, ensure_ascii=True)

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    @property
    def query(self):
        return self.target.partition("?")[2]

    @property
    def is_normal(self):
        """Whether nothing in its form is odd."""
        return not self.form

    @property
    def version_field(self):
        if self.version is None:
            return None
        return "compute " + self.version if re.fullmatch(r"[0-9.]+|latest", self.version) else self.version

    def __str__(self):
        asked = f" [{self.version}]" if self.version else ""
        more = f" {dict(self.fields)}" if self.fields else ""
        content = f" {self.content[:120]!r}" if self.content is not None else ""
        form = f" {self.form}" if self.form else ""
        return f"{self.id}: {self.method} {self.target[:160]} <{self.who}>{asked}{more}{content}{form}"


def read_list(path):
    with open(path, encoding="utf-8") as lines:
        return [Request.read(line) for line in lines if line.strip()]


def fill(text, ids):
    """`text` with its placeholders replaced; a name that the cloud does not know is an error."""

    def value(match):
        name = match[1]
        if name in ids:
            return ids[name]
        raise KeyError(f"no placeholder {name} in {text[:200]}")

    return REPEAT.sub(lambda match: match[1] * int(match[2]), PLACEHOLDER.sub(value, text))


def derived(ids):
    """`ids` and their variants: {dA} with dashes, {UA} in upper case, {pA} percent-encoded, {S:x} and {d:x} of {s:x}."""
    found = dict(ids)
    project = ids["A"]
    found["dA"] = "-".join((project[:8], project[8:12], project[12:16], project[16:20], project[20:]))
    found["UA"] = project.upper()
    found["pA"] = "".join(f"%{ord(character):02X}" for character in project)
    for name, value in ids.items():
        if name.startswith("s:"):
            found["S:" + name[2:]] = value.upper()
            found["d:" + name[2:]] = value.replace("-", "")
    return found
