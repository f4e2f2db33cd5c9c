"""Clients of HTTP/2 that people use, over TLS and in cleartext: curl, nghttp, h2load, httpx and the package h2."""

import json
import re
import ssl
import subprocess
import threading
import zlib

import httpx
import pytest

import bulk
import harness
import test_streaming
from h2client import CA, OVER, SECOND, SERVERS, Client, run_gatehouse

PROGRAMS = {name: harness.find_program(name) for name in ("curl", "nghttp", "h2load")}

upstream = test_streaming.upstream


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with harness.Simulator(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def gatehouse(tmp_path_factory, cloud, upstream):
    with run_gatehouse(tmp_path_factory.mktemp("clients"), cloud, upstream) as running:
        yield running


def place(gatehouse, over):
    """Where a client goes: the certificate's names do not hold the second address, so the name is `localhost` there."""
    if over == "TLS":
        return f"https://localhost:{gatehouse.ports[SECOND]}"
    return f"http://{harness.LOOPBACK}:{gatehouse.ports[harness.LOOPBACK]}"


def run(arguments, seconds=60):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, timeout=seconds)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def curl(gatehouse, over, path, *more, how=None):
    """curl's output: what it received, then a line with the protocol's version and the status."""
    how = how or ("--http2" if over == "TLS" else "--http2-prior-knowledge")
    code, output, errors = run([
        PROGRAMS["curl"], "-sS", how, "--cacert", CA, "--connect-to", f"localhost::{SECOND}:", "-H", "X-Auth-Token: demo",
        "-w", "\n%{http_version} %{http_code}", *more, place(gatehouse, over) + path])
    assert code == 0, (code, errors)
    content, last = output.rsplit(b"\n", 1)
    return last.decode(), content


# curl


@pytest.mark.parametrize("over", OVER)
def test_curl_gets_lists_and_errors(gatehouse, over):
    last, content = curl(gatehouse, over, SERVERS)
    assert last == "2 200" and json.loads(content)["servers"]
    last, content = curl(gatehouse, over, "/v2.1/servers/none")
    assert last == "2 404" and "itemNotFound" in json.loads(content)
    last, content = curl(gatehouse, over, SERVERS, "-H", "X-Auth-Token: nobody's")
    assert last == "2 401"
    last, content = curl(gatehouse, over, "/v2.1/servers?limit=none")
    assert last == "2 400" and "badRequest" in json.loads(content)


@pytest.mark.parametrize("over", OVER)
def test_curl_head_and_a_response_without_content(gatehouse, cloud, over):
    last, head = curl(gatehouse, over, SERVERS, "--head")
    assert last.startswith("2 ") and head.startswith(b"HTTP/2 ")
    server = json.loads(curl(gatehouse, over, SERVERS, "-H", "Cache-Control: no-cache")[1])["servers"][0]
    last, content = curl(gatehouse, over, f"{SERVERS}/{server['id']}", "-X", "DELETE")
    assert last == "2 204" and content == b""


def test_curl_may_choose_http_1_1_or_upgrade_on_either_port(gatehouse):
    assert curl(gatehouse, "TLS", SERVERS, how="--http1.1")[0] == "1.1 200"
    assert curl(gatehouse, "cleartext", SERVERS, how="--http1.1")[0] == "1.1 200"
    # Without prior knowledge it asks for an upgrade, which is answered in HTTP/1.1 (RFC 9113 §3.1).
    assert curl(gatehouse, "cleartext", SERVERS, how="--http2")[0] == "1.1 200"


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("expects", ["", "Expect: 100-continue"])
def test_curl_uploads_content_larger_than_every_window(gatehouse, tmp_path, over, expects):
    count = 20 << 20
    path = tmp_path / "content"
    path.write_bytes(b"".join(bulk.pieces(count)))
    last, content = curl(
        gatehouse, over, "/v2.1/stream/upload", "-T", path, "-H", "Content-Type: application/octet-stream", "-H", expects or "Expect:")
    assert last == "2 200"
    assert json.loads(content) == {"count": count, "crc": bulk.pattern_crc(count), "framing": "length"}


@pytest.mark.parametrize("over", OVER)
def test_curl_uploads_content_of_no_known_length(gatehouse, tmp_path, over):
    count = 3 << 20
    path = tmp_path / "content"
    path.write_bytes(b"".join(bulk.pieces(count)))
    with open(path, "rb") as content:
        done = subprocess.run(
            [PROGRAMS["curl"], "-sS", "--http2" if over == "TLS" else "--http2-prior-knowledge", "--cacert", CA, "--connect-to",
             f"localhost::{SECOND}:", "-H", "X-Auth-Token: demo", "-H", "Content-Type: application/octet-stream", "-T", "-",
             place(gatehouse, over) + "/v2.1/stream/upload"], stdin=content, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"count": count, "crc": bulk.pattern_crc(count), "framing": "chunked"}


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_curl_downloads_a_large_answer(gatehouse, over, framing):
    count = 50_000_000
    last, content = curl(gatehouse, over, f"/v2.1/stream/{count}" + ("?chunked=1" if framing == "chunked" else ""))
    assert last == "2 200" and len(content) == count and zlib.crc32(content) == bulk.pattern_crc(count)


def test_curl_asks_for_many_at_once(gatehouse, tmp_path):
    url = place(gatehouse, "TLS")
    code, output, errors = run([
        PROGRAMS["curl"], "-sS", "--http2", "--parallel", "--parallel-max", "50", "--cacert", CA, "--connect-to",
        f"localhost::{SECOND}:", "-H", "X-Auth-Token: demo", "-w", "%{http_version} %{http_code} %{num_connects}\n", "-o",
        str(tmp_path / "#1"), f"{url}{SERVERS}?limit=[1-100]"])
    assert code == 0, errors
    lines = output.decode().splitlines()
    assert len(lines) == 100 and all(line.startswith("2 200") for line in lines), lines[:5]
    for index in range(1, 101):
        assert "servers" in json.loads((tmp_path / str(index)).read_bytes())


# nghttp and h2load


@pytest.mark.parametrize("over", OVER)
def test_nghttp_sends_requests_with_trailers_and_padding(gatehouse, tmp_path, over):
    path = tmp_path / "content"
    path.write_bytes(b"x" * 100_000)
    host = harness.LOOPBACK if over == "cleartext" else SECOND
    url = f"{'http' if over == 'cleartext' else 'https'}://{host}:{gatehouse.ports[host]}/v2.1/stream/upload"
    code, output, errors = run([
        PROGRAMS["nghttp"], "-v", "-b", "200", "-H", ":method: POST", "-H", "x-auth-token: demo", "-H",
        "content-type: application/octet-stream", "--trailer", "x-checksum: 1", "-d", path, url])
    text = output.decode(errors="replace")
    assert code == 0 and ":status: 200" in text, (errors, text[-2_000:])
    assert '"count": 100000' in text or '"count":100000' in text, text[-2_000:]
    assert "SETTINGS_NO_RFC7540_PRIORITIES" in text or "UNKNOWN(0x09):1" in text, text[:3_000]


@pytest.mark.parametrize("over", OVER)
def test_h2load_runs_100_streams_on_each_of_10_connections(gatehouse, figures, over):
    host = harness.LOOPBACK if over == "cleartext" else SECOND
    url = f"{'http' if over == 'cleartext' else 'https'}://{host}:{gatehouse.ports[host]}{SERVERS}?limit=10"
    code, output, errors = run([
        PROGRAMS["h2load"], "-n", "20000", "-c", "10", "-m", "100", "-t", "1", "-H", "x-auth-token: demo", url])
    text = output.decode()
    assert code == 0, errors
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in text and "20000 2xx" in text, text
    figures.note(f"over {over}: {re.search(r'finished in .*', text)[0]}")


# httpx


@pytest.mark.parametrize("over", OVER)
def test_httpx_over_http_2(gatehouse, over):
    url = place(gatehouse, over)
    # The name of the certificate on the second address.
    verify = ssl.create_default_context(cafile=CA)
    verify.check_hostname = False
    address = url.replace("localhost", SECOND)
    with httpx.Client(http1=False, http2=True, verify=verify, headers={"X-Auth-Token": "demo"}, timeout=30) as client:
        answer = client.get(address + SERVERS, headers={"Cookie": "a=b; c=d"})
        assert answer.http_version == "HTTP/2" and answer.status_code == 200 and answer.json()["servers"]
        assert client.get(address + "/v2.1/servers/none").status_code == 404
        assert client.head(address + SERVERS).content == b""
        content = b"".join(bulk.pieces(5 << 20))
        answer = client.put(
            address + "/v2.1/stream/upload", content=content, headers={"Content-Type": "application/octet-stream"})
        assert answer.json()["crc"] == bulk.pattern_crc(5 << 20)
        answer = client.get(address + "/v2.1/stream/3000000")
        assert zlib.crc32(answer.content) == bulk.pattern_crc(3_000_000)
        found = []
        threads = [threading.Thread(target=lambda: found.append(client.get(address + SERVERS))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 40 and {answer.status_code for answer in found} == {200}


# The package h2


@pytest.mark.parametrize("over", OVER)
def test_the_package_h2_sends_trailers_and_content_larger_than_a_window(gatehouse, over):
    client = Client(gatehouse, over)
    stream = client.ask(
        ("content-type", "application/octet-stream"), ("expect", "100-continue"), method="PUT", path="/v2.1/stream/upload", is_end=False)
    while not client.informational:
        client.receive()
    assert client.informational[0][":status"] == "100"
    client.upload(stream, b"".join(bulk.pieces(1_000_000)))
    client.connection.send_headers(stream, [("x-checksum", "1")], end_stream=True)
    client.flush()
    client.until(stream)
    assert json.loads(client.contents[stream]) == {"count": 1_000_000, "crc": bulk.pattern_crc(1_000_000), "framing": "chunked"}
    client.socket.close()


@pytest.mark.parametrize("over", OVER)
def test_the_package_h2_runs_100_streams_at_once(gatehouse, over):
    client = Client(gatehouse, over)
    while not client.connection.remote_settings.max_concurrent_streams < 1 << 31:
        client.receive()
    assert client.connection.remote_settings.max_concurrent_streams >= 100
    streams = [client.ask(path=f"/v2.1/stream/{1_000 * index}") for index in range(1, 51)]
    streams += [client.ask() for _ in range(50)]
    client.until(*streams)
    assert {client.fields[stream][":status"] for stream in streams} == {"200"}
    assert [len(client.contents[stream]) for stream in streams[:50]] == [1_000 * index for index in range(1, 51)]
    client.socket.close()
