"""Reads of counters, on a connection beside that of the subscriptions: what is under way was not missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from channel_layer.messaging.group_counters import GroupCounters
from channel_layer.messaging.group_sequence import COUNTER_TTL_MS, GroupSequences
from channel_layer.messaging.node_context import NodeContext
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import RedisConnection, connect
from channel_layer.redis.scripts import PUBLISH
from tests.support.facts import until
from tests.support.node_parts import Commands, context
from tests.support.redis_server import RedisServer


@dataclass
class Reader:
    """The counters of one process. Its markers are kept until a test lets them come."""

    context: NodeContext
    commands: Commands
    sequences: GroupSequences = field(default_factory=GroupSequences)
    missed: list[tuple[str, int]] = field(default_factory=list)
    markers: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counters = GroupCounters(
            self.context, self.commands, self.sequences, lambda group, missed: self.missed.append((group, missed))
        )

    def pushed(self, answer: Any) -> None:
        if answer[0] == b"message":
            self.markers.append(answer[2])

    async def publish(self) -> int:
        """The number of one message to the group."""
        connection, keys = self.commands.connection, self.context.keys
        assert connection is not None
        group = (keys.group_sequence("chat"), keys.group_channels("chat"))
        await PUBLISH.execute(connection, len(group), *group, keys.group("chat"), b"", COUNTER_TTL_MS)
        return int(await connection.execute("GET", keys.group_sequence("chat")))

    async def read(self) -> None:
        """What a confirmation begins, up to its answer."""
        self.counters.on_subscribed("chat")
        self.counters.on_subscribed("other")
        await until(lambda: not self.counters._unread and not self.counters._reading)


@pytest.fixture
async def reader(redis_server: RedisServer, prefix: str) -> AsyncIterator[Reader]:
    address = RedisAddress.parse(redis_server.url)
    commands = await connect(address)
    reader = Reader(context(redis_server.url, prefix=prefix), Commands(commands))
    subscribed = await connect(address, on_push=reader.pushed)
    subscribed.write("SUBSCRIBE", reader.context.keys.probe(reader.context.name))
    for group in ("chat", "other"):
        reader.sequences.follow(group)
    yield reader
    subscribed.close()
    commands.close()


def connection_of(reader: Reader) -> RedisConnection:
    assert reader.commands.connection is not None
    return reader.commands.connection


async def test_a_message_that_comes_before_the_marker_was_not_missed(reader: Reader) -> None:
    """P10. The counter has it already, and its reader would think it lost."""
    await reader.read()
    last = [await reader.publish() for _ in range(3)][-1]
    await reader.read()
    await until(lambda: reader.markers)
    assert reader.missed == []
    assert reader.sequences.on_message("chat", last - 1) == 1
    reader.counters.on_marker(reader.markers.pop())
    assert reader.missed == [("chat", 1)]
    await reader.read()
    assert (reader.markers, reader.missed) == ([], [("chat", 1)])


async def test_where_no_counter_is_ahead_no_marker_is_published(reader: Reader) -> None:
    """P10. A first subscription, and an interruption without a loss, cost one read."""
    await reader.publish()
    for _ in range(3):
        await reader.read()
    assert await connection_of(reader).execute("PUBSUB", "NUMSUB", reader.context.keys.probe(reader.context.name))
    assert (reader.markers, reader.missed) == ([], [])


async def test_what_was_not_read_or_not_marked_is_read_again(reader: Reader) -> None:
    """P9, P10. Commands and subscriptions are lost independently."""
    await reader.read()
    await reader.publish()
    connection = connection_of(reader)
    reader.commands.connection = None
    reader.counters.on_subscribed("chat")
    reader.counters.read()
    reader.commands.connection = connection
    reader.counters.read()
    reader.commands.connection = None  # its answer comes, and the marker has no connection
    await until(lambda: not reader.counters._reading)
    reader.commands.connection = connection
    reader.counters.read()
    await until(lambda: reader.markers)
    reader.counters.on_marker(reader.markers.pop())
    assert reader.missed == [("chat", 1)]


async def test_a_marker_of_a_lost_connection_settles_nothing(reader: Reader) -> None:
    """P10. Every group is confirmed again, and read again; a foreign marker means nothing either."""
    await reader.read()
    await reader.publish()
    await reader.read()
    await until(lambda: reader.markers)
    reader.counters.lost()
    for marker in (*reader.markers, b"", b"x"):
        reader.counters.on_marker(marker)
    assert reader.missed == []


async def test_a_group_that_was_left_and_joined_again_is_counted_from_its_second_subscription(reader: Reader) -> None:
    """P10. A read that was under way for the first one is of no use."""
    await reader.publish()
    reader.counters.on_subscribed("chat")
    reader.counters.read()
    reader.counters.forget("chat")
    reader.sequences.forget("chat")
    reader.sequences.follow("chat")
    await until(lambda: not reader.counters._unread)
    number = [await reader.publish() for _ in range(2)][-1]
    assert reader.sequences.on_message("chat", number) == 0
    assert reader.missed == []


async def test_something_else_in_the_place_of_a_counter_is_none(reader: Reader) -> None:
    """P12. Another program may write under our prefix."""
    key = reader.context.keys.group_sequence
    await connection_of(reader).execute("SET", key("chat"), "many", "PX", 60_000)
    await connection_of(reader).execute("HSET", key("other"), "a", "b")
    await reader.read()
    assert (reader.markers, reader.missed) == ([], [])
    await connection_of(reader).execute("DEL", key("chat"), key("other"))
