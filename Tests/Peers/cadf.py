"""Judges audit events by others: pycadf's classes, which the audit of OpenStack is made of, and a schema of the standard's model."""

import json
import pathlib
import warnings

import jsonschema_rs
from pycadf import attachment, credential, event, host, reason, resource

SCHEMA = jsonschema_rs.validator_for(json.loads(pathlib.Path(__file__).with_name("cadf-event.json").read_text()))


def check(found):
    """Asserts that one event is valid by both; gives what pycadf makes of it."""
    mistakes = [f"{'/'.join(map(str, mistake.instance_path))}: {mistake.message}" for mistake in SCHEMA.iter_errors(found)]
    assert not mistakes, f"{mistakes}\n{json.dumps(found, indent=1)}"
    with warnings.catch_warnings():
        # It would like every id to be a UUID; OpenStack's users and projects have others.
        warnings.filterwarnings("ignore", message="Invalid uuid", category=UserWarning)
        made = rebuilt(found)
        assert made.is_valid()
    compare(found, made.as_dict())
    return made


def rebuilt(found):
    """The event by pycadf's own constructors, each of which refuses what it knows to be wrong."""
    why = found.get("reason")
    made = event.Event(
        eventType=found["eventType"], id=found["id"], eventTime=found["eventTime"], action=found["action"],
        outcome=found["outcome"], reason=reason.Reason(**why) if why else None,
        initiator=party(found["initiator"]), target=party(found["target"]), observer=party(found["observer"]))
    for part in found.get("attachments", []):
        made.add_attachment(attachment.Attachment(**part))
    return made


def party(found):
    proof = found.get("credential")
    return resource.Resource(
        id=found["id"], typeURI=found["typeURI"], name=found.get("name"), domain=found.get("domain"),
        credential=credential.Credential(token=proof["token"], type=proof["type"]) if proof else None,
        host=host.Host(**found["host"]) if "host" in found else None)


def compare(found, made):
    """What pycadf writes stands in the event with the same names and values; the token, which it masks, aside."""
    for name, value in made.items():
        assert name in found, name
        if name == "token":
            assert isinstance(found[name], str)
        elif isinstance(value, dict) and isinstance(found[name], dict):
            compare(found[name], value)
        else:
            assert found[name] == value, (name, found[name], value)
