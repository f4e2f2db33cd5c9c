"""Contents of any size through an origin that is reached by TLS, over HTTP/1.1 or HTTP/2."""

import json
import pathlib
import subprocess
import sys
import threading

import pytest

import bulk
import harness
import origin


class StreamTests:
    """To be inherited; `origin_settings` and `upstream_settings` say what is spoken."""

    origin_settings = {}
    upstream_settings = {}

    @pytest.fixture
    def streams(self, tmp_path):
        child = subprocess.Popen(
            [sys.executable, str(pathlib.Path(bulk.__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        plain = f"http://127.0.0.1:{int(child.stdout.readline())}"
        with origin.Nginx(tmp_path / "origin", plain, **self.origin_settings) as nginx, \
                harness.Gatehouse(
                    tmp_path, nginx.url, {"workers": 1}, definitions=(harness.COMPUTE, harness.STREAM),
                    upstream_settings={
                        **({"tls": {"ca": origin.CA}} if nginx.tls else {}), **self.upstream_settings}) as running:
            yield running
        child.stdin.close()
        child.wait(10)

    @pytest.mark.parametrize("target", ["/v2.1/stream/{}", "/v2.1/stream/{}?chunked=1"])
    @pytest.mark.parametrize("count", [1, 16_384, 16_385, 1_000_003, 32 << 20])
    def test_answers_of_any_size_come_whole(self, streams, target, count):
        status, _, content = harness.ask(streams.port, "GET", target.format(count), timeout=60)
        assert status == 200 and len(content) == count
        assert bulk.zlib.crc32(content) == bulk.pattern_crc(count)

    @pytest.mark.parametrize("count", [1, 16_385, 1_000_003, 32 << 20])
    def test_uploads_of_any_size_arrive_whole(self, streams, count):
        body = (bulk.PATTERN * (count // len(bulk.PATTERN) + 1))[:count]
        status, _, content = harness.ask(
            streams.port, "PUT", "/v2.1/stream/upload", {"Content-Type": "application/octet-stream"}, body, timeout=60)
        assert status == 200
        answer = json.loads(content)
        assert (answer["count"], answer["crc"]) == (count, bulk.pattern_crc(count))

    def test_a_reader_that_pauses_stops_the_upstream(self, streams):
        count = 64 << 20
        before = streams.resident_bytes()
        connection = harness.http.client.HTTPConnection(harness.LOOPBACK, streams.port, timeout=60)
        connection.request("GET", f"/v2.1/stream/{count}", headers={"X-Auth-Token": "demo"})
        answer = connection.getresponse()

        def received():
            return streams.metrics()["gatehouse_upstream_received_bytes_total"]

        last = [0]

        def stands_still():
            last.append(received())
            return last[-1] == last[-2] and last[-1] > 0

        harness.wait_until(stands_still, 20, lambda: f"the upstream stands still at {last[-1]}")
        assert last[-1] < count / 2
        assert streams.resident_bytes() - before < 24 << 20
        content = answer.read()
        connection.close()
        assert bulk.zlib.crc32(content) == bulk.pattern_crc(count)

    def test_many_at_once_keep_apart(self, streams):
        counts = [1_000 * index + 7 for index in range(1, 33)] * 2
        found = {}

        def fetch(place, count):
            found[place] = harness.ask(streams.port, "GET", f"/v2.1/stream/{count}", timeout=60)[2]

        threads = [threading.Thread(target=fetch, args=pair) for pair in enumerate(counts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for place, count in enumerate(counts):
            assert bulk.zlib.crc32(found[place]) == bulk.pattern_crc(count)
