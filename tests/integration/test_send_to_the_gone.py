"""A send to a client that has gone is lost once, and then an error that costs Redis nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

import channel_layer
from channel_layer import ChannelGone, InvalidMessage
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.names import BLOCKING_SENDER
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import Recorded, RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer

CLOSE = {"type": "websocket.close"}
HELLO = {"type": "websocket.send", "text": "hello"}
BODY = {"type": "http.response.body", "body": b"data: hello\n\n"}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
MANY = 200


class Place:
    """An interface server, a worker, and the layer of another process."""

    def __init__(self, server: Any, host: RecordedHost, dispatcher: Any, layer: ChannelLayer) -> None:
        self.server, self.host, self.dispatcher, self.layer = server, host, dispatcher, layer

    async def socket(self) -> Recorded:
        client = knock(self.server, kind="websocket")
        instance = await adopted(self.host, 1 + len(self.host.instances))
        instance.send({"type": "websocket.accept"})
        await until(lambda: client.events)
        return client

    @property
    def layers(self) -> tuple[ChannelLayer, ChannelLayer]:
        return self.layer, self.dispatcher.layer


@asynccontextmanager
async def place_at(settings: RedisSettings) -> AsyncIterator[Place]:
    host = RecordedHost()
    layer = await channel_layer.connect(settings.url, prefix=settings.prefix)
    async with interface(settings) as server, worker(settings, host) as dispatcher:
        yield Place(server, host, dispatcher, layer)
    await layer.close()


@pytest.fixture
async def place(redis_settings: RedisSettings) -> AsyncIterator[Place]:
    async with place_at(redis_settings) as place:
        yield place


async def refused(layer: ChannelLayer, channel: str, message: Mapping[str, Any]) -> Exception:
    """The error of the first send that has one. Those before it are lost."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                await layer.send(channel, dict(message))
            except (ChannelGone, InvalidMessage) as error:
                return error
            await asyncio.sleep(0.005)


async def test_a_send_to_a_client_that_has_left_is_an_error_soon(place: Place) -> None:
    """From a worker and from any other process; and it is not retried."""
    client = await place.socket()
    channel = client.upstream.channel
    for layer in place.layers:
        await layer.send(channel, HELLO)
    await until(lambda: client.pushed == [HELLO, HELLO])
    client.upstream.leave(1001, "")
    for layer in place.layers:
        error = await refused(layer, channel, HELLO)
        assert isinstance(error, ChannelGone) and channel in str(error) and not error.retry and error.known
        await layer.group_add("room", channel)
        await layer.group_discard("room", channel)
    assert place.server.counters["dropped.no_such_channel"] >= 2
    other = await place.socket()
    for layer in place.layers:
        await layer.send(other.upstream.channel, HELLO)
    await until(lambda: other.pushed == [HELLO, HELLO])


async def test_a_send_that_is_known_to_be_lost_costs_redis_nothing(own_redis: RedisServer) -> None:
    """And neither does joining a group. Counted by Redis itself."""
    async with place_at(RedisSettings(url=own_redis.url)) as place:
        client = await place.socket()
        client.upstream.leave(1001, "")
        await refused(place.layer, client.upstream.channel, HELLO)
        with own_redis.client() as redis, redis.monitor() as monitor:
            for _ in range(MANY):
                with pytest.raises(ChannelGone):
                    await place.layer.send(client.upstream.channel, HELLO)
                await place.layer.group_add("room", client.upstream.channel)
            redis.echo("the end")
            lines = list(itertools.takewhile(lambda line: line["command"] != "ECHO the end", monitor.listen()))
        assert not [line for line in lines if f"inbox:{place.server.node.name}" in line["command"]]


async def test_a_flood_of_lost_messages_is_answered_once(place: Place) -> None:
    """P5. All leave before the first answer can come."""
    client = await place.socket()
    client.upstream.leave(1001, "")
    answers = Counter[str]()
    post = place.server.post

    def counting(node: str, packet: Any) -> None:
        answers[node] += 1
        post(node, packet)

    place.server.post = counting
    loop_layer = place.dispatcher._loop_layer
    for _ in range(MANY):
        await loop_layer._send_to_client(place.server.node.name, client.upstream.connection.number, HELLO)
    await until(lambda: place.server.counters["dropped.no_such_channel"] == MANY)
    assert answers[place.dispatcher.node.name] == 1


async def test_a_message_that_a_client_never_takes_is_an_error_soon(place: Place) -> None:
    """A WebSocket takes no part of an event stream, and goes on to take its own messages."""
    client = await place.socket()
    for layer in place.layers:
        error = await refused(layer, client.upstream.channel, BODY)
        assert isinstance(error, InvalidMessage) and "http.response.body" in str(error)
        await layer.send(client.upstream.channel, HELLO)
    await until(lambda: client.pushed == [HELLO, HELLO])
    assert place.server.counters["dropped.push_to_websocket"] >= 2


async def test_a_response_that_is_no_event_stream_takes_nothing(place: Place) -> None:
    """What was sent before its start is lost without a notice; what comes after it is answered."""
    client = knock(place.server)
    instance = await adopted(place.host)
    channel = client.upstream.channel
    assert "websocket.send" in str(await refused(place.layer, channel, HELLO))
    await place.layer.send(channel, BODY)
    instance.send(START)
    await until(lambda: client.events)
    error = await refused(place.layer, channel, BODY)
    assert isinstance(error, InvalidMessage) and "no event stream" in str(error)


async def test_a_number_that_no_connection_has_had_yet_is_not_gone(place: Place) -> None:
    """A message to it is lost; the next connection of that number is reached."""
    number = place.server._opened_count + 1
    await place.layer.send(f"{place.server.node.name}!{number}", HELLO)
    await until(lambda: place.server.counters["dropped.no_such_channel"] == 1)
    client = await place.socket()
    assert client.upstream.connection.number == number
    await place.layer.send(client.upstream.channel, HELLO)
    await until(lambda: client.pushed == [HELLO])


async def test_a_socket_between_two_owners_is_not_gone(place: Place, redis_settings: RedisSettings) -> None:
    """P7. Its worker has left, and what is sent meanwhile is delivered."""
    client = knock(place.server, kind="websocket")
    first = await adopted(place.host)
    first.send({"type": "websocket.accept", "resumable": True})
    await until(lambda: client.events)
    await place.dispatcher.stop_taking()
    first.downstream.hand_off()
    await until(lambda: client.upstream.connection.owner is None, "between two owners")
    for layer in place.layers:
        await layer.send(client.upstream.channel, HELLO)
        await layer.group_add("room", client.upstream.channel)
    await until(lambda: client.pushed == [HELLO, HELLO])
    async with worker(redis_settings, place.host):
        (await adopted(place.host, 2)).send({"type": "websocket.accept"})
        for layer in place.layers:
            await layer.send(client.upstream.channel, HELLO)
        await until(lambda: client.pushed == 4 * [HELLO])
    assert not place.server.counters["dropped.no_such_channel"]


async def test_a_send_without_a_loop_is_confirmed_on_request(place: Place, redis_settings: RedisSettings) -> None:
    """Its process has no inbox, so it is told by an answer, or never."""
    client, own = await place.socket(), await place.layer.new_channel()
    with channel_layer.connect_blocking(redis_settings.url, prefix=redis_settings.prefix) as blocking:

        async def send(channel: str, confirm: bool) -> None:
            await asyncio.to_thread(blocking.send, channel, HELLO, confirm)

        await send(client.upstream.channel, True)
        assert client.pushed == [HELLO]  # when the call returns, and not later
        await send(own, True)
        assert await place.layer.receive(own) == HELLO
        client.upstream.leave(1001, "")
        await send(client.upstream.channel, False)
        for gone in (client.upstream.channel, f"{own}0"):
            with pytest.raises(ChannelGone, match=gone):
                await send(gone, True)
    assert place.server.counters["dropped.no_such_channel"] == 2


async def test_a_message_that_its_client_never_takes_is_an_error_at_once_if_it_is_confirmed(
    place: Place, redis_settings: RedisSettings
) -> None:
    """P12. Otherwise the program that sends has no inbox, and is told nothing; and what came in time is no error."""
    socket, response = await place.socket(), knock(place.server)
    (await adopted(place.host, 2)).send(START)
    await until(lambda: response.events)
    with channel_layer.connect_blocking(redis_settings.url, prefix=redis_settings.prefix) as blocking:
        for client, message in ((socket, BODY), (response, BODY), (response, HELLO)):
            await asyncio.to_thread(blocking.send, client.upstream.channel, message)
            with pytest.raises(
                InvalidMessage, match=f"'{message['type']}', which {client.upstream.channel} cannot take"
            ):
                await asyncio.to_thread(blocking.send, client.upstream.channel, message, confirm=True)
        await asyncio.to_thread(blocking.send, socket.upstream.channel, HELLO, confirm=True)
    assert (socket.pushed, response.pushed) == ([HELLO], [])
    assert BLOCKING_SENDER not in place.server.node._outbox._destinations


async def test_what_ends_the_connection_is_confirmed(place: Place, redis_settings: RedisSettings) -> None:
    """The close was delivered; what comes after it is not."""
    client = await place.socket()
    with channel_layer.connect_blocking(redis_settings.url, prefix=redis_settings.prefix) as blocking:
        await asyncio.to_thread(blocking.send, client.upstream.channel, CLOSE, True)
        assert [event["type"] for event in client.pushed] == ["websocket.close"]
        client.upstream.leave(1000, "")
        with pytest.raises(ChannelGone):
            await asyncio.to_thread(blocking.send, client.upstream.channel, CLOSE, True)


async def test_a_process_that_has_ended_is_known_to_have(redis_settings: RedisSettings) -> None:
    """An announced end at once; one without a lease and an inbox as soon as these were looked for. Joining it is no error."""
    async with place_at(dataclasses.replace(redis_settings, lease_ttl_s=2.0)) as place:
        other = await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix)
        own = await other.new_channel()
        for layer in place.layers:
            await layer.send(own, HELLO)
        await other.close()
        assert isinstance(await refused(place.layer, own, HELLO), ChannelGone)
        for channel in (own, "interface.0123456789ab!7", "worker.0123456789ab!specific.00aa"):
            error = await refused(place.dispatcher.layer, channel, HELLO)
            assert isinstance(error, ChannelGone) and channel.partition("!")[0] in str(error)
            await place.dispatcher.layer.group_add("room", channel)
        assert not place.dispatcher.node.is_gone(place.server.node.name)
