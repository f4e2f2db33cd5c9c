"""Tickets, ends, stalls and reloads of TLS, and the openstack client over it."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest

import harness
import test_clients
from sealed import (
    CA, CERTIFICATES, connect, exchange, HANDSHAKES, listener, pair, path, read_answer, reload, request,
    RESUMED, run_gatehouse, SERVERS, subject, trust)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gateway for all tests that leave it as it was."""
    directory = tmp_path_factory.mktemp("tls")
    with harness.Simulator(directory) as simulator:
        with run_gatehouse(directory, simulator) as running:
            running.simulator = simulator
            yield running


@pytest.fixture
def gatehouse(shared):
    yield shared
    shared.wait_for_rest()


# Tickets


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_good_with_every_worker_and_after_a_reload(tmp_path, simulator, most):
    """Connections are spread over two workers: of 40 in a row, none with either would be one in 2^39."""
    with run_gatehouse(tmp_path, simulator) as gatehouse:
        context = trust(most=most)
        status, resumed, session = exchange(gatehouse, context)
        assert status == 200 and not resumed
        for index in range(40):
            status, resumed, session = exchange(gatehouse, context, session)
            assert status == 200 and resumed, f"connection {index}"
            if index == 20:
                reload(gatehouse)
        values = gatehouse.metrics()
        assert (values[HANDSHAKES], values[RESUMED]) == (41, 40)


def test_without_tickets_nothing_is_resumed(tmp_path, simulator):
    with run_gatehouse(tmp_path, simulator, listener(ticket_lifetime="off")) as gatehouse:
        context = trust()
        _, _, session = exchange(gatehouse, context)
        _, resumed, _ = exchange(gatehouse, context, session)
        assert not resumed
        assert gatehouse.metrics()[RESUMED] == 0


def test_a_ticket_is_no_way_around_a_client_certificate(tmp_path, simulator):
    settings = listener()
    strict = {**settings["listeners"][0]["tls"], "client_ca": str(CA)}
    settings["listeners"].append({"address": f"{harness.LOOPBACK}:0", "tls": strict})
    # Port 0 twice is one listener to the settings, so the second has a port of its own.
    holder, port = harness.reserve_port()
    settings["listeners"][1]["address"] = f"{harness.LOOPBACK}:{port}"
    with holder, run_gatehouse(tmp_path, simulator, settings) as gatehouse:
        ports = re.search(r'listeners="([^"]+)"', gatehouse.errors())[1].split()
        gatehouse.port = next(int(text.rsplit(":", 1)[1]) for text in ports if not text.endswith(f":{port}"))
        context = trust()
        _, _, session = exchange(gatehouse, context)
        gatehouse.port = port
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            exchange(gatehouse, context, session)


# Ends


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_close_notify_both_ways(gatehouse, most):
    with connect(gatehouse, trust(most=most)) as peer:
        peer.sendall(request())
        assert read_answer(peer)[0] == 200
        # The end of the socket without a close_notify would be SSLEOFError.
        assert peer.recv(1) == b""
    with connect(gatehouse, trust(most=most)) as peer:
        peer.sendall(request(connection="keep-alive"))
        assert read_answer(peer)[0] == 200
        # Ours first; it answers with its own and then closes.
        plain = peer.unwrap()
        assert plain.recv(1) == b""
        plain.close()


def test_an_idle_connection_that_has_had_its_time_ends_with_close_notify(tmp_path, simulator):
    with run_gatehouse(tmp_path, simulator, {**listener(), "http": {"idle_timeout": "1s"}}) as gatehouse:
        with connect(gatehouse) as peer:
            peer.sendall(request(connection="keep-alive"))
            assert read_answer(peer)[0] == 200
            assert peer.recv(1) == b""


def test_a_request_that_is_cut_short_is_not_passed_on(gatehouse):
    """The content is shorter than announced when the socket ends, with and without a close_notify."""
    seen = gatehouse.metrics()["gatehouse_connections_accepted_total"]
    for says_end in (False, True):
        peer = connect(gatehouse)
        peer.sendall(b"POST /v2.1/servers?cut HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: demo\r\n"
                     b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"server\":")
        plain = peer
        if says_end:
            try:
                plain = peer.unwrap()
            except (ssl.SSLError, OSError):
                pass
        plain.close()
    gatehouse.wait_for_rest()
    assert gatehouse.metrics()["gatehouse_connections_accepted_total"] >= seen + 2
    assert not gatehouse.simulator.requests(SERVERS + "?cut")
    assert exchange(gatehouse, trust())[0] == 200


@pytest.mark.parametrize("start", [
    request(), b"GET / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n", b"G"])
def test_plain_http_on_a_port_with_tls_gets_a_short_400(gatehouse, start):
    before = gatehouse.metrics()["gatehouse_tls_plain_requests_total"]
    with socket.create_connection((harness.LOOPBACK, gatehouse.port), timeout=10) as peer:
        peer.sendall(start)
        answer = b""
        while piece := peer.recv(4096):
            answer += piece
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), answer
    assert b"connection: close" in head.lower()
    assert json.loads(content)["badRequest"]["code"] == 400
    assert len(answer) < 1000
    assert gatehouse.metrics()["gatehouse_tls_plain_requests_total"] == before + 1


@pytest.mark.parametrize("start", [b"\x00" * 200, b"\x80\x2e\x01\x03\x01" + b"\x00" * 50, b"\x16\x03\x01\xff\xff\x01",
                                   b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x00", b"\x17\x03\x03\x00\x10" + b"\x00" * 16,
                                   b"\xff\xfe\xfd", b"\x15\x03\x01\x00\x02\x02\x28"])
def test_what_is_no_tls_ends_at_once(gatehouse, start):
    with socket.create_connection((harness.LOOPBACK, gatehouse.port), timeout=5) as peer:
        peer.sendall(start)
        answer = b""
        try:
            while piece := peer.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
    # At most an alert.
    assert len(answer) <= 7 and answer[:1] in (b"", b"\x15"), answer


def hello():
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_handshake_that_stalls_ends_after_its_time(gatehouse, figures):
    """Silent, half a hello, a hello byte by byte, and a hello without what follows: 10 s each, all at once."""
    flight = hello()
    peers = {}
    for kind, start in (("silent", b""), ("half", flight[:100]), ("dribbled", b""), ("unfinished", flight)):
        peers[kind] = socket.create_connection((harness.LOOPBACK, gatehouse.port), timeout=0.2)
        peers[kind].sendall(start)
    begin = time.monotonic()
    ended = {}
    place = 0
    while len(ended) < len(peers):
        passed = time.monotonic() - begin
        assert passed < 20, f"still open after {passed:.1f} s: {peers.keys() - ended.keys()}"
        for kind, peer in peers.items():
            if kind in ended:
                continue
            try:
                if kind == "dribbled" and place < len(flight) - 1:
                    peer.sendall(flight[place:place + 1])
                    place += 1
                if peer.recv(65_536) == b"":
                    ended[kind] = time.monotonic() - begin
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                ended[kind] = time.monotonic() - begin
    for peer in peers.values():
        peer.close()
    figures.note(f"stalled handshakes ended after {', '.join(f'{kind} {at:.1f} s' for kind, at in ended.items())}")
    assert all(9 < at < 14 for at in ended.values()), ended


# Reloads


def test_certificates_are_read_again_and_connections_stay(tmp_path, simulator):
    folder = tmp_path / "pair"
    folder.mkdir()

    def put(certificate, key):
        shutil.copy(CERTIFICATES / f"{certificate}.crt", folder / "server.crt")
        shutil.copy(CERTIFICATES / f"{key}.key", folder / "server.key")

    def shown():
        context = trust()
        context.check_hostname = False
        with connect(gatehouse, context) as peer:
            return subject(peer)

    def ask_again(peer):
        peer.sendall(request(connection="keep-alive"))
        return read_answer(peer)[0]

    put("localhost-ecdsa", "localhost-ecdsa")
    settings = listener(**pair("server", folder), ocsp_response=None, certificates=None)
    with run_gatehouse(tmp_path, simulator, settings) as gatehouse:
        assert shown() == "localhost"
        old = connect(gatehouse)
        assert ask_again(old) == 200

        put("nova", "nova")
        reload(gatehouse)
        harness.wait_until(lambda: shown() == "nova.internal", 10, "the new certificate is shown")
        assert ask_again(old) == 200

        # A key of another certificate: the old pair stays, and the log says which file is wrong.
        put("nova", "localhost-ecdsa")
        said = reload(gatehouse, succeeds=False)
        assert f"{folder}/server.key is not the key of {folder}/server.crt" in said, said
        assert shown() == "nova.internal"
        assert ask_again(old) == 200

        put("localhost-expired", "localhost-expired")
        said = reload(gatehouse, succeeds=False)
        assert f"{folder}/server.crt expired on 2021-01-01" in said, said
        (folder / "server.crt").unlink()
        said = reload(gatehouse, succeeds=False)
        assert f"{folder}/server.crt` does not exist" in said, said
        put("nova", "localhost-encrypted")
        said = reload(gatehouse, succeeds=False)
        assert f"{folder}/server.key is encrypted" in said, said
        assert shown() == "nova.internal"

        put("localhost-rsa", "localhost-rsa")
        reload(gatehouse)
        harness.wait_until(lambda: shown() == "localhost", 10, "the third certificate is shown")
        assert ask_again(old) == 200
        old.close()


def test_a_bad_pair_at_the_start_is_told_with_its_file(tmp_path, simulator):
    settings = listener(private_key=path("nova.key"))
    with pytest.raises(AssertionError) as raised:
        run_gatehouse(tmp_path, simulator, settings)
    assert "nova.key is not the key of" in str(raised.value)


# Exit


def test_openssl_is_whole_at_exit_while_other_threads_may_use_it(tmp_path):
    said, trail = tmp_path / "said", tmp_path / "trail"
    trail.touch()
    subprocess.run(
        [harness.gatehouse_path(), "audit", "verify", trail], stdout=subprocess.DEVNULL,
        env={**os.environ, **harness.preloaded(tmp_path, "at_exit"), "AT_EXIT_FILE": str(said)}, timeout=20)
    assert said.read_text() == "whole"


# The openstack client


class SealedHouse(test_clients.House):
    """Gatehouse behind TLS in front of a simulator whose catalog names it."""

    def __init__(self, directory):
        self.holder, port = harness.reserve_port()
        self.simulator = harness.Simulator(
            directory, "--servers", "7", "--transition-seconds", "0.3", "--catalog-compute-url",
            f"https://{harness.LOOPBACK}:{port}/v2.1/%(project_id)s")
        settings = listener()
        settings["listeners"][0]["address"] = f"{harness.LOOPBACK}:{port}"
        self.gatehouse = harness.Gatehouse(
            directory, self.simulator.url, {**settings, "identity": {"provider": "none"}})
        assert self.gatehouse.port == port
        self.home = directory / "home"
        self.home.mkdir()


@pytest.fixture
def house(tmp_path):
    running = SealedHouse(tmp_path)
    try:
        yield running
    finally:
        running.close()


def test_the_openstack_client_over_https_with_a_ca_file(house):
    done = house.run("openstack", "--os-cacert", str(CA), "server", "list", "-f", "json")
    assert len(json.loads(done.stdout)) == 7
    house.check_all_passed_the_gateway()
    # Without the CA file the certificate is not trusted.
    done = house.run("openstack", "server", "list", "-f", "json", check=False)
    assert done.returncode != 0 and "CERTIFICATE_VERIFY_FAILED" in done.stderr.upper().replace(" ", "_"), done.stderr
    done = house.run(
        "openstack", "--os-cacert", str(CA), "server", "create", "--flavor", "m1.tiny", "--image",
        "cirros-0.6.2-x86_64", "--network", "private", "--wait", "-f", "json", "sealed", check=False)
    assert done.returncode == 0, done.stderr[-2000:]
