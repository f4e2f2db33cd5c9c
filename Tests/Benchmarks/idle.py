"""Idle connections: what each costs a server in memory, plain and over TLS, and what the server has before the first."""

import concurrent.futures
import contextlib
import socket
import ssl
import time

import measure
from place import TLS

WARM_UP = 200
# Each one waits for its answer; the server is never without work, and has few of them at once.
AT_ONCE = 16


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(server, work, transport, context):
    """A connection that has had one answer."""
    address = server.addresses[transport]
    connection = socket.create_connection(address, timeout=20)
    if transport == TLS:
        connection = context.wrap_socket(connection)
    connection.sendall(work.request(address))
    received = b""
    while b"\r\n\r\n" not in received:
        received += read(connection)
    head, _, content = received.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == str(work.status).encode(), head
    missing = work.length(server) - len(content)
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        while not content.endswith(b"0\r\n\r\n"):
            content += read(connection)
        missing = 0
    while missing > 0:
        missing -= len(read(connection))
    return connection


def read(connection):
    piece = connection.recv(65536)
    assert piece, "the connection ended amid an answer"
    return piece


def settled(pids):
    """The memory of processes once it has stopped to change."""
    value = measure.proportional_bytes(pids)
    for _ in range(20):
        time.sleep(0.25)
        again = measure.proportional_bytes(pids)
        if abs(again - value) < 16_384:
            return again
        value = again
    return value


def measure_idle(server, work, transport, count):
    """Bytes a connection, and what the server had resident after a little work and before the first of them."""
    context = tls_context()
    with contextlib.ExitStack() as stack:
        def connections(count):
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
                made = threads.map(lambda _: connect(server, work, transport, context), range(count))
                return [stack.enter_context(contextlib.closing(one)) for one in made]

        for connection in connections(WARM_UP):
            connection.close()
        pids = server.pids()
        resident, before = measure.resident_bytes(pids), settled(pids)
        idle = connections(count)
        after = settled(pids)
        # They are idle, and all there: none has anything to read, the end among it.
        for connection in idle:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                piece = connection.recv(1)
                raise AssertionError(f"{server.label}: an idle connection has {piece!r}")
    return {"bytes": (after - before) / count, "resident": resident, "connections": count}
