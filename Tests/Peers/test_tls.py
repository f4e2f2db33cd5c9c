"""TLS towards clients, judged by curl, openssl, Python's ssl and the openstack client."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

import harness
import test_clients

CERTIFICATES = harness.ROOT / "Tests" / "Certificates"
CA = CERTIFICATES / "ca.crt"
SERVERS = "/v2.1/servers"
HANDSHAKES = "gatehouse_tls_handshakes_total"
RESUMED = "gatehouse_tls_resumed_handshakes_total"
FAILED = "gatehouse_tls_failed_handshakes_total"


def path(name):
    return str(CERTIFICATES / name)


def pair(name, folder=CERTIFICATES):
    return {"certificate": str(folder / f"{name}.crt"), "private_key": str(folder / f"{name}.key")}


def listener(**tls):
    """One listener: by default both kinds of certificate for localhost, and another name."""
    plain = {
        **pair("localhost-ecdsa"), "ocsp_response": path("localhost-ecdsa.ocsp"),
        "certificates": [pair("localhost-rsa"), {**pair("nova"), "ocsp_response": path("nova.ocsp")}],
    }
    chosen = {key: value for key, value in {**plain, **tls}.items() if value is not None}
    return {"listeners": [{"address": f"{harness.LOOPBACK}:0", "tls": chosen}]}


def run_gatehouse(directory, simulator, settings=None):
    return harness.Gatehouse(directory, simulator.url, settings or listener())


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


# Asking


def curl(gatehouse, *arguments, host="localhost", target=SERVERS, check=True):
    """curl's (exit code, status, version of HTTP, content)."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--resolve",
         f"{host}:{gatehouse.port}:{harness.LOOPBACK}", "-H", "X-Auth-Token: demo",
         "--write-out", "\n%{http_code} %{http_version}", *map(str, arguments),
         f"https://{host}:{gatehouse.port}{target}"],
        capture_output=True, text=True, timeout=60)
    if check:
        assert done.returncode == 0, done.stderr
    content, _, last = done.stdout.rpartition("\n")
    status, version = last.split()
    return done.returncode, int(status), version, content


def s_client(gatehouse, *arguments, request="", seconds=30):
    """What openssl s_client prints; standard input ends after `request`."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{harness.LOOPBACK}:{gatehouse.port}", "-CAfile", str(CA),
         *map(str, arguments)],
        input=request.encode(), capture_output=True, timeout=seconds)
    return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


def request(path=SERVERS, connection="close"):
    return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: demo\r\nConnection: {connection}\r\n\r\n").encode()


def trust(certificate=None, protocols=("http/1.1",), most=None):
    context = ssl.create_default_context(cafile=str(CA))
    context.set_alpn_protocols(list(protocols))
    if certificate:
        context.load_cert_chain(path(certificate + ".crt"), path(certificate + ".key"))
    if most:
        context.maximum_version = most
    return context


def connect(gatehouse, context=None, host="localhost", session=None):
    """A connection after its handshake; the end without close_notify is an error of its own."""
    plain = socket.create_connection((harness.LOOPBACK, gatehouse.port), timeout=15)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (context or trust()).wrap_socket(
        plain, server_hostname=host, session=session, suppress_ragged_eofs=False)


def read_answer(peer):
    """The status and content of one answer."""
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    return answer.status, answer.read()


def exchange(gatehouse, context, session=None, host="localhost"):
    """One request on a connection of its own, ended from the other side: (status, resumed, session to go on with)."""
    with connect(gatehouse, context, host, session) as peer:
        peer.sendall(request())
        status, _ = read_answer(peer)
        assert peer.recv(1) == b""
        return status, peer.session_reused, peer.session


# curl


@pytest.mark.parametrize("option, version", [
    ("--http1.1", "1.1"), ("--http2", "2"), ("--tls-max 1.2 --http2", "2"), ("--tlsv1.3 --http1.1", "1.1"),
    ("--ciphers ECDHE-RSA-AES256-GCM-SHA384 --tls-max 1.2 --http1.1", "1.1"), ("--no-alpn --http1.1", "1.1"),
    ("--curves X25519 --http2", "2"), ("--curves P-256 --http2", "2"), ("--curves P-384 --http2", "2"),
])
def test_curl(gatehouse, option, version):
    code, status, spoken, content = curl(gatehouse, *option.split(), "--cacert", CA)
    assert (status, spoken) == (200, version)
    assert json.loads(content)["servers"]


@pytest.mark.parametrize("option", [
    "--tls-max 1.1", "--ciphers AES128-GCM-SHA256 --tls-max 1.2", "--curves P-521",
    "--ciphers ECDHE-RSA-AES128-SHA256 --tls-max 1.2"])
def test_curl_with_what_is_not_spoken(gatehouse, option):
    failed = gatehouse.metrics()[FAILED]
    code, status, _, _ = curl(gatehouse, *option.split(), "--cacert", CA, check=False)
    assert status == 0
    assert code == 35, code
    if "1.1" not in option:
        # curl's own OpenSSL does not even offer TLS 1.1.
        harness.wait_until(lambda: gatehouse.metrics()[FAILED] > failed, 5, "the failure is counted")


def test_curl_does_not_trust_the_certificate_without_its_ca(gatehouse):
    code, status, _, _ = curl(gatehouse, check=False)
    assert (code, status) == (60, 0)


def test_curl_reads_a_large_answer_whole(tmp_path, simulator):
    with harness.Gatehouse(
            tmp_path, simulator.url, listener(), definitions=(harness.COMPUTE, harness.STREAM)) as gatehouse:
        for version in ("--http1.1", "--http2"):
            out = tmp_path / "content"
            code, status, _, _ = curl(
                gatehouse, version, "--cacert", CA, "-o", out, target="/v2.1/stream/20000000")
            assert (status, out.stat().st_size) == (200, 20_000_000)


# Certificates of clients


@pytest.mark.parametrize("certificate, status", [
    ("client", 200), ("client-rsa", 200), (None, 0), ("client-expired", 0), ("client-other-ca", 0),
    ("localhost-ecdsa", 0)])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_that_is_required(tmp_path, simulator, certificate, status, version):
    with run_gatehouse(tmp_path, simulator, listener(client_ca=str(CA))) as gatehouse:
        options = ["--cert", path(certificate + ".crt"), "--key", path(certificate + ".key")] if certificate else []
        code, found, _, _ = curl(gatehouse, *options, "--tls-max", version, "--cacert", CA, check=False)
        assert found == status
        if status:
            line = json.loads(harness.wait_until(
                lambda: (tmp_path / "access.log").exists() and (tmp_path / "access.log").read_text(), 10,
                "an access line"))
            name = "alice" if certificate == "client" else "robert"
            assert line["client_certificate"]["subject"] == f"CN={name},O=Gatehouse tests"
            digest = subprocess.run(
                ["openssl", "x509", "-in", path(certificate + ".crt"), "-noout", "-fingerprint", "-sha256"],
                capture_output=True, text=True, check=True).stdout
            assert line["client_certificate"]["sha256"] == digest.split("=")[1].strip().replace(":", "").lower()
        else:
            # 60 is curl's word for an alert about certificates, 56 for one that comes after its own Finished.
            assert code in (35, 56, 60), code
            harness.wait_until(lambda: gatehouse.metrics()[FAILED] == 1, 5, "the failure is counted")


def test_a_client_certificate_that_is_optional(tmp_path, simulator):
    settings = listener(client_ca=str(CA), client_certificate="optional")
    with run_gatehouse(tmp_path, simulator, settings) as gatehouse:
        assert curl(gatehouse, "--cacert", CA)[1] == 200
        own = ["--cert", path("client.crt"), "--key", path("client.key")]
        assert curl(gatehouse, *own, "--cacert", CA)[1] == 200
        other = ["--cert", path("client-other-ca.crt"), "--key", path("client-other-ca.key")]
        assert curl(gatehouse, *other, "--cacert", CA, check=False)[1] == 0


# openssl


@pytest.mark.parametrize("offer, agreed", [
    ("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1"), ("spdy/3,http/1.1", "http/1.1")])
def test_s_client_agrees_on_a_protocol(gatehouse, offer, agreed):
    assert f"ALPN protocol: {agreed}" in s_client(gatehouse, "-alpn", offer)


def test_s_client_without_a_protocol_in_common_is_told(gatehouse):
    text = s_client(gatehouse, "-alpn", "spdy/3")
    assert "no application protocol" in text and "SSL alert number 120" in text, text


def test_s_client_without_alpn_speaks_http_1_1(gatehouse):
    text = s_client(gatehouse, "-quiet", "-ign_eof", request=request().decode())
    assert "HTTP/1.1 200 OK" in text


@pytest.mark.parametrize("name, subject, arguments", [
    ("localhost", "localhost", ()), ("nova.internal", "nova.internal", ()), ("x.nova.internal", "nova.internal", ()),
    ("NOVA.INTERNAL", "nova.internal", ()), ("other.example", "localhost", ()), (None, "localhost", ("-noservername",)),
])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client_gets_the_certificate_of_the_name_it_asks_for(gatehouse, name, subject, arguments, version):
    chosen = ("-servername", name) if name else arguments
    text = s_client(gatehouse, *chosen, version)
    assert f"subject=O = Gatehouse tests, CN = {subject}" in text, text
    assert "Verify return code: 0 (ok)" in text
    assert "Peer signature type: ECDSA" in text


@pytest.mark.parametrize("version, algorithms", [
    ("-tls1_3", "rsa_pss_rsae_sha256"), ("-tls1_2", "RSA+SHA256")])
def test_s_client_that_knows_rsa_alone_gets_the_other_certificate(gatehouse, version, algorithms):
    text = s_client(gatehouse, version, "-servername", "localhost", "-sigalgs", algorithms)
    assert "Gatehouse test intermediate CA" in text and "Verify return code: 0 (ok)" in text


@pytest.mark.parametrize("name, says", [("localhost", True), ("nova.internal", True)])
def test_s_client_gets_the_staple(gatehouse, name, says):
    text = s_client(gatehouse, "-servername", name, "-status")
    assert ("Cert Status: good" in text) == says, text
    assert "OCSP Response Status: successful" in text


def test_s_client_gets_no_staple_where_there_is_none(gatehouse):
    text = s_client(gatehouse, "-servername", "localhost", "-status", "-sigalgs", "rsa_pss_rsae_sha256")
    assert "OCSP response: no response sent" in text


def test_s_client_may_not_renegotiate(gatehouse):
    text = s_client(gatehouse, "-tls1_2", request="R\n")
    assert "RENEGOTIATING" in text and "no renegotiation" in text, text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client_resumes(gatehouse, tmp_path, version):
    kept = tmp_path / "session"
    first = s_client(
        gatehouse, version, "-sess_out", kept, "-servername", "localhost", "-ign_eof", request=request().decode())
    assert "New, TLSv1" in first and kept.exists()
    second = s_client(
        gatehouse, version, "-sess_in", kept, "-servername", "localhost", "-ign_eof", request=request().decode())
    assert "Reused, TLSv1" in second and "HTTP/1.1 200 OK" in second


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


def reload(gatehouse, succeeds=True):
    """Sends SIGHUP and waits for what is said of it; gives the new lines of the log."""
    known = len(gatehouse.errors())
    os.kill(gatehouse.pid, signal.SIGHUP)
    word = "settings read again" if succeeds else "settings not changed"
    harness.wait_until(lambda: word in gatehouse.errors()[known:], 20, lambda: gatehouse.errors()[known:])
    return gatehouse.errors()[known:]


def subject(peer):
    return dict(part[0] for part in peer.getpeercert()["subject"])["commonName"]


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


def test_the_openstack_client_over_https_with_a_ca_file(tmp_path):
    house = SealedHouse(tmp_path)
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
    house.close()
