"""Batches of packets: bytes in, packets or a ProtocolError out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_layer.errors import ProtocolError
from channel_layer.protocol import codec, packets


def test_a_batch_is_put_together_from_packed_packets() -> None:
    """A packet is packed once, may wait, and may be sent again."""
    sent = [packets.data(7, 1, number, [{"type": "x"}]) for number in range(300)]
    batch = codec.join_batch(codec.batch_head("worker.a"), [codec.pack(packet) for packet in sent])
    sender, received = codec.unpack_batch(batch)
    assert sender == "worker.a"
    assert [tuple(packet) for packet in received] == sent


sizes = st.sampled_from([0, 1, 255, codec.LONG_SIZE_BYTES_MIN - 1, codec.LONG_SIZE_BYTES_MIN])
events = st.one_of(
    st.builds(lambda size, more: {"type": "x", "body": bytes(size), "more_body": more}, sizes, st.booleans()),
    st.builds(lambda text: {"type": "y", "text": text}, st.text(max_size=9)),
    st.builds(lambda one, other: {"one": bytes(one), "other": bytes(other)}, sizes, sizes),
    st.builds(lambda count: {str(key): b"x" * 20_000 for key in range(count)}, st.integers(14, 18)),
)


@settings(deadline=None)  # up to a megabyte
@given(st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_batch_in_pieces_is_the_same_to_its_reader(packets_of: list[list[dict[str, object]]]) -> None:
    """P1. Whatever is long or short in it."""
    sent = [packets.data(7, 1, number, each) for number, each in enumerate(packets_of)]
    packed = [codec.pack_in_pieces(packet) for packet in sent]
    pieces = codec.batch_in_pieces(codec.batch_head("worker.a"), [*packed, codec.pack(packets.credit(7, 1, 5, 0))])
    *received, last = codec.unpack_batch(b"".join(pieces))[1]
    assert [tuple(packet) for packet in received] == sent
    assert tuple(last) == packets.credit(7, 1, 5, 0)
    for packet, each in zip(packed, sent, strict=True):
        assert len(codec.pack(each)) <= len(packet) <= len(codec.pack(each)) + 5 * len(each[4]) + 5


def test_a_long_body_is_not_copied_on_its_way_into_a_batch() -> None:
    """It is the very object that the application has sent; what is short beside it is joined."""
    body = b"x" * codec.LONG_SIZE_BYTES_MIN
    event = {"type": "http.response.body", "body": body, "more_body": True}
    long = codec.pack_in_pieces(packets.data(7, 1, 1, [event, {"type": "a"}, event]))
    pieces = codec.batch_in_pieces(codec.batch_head("w"), [b"\x90", long, b"\x90"])
    assert [piece is body for piece in pieces] == [False, True, False, True, False]
    short = codec.pack_in_pieces(packets.data(7, 1, 1, [{"type": "a", "body": body[:9_000]}]))
    assert isinstance(short, bytes)
    assert len(codec.batch_in_pieces(b"", [short, short])) == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_protocol_error(garbage: bytes) -> None:
    """P12. Nothing else comes out of the decoder."""
    try:
        codec.unpack_batch(garbage)
    except ProtocolError:
        pass


def test_a_longer_packet_is_of_a_later_version_and_its_tail_is_ignored() -> None:
    """One version back must go on working while processes are replaced."""
    batch = codec.join_batch(codec.batch_head("w"), [codec.pack((packets.CREDIT, 1, 1, 5, 0, "new field"))])
    assert codec.unpack_batch(batch)[1][0][:5] == [packets.CREDIT, 1, 1, 5, 0]


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda rest: codec.NUMBERED + rest)))
def test_any_bytes_that_are_published_are_a_message_or_a_protocol_error(garbage: bytes) -> None:
    """P12. With a number or without one."""
    number, packed = codec.split_publish(garbage)
    assert number is None or number >= 0
    try:
        codec.unpack(packed)
    except ProtocolError:
        pass


def test_what_is_published_with_a_number_is_one_array_of_two() -> None:
    """P10. Other readers need no rule of ours, and a message of an older process is a bare map."""
    event = {"type": "websocket.send", "text": "x"}
    content = codec.NUMBERED + (2**53).to_bytes(8, "big") + codec.pack(event)
    assert codec.unpack(content) == [2**53, event]
    number, packed = codec.split_publish(content)
    assert (number, codec.unpack(packed)) == (2**53, event)
    assert codec.split_publish(codec.pack(event)) == (None, codec.pack(event))


def test_a_packed_packet_names_its_connection() -> None:
    """The outbox asks for it when Redis has refused packets."""
    opening = codec.pack(packets.open_(300, 70_000, [b"scope"], b"x" * 60_000, False, 1, 1, False, "era", None, True))
    body = bytes(codec.LONG_SIZE_BYTES_MIN)
    long = codec.pack_in_pieces(packets.data(5, 2, 1, [{"type": "x", "body": body}]))
    kept = [packets.cancel(6, 3, packets.Cancel.LEFT), packets.joined("local", 0, 1, True), packets.invite(1, 2)]
    others = [long, *map(codec.pack, kept)]
    assert isinstance(long, codec.PackedInPieces)
    assert codec.connection_of_open(opening) == codec.connection_of_packet(opening) == (300, 70_000)
    assert [codec.connection_of_open(each) for each in others] == [None] * 4
    assert [codec.connection_of_packet(each) for each in others[:3]] == [(5, 2), (6, 3), ("local", 0)]
