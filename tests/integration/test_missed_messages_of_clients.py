"""A client in a group that asked for it is sent a message of its own when messages to the group were lost on the way to its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import channel_layer
from channel_layer import InvalidMessage, InvalidName, MessageTooLarge
from channel_layer.layer import ChannelLayer
from channel_layer.messaging.group_sequence import COUNTER_TTL_MS
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.socket_messages import REPORT_SIZE_BYTES_MAX
from channel_layer.redis.scripts import PUBLISH
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import Recorded, RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer

EVENTS = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
FIRST = {"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True}
HELLO = {"type": "websocket.send", "text": "hello"}
RELOAD = {"type": "websocket.send", "text": "reload"}
GO_AWAY = {"type": "websocket.close", "code": 4000, "reason": "you have missed something"}
END = {"type": "http.response.body", "body": b"", "more_body": False}


class Place:
    """An interface server, a worker, and how Redis loses a message on the way to them."""

    def __init__(self, url: str, redis: Any, server: Any, host: RecordedHost, dispatcher: Any) -> None:
        self.url, self.redis, self.server, self.host, self.dispatcher = url, redis, server, host, dispatcher
        self.keys: Keys = server.node.context.keys

    @property
    def layer(self) -> ChannelLayer:
        layer: ChannelLayer = self.dispatcher.layer
        return layer

    async def client(self, kind: str = "websocket", *, answered: bool = True) -> Recorded:
        client = knock(self.server, kind=kind)
        instance = await adopted(self.host, 1 + len(self.host.instances))
        if answered:
            for event in ({"type": "websocket.accept"},) if kind == "websocket" else (EVENTS, FIRST):
                instance.send(event)
            await until(lambda: client.events)
        if answered and kind == "http":
            client.upstream.event_stream_began()  # as the client's side does with such a start
        return client

    async def lose(self, group: str) -> None:
        """Publish what this server cannot get, and wait until it has noticed."""
        missed = self.server.node.counters["groups.messages_missed"]
        self.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        keys = (self.keys.group_sequence(group), self.keys.group_channels(group))
        self.redis.eval(PUBLISH.text, 2, *keys, self.keys.group(group), pack(HELLO), COUNTER_TTL_MS)
        await until(lambda: self.server.node.counters["groups.messages_missed"] > missed)


@pytest.fixture
async def place(own_redis: RedisServer) -> AsyncIterator[Place]:
    settings, host = RedisSettings(url=own_redis.url), RecordedHost()
    with own_redis.client() as redis:
        async with interface(settings) as server, worker(settings, host) as dispatcher:
            yield Place(own_redis.url, redis, server, host, dispatcher)


async def test_a_client_that_asked_is_sent_its_message_once_for_each_loss(place: Place) -> None:
    """P10. Sockets and event streams, each its own message, before what comes next. The one that has not asked gets none."""
    clients = [await place.client(kind) for kind in ("websocket", "websocket", "websocket", "http")]
    reports: tuple[Any, ...] = (RELOAD, GO_AWAY, False, END)
    for client, report in zip(clients, reports, strict=True):
        await place.layer.group_add("room", client.upstream.channel, report_missed=report)
        await place.layer.group_add("other", client.upstream.channel, report_missed=report)
    for losses in (1, 2):
        await place.lose("room")
        assert [client.pushed for client in clients] == [[report] * losses if report else [] for report in reports]
    await place.layer.group_send("room", HELLO)
    await until(lambda: clients[2].pushed)
    assert clients[0].pushed == [RELOAD, RELOAD, HELLO]


async def test_the_last_call_decides_what_a_client_is_sent(place: Place) -> None:
    """P10. Also of another process; and a client that has left the group, or is gone, gets nothing."""
    first, second, third = [await place.client() for _ in range(3)]
    for client in (first, second, third):
        await place.layer.group_add("room", client.upstream.channel, report_missed=RELOAD)
    await place.layer.group_add("room", first.upstream.channel)
    await place.layer.group_discard("room", second.upstream.channel)
    third.upstream.leave(1001, "")
    await place.lose("room")
    assert [client.pushed for client in (first, second, third)] == [[], [], []]
    with channel_layer.connect_blocking(place.url) as layer:
        await asyncio.to_thread(layer.group_add, "room", first.upstream.channel, GO_AWAY)
    await place.lose("room")
    assert first.pushed == [GO_AWAY]


async def test_a_client_that_has_not_been_answered_yet_is_sent_its_message_then(place: Place) -> None:
    """P10. As any message to its group."""
    client = await place.client(answered=False)
    await place.layer.group_add("room", client.upstream.channel, report_missed=RELOAD)
    await place.lose("room")
    assert client.pushed == []
    place.host.instances[-1].send({"type": "websocket.accept"})
    await until(lambda: client.pushed == [RELOAD])


async def test_a_message_that_no_client_can_be_sent_is_refused_where_it_is_given(place: Place) -> None:
    """P12. By both layers; and what comes from elsewhere ends no other connection."""
    channel = (await place.client()).upstream.channel
    wrong: dict[Any, type[Exception]] = {
        True: InvalidMessage,
        "reload": InvalidMessage,
        (("type", "chat.message"),): InvalidMessage,
        (("type", "websocket.send"),): InvalidMessage,
        (("type", "websocket.send"), ("text", "x" * REPORT_SIZE_BYTES_MAX)): MessageTooLarge,
    }
    with channel_layer.connect_blocking(place.url) as layer:
        for value, error in wrong.items():
            report = dict(value) if isinstance(value, tuple) else value
            with pytest.raises(error):
                await place.layer.group_add("room", channel, report)
            with pytest.raises(error):
                await asyncio.to_thread(layer.group_add, "room", channel, report)
        for other in ("thumbnails", "layer.0123456789ab!specific.001122334455"):
            with pytest.raises(InvalidName, match="missed"):
                await place.layer.group_add("room", other, RELOAD)
            with pytest.raises(InvalidName, match="missed"):
                await asyncio.to_thread(layer.group_add, "room", other, RELOAD)
    with pytest.raises(InvalidMessage, match="application channel"):
        await place.layer.group_add("room", await place.layer.new_channel(), RELOAD)
    number = int(channel.partition("!")[2])
    place.dispatcher.node.post(place.server.node.name, (packets.JOIN, number, 0, "room", 1, 5))
    await until(lambda: place.server.counters["packets.malformed"] == 1)


async def test_a_process_of_an_earlier_version_joins_without_that_field(place: Place) -> None:
    client = await place.client()
    number = client.upstream.connection.number
    place.dispatcher.node.post(place.server.node.name, (packets.JOIN, number, 0, "room", 1))
    await until(lambda: place.server.node.is_subscribed("room"))
    await place.layer.group_send("room", HELLO)
    await until(lambda: client.pushed == [HELLO])
