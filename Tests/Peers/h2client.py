"""A client of HTTP/2 by the package h2, and the gateway that the suites of clients ask."""

import socket

import h2.config
import h2.connection
import h2.events
import h2.settings

import harness
import peer as peers

SECOND = "127.0.0.2"
CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
CA = str(CERTIFICATES / "ca.crt")
OVER = ["cleartext", "TLS"]
SERVERS = "/v2.1/servers"


def listeners():
    return [
        {"address": f"{harness.LOOPBACK}:0"},
        {"address": f"{SECOND}:0", "tls": {
            "certificate": str(CERTIFICATES / "localhost-ecdsa.crt"),
            "private_key": str(CERTIFICATES / "localhost-ecdsa.key")}}]


def run_gatehouse(directory, cloud, upstream):
    """Compute before the simulator, and contents of any size before an upstream of their own."""
    changes = {
        "listeners": listeners(),
        "apis": [
            {"definition": str(harness.COMPUTE), "upstream": {"endpoints": [cloud.url]}},
            {"definition": str(harness.STREAM), "upstream": {"endpoints": [upstream]}}],
    }
    return harness.Gatehouse(directory, cloud.url, changes)


class Client:
    """A connection by the package h2; what comes is kept by stream."""

    def __init__(self, gatehouse, over):
        host = SECOND if over == "TLS" else harness.LOOPBACK
        self.socket = socket.create_connection((host, gatehouse.ports[host]), timeout=20)
        if over == "TLS":
            self.socket = peers.tls_context(CA).wrap_socket(self.socket, server_hostname="localhost")
            assert self.socket.selected_alpn_protocol() == "h2"
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.fields, self.contents, self.ended, self.informational, self.order = {}, {}, set(), [], []
        self.flush()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def ask(self, *more, method="GET", path=SERVERS, is_end=True):
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, [
            (":method", method), (":scheme", "http"), (":authority", "compute.example"), (":path", path), ("x-auth-token", "demo"),
            *more], end_stream=is_end)
        self.flush()
        return stream

    def receive(self):
        received = self.socket.recv(262_144)
        assert received, "the connection ended"
        for event in self.connection.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                self.fields[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.InformationalResponseReceived):
                self.informational.append(dict(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                self.contents[event.stream_id] = self.contents.get(event.stream_id, b"") + event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
                self.order.append(event.stream_id)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise AssertionError(event)
        self.flush()

    def until(self, *streams):
        while not set(streams) <= self.ended:
            self.receive()

    def upload(self, stream, content):
        """Sends content as the windows allow, without an end."""
        while content:
            room = min(self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size, len(content))
            if room == 0:
                self.receive()
                continue
            self.connection.send_data(stream, content[:room])
            content = content[room:]
            self.flush()

    def widen(self, count):
        """Opens the windows of all streams and of the connection by far."""
        self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: count})
        self.connection.increment_flow_control_window(count)
        self.flush()
