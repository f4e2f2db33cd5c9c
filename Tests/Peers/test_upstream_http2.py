"""HTTP/2 towards upstreams: streams of one connection, and the way back to HTTP/1.1."""

import json
import threading

import h2.settings
import pytest

import bulk
import harness
import origin
import streams
import wire
from upstream import PATH, STREAM, ask_all, assert_last_error, gatehouse

nginx_is_here = pytest.mark.skipif(not origin.NGINX, reason="nginx is not installed")


@nginx_is_here
class TestNegotiation:
    @pytest.mark.parametrize(("speaks", "setting", "protocol"), [
        (True, None, "HTTP/2.0"), (True, "negotiated", "HTTP/2.0"), (True, "never", "HTTP/1.1"), (True, "always", "HTTP/2.0"),
        (False, None, "HTTP/1.1"), (False, "negotiated", "HTTP/1.1"),
    ])
    def test_over_tls_the_handshake_says_what_is_spoken(self, tmp_path, simulator, speaks, setting, protocol):
        with origin.Nginx(tmp_path / "origin", simulator.url, http2=speaks) as nginx, \
                gatehouse(tmp_path, nginx.url, **({"http2": setting} if setting else {})) as running:
            for _ in range(3):
                status, fields, content = harness.ask(running.port, "GET", PATH)
                assert (status, fields["X-Origin-Protocol"]) == (200, protocol), content
            assert {status for status, _ in ask_all(running, 20)} == {200}
            streams = running.metrics()["gatehouse_upstream_http2_streams_total"]
            assert streams == (23 if protocol == "HTTP/2.0" else 0)

    def test_prior_knowledge_needs_no_tls(self, tmp_path, simulator):
        with origin.Nginx(tmp_path / "origin", simulator.url, http2=True, tls=False) as nginx, \
                gatehouse(tmp_path, nginx.url, http2="always") as running:
            status, fields, _ = harness.ask(running.port, "GET", PATH)
            assert (status, fields["X-Origin-Protocol"]) == (200, "HTTP/2.0")

    def test_an_endpoint_without_http2_is_refused_where_it_is_demanded(self, tmp_path, simulator):
        with origin.Nginx(tmp_path / "origin", simulator.url) as nginx, \
                gatehouse(tmp_path, nginx.url, http2="always") as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 502

    def test_one_that_speaks_something_else_unasked_is_refused(self, tmp_path, simulator):
        with gatehouse(tmp_path, simulator.url, http2="always") as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 502

    def test_a_change_of_what_is_spoken_is_noticed(self, tmp_path, simulator):
        with origin.Nginx(tmp_path / "origin", simulator.url, http2=True) as nginx, \
                gatehouse(tmp_path, nginx.url) as running:
            assert harness.ask(running.port, "GET", PATH)[1]["X-Origin-Protocol"] == "HTTP/2.0"
            for speaks, protocol in ((False, "HTTP/1.1"), (True, "HTTP/2.0")):
                nginx.terminate()
                nginx.http2 = speaks
                nginx.start()

                def is_spoken():
                    status, fields, _ = harness.ask(running.port, "GET", PATH)
                    return status == 200 and fields["X-Origin-Protocol"] == protocol

                harness.wait_until(is_spoken, 10, f"{protocol} is spoken")


@nginx_is_here
class TestStreams(streams.StreamTests):
    origin_settings = {"http2": True}
    upstream_settings = {"http2": "negotiated"}


@nginx_is_here
class TestPlainStreams(streams.StreamTests):
    origin_settings = {"http2": True, "tls": False}
    upstream_settings = {"http2": "always"}


@pytest.mark.skipif(not origin.NGHTTPD, reason="nghttpd is not installed")
class TestNghttpd:
    FILES = {f"/v2.1/stream/{count}": bulk.PATTERN[:count] for count in (0, 1, 16_384, 100_000)}

    @pytest.fixture(params=[True, False], ids=["tls", "plain"])
    def running(self, tmp_path, request):
        with origin.Nghttpd(tmp_path / "origin", self.FILES, request.param, "-m", "4") as nghttpd, \
                gatehouse(tmp_path, nghttpd.url, STREAM, http2="always") as running:
            yield running

    def test_contents_come_whole(self, running):
        for name, content in self.FILES.items():
            assert harness.ask(running.port, "GET", name)[::2] == (200, content)

    def test_many_at_once_keep_to_its_number_of_streams(self, running):
        answers = ask_all(running, 60, "/v2.1/stream/100000", timeout=30)
        assert {(status, len(content)) for status, content in answers} == {(200, 100_000)}
        assert running.metrics()["gatehouse_upstream_http2_refusals_total"] == 0

    def test_content_is_taken(self, running):
        for body in (bulk.PATTERN[:200_000], iter([bulk.PATTERN[:50_000]] * 3)):
            status, _, _ = harness.ask(
                running.port, "PUT", "/v2.1/stream/1", {"Content-Type": "application/octet-stream"}, body)
            assert status == 200


class TestRequests:
    def test_many_share_one_connection(self, tmp_path):
        gate = threading.Event()

        def serve(stream):
            if len(framed.requests) < 40:
                return
            for waiting in framed.requests:
                waiting.answer(content=b'{"flavor": {"id": "%d"}}' % waiting.id)
            gate.set()

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            answers = ask_all(running, 40)
            assert {status for status, _ in answers} == {200}
            assert len({content for _, content in answers}) == 40
            assert gate.is_set() and len(framed.peers) == 1

    def test_pseudo_fields_and_host(self, tmp_path):
        with origin.Framed() as framed, gatehouse(tmp_path, framed.url) as running:
            harness.ask(running.port, "GET", PATH + "?x=1", {"Host": "compute.example:8774", "TE": "trailers, deflate",
                                                             "Connection": "x-mine", "X-Mine": "1", "Keep-Alive": "3"})
            request = framed.requests[0]
            assert request.fields[:4] == [
                (":method", "GET"), (":scheme", "https"), (":authority", "compute.example:8774"), (":path", PATH + "?x=1")]
            names = [name for name, _ in request.fields]
            assert all(name == name.lower() for name in names)
            assert not {"host", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "x-mine"} & set(names)
            assert {"via", "x-openstack-request-id", "x-forwarded-for", "x-auth-token"} <= set(names)

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    @pytest.mark.parametrize("count", [0, 1, 100_000])
    def test_content_arrives_whole(self, tmp_path, framing, count):
        body = (bulk.PATTERN)[:count]
        with origin.Framed() as framed, gatehouse(tmp_path, framed.url, STREAM) as running:
            content = iter([body]) if framing == "chunked" else body
            status, _, _ = harness.ask(
                running.port, "PUT", "/v2.1/stream/a", {"Content-Type": "application/octet-stream"}, content)
            request = framed.requests[0]
            assert (status, request.content) == (200, body)
            assert request.value("content-length") == (None if framing == "chunked" else str(count))

    @pytest.mark.parametrize("status", [204, 304])
    def test_answers_without_content(self, tmp_path, status):
        with origin.Framed(lambda stream: stream.answer(status, b"")) as framed, \
                gatehouse(tmp_path, framed.url) as running:
            for _ in range(2):
                answered, _, content = harness.ask(running.port, "GET", PATH)
                assert (answered, content) == (status, b"")

    def test_interim_heads_and_trailers_are_not_passed_on(self, tmp_path):
        def serve(stream):
            connection = stream.peer.connection
            connection.send_headers(stream.id, [(":status", "103"), ("link", "</a>; rel=preload")])
            connection.send_headers(stream.id, [(":status", "200"), ("content-type", "application/json")])
            connection.send_data(stream.id, b'{"a": 1}')
            connection.send_headers(stream.id, [("x-checksum", "1")], end_stream=True)

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            status, fields, content = harness.ask(running.port, "GET", PATH)
            assert (status, content) == (200, b'{"a": 1}')
            assert fields["Link"] is None and fields["X-Checksum"] is None

    def test_faults_are_brought_into_one_form(self, tmp_path):
        def serve(stream):
            stream.answer(503, b"<html>away</html>", [("content-type", "text/html"), ("retry-after", "7")])

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            status, fields, content = harness.ask(running.port, "GET", PATH)
            assert (status, fields["Retry-After"]) == (503, "7")
            assert "serviceUnavailable" in json.loads(content) or "computeFault" in json.loads(content)

    def test_an_early_answer_ends_an_upload(self, tmp_path):
        def opened(stream):
            if stream.value(":method") == "PUT":
                stream.answer(413, b'{"overLimit": {"code": 413, "message": "no"}}')

        with origin.Framed(opened=opened) as framed, gatehouse(tmp_path, framed.url, STREAM) as running:
            with wire.connect(running.port) as peer:
                peer.sendall(wire.request(
                    "PUT", "/v2.1/stream/a", [("Content-Type", "application/octet-stream"), ("Content-Length", "10000000")]))
                peer.sendall(b"x" * 1_000)
                head = peer.recv(65_536)
                assert head.startswith(b"HTTP/1.1 413"), head
            # The connection goes on with others.
            assert harness.ask(running.port, "GET", "/v2.1/stream/b")[0] == 200
            assert len(framed.peers) == 1


class TestLimits:
    def test_the_endpoints_number_of_streams_is_kept(self, tmp_path):
        most, open_now, lock = [0], set(), threading.Lock()

        def opened(stream):
            with lock:
                open_now.add((stream.peer, stream.id))
                per_peer = max(sum(1 for peer, _ in open_now if peer is one) for one in {peer for peer, _ in open_now})
                most[0] = max(most[0], per_peer)

        def serve(stream):
            # Answered with the next round, so that others come meanwhile.
            def answer():
                with lock:
                    open_now.discard((stream.peer, stream.id))
                stream.answer()

            threading.Timer(0.01, lambda: stream.peer.wish(answer)).start()

        settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 3}
        with origin.Framed(serve, opened=opened, settings=settings) as framed, \
                gatehouse(tmp_path, framed.url, max_connections=2, max_idle_connections=2) as running:
            # The first answer comes after the SETTINGS.
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            assert [status for status, _ in ask_all(running, 60, timeout=30)] == [200] * 60
            assert most[0] <= 3 and len(framed.peers) <= 2
            assert running.metrics()["gatehouse_upstream_http2_refusals_total"] == 0

    def test_a_slow_reader_holds_nobody_else(self, tmp_path):
        """Its stream stands still at its window, its content in bounded memory; others pass it by."""
        big = 8 << 20

        def serve(stream):
            content = bulk.PATTERN * (big // len(bulk.PATTERN) + 1) if "big" in stream.value(":path") else b"{}"
            stream.answer(content=content[:big])

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url, STREAM) as running:
            assert harness.ask(running.port, "GET", "/v2.1/stream/small")[0] == 200
            before = running.resident_bytes()
            slow = []
            for _ in range(8):
                connection = harness.http.client.HTTPConnection(harness.LOOPBACK, running.port, timeout=60)
                connection.request("GET", "/v2.1/stream/big", headers={"X-Auth-Token": "demo"})
                slow.append((connection, connection.getresponse()))
            for _ in range(50):
                assert harness.ask(running.port, "GET", "/v2.1/stream/small")[0] == 200
            assert running.resident_bytes() - before < 24 << 20
            assert len(framed.peers) == 1
            for connection, answer in slow:
                assert bulk.zlib.crc32(answer.read()) == bulk.pattern_crc(big)
                connection.close()

    def test_a_head_beyond_the_limit_is_no_answer(self, tmp_path):
        def serve(stream):
            stream.answer(fields=[(f"x-{index}", "v" * 1_000) for index in range(30)])

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 502
            assert_last_error(running, "http_protocol_error")

    def test_an_idle_connection_is_closed_with_a_goodbye(self, tmp_path):
        with origin.Framed() as framed, gatehouse(tmp_path, framed.url, idle_timeout="200ms") as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            harness.wait_until(lambda: not framed.peers[0].is_open, 5, "the connection ends")
            assert any(type(event).__name__ == "ConnectionTerminated" for event in framed.peers[0].events)
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            assert len(framed.peers) == 2
