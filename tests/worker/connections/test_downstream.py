"""Who owns an adopted connection: every move by the table, at a worker whose node is not connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from channel_layer.messaging.entry import Entry
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack, unpack
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.packets import CLOSE, DATA, HANDOFF, Close, open_
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, respond, scope_of
from worker.asgi.http_state import PART_SIZE_BYTES_MAX
from worker.connections.dispatcher import Dispatcher
from worker.connections.downstream import (
    AFTER_COMPLETION,
    AFTER_CREDIT,
    MOVES,
    PACKET_SIZE_BYTES,
    DownstreamConnection,
    FirstCredit,
    Ownership,
    Release,
    ownership_after,
)
from worker.settings import WorkerSettings

OWNED, HANDED_OFF, OVER = Ownership
COMPLETED, CLOSED, HAND_OFF, DISCONNECTED = Release
KEY = ("interface.0123456789ab", 7, 1)
WINDOW = 500
ENTRY = Entry(b"1-0", 100, KEY, [*open_(7, 1, [], b"", False, 1000, 30_000, False, "era", {"state": 5})])

#: By the call that makes the move.
CALLS: dict[Release, Callable[[DownstreamConnection], None]] = {
    COMPLETED: DownstreamConnection.complete,
    CLOSED: lambda downstream: downstream.close(Close.FINISHED),
    HAND_OFF: DownstreamConnection.hand_off,
    DISCONNECTED: lambda downstream: downstream.disconnect(1001, "left"),
}
LEGAL = [(before, release, after) for before, moves in MOVES.items() for release, after in moves.items()]
ILLEGAL = [(before, release) for before in Ownership for release in Release if release not in MOVES[before]]


def adopt(dispatcher: Dispatcher, entry: Entry = ENTRY) -> DownstreamConnection:
    return dispatcher.registry.adopt(entry.key, entry.packet, dispatcher.registry.budget.grant(1, WINDOW))


@contextmanager
def adopted(settings: RedisSettings, host: RecordedHost, kind: str = "websocket") -> Iterator[Any]:
    """A dispatcher that is not started, and a connection of its registry."""
    dispatcher = Dispatcher(WorkerSettings(redis=settings), host, Counter())
    downstream = adopt(dispatcher)
    downstream.start(host, scope_of(kind), b"", False)
    yield dispatcher, downstream
    assert dispatcher.registry.budget.granted_bytes == WINDOW * len(dispatcher.downstreams)


def to(downstream: DownstreamConnection, ownership: Ownership) -> None:
    if ownership is HANDED_OFF:
        downstream.hand_off()
    elif ownership is OVER:
        downstream.complete()


def posted(dispatcher: Dispatcher) -> list[Any]:
    destination = dispatcher.node._outbox._destinations.get(KEY[0])
    waiting = destination.waiting if destination is not None else []
    return [unpack(each if isinstance(each, bytes) else b"".join(each.pieces)) for each in waiting]


def test_the_table_names_three_moves_that_end_and_one_that_asks() -> None:
    """An ownership that is over is so for good; what comes after that is late, and changes nothing."""
    assert ILLEGAL == [(HANDED_OFF, COMPLETED), (HANDED_OFF, HAND_OFF)]
    assert [after for before, _, after in LEGAL if before is OVER] == [OVER] * len(Release)
    assert {after for before, _, after in LEGAL if before is HANDED_OFF} == {HANDED_OFF, OVER}
    assert AFTER_COMPLETION is ownership_after(OWNED, COMPLETED) is OVER


@pytest.mark.parametrize(("before", "release"), ILLEGAL)
async def test_an_illegal_release_raises_and_changes_nothing(
    redis_settings: RedisSettings, before: Ownership, release: Release
) -> None:
    """A mistake of ours is seen where it is made."""
    with pytest.raises(IllegalMove, match=f"{release.name} while {before.name}"):
        ownership_after(before, release)
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        to(downstream, before)
        sent = posted(dispatcher)
        with pytest.raises(IllegalMove):
            CALLS[release](downstream)
        assert downstream.ownership is before
        assert posted(dispatcher) == sent


@pytest.mark.parametrize(("before", "release", "after"), LEGAL)
async def test_each_legal_release_leads_where_the_table_says(
    redis_settings: RedisSettings, before: Ownership, release: Release, after: Ownership
) -> None:
    """P2. A connection that is over is no longer among those of its worker, and its window is given back once."""
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        to(downstream, before)
        sent = posted(dispatcher)
        CALLS[release](downstream)
        assert downstream.ownership is after
        assert (downstream.instance is None) == (after is OVER)
        assert (dispatcher.downstreams == []) == (after is OVER)
        if before is not OWNED:
            assert posted(dispatcher) == sent, "what is late sends nothing"


async def test_a_late_release_leaves_a_connection_with_the_same_key_alone(redis_settings: RedisSettings) -> None:
    """P2. A release of what is over already takes nothing from the registry."""
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        downstream.complete()
        other = adopt(dispatcher)
        for call in CALLS.values():
            call(downstream)
        assert dispatcher.downstreams == [other]
        other.complete()


async def test_what_was_sent_leaves_before_the_end(redis_settings: RedisSettings) -> None:
    """P1. Whatever ends it: the events of this turn come first."""
    for release, kinds in ((COMPLETED, [DATA]), (CLOSED, [DATA, CLOSE]), (HAND_OFF, [DATA, HANDOFF])):
        with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
            downstream.send({"type": "websocket.send", "text": "last"}, 68)
            CALLS[release](downstream)
            downstream.send({"type": "websocket.send", "text": "too late"}, 72)
            assert [packet[0] for packet in posted(dispatcher)] == kinds


async def test_large_events_of_one_turn_travel_together_in_packets_of_a_bounded_size(
    redis_settings: RedisSettings,
) -> None:
    """P1. Each packet costs both processes the same, whatever its size; and each event that was sent is in one of them, in order."""
    size_bytes = PART_SIZE_BYTES_MAX + EVENT_OVERHEAD_BYTES
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        for number in range(20):
            downstream.send({"type": "x", "body": bytes([number]) * PART_SIZE_BYTES_MAX}, size_bytes)
        downstream.complete()
        packets_of_it = posted(dispatcher)
        assert [len(packet[4]) for packet in packets_of_it] == [8, 8, 4]
        assert [event["body"][0] for packet in packets_of_it for event in packet[4]] == list(range(20))
        assert [packet[3] for packet in packets_of_it] == [1, 2, 3]
        assert max(len(pack(packet)) for packet in packets_of_it) < PACKET_SIZE_BYTES + PART_SIZE_BYTES_MAX


async def test_a_response_that_is_complete_at_once_leaves_no_cycle(redis_settings: RedisSettings) -> None:
    """An instance whose first step is its last: connection and instance do not hold each other."""
    host = RecordedHost(play=respond)
    with adopted(redis_settings, host, "http") as (dispatcher, downstream):
        assert downstream.ownership is OVER and downstream.instance is None
        assert dispatcher.downstreams == []


async def test_the_first_credit_is_sent_once_and_repeated_only_after_it_was_sent(redis_settings: RedisSettings) -> None:
    """P5. A client that waits for status 100 gets it when its application asks for the body, and by no `sync` before."""
    packet = [*open_(7, 1, [], b"", True, 1000, 30_000, True, "era")]
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        downstream.complete()
        waiting = adopt(dispatcher, Entry(b"1-0", 100, KEY, packet))
        assert waiting.credit_again() is None
        for _ in range(2):
            waiting.request_body()
        assert posted(dispatcher) == [[*packets.credit(7, 1, WINDOW, 0)]]
        assert waiting.credit_again() == packets.credit(7, 1, WINDOW, 0)
        waiting.complete()
        ordinary = adopt(dispatcher)
        ordinary.request_body()
        assert ordinary.credit_again() is None and len(posted(dispatcher)) == 1
        ordinary.complete()
    assert set(AFTER_CREDIT) == set(FirstCredit) and set(AFTER_CREDIT.values()) == {FirstCredit.SENT}


async def test_a_connection_reads_its_facts_from_open(redis_settings: RedisSettings) -> None:
    """PROTOCOL.md, "Packets". An `open` may end before `resume`."""
    with adopted(redis_settings, RecordedHost()) as (dispatcher, downstream):
        assert (downstream.key, downstream.number, downstream.epoch) == (KEY, 7, 1)
        assert (downstream.outgoing.allowed, downstream.incoming.window) == (1000, WINDOW)
        assert downstream.resume == {"state": 5}
        downstream.complete()
        short = adopt(dispatcher, Entry(b"1-0", 100, KEY, ENTRY.packet[:10]))
        assert short.resume is None
        short.complete()
