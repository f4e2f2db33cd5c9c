"""The audit trail's sink to RabbitMQ, with the real rabbitmq-server and a listener of oslo.messaging.

The broker is started once; each test has a virtual host of its own. Sent at least once: what is judged is that every event of
the trail is in the queue in the end, and that duplicates are told by their message_id.
"""

import collections
import contextlib
import datetime
import json
import random
import socket

import amqp
import oslo_messaging
import pytest
from oslo_config import cfg

import audit
import cadf
import harness
import rabbit

QUEUE = "notifications.info"
FAILS, TAKES = "the audit sink does not take events", "the audit sink takes events again"
LAG, LAG_SECONDS = 'gatehouse_audit_sink_lag_bytes{sink="rabbitmq"}', 'gatehouse_audit_sink_lag_seconds{sink="rabbitmq"}'
FAILURES = 'gatehouse_audit_sink_failures_total{sink="rabbitmq"}'
FAILING = 'gatehouse_audit_sink_failing{sink="rabbitmq"}'
SETTLED = 'gatehouse_audit_sink_events_total{sink="rabbitmq"}'

pytestmark = pytest.mark.skipif(not (rabbit.PROGRAMS and rabbit.EPMD), reason=rabbit.MISSING)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with rabbit.Broker(tmp_path_factory.mktemp("broker"), {"guest": "guest", "gatehouse": "right"}) as running:
        yield running


class Host:
    """A virtual host of a test."""

    def __init__(self, broker):
        self.broker, self.name = broker, broker.hosts.pop()

    def connect(self):
        connection = amqp.Connection(
            f"{harness.LOOPBACK}:{self.broker.port}", "guest", "guest", virtual_host=self.name, connect_timeout=20)
        connection.connect()
        return connection

    def sink(self, **more):
        url = f"amqp://{harness.LOOPBACK}:{self.broker.port}/{self.name}"
        return {"rabbitmq": {"url": url, "username": "gatehouse", "password": "right", **more}}

    def take(self, count):
        """Takes so many messages off the queue, and asserts that there are no more."""
        messages = []
        with contextlib.closing(self.connect()) as connection, connection.channel() as channel:
            channel.basic_consume(QUEUE, callback=messages.append, no_ack=True)
            while len(messages) < count:
                connection.drain_events(timeout=20)
        assert len(messages) == count
        assert self.waiting() == 0
        return messages

    def waiting(self):
        with contextlib.closing(self.connect()) as connection, connection.channel() as channel:
            return channel.queue_declare(QUEUE, passive=True).message_count


@pytest.fixture
def host(broker):
    return Host(broker)


def serve(directory, upstream, sink, **more):
    files = audit.Files(directory)
    return audit.gatehouse(directory, upstream, {"sinks": [{"file": {"path": str(files.path)}}, sink]}, **more)


def wait_for_sink(gatehouse, seconds=40):
    """Waits until the broker has everything."""
    def is_even():
        values = gatehouse.metrics()
        return values[LAG] == 0 and values[FAILING] == 0

    harness.wait_until(is_even, seconds, lambda: f"the sink is even: {gatehouse.metrics()[LAG]}\n{gatehouse.errors()[-3000:]}")
    assert gatehouse.metrics()[LAG_SECONDS] == 0


def wait_for_line(gatehouse, *words, seconds=30):
    """The first log line with all of these."""
    return harness.wait_until(
        lambda: next((line for line in gatehouse.errors().splitlines() if all(word in line for word in words)), None),
        seconds, lambda: f"a line with {words}\n{gatehouse.errors()[-3000:]}")


def event_of(message):
    """The notification in a message, which has the form that oslo.messaging's own notifier gives it."""
    envelope = json.loads(message.body)
    assert set(envelope) == {"oslo.version", "oslo.message"} and envelope["oslo.version"] == "2.0"
    inner = json.loads(envelope["oslo.message"])
    assert set(inner) == {"message_id", "publisher_id", "event_type", "priority", "payload", "timestamp"}
    assert inner["priority"] == "INFO" and inner["message_id"] == inner["payload"]["id"]
    properties = message.properties
    assert properties["message_id"] == inner["message_id"] and properties["delivery_mode"] == 2
    assert properties["content_type"] == "application/json" and properties["content_encoding"] == "utf-8"
    assert properties["app_id"] == "gatehouse"
    moment = datetime.datetime.fromisoformat(inner["payload"]["eventTime"])
    # As in the message, in seconds.
    assert properties["timestamp"] in (int(moment.timestamp()), moment.replace(tzinfo=None).replace(microsecond=0))
    assert datetime.datetime.fromisoformat(inner["timestamp"] + "+00:00") == moment
    return inner["payload"]


def judge(files, messages, figures):
    """Every event of the trail is among the messages, each as it stands there, and in the order of its writer."""
    places, contents = {}, {}
    for line in files.check().lines:
        if line.kind == "event":
            found = line.record["event"]
            places[found["id"]] = line.record["writer"], line.record["sequence"]
            contents[found["id"]] = found
    first, counts = {}, collections.Counter()
    for message in messages:
        found = event_of(message)
        assert contents[found["id"]] == found
        counts[found["id"]] += 1
        writer, sequence = places[found["id"]]
        if counts[found["id"]] == 1:
            assert first.get(writer, -1) < sequence, "out of order"
            first[writer] = sequence
    lost = [name for name in contents if name not in counts]
    assert not lost, f"{len(lost)} of {len(contents)} are lost"
    twice = sum(counts.values()) - len(counts)
    figures.note(
        f"{len(contents)} events of {len(first)} writers, 0 lost, {twice} duplicates told by their message_id",
        events=len(contents), lost=0, duplicates=twice)
    return twice


# The form


class Endpoint:
    """What an OpenStack service that listens would be."""

    def __init__(self):
        self.found = []

    def info(self, context, publisher_id, event_type, payload, metadata):
        self.found.append((publisher_id, event_type, payload, metadata))


def test_a_listener_of_oslo_messaging_gets_events_as_notifications(host, tmp_path, simulator):
    configuration = cfg.ConfigOpts()
    transport = oslo_messaging.get_notification_transport(
        configuration, f"rabbit://guest:guest@{harness.LOOPBACK}:{host.broker.port}/{host.name}")
    configuration([])
    configuration.set_override("amqp_durable_queues", True, "oslo_messaging_rabbit")
    endpoint = Endpoint()
    listener = oslo_messaging.get_notification_listener(
        transport, [oslo_messaging.Target(topic="notifications", exchange="nova")], [endpoint], executor="threading")
    with serve(tmp_path, simulator.url, host.sink()) as gatehouse:
        # The queue waits for its listener.
        harness.ask(gatehouse.port, "GET", "/v2.1/servers/detail")
        wait_for_sink(gatehouse)
        assert host.waiting() == 1
        listener.start()
        try:
            harness.ask(gatehouse.port, "GET", "/v2.1/nowhere")
            harness.ask(gatehouse.port, "GET", "/v2.1/servers", token="wrong")
            body = json.dumps({"keypair": {"name": "höhe \"1\" \\"}}).encode()
            harness.ask(gatehouse.port, "POST", "/v2.1/os-keypairs", {"Content-Type": "application/json"}, body)
            events = audit.Files(tmp_path).read().events
            assert len(events) >= 4
            harness.wait_until(lambda: len(endpoint.found) >= len(events), 30, lambda: f"{len(endpoint.found)}")
        finally:
            listener.stop()
            listener.wait()
            transport.cleanup()
    assert [payload for _, _, payload, _ in endpoint.found] == events
    for publisher, kind, payload, metadata in endpoint.found:
        assert publisher == f"gatehouse.{socket.gethostname()}" and kind == "audit.http.response"
        assert metadata["message_id"] == payload["id"]
        assert metadata["timestamp"] == payload["eventTime"].replace("T", " ").removesuffix("+00:00")
        cadf.check(payload)


# Trouble


def test_no_event_is_lost_while_the_broker_and_the_gateway_are_killed(host, tmp_path, simulator, figures):
    broker, files, sink = host.broker, audit.Files(tmp_path), host.sink()
    with audit.Clients(random.SystemRandom().random(), plain=2, over_http2=1) as clients:
        gatehouse = serve(tmp_path, simulator.url, sink)
        clients.target.put(gatehouse)
        clients.more(200)
        # Killed with what it has not confirmed, and with what it has on its disk.
        broker.kill()
        clients.more(500)
        clients.target.put(None)
        harness.wait_until(lambda: gatehouse.metrics()[FAILING] == 1, 20, "the sink fails")
        assert gatehouse.metrics()[LAG] > 0 and gatehouse.metrics()[LAG_SECONDS] > 0
        wait_for_line(gatehouse, FAILS, "sink=rabbitmq")
        broker.start()
        clients.target.put(gatehouse)
        clients.more(200)
        clients.target.put(None)
        wait_for_line(gatehouse, TAKES)
        wait_for_sink(gatehouse)
        # One that answers nothing for longer than a step may take.
        failures = gatehouse.metrics()[FAILURES]
        broker.freeze()
        clients.target.put(gatehouse)
        clients.more(500)
        clients.target.put(None)
        harness.wait_until(lambda: gatehouse.metrics()[FAILURES] > failures, 30, "the sink gives up the frozen broker")
        assert gatehouse.metrics()[LAG] > 0
        broker.thaw()
        clients.target.put(gatehouse)
        clients.more(200)
        harness.wait_until(lambda: gatehouse.metrics()[FAILING] == 0, 30, "the sink works again")
        broker.control("close_all_connections", "because a test says so")
        clients.more(300)
        # The gateway itself, in the middle of it.
        gatehouse.kill()
        clients.target.put(None)
        gatehouse = serve(tmp_path, simulator.url, sink)
        clients.target.put(gatehouse)
        clients.more(300)
        answers = clients.answers
        clients.target.put(None)
        wait_for_sink(gatehouse)
    with gatehouse:
        wait_for_sink(gatehouse)
    trail = files.check()
    assert not trail.missing(answers)
    judge(files, host.take(host.waiting()), figures)


def test_a_broker_low_on_memory_is_waited_for(host, tmp_path, simulator, figures):
    broker, files = host.broker, audit.Files(tmp_path)
    with serve(tmp_path, simulator.url, host.sink()) as gatehouse:
        harness.ask(gatehouse.port, "GET", "/v2.1/flavors")
        wait_for_sink(gatehouse)
        try:
            broker.control("set_vm_memory_high_watermark", "absolute", "1MiB")
            for number in range(50):
                harness.ask(gatehouse.port, "GET", f"/v2.1/servers?limit={number}")
            wait_for_line(gatehouse, FAILS, "takes no messages (low on memory)")
            assert gatehouse.metrics()[LAG] > 0
        finally:
            broker.control("set_vm_memory_high_watermark", "0.4")
        wait_for_sink(gatehouse)
    judge(files, host.take(host.waiting()), figures)


def test_a_connection_that_the_broker_closes_in_quiet_times_is_no_failure(host, tmp_path, simulator):
    with serve(tmp_path, simulator.url, host.sink()) as gatehouse:
        for count in (1, 2):
            harness.ask(gatehouse.port, "GET", "/v2.1/flavors")
            wait_for_sink(gatehouse)
            assert host.waiting() == count
            host.broker.control("close_all_connections", "quiet")
        assert gatehouse.metrics()[FAILURES] == 0 and FAILS not in gatehouse.errors()


# Refused


@pytest.mark.parametrize("change, words", [
    ({"password": "wrong-Pass"}, ["403 ACCESS_REFUSED"]),
    ({"vhost": "nowhere"}, ["530 NOT_ALLOWED", "nowhere"]),
    ({"durable": False}, ["exchange.declare", "406 PRECONDITION_FAILED", "durable"]),
    ({"permissions": True}, ["403 ACCESS_REFUSED", "nova"]),
    ({"port": True}, ["connect to", "ECONNREFUSED"]),
], ids=["password", "virtual-host", "durable", "permissions", "nobody"])
def test_what_the_broker_refuses_stands_in_the_log(host, tmp_path, simulator, change, words):
    with contextlib.closing(host.connect()) as connection, connection.channel() as channel:
        channel.exchange_declare("nova", "topic", durable=True, auto_delete=False)
    more = {name: value for name, value in change.items() if name in ("password", "durable")}
    sink = host.sink(**more)
    if "vhost" in change:
        sink["rabbitmq"]["url"] = f"amqp://{harness.LOOPBACK}:{host.broker.port}/nowhere"
    if "port" in change:
        sink["rabbitmq"]["url"] = f"amqp://{harness.LOOPBACK}:{rabbit.redis.free_port()}/{host.name}"
    if "permissions" in change:
        host.broker.control("set_permissions", "--vhost", host.name, "gatehouse", "", ".*", ".*")
    with serve(tmp_path, simulator.url, sink) as gatehouse:
        assert harness.ask(gatehouse.port, "GET", "/v2.1/flavors")[0] == 200
        line = wait_for_line(gatehouse, FAILS, *words)
        assert "wrong-Pass" not in line and "right" not in line
        assert gatehouse.metrics()[LAG] > 0 and gatehouse.metrics()[SETTLED] == 0


# TLS


@pytest.mark.parametrize("tls, words", [
    ({"ca": rabbit.CA, "server_name": "localhost"}, None),
    ({"ca": rabbit.CA, "server_name": "localhost", "certificate": rabbit.CERTIFICATES / "client.crt",
      "private_key": rabbit.CERTIFICATES / "client.key"}, None),
    ({"insecure": True}, None),
    ({"ca": rabbit.CERTIFICATES / "other-ca.crt", "server_name": "localhost"}, ["TLS: "]),
    ({"ca": rabbit.CA, "server_name": "rabbit.example"}, ["TLS: "]),
], ids=["private-ca", "client-certificate", "insecure", "other-ca", "other-name"])
def test_tls(host, tmp_path, simulator, tls, words):
    sink = host.sink(tls={name: value if value is True else str(value) for name, value in tls.items()})
    sink["rabbitmq"]["url"] = f"amqps://{harness.LOOPBACK}:{host.broker.tls_port}/{host.name}"
    if "server_name" in tls:
        sink["rabbitmq"]["tls"]["server_name"] = tls["server_name"]
    with serve(tmp_path, simulator.url, sink) as gatehouse:
        for number in range(20):
            harness.ask(gatehouse.port, "GET", f"/v2.1/servers?limit={number}")
        if words:
            wait_for_line(gatehouse, FAILS, *words)
            assert gatehouse.metrics()[SETTLED] == 0
        else:
            wait_for_sink(gatehouse)
            assert host.waiting() == 20 and gatehouse.metrics()[FAILURES] == 0
