"""One end of a connection: sequence numbers, credit and `sync`, as both ends keep them. P1, P2, P5."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layer.protocol import packets
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.link import INTERFACE_SERVER, WORKER, End, Link, Order
from channel_layer.protocol.packets import Cancel, Close


def link() -> Link:
    return Link(7, 1, Outgoing(100), Incoming(1000))


def test_numbers_begin_with_one_and_each_packet_has_the_next() -> None:
    """P1. In each direction, and anew in each epoch."""
    end = link()
    assert [end.data([]) for _ in range(2)] == [packets.data(7, 1, 1, []), packets.data(7, 1, 2, [])]
    end.order(1)
    end.begin_epoch(Outgoing(0), Incoming(1000))
    assert (end.epoch, end.sent, end.received) == (2, 0, 0)
    assert end.data([]) == packets.data(7, 2, 1, [])


@given(st.lists(st.integers(1, 9), max_size=30))
def test_each_packet_is_taken_once_and_none_is_missed_unnoticed(numbers: list[int]) -> None:
    """P1. However packets are repeated or lost: those that are NEXT are 1, 2, 3 …, and LOST is said before one is left out."""
    end, taken = link(), list[int]()
    for number in numbers:
        order = end.order(number)
        if order is Order.NEXT:
            taken.append(number)
        assert (order is Order.LOST) == (number > len(taken))
        assert end.received == len(taken)
    assert taken == list(range(1, len(taken) + 1))


def test_a_sync_shows_what_the_other_end_has_not_got() -> None:
    """P1. Fewer received than sent is a loss; the same number, or a repeated packet, is none."""
    sender, receiver = link(), link()
    for _ in range(3):
        sender.data([])
    for number in (1, 2, 2):
        receiver.order(number)
    (_, _, _, count, wants_answer), _ = sender.resync(wants_answer=True)
    assert (count, wants_answer) == (3, True)
    assert receiver.has_lost(count)
    receiver.order(3)
    assert not receiver.has_lost(count)


def test_the_last_credit_is_sent_again_with_each_sync() -> None:
    """P5. While the peer waits for a credit that was lost no other follows it; a total may be repeated."""
    end = link()
    end.order(1)
    assert end.resync(wants_answer=False) == [packets.sync(7, 1, 0, False), packets.credit(7, 1, 1000, 1)]


@pytest.mark.interpreted
def test_an_end_that_has_sent_no_credit_sends_none_again() -> None:
    """The first credit of a worker says that its application has asked for the body: a repeated one may not."""

    class Silent(Link):
        __slots__ = ()

        def credit_again(self) -> None:
            """There was none."""

    assert Silent(7, 1, Outgoing(0), Incoming(1)).resync(wants_answer=True) == [packets.sync(7, 1, 0, True)]


@pytest.mark.parametrize(
    ("end", "packet", "answer"),
    [
        (INTERFACE_SERVER, packets.data(7, 2, 1, []), packets.cancel(7, 2, Cancel.UNKNOWN)),
        (INTERFACE_SERVER, packets.adopted(7, 2, 100), packets.cancel(7, 2, Cancel.UNKNOWN)),
        (INTERFACE_SERVER, packets.close(7, 2, Close.FINISHED), None),
        (INTERFACE_SERVER, packets.refused(7, 2, 0), None),
        (WORKER, packets.data(7, 2, 1, []), packets.close(7, 2, Close.UNKNOWN)),
        (WORKER, packets.sync(7, 2, 1, True), packets.close(7, 2, Close.UNKNOWN)),
        (WORKER, packets.cancel(7, 2, Cancel.LEFT), None),
    ],
)
def test_the_sender_of_a_stale_packet_gives_its_connection_up(end: End, packet: packets.Packet, answer: Any) -> None:
    """P2. A sender that has given it up already needs no answer, and two ends do not answer each other for ever."""
    assert end.answer_to_stale(packet) == answer
    if answer is not None:
        other = WORKER if end is INTERFACE_SERVER else INTERFACE_SERVER
        assert other.answer_to_stale(answer) is None


@pytest.mark.parametrize(
    ("end", "kind", "number", "damaged"),
    [
        (INTERFACE_SERVER, packets.DATA, 7, 7),
        (INTERFACE_SERVER, packets.HANDOFF, 7, 7),
        (INTERFACE_SERVER, packets.SEND, 7, None),
        (INTERFACE_SERVER, packets.CANCEL, 7, None),
        (INTERFACE_SERVER, packets.DATA, "7", None),
        (INTERFACE_SERVER, packets.DATA, [], None),
        (WORKER, packets.CANCEL, 7, 7),
        (WORKER, packets.CLOSE, 7, None),
        (WORKER, packets.CREDIT, True, None),
    ],
)
def test_a_malformed_packet_damages_the_connection_that_cannot_go_on_without_it(
    end: End, kind: int, number: object, damaged: int | None
) -> None:
    """P12. What third parties send, or what names no connection, damages none."""
    assert end.connection_of([kind, number, 1, "nonsense"]) == damaged
