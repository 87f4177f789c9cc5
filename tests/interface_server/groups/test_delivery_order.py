"""Pushes and packets that wait for each other: in which order they go on, and what bounds the wait. P1, P5."""

from __future__ import annotations

from dataclasses import dataclass

from channel_layer.protocol import packets
from interface_server.groups.delivery_order import (
    CHECKS_MAX,
    HELD_OVERHEAD_BYTES,
    Held,
    is_own,
    is_placed,
    may_go,
    may_take,
)
from interface_server.groups.interfaces import PushedMessage

NUMBER, EPOCH, OWNER = 7, 2, "worker.1"


@dataclass
class Recipient:
    """A connection as far as the order looks at it."""

    number: int = NUMBER
    epoch: int = EPOCH
    placed: int = 0
    came: int = 0
    takes_pushes: bool = True
    kind: str = "websocket"
    received: int = 0


def pushed(text: str, count: int = 0, epoch: int = EPOCH, number: int = NUMBER) -> PushedMessage:
    """By a group; with a count: published by the instance of `number` in `epoch`."""
    origin = (number, epoch, count) if count else None
    return PushedMessage({"type": "websocket.send", "text": text}, "chat", origin)


def data(sequence: int) -> list[object]:
    return list(packets.data(NUMBER, EPOCH, sequence, [{"type": "websocket.send", "text": "x"}]))


def all_pushes(held: Held, recipient: Recipient) -> list[str]:
    """Everything that may go now."""
    found = []
    while (push := held.next_push(recipient)) is not None:
        found.append(push.event["text"])
    return found


def test_a_message_of_the_instance_itself_goes_when_all_that_it_said_before_has_come() -> None:
    recipient, own = Recipient(), pushed("own", count=2)
    assert is_own(recipient, own) and not is_placed(recipient, own) and not may_go(recipient, own)
    recipient.placed = 2
    assert is_placed(recipient, own) and may_go(recipient, own)


def test_messages_of_others_and_of_earlier_instances_wait_for_no_place() -> None:
    recipient = Recipient()
    for other in (pushed("x"), pushed("x", count=9, epoch=EPOCH - 1), pushed("x", count=9, number=NUMBER + 1)):
        assert not is_own(recipient, other) and may_go(recipient, other)


def test_nothing_is_pushed_before_the_accept() -> None:
    recipient, held = Recipient(takes_pushes=False), Held()
    assert not may_go(recipient, pushed("x"))
    held.keep_push(pushed("early"))
    assert all_pushes(held, recipient) == []
    recipient.takes_pushes = True
    assert all_pushes(held, recipient) == ["early"]


def test_a_message_without_its_place_keeps_all_later_ones_of_groups_behind_it() -> None:
    """P1. All members hear a group in one order."""
    recipient, held = Recipient(), Held()
    for push in (pushed("before"), pushed("own", count=1), pushed("after")):
        held.keep_push(push)
    assert all_pushes(held, recipient) == ["before"]
    recipient.placed = 1
    assert all_pushes(held, recipient) == ["own", "after"]
    assert not held


def test_what_was_sent_to_the_reply_channel_waits_for_no_place() -> None:
    recipient, held = Recipient(), Held()
    held.keep_push(pushed("own", count=1))
    held.keep_sent(pushed("sent"))
    assert all_pushes(held, recipient) == ["sent"]


def test_packets_wait_for_the_message_that_was_published_before_them() -> None:
    """P1. They go on in their own order."""
    recipient, held = Recipient(), Held()
    held.wait_for(3)
    for sequence in (4, 5):
        held.keep_packet(OWNER, data(sequence))
    recipient.came = 2
    assert held.next_packet(recipient) is None
    recipient.came = 3
    assert [held.next_packet(recipient) for _ in range(3)] == [(OWNER, data(4)), (OWNER, data(5)), None]
    assert not held


def test_the_wait_of_either_side_has_an_end_and_that_for_the_accept_has_none() -> None:
    """P5. Counted in checks, for a loop that was blocked has looked once."""
    packets_wait, push_waits, accept_missing = Held(), Held(), Held()
    packets_wait.wait_for(1)
    push_waits.keep_push(pushed("own", count=1))
    accept_missing.keep_sent(pushed("early"))
    for _ in range(CHECKS_MAX):
        assert not any(held.overdue() for held in (packets_wait, push_waits, accept_missing))
    assert [held.overdue() for held in (packets_wait, push_waits, accept_missing)] == [True, True, False]


def test_after_giving_up_everything_goes() -> None:
    recipient, held = Recipient(), Held()
    held.wait_for(4)
    held.keep_packet(OWNER, data(1))
    held.keep_push(pushed("own", count=5))
    held.give_up(recipient)
    assert recipient.came == 4
    assert held.next_packet(recipient) == (OWNER, data(1))
    assert all_pushes(held, recipient) == ["own"]


def test_the_bytes_that_wait_are_counted_and_all_given_back() -> None:
    """P5. Each with its overhead; what credit bounds already is not counted again."""
    recipient, held = Recipient(), Held()
    held.keep_push(pushed("12345"))
    held.keep_sent(pushed("123"))
    assert held.size_bytes == (64 + 5) + (64 + 3) + 2 * HELD_OVERHEAD_BYTES
    held.keep_packet(OWNER, data(1))
    assert held.size_bytes == (64 + 5) + (64 + 3) + 3 * HELD_OVERHEAD_BYTES
    all_pushes(held, recipient)
    held.next_packet(recipient)
    assert held.size_bytes == 0


def test_at_the_end_questions_are_left_and_pushes_are_counted_as_dropped() -> None:
    """Whoever has asked to join gets an answer."""
    recipient, held = Recipient(), Held()
    held.wait_for(9)
    question = list(packets.join(NUMBER, EPOCH, "chat", 11))
    for packet in (data(1), question, data(2)):
        held.keep_packet(OWNER, packet)
    held.keep_push(pushed("own", count=1))
    held.keep_sent(pushed("sent"))
    assert held.end() == 2
    assert held.next_packet(recipient) == (OWNER, question)
    assert held.next_packet(recipient) is None


def test_what_cannot_be_written_any_more_is_removed_with_its_bytes() -> None:
    """P5. The owner's packets stay."""
    recipient, held = Recipient(), Held()
    held.keep_push(pushed("own", count=1))
    held.keep_sent(pushed("sent"))
    held.keep_packet(OWNER, data(1))
    assert [push.event["text"] for push in held.remove_pushes()] == ["sent", "own"]
    assert held.size_bytes == HELD_OVERHEAD_BYTES and held.next_packet(recipient) == (OWNER, data(1))


def test_a_message_is_for_one_protocol_and_an_exchange_shows_by_its_response_whether_it_takes_any() -> None:
    """P12. Before that it may still become an event stream."""
    message, event = pushed("x"), PushedMessage({"type": "http.response.body", "body": b"x", "more_body": True})
    for takes in (True, False):
        websocket = Recipient(takes_pushes=takes)
        assert may_take(websocket, message) and not may_take(websocket, event)
        exchange = Recipient(takes_pushes=takes, kind="http", received=int(takes))
        assert may_take(exchange, event) and not may_take(exchange, message)
    assert not may_take(Recipient(takes_pushes=False, kind="http", received=1), event)
