"""What arrives at the upstream is read by parsers nobody here wrote, over a large set of odd requests."""

import os
import re
import socket
import threading

import h11
import pytest

import harness
import odd
import recording
import wire

SEED = int(os.environ.get("PEERS_SEED", "20260901"))
COUNT = int(os.environ.get("PEERS_ODD_COUNT", "4000"))
REQUEST_ID = re.compile(rb"^req-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$")

IDENTITY = {name.lower().encode() for name in """
X-Identity-Status X-Service-Identity-Status X-Domain-Id X-Domain-Name X-Project-Id X-Project-Name X-Project-Domain-Id
X-Project-Domain-Name X-User-Id X-User-Name X-User-Domain-Id X-User-Domain-Name X-Roles X-Service-Domain-Id
X-Service-Domain-Name X-Service-Project-Id X-Service-Project-Name X-Service-Project-Domain-Id
X-Service-Project-Domain-Name X-Service-User-Id X-Service-User-Name X-Service-User-Domain-Id
X-Service-User-Domain-Name X-Service-Roles X-Service-Catalog X-Is-Admin-Project OpenStack-System-Scope X-User X-Tenant
X-Tenant-Id X-Tenant-Name X-Role""".split()}
HOP_BY_HOP = {b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"trailer", b"upgrade",
              b"http2-settings", b"expect"}
ONE_AT_MOST = [b"content-length", b"transfer-encoding", b"x-auth-token", b"x-openstack-request-id",
               b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"connection"]


@pytest.fixture
def upstream():
    with recording.RecordingUpstream() as running:
        yield running


@pytest.fixture
def gatehouse(tmp_path, upstream):
    definitions = (harness.COMPUTE, harness.STREAM)
    # By HTTP/1.1 alone: `PRI` would begin HTTP/2 otherwise, and is answered in it.
    settings = {"cache": False, "http2": False}
    with harness.Gatehouse(tmp_path, upstream.url, settings, definitions=definitions) as running:
        yield running


def judge_message(message):
    """What is wrong with a request that arrived; empty when nothing is."""
    wrong = []
    names = [name.lower() for name, _ in message.fields]
    if names.count(b"host") != 1 or not message.values(b"host")[0]:
        wrong.append("Host")
    # Version documents are for everybody, so nobody looks at the tokens there.
    is_discovery = message.target.split(b"?")[0] in (b"/", b"/v2", b"/v2/", b"/v2.1", b"/v2.1/")
    wrong += [
        f"{name} twice" for name in ONE_AT_MOST
        if names.count(name) > 1 and not (is_discovery and name == b"x-auth-token")]
    wrong += [f"{name} arrived" for name in names if name in IDENTITY or name in HOP_BY_HOP or b"_" in name]
    if b"content-length" in names and b"transfer-encoding" in names:
        wrong.append("both lengths")
    if b"via" not in names:
        wrong.append("no Via")
    if not REQUEST_ID.match((message.values(b"x-openstack-request-id") or [b""])[0]):
        wrong.append("no request id")
    for name, value in message.fields:
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            wrong.append(f"control byte in {name}")
    if not re.fullmatch(rb"/[\x21\x22\x24-\x7e]*", message.target):
        wrong.append("target form")
    path = message.target.split(b"?")[0]
    if re.search(rb"//|/\.{1,2}(/|$)|%2f|%5c|%00|%0[0-9a-f]|%1[0-9a-f]|%7f", path, re.I):
        wrong.append("path not in normal form")
    if message.version != b"1.1":
        wrong.append("version")
    return wrong


def judge_answer(answer):
    wrong = []
    for name in (b"x-gatehouse-request-id", b"x-compute-request-id", b"x-openstack-request-id"):
        values = answer.values(name)
        if len(values) != 1 or not REQUEST_ID.match(values[0]):
            wrong.append(f"{name.decode()}: {values}")
    return wrong


def origin_form(target):
    """The target as a proxy forwards it."""
    found = re.match(rb"(?i)https?://[^/?]*(.*)", target)
    if not found:
        return target
    return found[1] if found[1].startswith(b"/") else b"/" + found[1]


def missing_from(arrived, read):
    """The first message of `arrived` that is not, in order, among what a reader found in the client's bytes."""
    place = 0
    for message in arrived:
        while place < len(read) and (
                read[place].method, origin_form(read[place].target), read[place].content) != (
                message.method, message.target, message.content):
            place += 1
        if place == len(read):
            return message
        place += 1
    return None


def may_stop(name, reason, data):
    """Where a reader of the client's bytes stops though RFC 9112 lets a server go on; what arrives has none of it."""
    if name == "h11":
        # Empty lines before a request (§2.2); a client of HTTP/1.0 that keeps its connection (§9.3).
        return reason in ("no request line received", "h11 will not go on")
    # Blanks behind a value are no part of it (RFC 9110 §5.5), but llhttp leaves them on this one.
    if "Transfer-Encoding" in reason:
        return re.search(rb"(?i)transfer-encoding:[ \t]*chunked[ \t]+\r\n", data) is not None
    # A protocol asked for, which a proxy leaves out; a method that it has no number for, answered here.
    return reason.startswith("upgrade") or reason == "Invalid method encountered"


def judge_case(case, arrived, answers):
    wrong = []
    if len(arrived) > len(answers):
        wrong.append(f"{len(arrived)} requests arrived for {len(answers)} answers")
    for answer in answers:
        wrong += judge_answer(answer)
        if answer.status == 500:
            wrong.append("500 for a request that only the client got wrong")
    for message in arrived:
        wrong += [f"{what} in {message}" for what in judge_message(message)]
    if case.expected is not None:
        sent = [(method.encode(), target.encode(), content) for method, target, content in case.expected]
        got = [(message.method, message.target, message.content) for message in arrived]
        if sent != got:
            wrong.append(f"ordinary requests did not all arrive: answers {[answer.status for answer in answers]}")
    # Empty lines before a request are allowed (RFC 9112 §2.2), though h11 takes none.
    data = re.sub(rb"\A(\r\n){1,2}", b"", case.data)
    for name, reader in (("h11", recording.read_with_h11), ("httptools", recording.read_with_httptools)):
        read, reason = reader(data)
        lost = None if may_stop(name, reason or "", data) else missing_from(arrived, read)
        if lost:
            wrong.append(f"{name} does not read {lost} in what the client sent, it stops with: {reason}")
    return wrong


def test_what_is_forwarded_is_accepted_and_read_alike_by_h11_and_httptools(gatehouse, upstream, figures):
    statuses, failures, arrived_count = {}, [], 0
    for number, case in enumerate(odd.cases(SEED, COUNT)):
        before = len(upstream.messages)
        try:
            answers, raw = wire.exchange(gatehouse.port, case.data, case.methods, case.cuts)
            wrong = judge_case(case, upstream.messages[before:], answers)
        except h11.RemoteProtocolError as error:
            answers, wrong = [], [f"an answer that h11 refuses: {error}"]
        except TimeoutError:
            answers, wrong = [], ["neither an answer nor an end of the connection within 10 s"]
        arrived_count += len(upstream.messages) - before
        for answer in answers:
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if wrong:
            failures.append(f"case {number} ({case.family}): {wrong[:3]}\n   {case.data[:600]!r} cuts {case.cuts[:8]}")
        if len(failures) >= 20:
            break
    gatehouse.assert_alive()
    both_readers_agree(upstream)
    figures.note(
        f"{COUNT} connections with odd requests, seed {SEED}: {sum(statuses.values())} answers "
        f"{dict(sorted(statuses.items()))}, {arrived_count} requests arrived")
    assert not failures, "\n".join(failures)
    assert not upstream.refusals, upstream.refusals[:3]
    # The set is worth something only if much of it passes and much of it does not.
    assert arrived_count > COUNT // 4 and statuses.get(400, 0) > COUNT // 10, statuses


def both_readers_agree(upstream):
    """Every byte that arrived, connection by connection: whole messages, accepted and read alike by both."""
    for kept in upstream.connections:
        data = bytes(kept)
        first, reason = recording.read_with_h11(data)
        second, other_reason = recording.read_with_httptools(data)
        cut = "the last message is cut short"
        assert reason in (None, cut), (reason, data[:2000])
        assert other_reason in (None, cut), (other_reason, data[:2000])
        assert first == second, (first, second)


# Odd answers

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
HIDDEN = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Hidden: yes\r\n\r\nhidden"
ODD_ANSWERS = [
    OK + b"Content-Length: 5\r\n\r\nhello", OK + b"Content-Length: 5\r\n\r\nhello" + HIDDEN,
    OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    OK + b"Content-Length: 5, 5\r\n\r\nhello", OK + b"Content-Length: +5\r\n\r\nhello", OK + b"Content-Length: -1\r\n\r\nhello",
    OK + b"Content-Length: 99999999999999999999\r\n\r\nhello", OK + b"Content-Length: 9\r\n\r\nhello",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK + b"Transfer-Encoding: identity\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: a\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    OK + b"\r\nhello until the end", OK + b"Connection: close\r\n\r\nhello until the end", b"HTTP/1.0 200 OK\r\n\r\nold", b"HTTP/0.9 200 OK\r\n\r\nold",
    b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    OK + b"X-A: b\x00c\r\nContent-Length: 0\r\n\r\n", OK + b"X-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n", OK + b"X-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
    OK + b"X-A : b\r\nContent-Length: 0\r\n\r\n", OK + b": b\r\nContent-Length: 0\r\n\r\n", OK + b"no colon\r\nContent-Length: 0\r\n\r\n",
    OK + b"X-A: b\nX-B: c\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", OK + b"X-Long: " + b"y" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    OK + b"X-Many: y\r\n" * 500 + b"Content-Length: 0\r\n\r\n", OK + b"X-Latin: \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nwhatever", b"HTTP/1.1 100 Continue\r\n\r\n", b"", b"\r\n", b"garbage", b"\x16\x03\x01\x02",
    OK + b"Connection: X-Secret\r\nX-Secret: a\r\nContent-Length: 0\r\n\r\n", OK + b"Keep-Alive: timeout=1\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
    OK + b"Date: a\r\nDate: b\r\nContent-Length: 0\r\n\r\n", OK + b"X-Gatehouse-Request-Id: forged\r\nContent-Length: 0\r\n\r\n",
    OK + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: 30\r\n\r\n<h1>Traceback secret</h1>......",
    b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n<h1>Traceback secret", b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    b"HTTP/1.1 404 Gone\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000, b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
]


class CannedUpstream:
    """Answers each request with the same bytes, whatever they are, and ends the connection."""

    def __init__(self):
        self.answer = b""
        self.listener = socket.socket()
        self.listener.bind((harness.LOOPBACK, 0))
        self.listener.listen(64)
        self.url = f"http://{harness.LOOPBACK}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                data = b""
                try:
                    while b"\r\n\r\n" not in data:
                        piece = peer.recv(65_536)
                        if not piece:
                            break
                        data += piece
                    if data:
                        peer.sendall(self.answer)
                        peer.shutdown(socket.SHUT_WR)
                        while peer.recv(65_536):
                            pass
                except OSError:
                    pass

    def close(self):
        self.listener.close()


def upstream_content(canned):
    """The content of a canned answer as h11 reads it; None when h11 refuses it or finds it cut."""
    try:
        found = wire.read_answers(canned)
    except h11.RemoteProtocolError:
        try:
            found = wire.read_answers(canned, is_ended=False)
        except h11.RemoteProtocolError:
            return None
    return found[0].content if found else None


def test_odd_answers_of_an_upstream_are_one_sound_answer_each_or_a_visible_cut(tmp_path, figures):
    upstream = CannedUpstream()
    statuses, failures = {}, []
    follower = wire.request("GET", "/v2.1/nothing", [("Connection", "close")])
    try:
        with harness.Gatehouse(
                tmp_path, upstream.url, definitions=(harness.COMPUTE, harness.STREAM),
                upstream_settings={"ejection": {"failures": 0}}) as gatehouse:
            for number, canned in enumerate(ODD_ANSWERS):
                upstream.answer = canned
                # A stored list, an answer passed on, a write, and one without content.
                questions = [
                    ("GET", f"/v2.1/servers?limit={number}"), ("GET", "/v2.1/stream/1"), ("POST", "/v2.1/stream/1"),
                    ("GET", "/v2.1/")]
                for method, path in questions:
                    with wire.connect(gatehouse.port) as peer:
                        lines = [("Content-Type", "application/octet-stream")] if method == "POST" else []
                        peer.sendall(wire.request(method, path, lines, b"abc" if method == "POST" else b"") + follower)
                        raw = wire.read_all(peer)
                    what = f"{method} {path} answered with {canned[:160]!r}"
                    try:
                        answers = wire.read_answers(raw)
                    except h11.RemoteProtocolError as error:
                        # Cut in the middle: then nothing may follow.
                        if "peer closed connection" not in str(error) and "ConnectionClosed" not in str(error):
                            failures.append(f"{what}: {error}: {raw[:300]!r}")
                        answers = []
                    for answer in answers:
                        statuses[answer.status] = statuses.get(answer.status, 0) + 1
                    failures += [f"{what}: {wrong}" for wrong in judge_odd_answer(canned, answers, raw)]
            gatehouse.assert_alive()
    finally:
        upstream.close()
    figures.note(f"{len(ODD_ANSWERS)} odd answers to 4 requests each: {dict(sorted(statuses.items()))}")
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures[:20])


def judge_odd_answer(canned, answers, raw):
    wrong = []
    if len(answers) > 2:
        wrong.append(f"{len(answers)} answers to 2 requests")
    if len(answers) == 2 and answers[1].status != 404:
        wrong.append(f"the second answer is {answers[1]}")
    if b"X-Hidden" in raw or b"Traceback" in raw:
        wrong.append("upstream bytes that are no part of the answer, or a 5xx page, came through")
    for answer in answers:
        names = [name.lower() for name, _ in answer.fields]
        wrong += judge_answer_ids(answer)
        for name in (b"x-secret", b"keep-alive", b"proxy-authenticate", b"upgrade"):
            if name in names:
                wrong.append(f"{name} came through")
        if names.count(b"date") != 1:
            wrong.append(f"{names.count(b'date')} Date lines")
    if answers and answers[0].status == 200 and answers[0].content != upstream_content(canned):
        wrong.append(f"content {answers[0].content[:60]!r} is not what h11 reads: {upstream_content(canned)!r}")
    return wrong


def judge_answer_ids(answer):
    values = answer.values(b"x-gatehouse-request-id")
    return [] if len(values) == 1 and REQUEST_ID.match(values[0]) else [f"X-Gatehouse-Request-Id: {values}"]
