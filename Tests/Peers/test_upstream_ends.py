"""Ends of HTTP/2 towards upstreams: refusals, resets, goodbyes, silence, and what is sent again after them."""

import os
import random
import re
import socket
import struct
import threading
import time

import h2.errors
import pytest

import harness
import origin
import wire
from upstream import PATH, STREAM, ask_all, assert_last_error, gatehouse, post


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


@pytest.mark.parametrize("tls", [True, False])
def test_whatever_the_endpoint_does_nothing_is_left_behind(tmp_path, figures, tls):
    """Answers, refusals, resets, goodbyes and broken connections in an order from a seed; each request has one answer."""
    seed = int(os.environ.get("PEERS_SEED", "20261122"))
    rng, lock = random.Random(seed), threading.Lock()

    def serve(stream):
        with lock:
            deed = rng.choices(
                ["answer", "large", "refuse", "reset", "cut", "goodbye", "break"], [60, 15, 10, 5, 4, 4, 2])[0]
        peer = stream.peer
        if deed == "refuse":
            stream.reset(h2.errors.ErrorCodes.REFUSED_STREAM)
        elif deed == "reset":
            stream.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif deed == "cut":
            stream.answer(content=b"x" * 5_000, ends=False)
            peer.push()
            stream.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif deed == "goodbye":
            peer.connection.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=stream.id - 2)
            peer.wish(peer.socket.close)
        elif deed == "break":
            peer.socket.close()
        else:
            stream.answer(content=b"x" * (200_000 if deed == "large" else 100))

    with origin.Framed(serve, tls=tls) as framed, gatehouse(
            tmp_path, framed.url, STREAM, http2="always", max_connections=3, max_idle_connections=3,
            ejection={"failures": 0}) as running:
        found = {}

        def work(place):
            for index in range(40):
                method = "GET" if (place + index) % 3 else "PUT"
                body = b"c" * (index * 997) if method == "PUT" else None
                try:
                    status, _, content = harness.ask(
                        running.port, method, f"/v2.1/stream/{place}",
                        {"Content-Type": "application/octet-stream"} if body is not None else {}, body, timeout=60)
                    outcome = status if status != 200 else (200, content.count(b"x"))
                except (OSError, harness.http.client.HTTPException) as error:
                    outcome = "broken off" if "timed out" not in str(error) else "timed out"
                with lock:
                    found[outcome] = found.get(outcome, 0) + 1

        threads = [threading.Thread(target=work, args=(place,)) for place in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(found) <= {(200, 100), (200, 200_000), 502, 503, "broken off"}, found
        assert sum(found.values()) == 480
        assert found[200, 100] > 100 and found[200, 200_000] > 5, found
        running.assert_alive()
        figures.note(f"seed {seed}: {found}, {len(framed.peers)} connections, {len(framed.requests)} requests arrived")
