"""Handshakes, certificates and protocols of TLS, judged by curl and openssl."""

import json
import subprocess

import pytest

import harness
from sealed import CA, curl, FAILED, listener, path, request, run_gatehouse, s_client


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
