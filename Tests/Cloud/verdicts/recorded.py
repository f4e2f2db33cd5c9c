"""What a real Nova answered once: JSON lines of requests and answers, as requests of ours.

Lines of id, method, path, headers, status, body; `<alice>` is a token, `{A}` an id; `raw` says what was sent where it is
no normal request; long texts are cut, as in `aaa...(6000 bytes)`.
"""

import dataclasses
import json
import pathlib
import re

from . import forms, wire
from .request import Request

CUT = re.compile(r"(.*?)(.)\2*\.\.\.\((\d+) bytes\)", re.DOTALL)


@dataclasses.dataclass
class Row:
    request: Request
    status: int | None
    answer: wire.Answer
    # Of a very long content only the beginning was kept.
    is_cut: bool

    @property
    def message(self):
        return forms.normal(self.answer)[2] if (self.status or 0) >= 400 else None

    def agrees_with(self, answer):
        """Whether this Nova says the same; ids in messages are other ones, so words without them are compared."""
        if self.status != answer.status or (self.status or 0) < 400:
            return self.status == answer.status
        return self.is_cut or words(self.answer) == words(answer)


def words(answer):
    """The message without what differs from cloud to cloud."""
    message = forms.normal(answer)[2] or ""
    return re.sub(r"\{[^{}]*\}|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|\[[^\]]*\]", "*", message)[:400]


def uncut(text):
    """A cut text as long as it was: the beginning, then its last character repeated."""
    match = CUT.fullmatch(text)
    if not match:
        return text
    return match[1] + f"{{{match[2]}*{int(match[3]) - len(match[1])}}}"


def convert(row):
    raw = row.get("raw") or {}
    form = {}
    if raw.get("absolute"):
        form["target"] = "absolute" if raw["absolute"] is True else raw["absolute"]
    if raw.get("nohost"):
        form["host"] = False
    if raw.get("chunked"):
        form["chunked"] = True
    for name, kept in (("cl", "length"), ("cl2", "second_length")):
        if name in raw:
            form[kept] = raw[name]
    if row.get("http"):
        form["version"] = row["http"]
    headers = row["headers"]
    fields = [(name, uncut(value)) for name, value in (headers.items() if isinstance(headers, dict) else headers)]
    found = {"who": None}
    tokens = [value for name, value in fields if name == "X-Auth-Token"]
    if len(tokens) == 1 and re.fullmatch(r"<[^>]+>", tokens[0]):
        found["who"] = tokens[0][1:-1]
        fields = [field for field in fields if field[0] != "X-Auth-Token"]
    if "request_body" in row:
        types = [value for name, value in fields if name == "Content-Type"]
        fields = [field for field in fields if field[0] != "Content-Type"]
        found |= {"content": uncut(row["request_body"]), "type": types[0] if types else None}
    return Request(row["id"], row["method"], raw.get("target", row["path"]), fields=tuple(fields), form=form, **found)


def read(directory):
    """The rows of every list in `directory`.

    Not those that change something and need one another's answers (`{created}`): they are in the project's own list.
    """
    rows = []
    for path in sorted(pathlib.Path(directory).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            is_change = row["method"] not in ("GET", "HEAD", "OPTIONS", "TRACE") and 200 <= (row["status"] or 0) < 300
            if is_change or "{created}" in line:
                continue
            fields = [tuple(field) for field in row["response_headers"]]
            answer = wire.Answer(row["status"], fields, (row["body"] or "").encode())
            rows.append(Row(convert(row), row["status"], answer, is_cut="body_sha1" in row))
    return rows
