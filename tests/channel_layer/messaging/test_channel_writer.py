"""Whether a script call of a channel's writer is due or under way. What it sends: tests/channel_layer/redis/test_managed_connection.py."""

from __future__ import annotations

import asyncio

import pytest

from channel_layer.messaging.channel_writer import (
    IDLE,
    ON_ANSWER,
    ON_CONNECTED,
    ON_NOTHING_SENT,
    ON_SENT,
    ON_WAITING,
    SCHEDULED,
    UNDER_WAY,
    ChannelLimits,
    ChannelWriter,
    Flush,
    Outcome,
)
from channel_layer.protocol.illegal_move import IllegalMove
from tests.support.node_parts import context

LIMITS = ChannelLimits(100, 10_000, 60_000)


def test_a_flush_is_due_or_under_way_and_never_both() -> None:
    """P4. Nothing is scheduled before the answer of the call that is under way: what comes meanwhile gathers."""
    assert (ON_WAITING, ON_SENT) == ({IDLE: SCHEDULED}, {SCHEDULED: UNDER_WAY})


def test_a_flush_of_a_state_that_sends_nothing_is_an_error() -> None:
    """Only what is scheduled is sent, or found to be nothing."""
    for moves in (ON_SENT, ON_NOTHING_SENT):
        assert set(Flush) - set(moves) == {IDLE, UNDER_WAY}


def test_an_answer_that_comes_late_moves_nothing() -> None:
    """A new connection has ended its call already, or another call is due."""
    for moves in (ON_ANSWER, ON_CONNECTED):
        assert moves == {state: IDLE if state is UNDER_WAY else state for state in Flush}


async def test_a_flush_that_is_not_scheduled_raises() -> None:
    """An illegal move is an error in this program, and writes no state."""
    writer = ChannelWriter(context("redis://127.0.0.1:1"), "http.request", LIMITS)
    with pytest.raises(IllegalMove, match="while IDLE"):
        writer._flush()
    assert writer.idle


class Recorded:
    """Keeps the outcomes of its opens."""

    def __init__(self) -> None:
        self.outcomes: list[bytes | Outcome] = []

    def is_pending(self, epoch: int) -> bool:
        return epoch > 0

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        self.outcomes.append(outcome)


async def test_a_writer_without_redis_is_idle_once_it_has_refused_what_was_new() -> None:
    """A connection that is requeued waits; a new one fails at once."""
    writer = ChannelWriter(context("redis://127.0.0.1:1"), "http.request", LIMITS)
    assert writer.idle
    listener = Recorded()
    for epoch in (0, 1, 1):
        writer.open(b"packed", listener, epoch)
    assert not writer.idle
    await turn_of_the_loop()
    assert listener.outcomes == [Outcome.UNAVAILABLE] * 2 and writer.idle
    writer.open(b"packed", listener, 2)
    await turn_of_the_loop()
    assert len(listener.outcomes) == 2 and not writer.idle


async def turn_of_the_loop() -> None:
    """What was scheduled with `call_soon` before this is done afterwards."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned
