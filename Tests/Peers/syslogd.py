"""The real rsyslogd on ports of its own, and a reader of RFC 5424 by its grammar alone."""

import collections
import json
import re
import signal

import harness

SERVER = harness.find_program("rsyslogd")
MISSING = "rsyslogd or its driver for TLS is not installed: deploy/packages --test"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
CA = CERTIFICATES / "ca.crt"

# Queues are direct: what a connection's bytes are is in the file before more of them are read.
CONFIGURATION = """
global(workDirectory="{directory}" maxMessageSize="64k" net.enableDNS="off"
       defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
       defaultNetstreamDriverKeyFile="{key}")
main_queue(queue.type="direct")
module(load="{module}")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="audit") {{ action(type="omfile" file="{output}" template="raw") }}
input(type="{module}" address="{address}" port="{port}" ruleset="audit"{driver})
"""
TLS = ' streamdriver.name="ossl" streamdriver.mode="1" streamdriver.authmode="anon"'

# RFC 5424 §6, rule by rule; octets, since all of it is ASCII but the content.
PRIVAL = rb"(?P<priority>0|[1-9][0-9]{0,2})"
DATE = rb"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME = rb"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
NAME = rb"[!#-<>-\\^-~]{1,32}"
PARAMETER = NAME + rb'="(?:[^"\\\]]|\\.)*"'
MESSAGE = re.compile(
    rb"<" + PRIVAL + rb">1 (?P<time>-|" + DATE + rb"T" + TIME + rb") (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) "
    rb"(?P<process>[!-~]{1,128}) (?P<kind>[!-~]{1,32}) "
    rb"(?P<data>-|(?:\[" + NAME + rb"(?: " + PARAMETER + rb")*\])+)(?: (?P<content>.*))?", re.DOTALL)

Message = collections.namedtuple("Message", "priority time host app writer kind sequence event")


def read(raw):
    """A message of RFC 5424 with an event in it; an assertion for anything else."""
    found = MESSAGE.fullmatch(raw)
    assert found and int(found["priority"]) <= 191, raw[:400]
    number = re.search(rb'\[meta sequenceId="([1-9][0-9]*)"\]', found["data"])
    assert number and int(number[1]) <= 2_147_483_647 and b'[origin software="gatehouse" ' in found["data"], raw[:400]
    words = (found[name].decode() for name in ("time", "host", "app", "process", "kind"))
    return Message(int(found["priority"]), *words, int(number[1]), json.loads(found["content"]))


class Receiver(harness.Process):
    """One rsyslogd, started again on its port after its end; every life of it has a file of its own.

    So a line that a kill tore is the last of a file, and nobody's.
    """

    name = "rsyslogd"

    def __init__(self, directory, transport):
        super().__init__(directory)
        assert SERVER, MISSING
        self.transport, self.port, self.outputs = transport, None, []
        self.start()

    @property
    def url(self):
        return f"{self.transport}://{harness.LOOPBACK}:{self.port}"

    def start(self):
        for _ in range(20):
            if self.port is None:
                self.port = free_port(self.transport)
            number = len(self.outputs)
            path, output = self.directory / f"rsyslog-{number}.conf", self.directory / f"received-{number}"
            path.write_text(CONFIGURATION.format(
                directory=self.directory, ca=CA, certificate=CERTIFICATES / "localhost-ecdsa.crt",
                key=CERTIFICATES / "localhost-ecdsa.key", module="imudp" if self.transport == "udp" else "imtcp",
                output=output, address=harness.LOOPBACK, port=self.port, driver=TLS if self.transport == "tls" else ""))
            self.spawn([SERVER, "-n", "-f", path, "-i", self.directory / f"pid-{number}"])
            # Its first life may find that somebody was quicker.
            if harness.wait_until(self.state, 30, lambda: f"rsyslogd listens\n{self.errors()}") == "listens":
                self.outputs.append(output)
                return self
            assert not self.outputs, self.errors()
            self.port = None
        raise AssertionError(f"no port for rsyslogd\n{self.errors()}")

    def state(self):
        if self.child.poll() is not None:
            return "ended"
        return "listens" if self.is_bound() else None

    def is_bound(self):
        """Whether its own socket is at the port, told from the kernel's table without a connection."""
        table = "/proc/net/udp" if self.transport == "udp" else "/proc/net/tcp"
        bound = f"0100007F:{self.port:04X}"
        return any(line.split()[1] == bound and line.split()[3] in ("07", "0A") for line in open(table).readlines()[1:])

    def stop(self):
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)

    def messages(self):
        """What all lives have written, in their order; a torn line at an end of one is left out."""
        return [read(raw) for path in self.outputs if path.exists() for raw in path.read_bytes().split(b"\n")[:-1]]

    def count(self):
        return sum(path.read_bytes().count(b"\n") for path in self.outputs if path.exists())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.kill()


def free_port(transport):
    """A port that nobody has now."""
    kind = harness.socket.SOCK_DGRAM if transport == "udp" else harness.socket.SOCK_STREAM
    with harness.socket.socket(harness.socket.AF_INET, kind) as holder:
        holder.bind((harness.LOOPBACK, 0))
        return holder.getsockname()[1]
