"""The borrowed parser under any bytes, in any pieces."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.websocket.deflate import negotiate_deflate
from interface_server.websocket.frame_parser import FrameParser, ParserPool
from interface_server.websocket.frames import BadFrame, whole_message
from tests.support.websocket_server import client_frame

Heard = list[tuple[str, bytes, bool]]


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []

    def message_received(self, payload: bytes, binary: bool) -> None:
        self.heard.append(("message", payload, binary))

    def ping_received(self, payload: bytes) -> None:
        self.heard.append(("ping", payload, True))

    def pong_received(self) -> None:
        self.heard.append(("pong", b"", True))

    def close_received(self, payload: bytes) -> None:
        self.heard.append(("close", payload, True))


def read(pieces: list[bytes], offers: bytes = b"", limit: int = 2000) -> tuple[Heard, int | None]:
    """What is heard of `pieces`, and the code of the failure."""
    ear, agreed = Ear(), negotiate_deflate(offers)
    parser = ParserPool(limit).acquire(ear, agreed[0] if agreed else None)
    try:
        for piece in pieces:
            parser.receive_data(piece)
    except BadFrame as bad:
        return ear.heard, bad.code
    return ear.heard, None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


frames = st.builds(
    client_frame,
    st.sampled_from((0, 1, 2, 8, 9, 10, 3)),
    st.one_of(st.binary(max_size=8), st.binary(min_size=100, max_size=300)),
    fin=st.booleans(),
    rsv=st.sampled_from((0, 0, 0, 4)),
)
streams = st.one_of(st.binary(max_size=400), st.lists(frames, max_size=6).map(b"".join))


@given(streams, st.lists(st.integers(0, 5000), max_size=5), st.sampled_from((b"", b"permessage-deflate")))
def test_any_bytes_in_any_pieces_mean_the_same_and_fail_only_with_a_close_code(
    data: bytes, places: list[int], offers: bytes
) -> None:
    """P12. No sequence of bytes raises anything else, and none depends on how it was cut by the network."""
    heard, code = read([data], offers)
    assert (heard, code) == read(cut(data, places), offers)
    assert code in (None, 1002, 1007, 1009)


reads = st.one_of(
    streams,
    st.builds(client_frame, st.sampled_from((1, 2)), st.binary(max_size=300)),
    st.builds(
        lambda head, rest: bytes(head) + rest, st.tuples(st.sampled_from((0x81, 0x82)), st.integers(0, 255)), streams
    ),
)


@given(reads, st.sampled_from((0, 20, 2000)), st.sampled_from((b"", b"permessage-deflate")))
def test_what_is_taken_without_the_parser_is_what_the_parser_would_read(data: bytes, limit: int, offers: bytes) -> None:
    """P12. All of the read is that one message, whether the socket compresses or not."""
    message = whole_message(data, limit)
    if message is not None:
        assert read([data], offers, limit) == ([("message", *message)], None)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000])
def test_most_messages_need_no_parser(size: int) -> None:
    payload = bytes(range(250)) * 4
    frame = client_frame(1, payload[:size])
    assert whole_message(frame, 1000) == whole_message(frame, 0) == (payload[:size], False)
    assert whole_message(client_frame(2, payload[:size]), 1000) == (payload[:size], True)
    assert whole_message(frame[:-1], 1000) is whole_message(frame + b"x", 1000) is None


@pytest.mark.parametrize(
    ("why", "data"),
    {
        "close": client_frame(8),
        "ping": client_frame(9, b"x"),
        "continued": client_frame(0, b"x"),
        "a first part": client_frame(1, b"x", fin=False),
        "compressed": client_frame(1, b"x", rsv=4),
        "too big": client_frame(1, bytes(101)),
        "not masked": client_frame(1, b"hello", masked=False),
        "a length of 16 bits for 1": b"\x81\xfe\x00\x01maskx",
        "a length of 64 bits": b"\x81\xff" + bytes(131),
        "a part of a head": b"\x81",
    }.items(),
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_all_else_is_for_the_parser(why: str, data: bytes) -> None:
    assert whole_message(data, 100) is None, why


@given(st.binary(max_size=1500), st.booleans())
def test_a_masked_payload_is_read_as_it_was_meant(payload: bytes, final: bool) -> None:
    heard, code = read([client_frame(2, payload, fin=final)] + ([] if final else [client_frame(0, b"!")]))
    assert (heard, code) == ([("message", payload if final else payload + b"!", True)], None)


def test_a_parser_comes_back_clean_and_is_lent_again() -> None:
    pool = ParserPool(2000)
    first, second = Ear(), Ear()
    agreed = negotiate_deflate(b"permessage-deflate")
    assert agreed is not None
    parser = pool.acquire(first, agreed[0])
    assert isinstance(parser, FrameParser) and parser.applyMask
    pool.release(parser)
    assert pool.acquire(second, None) is parser
    parser.receive_data(client_frame(1, b"hello"))
    assert first.heard == [] and second.heard == [("message", b"hello", False)]
    assert parser.between_messages()


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
def test_a_reserved_bit_is_an_error_unless_it_says_that_a_message_is_compressed(rsv: int, opcode: int) -> None:
    """P12. RFC 6455, 5.2; RFC 7692, 6: never on a control frame or a continuation."""
    begun = [client_frame(2, b"a", fin=False)] if opcode == 0 else []
    frame = client_frame(opcode, b"\x03\xe8" if opcode == 8 else b"", rsv=rsv)
    assert read([*begun, frame]) == ([], 1002)
    compressed = rsv == 4 and opcode in (1, 2)
    assert read([*begun, frame], b"permessage-deflate")[1] == (None if compressed else 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_is_an_error(opcode: int) -> None:
    """P12. RFC 6455, 5.2."""
    assert read([client_frame(opcode)]) == ([], 1002)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\x82\xfe\x00\x7d", 1002),
        (b"\x82\xff" + (65_535).to_bytes(8, "big"), 1002),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big"), 1002),
        (b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big"), 1009),
        (b"\x89\xfe\x00\x7e", 1002),
    ],
    ids=["two bytes for 125", "eight for 65 535", "2^63", "2^63 - 1", "a ping of 126"],
)
def test_a_length_is_said_in_its_shortest_form_and_within_limits(head: bytes, code: int) -> None:
    """P12. RFC 6455, 5.2 and 5.5."""
    assert read([head + bytes(4)]) == ([], code)


FRAGMENTS = {"empty": b"", "of two bytes": b"ab"}


@pytest.mark.parametrize("part", FRAGMENTS.values(), ids=FRAGMENTS)
def test_a_message_in_many_fragments_takes_hardly_more_than_its_bytes(part: bytes) -> None:
    """P5. Fragments may be small or empty, and there may be any number of empty ones."""
    parser = ParserPool(100_000).acquire(Ear(), None)
    many = client_frame(0, part, fin=False) * 1000
    parser.receive_data(client_frame(2, part, fin=False))
    tracemalloc.start()
    try:
        for _ in range(40):
            parser.receive_data(many)
        assert tracemalloc.get_traced_memory()[0] < 2 * 40_000 * len(part) + 10_000
    finally:
        tracemalloc.stop()
    assert isinstance(parser.listener, Ear)
    parser.receive_data(client_frame(0, b"!"))
    assert parser.listener.heard == [("message", part * 40_001 + b"!", True)]


def test_a_frame_in_many_reads_takes_hardly_more_than_its_bytes() -> None:
    """P5. Its client decides how the network cuts it."""
    parser, payload = ParserPool(100_000).acquire(Ear(), None), bytes(range(200)) * 400
    frame = client_frame(2, payload)
    parser.receive_data(frame[:20])
    tracemalloc.start()
    try:
        for place in range(20, len(frame) - 2, 2):
            parser.receive_data(frame[place : place + 2])
        assert tracemalloc.get_traced_memory()[0] < 2 * len(payload)
    finally:
        tracemalloc.stop()
    parser.receive_data(frame[-2:])
    assert isinstance(parser.listener, Ear) and parser.listener.heard == [("message", payload, True)]


@pytest.mark.parametrize("size", [8192, 8193, 8194, 9000])
def test_a_message_that_inflates_to_a_little_more_than_the_limit_is_refused_and_not_cut(size: int) -> None:
    """P12. The end of a run of equal bytes may wait inside of zlib when that stops at a limit."""
    compressor = zlib.compressobj(1, wbits=-15)
    payload = (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    heard, code = read([client_frame(2, payload, rsv=4)], b"permessage-deflate", limit=8192)
    assert (heard, code) == (([("message", bytes(size), True)], None) if size == 8192 else ([], 1009))
