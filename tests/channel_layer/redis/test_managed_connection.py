"""A managed connection whose answers come late, not at all, or as errors: on a server that the test plays."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from channel_layer.application.capacities import LayerSettings
from channel_layer.errors import LayerUnavailable
from channel_layer.loop.loop_layer import LoopLayer
from channel_layer.messaging.channel_writer import ChannelLimits, ChannelWriter, Outcome
from channel_layer.messaging.inbox import Inbox
from channel_layer.messaging.outbox import Outbox
from channel_layer.messaging.pubsub import PubSub
from channel_layer.node import Node
from channel_layer.protocol.codec import pack
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.connection import KEEPALIVE
from channel_layer.redis.connection import RedisConnection, connect
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.settings import RedisSettings
from tests.support.facts import until
from tests.support.node_parts import Commands, RecordedObserver, context
from tests.support.scripted_redis import Caller, PlayedRedis, bulk, played_redis

SUBSCRIBED = b"*3\r\n" + bulk(b"subscribe") + bulk(b"p:group:0:g") + b":1\r\n"
MESSAGE = b"*3\r\n" + bulk(b"message") + bulk(b"p:group:0:g") + bulk(pack({"type": "note"}))
MADE = b"*2\r\n:1\r\n" + bulk(b"1-0")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[PlayedRedis]:
    async with played_redis(tmp_path) as played:
        yield played


@pytest.fixture
def observer() -> RecordedObserver:
    """Keeps the messages of groups that came."""
    return RecordedObserver()


@pytest.fixture
async def groups(redis: PlayedRedis, observer: RecordedObserver) -> AsyncIterator[PubSub]:
    groups = PubSub(context(redis.address.url), observer, Commands())
    await groups.start()
    yield groups
    await groups.close()


def inbox_of(redis: PlayedRedis) -> Inbox:
    return Inbox(context(redis.address.url), RecordedObserver())


async def test_who_joins_while_the_subscription_is_lost_is_told_when_it_stands_again(
    redis: PlayedRedis, groups: PubSub
) -> None:
    """P10. Add, then send, reaches: also if the group had members before the connection was lost."""
    first = groups.subscribe("g")
    await until(lambda: b"SUBSCRIBE" in redis.callers[0].names())
    redis.callers[0].say(SUBSCRIBED)
    await first
    redis.callers[0].hang_up()
    await until(lambda: len(redis.callers) == 2 and b"SUBSCRIBE" in redis.callers[1].names())
    second = groups.subscribe("g")
    assert not second.done()
    redis.callers[1].say(SUBSCRIBED)
    await second


async def test_a_confirmation_is_of_the_oldest_request(
    redis: PlayedRedis, groups: PubSub, observer: RecordedObserver
) -> None:
    """P10. Join, leave, join: the answer to the first is none to the last, between which nobody is subscribed."""
    first = groups.subscribe("g")
    groups.unsubscribe("g")
    last = groups.subscribe("g")
    await until(lambda: redis.callers[0].names().count(b"SUBSCRIBE") == 3)  # the first is for the news
    assert first.cancelled()
    redis.callers[0].say(SUBSCRIBED + MESSAGE)
    await until(lambda: observer.messages)
    assert not last.done()
    redis.callers[0].say(SUBSCRIBED)
    await last


async def test_the_confirmation_of_the_probe_is_none_of_a_group_that_is_called_as_its_process(
    redis: PlayedRedis, groups: PubSub, observer: RecordedObserver
) -> None:
    """P10. Both end in the same name, and mean another channel."""
    joined = groups.subscribe("interface.me")
    await until(lambda: redis.callers[0].names().count(b"SUBSCRIBE") == 2)
    redis.callers[0].say(b"*3\r\n" + bulk(b"subscribe") + bulk(b"p:probe:0:interface.me") + b":2\r\n" + MESSAGE)
    await until(lambda: observer.messages)
    assert not joined.done()


async def test_who_reads_up_to_what_was_lost_with_redis_does_not_wait_for_it(redis: PlayedRedis) -> None:
    """P6. A server that came back empty: what stood in the inbox then will never come, and deaths must go on being noticed."""
    redis.answers |= {b"EVALSHA": MADE, b"XREVRANGE": b"*1\r\n*2\r\n" + bulk(b"9-0") + b"*0\r\n"}
    inbox = inbox_of(redis)
    await inbox.start()
    other = await connect(redis.address)
    reading = asyncio.ensure_future(inbox.read_up(other))
    await until(lambda: b"XREVRANGE" in redis.callers[1].names())
    redis.callers[0].hang_up()
    await asyncio.wait_for(reading, 5)
    await inbox.close()
    other.close()


async def test_an_inbox_that_redis_refuses_to_make_is_told_to_whoever_starts(redis: PlayedRedis) -> None:
    """P12. A clear error instead of a wait without end."""
    redis.answers[b"EVALSHA"] = b"-OOM command not allowed\r\n"
    inbox = inbox_of(redis)
    with pytest.raises(LayerUnavailable, match="OOM"):
        await asyncio.wait_for(inbox.start(), 5)
    await inbox.close()


async def test_an_inbox_that_cannot_be_read_for_a_while_is_told_once(
    redis: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt has a connection of its own; neither their ends nor their refusals fill the log."""
    caplog.set_level(logging.INFO, "towpath")
    redis.answers |= {b"EVALSHA": MADE, b"XREAD": b"-OOM not now\r\n"}
    inbox = inbox_of(redis)
    await inbox.start()
    await until(lambda: len(redis.callers) == 4)
    assert caplog.messages == ["Redis refused to make or read the inbox: OOM not now"]
    await inbox.close()


async def test_a_connection_that_is_made_anew_on_purpose_is_no_news(
    redis: PlayedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """At each deploy readers end a read that waits. Only of what was lost, or does not come back, people are told."""
    caplog.set_level(logging.INFO, "towpath")
    connected: list[RedisConnection] = []
    link = ManagedConnection(redis.address, "channel x", connected.append)
    await link.start()
    link.renew()
    await until(lambda: len(connected) == 2)
    assert caplog.messages == []
    redis.callers[-1].hang_up()
    await until(lambda: len(connected) == 3)
    lost = "lost the connection to Redis (channel x): closed by Redis"
    assert caplog.messages == [lost, "connected to Redis again (channel x)"]
    del redis.answers[b"INFO"]
    link.renew()
    await until(lambda: len(caplog.messages) == 3)
    assert caplog.messages[2].startswith("lost the connection to Redis (channel x): ")
    await link.close()


async def test_a_link_comes_back_whatever_its_callers_make_of_the_loss(redis: PlayedRedis) -> None:
    """An error in one callback must not cut a process off from Redis for good."""

    def fails(_answer: object) -> None:
        raise RuntimeError("a bug")

    losses: list[str] = []
    connection = await connect(redis.address, lambda _connection: losses.append("lost"))
    connection.call(fails, "GET", "x")
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    redis.callers[0].hang_up()
    await until(lambda: losses)


async def test_the_loss_of_an_attempt_does_not_end_the_connection(redis: PlayedRedis) -> None:
    """P9. Each attempt reports its own loss, also one during the greeting: only that of the connection in use counts."""
    lost, downs = [], 0

    def down() -> None:
        nonlocal downs
        downs += 1

    link = ManagedConnection(redis.address, "commands", lambda _connection: None, down)
    await link.start()

    def on_lost(connection: RedisConnection) -> None:
        lost.append(connection)
        link._lost(connection)

    redis.rebuff = b"-ERR max number of clients reached\r\n"
    with pytest.raises(LayerUnavailable, match="max number"):
        await connect(redis.address, on_lost)
    await until(lambda: lost)
    assert link.connection is not None and link.connection.alive and not downs
    redis.rebuff = b""
    redis.callers[0].hang_up()
    await until(lambda: downs == 1 and link.connection is not None)
    await link.close()


class RecordedOutcomes:
    """All who want to be queued: what became of each, in order."""

    def __init__(self) -> None:
        self.outcomes: list[bytes | Outcome] = []

    def is_pending(self, epoch: int) -> bool:
        return True

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        self.outcomes.append(outcome)


async def test_who_sees_to_a_time_to_live_and_is_refused_sees_to_it_with_the_next_call(redis: PlayedRedis) -> None:
    """P11. Once a second is often enough, if it was done: a Redis that is out of memory has done nothing."""
    writer = ChannelWriter(context(redis.address.url), "http.request", ChannelLimits(100, 10_000, 60_000))
    connection = await connect(redis.address)
    writer.connected(connection)
    listener, caller = RecordedOutcomes(), redis.callers[0]
    for number, answer in enumerate([b"-OOM command not allowed\r\n", *[b"*1\r\n" + bulk(b"1-0")] * 2], 1):
        writer.open(b"packed", listener, 1)
        await until(lambda number=number: caller.names().count(b"EVALSHA") == number)
        caller.say(answer)
        await until(lambda number=number: len(listener.outcomes) == number)
    assert listener.outcomes == [Outcome.UNAVAILABLE, b"1-0", b"1-0"]
    assert [command[8] for command in caller.commands if command[0] == b"EVALSHA"] == [b"1", b"1", b"0"]
    connection.close()


async def test_the_outbox_forgets_those_to_whom_nothing_is_to_be_said(redis: PlayedRedis) -> None:
    """P5. Nodes come and go for months; what is kept for each is bounded by what is under way."""
    outbox = Outbox(context(redis.address.url, "worker.me"), lambda _: None, lambda *_: None)
    connection = await connect(redis.address)
    outbox.connected(connection)
    for number in range(100):
        outbox.post(f"interface.{number}", pack([5, 1, 1, 1, 1]))
    caller = redis.callers[0]
    await until(lambda: caller.names().count(b"XADD") == 100)
    outbox.drop_idle()
    assert not outbox.empty
    caller.say(bulk(b"1-1") * 100)
    await until(lambda: outbox.empty)
    assert len(outbox) == 100
    outbox.drop_idle()
    assert len(outbox) == 0
    connection.close()


class Nobody:
    """A host in which nothing happens."""

    def on_packets(self, sender: str, packets: list[list[object]]) -> None: ...
    def on_group_message(self, group: str, event: dict[str, object]) -> None: ...
    def on_messages_missed(self, group: str, missed: int) -> None: ...
    def on_dead(self, node: str) -> None: ...
    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None: ...
    def on_redis(self, reachable: bool) -> None: ...
    def on_data_lost(self) -> None: ...


@pytest.fixture
async def node(redis: PlayedRedis) -> AsyncIterator[Node]:
    """One of which only the connection for commands stands."""
    node = Node(RedisSettings(url=redis.address.url), "worker", Nobody())
    await node._commands.start()
    yield node
    await node._commands.close()


async def test_a_group_send_that_redis_does_not_answer_ends_in_time(node: Node) -> None:
    """P12. A Redis that hangs is told to the caller as what it is: the outcome is unknown."""
    layer = LoopLayer(node, Counter(), answer_timeout_s=0.05)
    with pytest.raises(LayerUnavailable) as raised:
        await asyncio.wait_for(layer.group_send("g", {"type": "websocket.send", "text": "x"}, (), LayerSettings()), 5)
    assert not raised.value.known


async def test_a_group_add_that_nobody_answers_ends_in_time(node: Node) -> None:
    """P12. Neither the owner of the channel nor Redis."""
    layer = LoopLayer(node, Counter(), answer_timeout_s=0.05)
    with pytest.raises(LayerUnavailable) as raised:
        await asyncio.wait_for(layer.group_add("g", "interface.0!1", False, LayerSettings()), 5)
    assert not raised.value.known


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_host_that_vanished_is_given_up_by_the_kernel(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """P9. Without its power a machine sends no word: a read that blocks would wait for hours, or for ever."""

    async def keepalive_s() -> int:
        played = PlayedRedis(Path("/unused"))
        server = await asyncio.get_running_loop().create_server(lambda: Caller(played), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = await connect(RedisAddress.parse(f"redis://127.0.0.1:{port}"))
        assert connection._transport is not None
        sock = connection._transport.get_extra_info("socket")
        told = [sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name, _ in KEEPALIVE]
        connection.close()
        server.close()
        assert told[3] <= 15_000
        return told[0] + told[1] * told[2]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(keepalive_s()) <= 15
