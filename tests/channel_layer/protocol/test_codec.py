"""Batches of packets: bytes in, packets or a ProtocolError out."""

from __future__ import annotations

from hypothesis import given
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
