"""TLS towards upstreams and Keystone: who is believed, who is not, and what an end without a word means."""

import json
import pathlib
import re
import socket

import pytest

import harness
import origin
import streams

pytestmark = pytest.mark.skipif(not origin.NGINX, reason="nginx is not installed")

PATH = "/v2.1/servers?limit=3"


@pytest.fixture
def https(tmp_path, simulator):
    """Makes a TLS origin in front of the simulator."""
    made = []

    def make(**more):
        made.append(origin.Nginx(tmp_path / f"origin-{len(made)}", simulator.url, **more))
        return made[-1]

    yield make
    for one in made:
        one.__exit__()


def gatehouse(directory, urls, settings=None, **tls):
    """The gateway with one worker, so that connections and sessions are easy to count."""
    return harness.Gatehouse(
        directory, urls, harness.merged({"workers": 1, "cache": False}, settings or {}),
        upstream_settings={"http2": "never", "tls": {"ca": origin.CA, **tls}})


def access_lines(running):
    return [json.loads(line) for line in (running.directory / "access.log").read_text().splitlines()]


def assert_refused(running, error, reason):
    """One request is answered 502 for this error, and the log says why and of whom."""
    status, _, content = harness.ask(running.port, "GET", PATH)
    assert status == 502, content
    assert json.loads(content)["computeFault"]["code"] == 502
    harness.wait_until(lambda: access_lines(running), 5, "an access line")
    assert access_lines(running)[-1]["error"] == error
    assert re.search(rf"no TLS with an upstream .*reason={reason}", running.errors()), running.errors()
    assert running.metrics()["gatehouse_upstream_failures_total"] >= 1


def test_an_origin_with_a_certificate_of_the_ca_is_believed(tmp_path, https, simulator):
    nginx = https()
    with gatehouse(tmp_path, nginx.url) as running:
        status, fields, content = harness.ask(running.port, "GET", PATH)
        assert (status, fields["X-Origin-Protocol"]) == (200, "HTTP/1.1"), content
        assert fields["X-Origin-TLS"] == "TLSv1.3"
        direct = harness.ask(simulator.ports["nova"], "GET", PATH)
        assert [server["id"] for server in json.loads(content)["servers"]] == [
            server["id"] for server in json.loads(direct[2])["servers"]]


def test_an_idle_connection_is_used_again_and_a_new_one_resumes_its_session(tmp_path, https):
    nginx = https()
    with gatehouse(tmp_path, nginx.url) as running:
        answers = [harness.ask(running.port, "GET", PATH)[1] for _ in range(5)]
        assert len({fields["X-Origin-Connection"] for fields in answers}) == 1
        # A write never goes on a connection that was idle.
        fields = harness.ask(
            running.port, "POST", "/v2.1/os-keypairs", {"Content-Type": "application/json"},
            json.dumps({"keypair": {"name": "resumed"}}))[1]
        assert fields["X-Origin-Connection"] != answers[0]["X-Origin-Connection"]
        assert (answers[0]["X-Origin-Resumed"], fields["X-Origin-Resumed"]) == (".", "r")
        values = running.metrics()
        assert values["gatehouse_upstream_tls_handshakes_total"] == 2
        assert values["gatehouse_upstream_tls_resumptions_total"] == 1


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_both_versions_are_spoken(tmp_path, https, version):
    nginx = https(versions=version)
    with gatehouse(tmp_path, nginx.url) as running:
        fields = harness.ask(running.port, "GET", PATH)[1]
        assert fields["X-Origin-TLS"] == version


def test_an_older_version_is_not_spoken(tmp_path, https):
    nginx = https(versions="TLSv1.1", more="ssl_ciphers ALL:@SECLEVEL=0;")
    with gatehouse(tmp_path, nginx.url) as running:
        status, _, _ = harness.ask(running.port, "GET", PATH)
        assert status == 502
        harness.wait_until(lambda: access_lines(running), 5, "an access line")
        assert access_lines(running)[-1]["error"] in ("tls_protocol_error", "tls_alert_received")


@pytest.mark.parametrize(("certificate", "reason"), [
    ("localhost-expired", "certificate_expired"),
    ("nova", "certificate_mismatch"),
    ("nova-other-ca", "certificate_untrusted"),
])
def test_a_certificate_that_is_not_good_is_refused(tmp_path, https, certificate, reason):
    nginx = https(certificate=certificate)
    with gatehouse(tmp_path, nginx.url) as running:
        assert_refused(running, error="tls_certificate_error", reason=reason)


def test_a_certificate_of_a_private_ca_is_not_believed_by_the_systems_authorities(tmp_path, https):
    nginx = https()
    with harness.Gatehouse(
            tmp_path, nginx.url, {"workers": 1, "cache": False}, upstream_settings={"http2": "never"}) as running:
        assert_refused(running, error="tls_certificate_error", reason="certificate_untrusted")


def test_an_origin_is_believed_under_the_name_of_the_settings(tmp_path, https):
    nginx = https(certificate="nova")
    with gatehouse(tmp_path, nginx.url, server_name="nova.internal") as running:
        status, fields, content = harness.ask(running.port, "GET", PATH)
        assert (status, fields["X-Origin-Name"]) == (200, "nova.internal"), content


def test_the_host_of_the_endpoint_is_the_name_that_is_asked_for(tmp_path, https):
    nginx = https()
    with gatehouse(tmp_path, nginx.named("localhost")) as running:
        status, fields, _ = harness.ask(running.port, "GET", PATH)
        assert (status, fields["X-Origin-Name"]) == (200, "localhost")


def test_insecure_believes_whoever_answers_and_says_so(tmp_path, https):
    nginx = https(certificate="nova-other-ca")
    with harness.Gatehouse(
            tmp_path, nginx.url, {"cache": False},
            upstream_settings={"http2": "never", "tls": {"insecure": True}}) as running:
        assert harness.ask(running.port, "GET", PATH)[0] == 200
        assert "certificates are not verified" in running.errors()


def test_authorities_change_with_a_reload_and_wrong_ones_leave_the_old(tmp_path, https):
    authorities = tmp_path / "authorities.crt"
    right = pathlib.Path(origin.CA).read_text()
    authorities.write_text(right)
    nginx = https()

    def reload(running, says):
        count = running.errors().count(says)
        running.child.send_signal(harness.signal.SIGHUP)
        harness.wait_until(lambda: running.errors().count(says) > count, 10, lambda: f"{says}: {running.errors()}")

    with gatehouse(tmp_path, nginx.url, ca=str(authorities)) as running:
        assert harness.ask(running.port, "GET", PATH)[0] == 200
        authorities.write_text("nothing")
        reload(running, "settings not changed")
        assert str(authorities) in running.errors()
        assert harness.ask(running.port, "GET", PATH)[0] == 200
        authorities.write_text(pathlib.Path(origin.CERTIFICATES / "other-ca.crt").read_text())
        reload(running, "settings read again")
        assert harness.ask(running.port, "GET", PATH)[0] == 502
        authorities.write_text(right)
        reload(running, "settings read again")
        assert harness.ask(running.port, "GET", PATH)[0] == 200


class TestClientCertificates:
    MORE = f"ssl_client_certificate {origin.CA}; ssl_verify_client on;"

    def test_ours_is_shown_to_an_origin_that_asks(self, tmp_path, https):
        certificate, key = origin.pair("client")
        nginx = https(more=self.MORE)
        with gatehouse(tmp_path, nginx.url, certificate=certificate, private_key=key) as running:
            status, fields, content = harness.ask(running.port, "GET", PATH)
            assert status == 200, content
            assert "CN=alice" in fields["X-Origin-Client"]

    def test_without_one_the_origins_word_is_passed_on(self, tmp_path, https):
        # nginx ends the handshake first and answers 400 to the request.
        nginx = https(more=self.MORE)
        with gatehouse(tmp_path, nginx.url) as running:
            assert harness.ask(running.port, "GET", PATH)[0] == 400

    def test_an_alert_is_told_apart(self, tmp_path):
        with origin.Demanding() as demanding, gatehouse(tmp_path, demanding.url) as running:
            status, _, _ = harness.ask(running.port, "GET", PATH)
            assert status == 502
            harness.wait_until(lambda: access_lines(running), 5, "an access line")
            assert access_lines(running)[-1]["error"] == "tls_alert_received"


def test_a_plain_server_in_its_place_is_no_tls(tmp_path, simulator):
    with gatehouse(tmp_path, f"https://127.0.0.1:{simulator.ports['nova']}") as running:
        assert_refused(running, error="tls_protocol_error", reason="[a-z_]+")


def test_a_handshake_that_never_ends_has_the_time_of_a_connect(tmp_path):
    listener = socket.create_server((harness.LOOPBACK, 0))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with listener, harness.Gatehouse(
            tmp_path, url, {"workers": 1, "cache": False},
            upstream_settings={"connect_timeout": "300ms", "tls": {"ca": origin.CA}}) as running:
        status, _, _ = harness.ask(running.port, "GET", PATH)
        assert status == 504
        harness.wait_until(lambda: access_lines(running), 5, "an access line")
        assert access_lines(running)[-1]["error"] == "connection_timeout"


def test_another_endpoint_is_tried_where_one_is_not_believed(tmp_path, https):
    bad, good = https(certificate="localhost-expired"), https()
    with gatehouse(tmp_path, [bad.url, good.url]) as running:
        assert {harness.ask(running.port, "GET", PATH)[0] for _ in range(20)} == {200}
        values = running.metrics()
        assert values[f'gatehouse_upstream_failures_total{{upstream="{bad.url}"}}'] >= 1
        assert values[f'gatehouse_upstream_failures_total{{upstream="{good.url}"}}'] == 0


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class TestEnds:
    """RFC 9112 §9.8: without close_notify, content that only the end of the connection delimits is incomplete."""

    @pytest.mark.parametrize("head", [HEAD + b"Content-Length: 2\r\n\r\n", HEAD + b"\r\n"])
    def test_an_end_that_is_told_is_one(self, tmp_path, head):
        with origin.Ending(head + b"{}", says_so=True) as ending, gatehouse(tmp_path, ending.url) as running:
            status, _, content = harness.ask(running.port, "GET", "/v2.1/flavors/1")
            assert (status, content) == (200, b"{}")

    def test_a_length_is_believed_without_a_word_at_the_end(self, tmp_path):
        with origin.Ending(HEAD + b"Content-Length: 2\r\n\r\n{}", says_so=False) as ending, \
                gatehouse(tmp_path, ending.url) as running:
            assert harness.ask(running.port, "GET", "/v2.1/flavors/1")[2] == b"{}"

    def test_content_that_is_cut_off_is_not_passed_on_as_whole(self, tmp_path):
        with origin.Ending(HEAD + b"\r\n" + b'{"a":', says_so=False) as ending, \
                gatehouse(tmp_path, ending.url) as running:
            with pytest.raises((harness.http.client.IncompleteRead, ConnectionError)):
                harness.ask(running.port, "GET", "/v2.1/flavors/1")
            harness.wait_until(lambda: access_lines(running), 5, "an access line")
            assert access_lines(running)[-1]["error"] == "http_response_incomplete"


class TestStreams(streams.StreamTests):
    upstream_settings = {"http2": "never"}


class TestKeystone:
    def test_it_is_asked_by_https(self, tmp_path, cloud):
        cloud.add(["secure"])
        with origin.Nginx(tmp_path / "origin", f"http://127.0.0.1:{cloud.keystone.port}") as nginx, \
                cloud.gatehouse(tmp_path, {"url": f"{nginx.url}/v3", "tls": {"ca": origin.CA}}) as running:
            assert harness.ask(running.port, "GET", "/v2.1/flavors/1", token="secure")[0] == 200
            assert harness.ask(running.port, "GET", "/v2.1/flavors/1", token="unknown")[0] == 401
            assert running.metrics()["gatehouse_upstream_tls_handshakes_total"] >= 1

    def test_an_impostor_is_not_asked(self, tmp_path, cloud):
        cloud.add(["secure"])
        with origin.Nginx(
                tmp_path / "origin", f"http://127.0.0.1:{cloud.keystone.port}", certificate="nova-other-ca") as nginx, \
                cloud.gatehouse(tmp_path, {"url": f"{nginx.url}/v3", "tls": {"ca": origin.CA}}) as running:
            assert harness.ask(running.port, "GET", "/v2.1/flavors/1", token="secure")[0] == 503
            assert cloud.keystone.asked() == 0
            assert re.search(r"Keystone cannot be used .*tls_certificate_error", running.errors()), running.errors()
