"""HTTP/2 towards upstreams: streams of one connection, what the endpoint takes back, and the way back to HTTP/1.1."""

import json
import re
import socket
import struct
import threading
import time

import h2.errors
import h2.settings
import pytest

import bulk
import harness
import origin
import streams
import wire

nginx_is_here = pytest.mark.skipif(not origin.NGINX, reason="nginx is not installed")

PATH = "/v2.1/flavors/1"
STREAM = (harness.COMPUTE, harness.STREAM)


def gatehouse(directory, urls, definitions=(harness.COMPUTE,), settings=None, **upstream):
    """The gateway with one worker, so that connections and streams are easy to count."""
    tls = {"tls": {"ca": origin.CA}} if str(urls).startswith(("https", "['https")) else {}
    return harness.Gatehouse(
        directory, urls, harness.merged({"workers": 1, "cache": False}, settings or {}), definitions=definitions,
        upstream_settings={**tls, **upstream})


def access_lines(running):
    return [json.loads(line) for line in (running.directory / "access.log").read_text().splitlines()]


def assert_last_error(running, word):
    harness.wait_until(
        lambda: any(line["error"] == word for line in access_lines(running)), 5,
        lambda: f"{word} in {access_lines(running)}")


def ask_all(running, count, path=PATH, **more):
    """`count` requests at once; their statuses and contents."""
    found = [None] * count

    def ask(place):
        status, _, content = harness.ask(running.port, "GET", path, **more)
        found[place] = (status, content)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def post(running, content=b'{"keypair": {"name": "a"}}', **more):
    return harness.ask(
        running.port, "POST", "/v2.1/os-keypairs", {"Content-Type": "application/json"}, content, **more)


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


class TestEnds:
    """RFC 9113 §8.7: what was refused may be sent again, whatever it is; what was begun, only where it is idempotent."""

    def test_a_refused_write_is_sent_again(self, tmp_path):
        def serve(stream):
            if len(framed.requests) < 3:
                stream.reset(h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                stream.answer(201, b'{"keypair": {}}')

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            status, _, content = post(running)
            assert (status, len(framed.requests)) == (201, 3), content
            assert {request.content for request in framed.requests} == {b'{"keypair": {"name": "a"}}'}
            values = running.metrics()
            assert values["gatehouse_upstream_http2_refusals_total"] == 2
            assert values["gatehouse_upstream_failures_total"] == 0

    def test_one_that_is_always_refused_ends(self, tmp_path):
        with origin.Framed(lambda stream: stream.reset(h2.errors.ErrorCodes.REFUSED_STREAM)) as framed, \
                gatehouse(tmp_path, framed.url) as running:
            assert post(running)[0] == 502
            assert len(framed.requests) == 3

    @pytest.mark.parametrize(("method", "statuses", "count"), [("GET", {200}, 2), ("POST", {502}, 1)])
    def test_one_that_is_reset_is_sent_again_if_idempotent(self, tmp_path, method, statuses, count):
        def serve(stream):
            if len(framed.requests) == 1:
                stream.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                stream.answer()

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            status = post(running)[0] if method == "POST" else harness.ask(running.port, "GET", PATH)[0]
            assert ({status}, len(framed.requests)) == (statuses, count)

    def test_a_goaway_moves_what_was_not_begun_to_another_connection(self, tmp_path):
        """The streams up to the last one named end where they are."""
        def serve(stream):
            peer = stream.peer
            if peer is not framed.peers[0]:
                return stream.answer(201 if stream.value(":method") == "POST" else 200)
            if len(peer.streams) < 2:
                return None
            if not getattr(peer, "said", False):
                peer.said = True
                first = min(peer.streams)
                peer.connection.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=first)
                # h2 itself sends nothing any more, so the first one's answer is framed by hand.
                answer = peer.connection.encoder.encode([(":status", "200"), ("content-type", "application/json")])
                frame = bytes([0, 0, len(answer), 1, 4]) + first.to_bytes(4, "big") + answer
                data = bytes([0, 0, 2, 0, 1]) + first.to_bytes(4, "big") + b"{}"
                peer.wish(lambda: peer.socket.sendall(frame + data))
            return None

        with origin.Framed(serve) as framed, gatehouse(tmp_path, framed.url) as running:
            results = {}
            first = threading.Thread(target=lambda: results.update(get=harness.ask(running.port, "GET", PATH)[0]))
            first.start()
            harness.wait_until(lambda: framed.peers and framed.peers[0].streams, 5, "the first stream")
            results["post"] = post(running)[0]
            first.join()
            assert results == {"get": 200, "post": 201}
            assert len(framed.peers) == 2
            assert running.metrics()["gatehouse_upstream_http2_refusals_total"] == 1

    def test_a_connection_that_breaks_takes_only_its_own_with_it(self, tmp_path):
        def serve(stream):
            if stream.peer is framed.peers[0] and len(stream.peer.streams) == 5:
                stream.peer.socket.close()
            elif stream.peer is not framed.peers[0]:
                stream.answer()

        with origin.Framed(serve, tls=False) as framed, gatehouse(tmp_path, framed.url, http2="always") as running:
            assert [status for status, _ in ask_all(running, 5)] == [200] * 5
            assert len(framed.peers) >= 2

    def test_content_that_is_broken_off_is_not_passed_on_as_whole(self, tmp_path):
        with origin.Framed(lambda stream: stream.answer(content=b'{"a":', ends=False)) as framed, \
                gatehouse(tmp_path, framed.url) as running:
            connection = harness.http.client.HTTPConnection(harness.LOOPBACK, running.port, timeout=20)
            connection.request("GET", PATH, headers={"X-Auth-Token": "demo"})
            answer = connection.getresponse()
            stream = framed.requests[0]
            stream.peer.wish(lambda: stream.reset(h2.errors.ErrorCodes.INTERNAL_ERROR))
            with pytest.raises((harness.http.client.IncompleteRead, ConnectionError)):
                answer.read()
            connection.close()
            assert_last_error(running, "http_response_incomplete")
            assert running.metrics()["gatehouse_upstream_connections_open"] == 1
            assert len(framed.peers) == 1

    def test_a_client_that_leaves_cancels_its_stream_alone(self, tmp_path):
        with origin.Framed(lambda stream: None if "left" in stream.value(":path") else stream.answer()) as framed, \
                gatehouse(tmp_path, framed.url, STREAM) as running:
            with wire.connect(running.port) as peer:
                peer.sendall(wire.request("GET", "/v2.1/stream/left"))
                harness.wait_until(lambda: framed.requests, 5, "the request arrives")
                # A reset, since one that only sends nothing more still waits for its answer.
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

            def resets():
                return [event for event in framed.peers[0].events if type(event).__name__ == "StreamReset"]

            harness.wait_until(resets, 5, "the stream is reset")
            assert resets()[0].error_code == h2.errors.ErrorCodes.CANCEL
            assert harness.ask(running.port, "GET", "/v2.1/stream/kept")[0] == 200
            assert len(framed.peers) == 1

    def test_an_answer_that_does_not_come_has_its_time(self, tmp_path):
        with origin.Framed(lambda stream: None) as framed, \
                gatehouse(tmp_path, framed.url, response_timeout="200ms") as running:
            begun = time.monotonic()
            assert harness.ask(running.port, "GET", PATH)[0] == 504
            assert time.monotonic() - begun < 5
            assert_last_error(running, "http_response_timeout")

    def test_a_connection_where_nothing_comes_any_more_is_left(self, tmp_path):
        """The next request finds another one instead of its own time-out."""
        def serve(stream):
            if stream.peer is not framed.peers[0] or len(stream.peer.streams) == 1:
                stream.answer()

        with origin.Framed(serve) as framed, \
                gatehouse(tmp_path, framed.url, response_timeout="300ms", idle_timeout="20s") as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            # Its window updates and acknowledgements are over, so nothing at all comes but answers.
            assert harness.ask(running.port, "GET", PATH)[0] == 504
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            assert len(framed.peers) == 2

    def test_a_reload_leaves_the_old_connections(self, tmp_path):
        with origin.Framed() as framed, gatehouse(tmp_path, framed.url) as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            running.child.send_signal(harness.signal.SIGHUP)
            harness.wait_until(lambda: re.search("settings read again", running.errors()), 10, "a reload")
            harness.wait_until(lambda: not framed.peers[0].is_open, 5, "the old connection ends")
            assert harness.ask(running.port, "GET", PATH)[0] == 200
            assert len(framed.peers) == 2
