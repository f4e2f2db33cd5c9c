"""Rows of RFC 7541: what a decoder must refuse and take, and what the server's encoder must keep to."""

import hpack

from frames import (
    COMPRESSION_ERROR, CONTINUATION, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, block, frame, headers, integer, literal, settings,
    string)
from rows import HOST, TARGET, Row, answer, answered, ask, connection_error, get, unmarked, well

REQUEST = block(get())
broken = connection_error(COMPRESSION_ERROR)

INDEX = "Indices strictly greater than the sum of the lengths of both tables MUST be treated as a decoding error."
HUFFMAN = "RFC 7541 §5.2"


def whole(content):
    return headers(1, content, END_HEADERS | END_STREAM)


def huffman(value):
    encoded = hpack.huffman.HuffmanEncoder(
        hpack.huffman_constants.REQUEST_CODES, hpack.huffman_constants.REQUEST_CODES_LENGTH).encode(value)
    return integer(len(encoded), 7, 0x80) + encoded


def update(size):
    """A dynamic table size update (RFC 7541 §6.3)."""
    return integer(size, 5, 0x20)


WRONG = [
    Row("7541 2.3.3", "an index beyond both tables", INDEX, whole(REQUEST + integer(70, 7, 0x80)), broken),
    Row("7541 2.3.3", "the first index beyond the static table", INDEX, whole(REQUEST + integer(62, 7, 0x80)), broken),
    Row("7541 2.3.3", "a large index", INDEX, whole(REQUEST + integer(1 << 30, 7, 0x80)), broken),
    *[Row("7541 2.3.3", f"a name's index beyond both tables, {kind}", INDEX, whole(REQUEST + integer(70, bits, first) + string(b"x")),
          broken) for kind, bits, first in [("indexed", 6, 0x40), ("not indexed", 4, 0x00), ("never indexed", 4, 0x10)]],
    Row("7541 2.3.3", "an index of an evicted entry", INDEX, whole(
        REQUEST + literal(b"x-one", b"1", 0x40) + literal(b"x-two", b"2" * 4_050, 0x40) + integer(63, 7, 0x80)), broken),
    Row("7541 4.2", "a size update at the end", "A change in the maximum size of the dynamic table MUST occur at the beginning of the "
        "first field block following the change.", whole(REQUEST + update(0)), broken),
    Row("7541 4.2", "a size update between fields", "A change in the maximum size MUST occur at the beginning of a field block.",
        whole(REQUEST[:13] + update(0) + REQUEST[13:]), broken),
    *[Row("7541 5.1", f"an integer of {name}", "Integer encodings that exceed implementation limits, in value or octet length, MUST be "
          "treated as decoding errors.", whole(REQUEST + content), broken)
      for name, content in [
          ("2^35", integer(1 << 35, 7, 0x80)), ("2^70", integer(1 << 70, 7, 0x80)), ("twenty bytes of nothing", b"\xff" + b"\x80" * 20 + b"\0"),
          ("2^35 as a length", b"\0" + integer(1 << 35, 7) + b"x"), ("no end", b"\xff\xff\xff")]],
    Row("7541 5.2", "a string longer than the block", "A string literal holds as many octets as its length says.",
        whole(REQUEST + b"\0" + string(b"x-test") + integer(100, 7) + b"short"), broken),
    Row("7541 5.2", "a name without a value", "A literal has a name and a value.", whole(REQUEST + b"\0" + string(b"x-test")), broken),
    Row("7541 5.2", "Huffman padding of more than 7 bits", "A padding strictly longer than 7 bits MUST be treated as a decoding error.",
        whole(REQUEST + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), broken),
    Row("7541 5.2", "Huffman padding of zeros", "A padding not corresponding to the most significant bits of the code for the EOS symbol "
        "MUST be treated as a decoding error.", whole(REQUEST + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), broken),
    Row("7541 5.2", "the EOS symbol", "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error.",
        whole(REQUEST + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\xff\xff\xff\xfd\x25\x42\x7f"), broken),
    Row("7541 5.2", "the EOS symbol in a name", "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding "
        "error.", whole(REQUEST + b"\x00\x84\xff\xff\xff\xff" + string(b"x")), broken),
    Row("7541 5.2", "Huffman padding of a whole byte alone", "A padding strictly longer than 7 bits MUST be treated as a decoding error.",
        whole(REQUEST + b"\x00" + string(b"x-test") + b"\x81\xff"), broken),
    Row("7541 6.1", "index 0", "The index value of 0 MUST be treated as a decoding error if found in an indexed field representation.",
        whole(REQUEST + b"\x80"), broken),
    Row("7541 6.3", "a size update above the setting", "The new maximum size MUST be lower than or equal to the limit; a value that "
        "exceeds this limit MUST be treated as a decoding error.", lambda peer: peer.send(
            whole(update(peer.settings.get(HEADER_TABLE_SIZE, 4_096) + 1) + REQUEST)), broken),
    Row("7541 6.3", "a huge size update", "A value that exceeds this limit MUST be treated as a decoding error.",
        whole(update(1 << 31) + REQUEST), broken),
    Row("7541 3.1", "a wrong block in CONTINUATION", "A decoding error is one wherever it stands.", headers(1, REQUEST, END_STREAM)
        + frame(CONTINUATION, END_HEADERS, 1, b"\x80"), broken),
    Row("7541 4.3", "the table emptied, then used", "A change to a size of 0 evicts all entries.",
        [unmarked(1), answered(1), headers(3, block(get(path=b"/v2.1/stream/unmarked")) + literal(b"x-one", b"1", 0x40)), answered(3),
         headers(5, update(0) + block(get()) + b"\xbe")], broken),
]

INDEXED = [(b":method", b"GET", 2), (b":scheme", b"http", 6)]


def after(*firsts):
    """Blocks on streams of no interest, each answered, then what follows."""
    steps = []
    for index, content in enumerate(firsts):
        steps += [headers(2 * index + 1, content), answered(2 * index + 1)]
    return steps


PLAIN = block(get(path=b"/v2.1/stream/unmarked"))


def field(value):
    return lambda found, peer: [message.values(b"x-test") for message in peer.messages()] == [[value]]


def request(*more, form=lambda name, value: literal(name, value)):
    """A marked request whose field x-test is written in a form of its own."""
    return whole(REQUEST + b"".join(more))


GOOD = [
    Row("7541 6.1", "indexed fields of the static table", "An index identifies an entry in either the static table or the dynamic table.",
        whole(b"\x82\x86" + literal(b":path", TARGET) + literal(b":authority", HOST) + literal(b"x-auth-token", b"demo")), answer(),
        reaches="whole"),
    Row("7541 6.1", "an indexed field of the dynamic table", "An index identifies an entry in either the static table or the dynamic "
        "table.", [*after(PLAIN + literal(b"x-test", b"ok", 0x40)), headers(3, REQUEST + b"\xbe")], answer(stream=3, check=field(b"ok")),
        reaches="whole"),
    *[Row(f"7541 {section}", f"a literal {name}", "A literal field representation has a literal value, and a name by index or in full.",
          request(content), answer(check=field(b"ok")), reaches="whole")
      for section, name, content in [
          ("6.2.1", "with indexing", literal(b"x-test", b"ok", 0x40)),
          ("6.2.1", "with indexing, in Huffman", b"\x40" + huffman(b"x-test") + huffman(b"ok")),
          ("6.2.2", "without indexing", literal(b"x-test", b"ok", 0x00)),
          ("6.2.2", "without indexing, in Huffman", b"\x00" + huffman(b"x-test") + huffman(b"ok")),
          ("6.2.3", "never indexed", literal(b"x-test", b"ok", 0x10)),
          ("6.2.3", "never indexed, in Huffman", b"\x10" + huffman(b"x-test") + huffman(b"ok"))]],
    *[Row(f"7541 {section}", f"a literal with a name of the static table, {name}", "The name may be an index.",
          whole(block(get()[:4]) + block([(b"x-auth-token", b"demo")]) + content),
          answer(check=lambda found, peer: peer.messages()[0].values(b"user-agent") == [b"tests"]), reaches="whole")
      for section, name, content in [
          ("6.2.1", "with indexing", integer(58, 6, 0x40) + string(b"tests")),
          ("6.2.2", "without indexing", integer(58, 4, 0x00) + string(b"tests")),
          ("6.2.3", "never indexed", integer(58, 4, 0x10) + huffman(b"tests"))]],
    Row("7541 2.3.2", "a name of the dynamic table", "The name may be an index in the dynamic table.",
        [*after(PLAIN + literal(b"x-test", b"old", 0x40)), headers(3, REQUEST + integer(62, 4, 0x00) + string(b"ok"))],
        answer(stream=3, check=field(b"ok")), reaches="whole"),
    Row("7541 2.3.2", "the newest entry comes first", "The dynamic table is first in, first out; the newest entry has the lowest index.",
        [*after(PLAIN + literal(b"x-test", b"ok", 0x40) + literal(b"x-other", b"1", 0x40)), headers(3, REQUEST + b"\xbf")],
        answer(stream=3, check=field(b"ok")), reaches="whole"),
    Row("7541 2.3.2", "an entry twice", "The dynamic table can contain duplicate entries.",
        [*after(PLAIN + literal(b"x-test", b"ok", 0x40) * 2), headers(3, REQUEST + b"\xbf")], answer(stream=3, check=field(b"ok")),
        reaches="whole"),
    Row("7541 4.4", "an entry larger than the table", "It is not an error to add an entry larger than the maximum size; it empties the "
        "table.", [*after(PLAIN + literal(b"x-big", b"y" * 5_000, 0x40)), headers(3, REQUEST + literal(b"x-test", b"ok", 0x40)),
                   lambda peer: peer.answer(3)], answer(stream=3, check=field(b"ok")), reaches="whole"),
    Row("7541 4.4", "a name by the index of what it evicts", "A new entry can reference the name of an entry that is evicted when it is "
        "added.", [*after(PLAIN + literal(b"x-test", b"1", 0x40) + literal(b"x-fill", b"f" * 3_950, 0x40)),
                   headers(3, REQUEST + integer(63, 6, 0x40) + string(b"k" * 90))], answer(stream=3, check=field(b"k" * 90)),
        reaches="whole"),
    Row("7541 6.3", "a size update", "A dynamic table size update changes the size of the table.", whole(update(100) + REQUEST), answer(),
        reaches="whole"),
    Row("7541 6.3", "two size updates", "The smallest and the final size are signalled, at most two.", whole(
        update(0) + update(4_096) + REQUEST), answer(), reaches="whole"),
    Row("7541 6.3", "a size update to nothing and entries after", "A size of 0 is allowed.", [*after(update(0) + PLAIN + literal(
        b"x-test", b"no", 0x40)), headers(3, update(4_096) + REQUEST + literal(b"x-test", b"ok", 0x40))],
        answer(stream=3, check=field(b"ok")), reaches="whole"),
    Row("7541 5.1", "an integer with needless bytes", "An integer of few octets more than needed is still one.",
        whole(REQUEST + b"\0" + string(b"x-test") + b"\x02ok"), answer(check=field(b"ok")), reaches="whole"),
    Row("7541 5.2", "a Huffman value of all letters", "Any octet can be Huffman-encoded.", whole(
        REQUEST + b"\0" + string(b"x-test") + huffman(bytes(range(0x21, 0x7F)))), answer(check=field(bytes(range(0x21, 0x7F)))),
        reaches="whole"),
    Row("7541 5.2", "empty strings", "A string may be empty.", whole(REQUEST + b"\0" + string(b"x-test") + b"\x80"), answer(
        check=field(b"")), reaches="whole"),
]

ENCODER = [
    Row("7541 4.2", "a client without a table", "The encoder MUST use a table no larger than the value of HEADER_TABLE_SIZE.",
        unmarked(1) + ask(3), answer(stream=3), ((HEADER_TABLE_SIZE, 0),), "whole"),
    Row("7541 4.2", "a table that is made smaller", "A change in the maximum size is signalled at the beginning of the next block.",
        [unmarked(1), answered(1), settings((HEADER_TABLE_SIZE, 0)), lambda peer: peer.until(
            lambda: peer.acknowledged == 2, "the acknowledgement"), ask(3)], answer(stream=3), reaches="whole"),
    Row("7541 4.2", "a table made smaller and larger at once", "The smallest maximum of the interval MUST be signalled.",
        [unmarked(1), answered(1), settings((HEADER_TABLE_SIZE, 0)) + settings((HEADER_TABLE_SIZE, 4_096)), lambda peer: peer.until(
            lambda: peer.acknowledged == 3, "the acknowledgements"), ask(3)], answer(stream=3), reaches="whole"),
    Row("7541 4.2", "a large table", "The encoder can choose to use less than the limit.", [ask(1), answered(1), unmarked(3)],
        answer(stream=3), ((HEADER_TABLE_SIZE, 65_536),), "whole"),
    Row("7541 7.1.3", "ids are not indexed", "An encoder decides by what repeats: an answer's own id does not.",
        lambda peer: answers_in_a_row(peer), well),
]


def answers_in_a_row(peer):
    """Twenty answers, whose blocks name nothing but what repeats in the table."""
    for stream in range(1, 41, 2):
        peer.send(unmarked(stream))
        peer.answer(stream)
    names = [bytes(name) for name, _ in peer.decoder.header_table.dynamic_entries]
    # An entry lends its name to later ones; one for each name is enough for that. A date holds for a second.
    ids = [name for name in names if name.endswith(b"request-id")]
    assert len(ids) == len(set(ids)) and names.count(b"date") < 10, names


ROWS = [*WRONG, *GOOD, *ENCODER]
