"""What is asked, and over what."""

import bed
import client

HOSTS = {None: bed.harness.LOOPBACK, "http/1.1": bed.SECOND, "h2": bed.SECOND}


class Work:
    """Requests of one kind: their path, their fields, and the status each has to be answered with."""

    def __init__(self, path, status, *fields):
        self.path, self.status, self.fields = path, status, fields

    def ask(self, connection, numbers):
        """Requests at once, each with its token in turn; the fields of their answers."""
        asked = [(self.path, TOKENS[number % len(TOKENS)], self.fields) for number in numbers]
        answers = connection.ask(asked)
        assert all(status == self.status for status, _ in answers), (self.path, answers)
        return [fields for _, fields in answers]


WORKS = ["hit", "not-modified", "refusal", "pass-through"]
TOKENS = [token["token"] for token in bed.tokens()]


def prepared(asking, server):
    """The works by name, with the validator of the list as it is stored; `server` is the path of one."""
    tag = Work(bed.LIST, 200).ask(asking, [0])[0]["etag"]
    return dict(zip(WORKS, (
        Work(bed.LIST, 200),
        Work(bed.LIST, 304, ("If-None-Match", tag)),
        Work("/v2.1/servers?limit=abc", 400),
        Work(server, 200),
    )))


TRANSPORTS = {
    "HTTP/1.1": (client.HTTP1, None),
    "HTTP/2": (client.HTTP2, None),
    "HTTP/2 over TLS": (client.HTTP2, "h2"),
}


def connect(gatehouse, transport):
    kind, protocol = TRANSPORTS[transport]
    host = HOSTS[protocol]
    return kind(host, gatehouse.ports[host], protocol)
