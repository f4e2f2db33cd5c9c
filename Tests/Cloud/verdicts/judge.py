"""Whether Gatehouse says what the real Nova says."""

import re

from . import forms

LIST = re.compile(r"\[('[^']*'(?:, '[^']*')*)\]")


def difference(pair):
    """In a few words what differs in the verdict; None when Nova and Gatehouse agree.

    Nova refuses: Gatehouse must, with the same status, fault name and message. Nova does not: Gatehouse must not.
    """
    direct, through = pair.direct, pair.through
    if direct.status is None:
        return "no answer from Nova"
    if through.status is None:
        return "no answer from Gatehouse"
    if direct.status < 400:
        if through.status >= 400:
            return f"accepted by Nova with {direct.status}, refused with {through.status}"
        return None if through.status == direct.status else f"status {direct.status}, here {through.status}"
    if through.status < 400:
        return f"refused by Nova with {direct.status}, accepted with {through.status}"
    theirs, ours = forms.normal(direct), forms.normal(through)
    for what, left, right in zip(("status", "fault name", "message"), theirs, ours):
        if left != right:
            return f"{what} {left!r}, here {right!r}"
    if ours[2] is not None and forms.shape(through) != "nova":
        return f"form {forms.shape(through)}"
    return None


def is_set_in_another_order(pair):
    """Whether the messages differ in nothing but the order of a list in them."""
    if pair.direct.status is None or pair.direct.status != pair.through.status or pair.direct.status < 400:
        return False
    (_, left, theirs), (_, right, ours) = forms.normal(pair.direct), forms.normal(pair.through)

    def sort(message):
        return LIST.sub(lambda match: str(sorted(match[1].split(", "))), message or "")

    return left == right and theirs != ours and sort(theirs) == sort(ours)


def content_difference(pair, ask_again):
    """Where the contents of an accepted request differ; None when they are the same.

    Some of it changes from one time to the next (ages, the order of what is of the same second): `ask_again` tells what
    Nova says now, and what differs between two answers of Nova itself is not compared.
    """
    if pair.direct.content == pair.through.content:
        return None
    again = ask_again()
    if again.status != pair.direct.status:
        return None
    return differing(*(forms.read_json(answer.content) for answer in (pair.direct, again, pair.through)), "")


def differing(first, second, through, path):
    if first != second:
        if isinstance(first, dict) and isinstance(second, dict) and isinstance(through, dict):
            if set(first) == set(second) != set(through):
                return f"{path}: {sorted(set(first) ^ set(through))}"
            found = (
                differing(first[key], second[key], through[key], f"{path}.{key}")
                for key in first if key in second and key in through)
            return next((one for one in found if one), None)
        if isinstance(first, list) and isinstance(second, list) and isinstance(through, list):
            if len(first) == len(second) != len(through):
                return f"{path}: {len(first)} elements, here {len(through)}"
            found = (
                differing(*elements, f"{path}[{index}]")
                for index, elements in enumerate(zip(first, second, through)))
            return next((one for one in found if one), None)
        return None
    return None if first == through else f"{path}: {str(first)[:200]}, here {str(through)[:200]}"
