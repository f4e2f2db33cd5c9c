"""An upstream for contents of any size, in a process of its own, and the pattern both sides know.

`GET /…/stream/COUNT` (with `?chunked=1` in chunks) answers COUNT bytes of the pattern; PUT and POST read theirs and answer
with how many came, their CRC-32 and how they were framed. It reads and writes in large pieces and keeps none of them.

Run as a program it prints its port, and serves until its standard input ends.
"""

import re
import socket
import sys
import threading
import zlib

import h11

# Not a power of two, so that a piece lost or doubled shows in the checksum.
PATTERN = bytes((index * 7 + index // 251) & 0xFF for index in range(65_521)) * 4


def pattern_crc(count):
    """CRC-32 of the first `count` bytes of the endlessly repeated pattern."""
    crc = 0
    while count > 0:
        piece = PATTERN[:count] if count < len(PATTERN) else PATTERN
        crc = zlib.crc32(piece, crc)
        count -= len(piece)
    return crc


def pieces(count):
    view = memoryview(PATTERN)
    while count > 0:
        yield view[:min(count, len(PATTERN))]
        count -= len(PATTERN)


def serve(peer):
    reader = h11.Connection(h11.SERVER)
    try:
        with peer:
            while serve_one(peer, reader):
                reader.start_next_cycle()
    except (OSError, h11.ProtocolError):
        return


def serve_one(peer, reader):
    request, count, crc = None, 0, 0
    while True:
        event = reader.next_event()
        if event is h11.NEED_DATA:
            reader.receive_data(peer.recv(262_144))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            count += len(event.data)
            crc = zlib.crc32(event.data, crc)
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return False
    target = request.target.decode()
    if request.method == b"GET":
        size = int(re.search(r"/(\d+)(\?|$)", target)[1])
        framing = ("Transfer-Encoding", "chunked") if "chunked=1" in target else ("Content-Length", str(size))
        peer.sendall(reader.send(h11.Response(
            status_code=200, headers=[("Content-Type", "application/octet-stream"), framing])))
        for piece in pieces(size):
            for part in reader.send_with_data_passthrough(h11.Data(data=piece)):
                peer.sendall(part)
    else:
        framing = "chunked" if any(name == b"transfer-encoding" for name, _ in request.headers) else "length"
        content = f'{{"count": {count}, "crc": {crc}, "framing": "{framing}"}}'.encode()
        peer.sendall(reader.send(h11.Response(
            status_code=200, headers=[("Content-Type", "application/json"), ("Content-Length", str(len(content)))])))
        peer.sendall(reader.send(h11.Data(data=content)))
    peer.sendall(reader.send(h11.EndOfMessage()))
    return reader.our_state is h11.DONE and reader.their_state is h11.DONE


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)

    def accept():
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
