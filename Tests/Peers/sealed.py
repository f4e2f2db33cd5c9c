"""A gateway behind TLS, and clients of it: curl, openssl s_client and Python's ssl."""

import http.client
import os
import signal
import socket
import ssl
import subprocess

import harness

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
