"""HTTP/2 frames as bytes, and fields in HPACK by hand.

A field block is written as plain literals, so that it may hold any byte and means the same on every connection.
"""

import struct
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES, WINDOW, LARGEST_WINDOW = 16_384, 65_535, (1 << 31) - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
KINDS = "DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION".split()

ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20

(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY,
 HTTP_1_1_REQUIRED) = range(14)
CODES = """NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR
REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED""".split()

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 8, 9



def code_name(code):
    return CODES[code] if code < len(CODES) else hex(code)


# Writing


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """One frame; `length` is announced instead of the payload's own where a row lies about it."""
    return struct.pack(">I", len(payload) if length is None else length)[1:] + struct.pack(
        ">BBI", kind, flags, stream) + payload


def integer(value, prefix, first=0):
    """An integer of HPACK (RFC 7541 §5.1) whose first byte keeps the bits of `first` above the prefix."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    written, value = bytearray([first | limit]), value - limit
    while value >= 128:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def string(value):
    return integer(len(value), 7) + value


def literal(name, value, first=0x00):
    """A field with a new name (RFC 7541 §6.2): 0x00 without indexing, 0x10 never indexed, 0x40 with indexing."""
    return bytes([first]) + string(name) + string(value)


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def headers(stream, fields, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, fields if isinstance(fields, bytes) else block(fields))


def data(stream, content=b"", flags=END_STREAM):
    return frame(DATA, flags, stream, content)


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def priority(stream, dependency=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", dependency, weight))


def ping(content=b"pingpong", flags=0):
    return frame(PING, flags, 0, content)


def goaway(last=0, code=NO_ERROR, more=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + more)


# Reading


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __repr__(self):
        name = KINDS[self.kind] if self.kind < len(KINDS) else hex(self.kind)
        more = ""
        if self.kind in (RST_STREAM, GOAWAY) and len(self.payload) >= 4:
            place = 0 if self.kind == RST_STREAM else 4
            more = " " + code_name(int.from_bytes(self.payload[place:place + 4], "big"))
            more += f" {self.payload[8:].decode(errors='replace')}" if self.kind == GOAWAY else ""
        return f"{name}({self.stream}, flags {self.flags:#x}, {len(self.payload)} bytes{more})"
