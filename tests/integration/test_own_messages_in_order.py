"""What one instance says in sequence reaches its own socket in that sequence, whether it goes by send(), its reply channel or a group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from channel_layer.layer import ChannelLayer
from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.groups.interfaces import PushedMessage
from tests.support.both_dispatchers import Recorded, RecordedHost, interface, scope_of, worker
from tests.support.facts import until
from worker.application.loader import LoadedApplication
from worker.asgi.host import AsgiHost
from worker.settings import WorkerSettings

SOCKETS, ROUNDS = 30, 100

Send = Callable[[Event], Awaitable[None]]
Conversation = Callable[[ChannelLayer, str, Send], Awaitable[None]]

ACCEPT: Event = {"type": "websocket.accept"}


def text(words: str) -> Event:
    return {"type": "websocket.send", "text": words}


@dataclass
class Listener(Recorded):
    """A client's side that writes everything down in one order, whichever way it came."""

    heard: list[str] = field(default_factory=list)

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        self.heard += [event.get("text", event["type"]) for event in events]
        super().deliver(events, size_bytes)

    def push(self, pushed: PushedMessage) -> None:
        self.heard.append(pushed.event["text"])


def enter(server: InterfaceDispatcher) -> Listener:
    """Open a WebSocket."""
    client = Listener()
    client.upstream = server.open(client, Scope(scope_of("websocket")), b"", False)
    return client


@contextlib.asynccontextmanager
async def talking(redis_settings: RedisSettings, conversation: Conversation) -> AsyncIterator[None]:
    """A worker whose application is `conversation`, and stays open afterwards."""

    async def application(scope: Event, receive: Any, send: Send) -> None:
        await conversation(dispatcher.layer, scope["extensions"]["towpath.channel"]["reply_channel"], send)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    loaded = LoadedApplication(application, "asgi3", "test:application")
    host = AsgiHost(loaded, WorkerSettings(redis=redis_settings), lambda: dispatcher.read_more())
    async with worker(redis_settings, host) as dispatcher:  # type: ignore[arg-type]  # a host like any other
        yield
        await host._stop_all()


async def test_what_is_sent_to_ones_own_channel_right_after_the_accept_arrives_behind_it(
    redis_settings: RedisSettings,
) -> None:
    """P1. The accept leaves at the end of a turn of the loop; what goes to the reply channel must not overtake it and be lost."""

    async def conversation(layer: ChannelLayer, me: str, send: Send) -> None:
        await send(ACCEPT)
        await layer.send(me, text("welcome"))

    async with interface(redis_settings) as server, talking(redis_settings, conversation):
        clients = [enter(server) for _ in range(SOCKETS)]
        await until(lambda: all(len(client.heard) == 2 for client in clients))
        assert {tuple(client.heard) for client in clients} == {("websocket.accept", "welcome")}


async def test_who_joins_accepts_and_sends_hears_itself(redis_settings: RedisSettings) -> None:
    """P1, P10. The order in which the tutorial of Channels does it; what a group says before the accept waits for that, and the
    close for what was said to a group before it."""

    async def conversation(layer: ChannelLayer, me: str, send: Send) -> None:
        group = f"room{me.partition('!')[2]}"
        await layer.group_add(group, me)
        await layer.group_send(group, text("early"))
        await layer.send(me, text("mine"))
        await send(ACCEPT)
        await layer.group_send(group, text("hello"))
        await send(text("end"))
        await layer.group_send(group, text("bye"))
        await send({"type": "websocket.close"})

    async with interface(redis_settings) as server, talking(redis_settings, conversation):
        clients = [enter(server) for _ in range(SOCKETS)]
        await until(lambda: all(client.heard[-1:] == ["websocket.close"] for client in clients))
        said = ("websocket.accept", "early", "mine", "hello", "end", "bye", "websocket.close")
        assert {tuple(client.heard) for client in clients} == {said}
        assert not server.deliveries.held


async def test_send_the_reply_channel_and_a_group_keep_one_order(redis_settings: RedisSettings) -> None:
    """P1. Before and after, in a loop, through both ways, and from a thread of sync code."""

    async def conversation(layer: ChannelLayer, me: str, send: Send) -> None:
        await send(ACCEPT)
        await layer.group_add("loop", me)
        for number in range(ROUNDS):
            await send(text(f"a{number}"))
            await layer.group_send("loop", text(f"b{number}"))
            await send(text(f"c{number}"))
            await layer.send(me, text(f"d{number}"))
        await sync_to_async(in_a_thread)(layer, me, send)
        await layer.group_discard("loop", me)
        await layer.group_send("loop", text("nobody hears this"))
        await send(text("end"))

    def in_a_thread(layer: ChannelLayer, me: str, send: Send) -> None:
        for number in range(10):
            async_to_sync(send)(text(f"sync a{number}"))
            async_to_sync(layer.group_send)("loop", text(f"sync b{number}"))
            async_to_sync(layer.send)(me, text(f"sync c{number}"))

    async with interface(redis_settings) as server, talking(redis_settings, conversation):
        client = enter(server)
        await until(lambda: client.heard[-1:] == ["end"])
        asynchronous = [f"{word}{number}" for number in range(ROUNDS) for word in "abcd"]
        synchronous = [f"sync {word}{number}" for number in range(10) for word in "abc"]
        assert client.heard == ["websocket.accept", *asynchronous, *synchronous, "end"]
        assert server.counters["order.given_up"] == 0


async def test_all_members_hear_a_group_in_one_order_those_that_speak_too(redis_settings: RedisSettings) -> None:
    """P10. What an instance says to its group does not come to its own socket by a shorter way than what the others say."""
    joined = asyncio.Event()
    count = 0

    async def conversation(layer: ChannelLayer, me: str, send: Send) -> None:
        nonlocal count
        await send(ACCEPT)
        await layer.group_add("all", me)
        count += 1
        if count == 4:
            joined.set()
        await joined.wait()
        for number in range(ROUNDS):
            await layer.group_send("all", text(f"{me} {number}"))

    async with (
        interface(redis_settings) as one,
        interface(redis_settings) as two,
        talking(redis_settings, conversation),
    ):
        clients = [enter(server) for server in (one, two, one, two)]
        await until(lambda: all(len(client.heard) == 1 + 4 * ROUNDS for client in clients))
        assert all(client.heard == clients[0].heard for client in clients)


async def test_a_message_that_never_comes_is_not_waited_for_for_long(redis_settings: RedisSettings) -> None:
    """P5, P10. Publishes may be lost: then the socket goes on without it, and is not held up by the next ones."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = enter(server)
        await until(lambda: host.instances)
        instance = host.instances[0]
        instance.send(ACCEPT)
        await owner.layer.group_add("deaf", client.upstream.channel)
        for number in range(1, 101):
            owner.node.post(server.node.name, packets.published(client.upstream.connection.number, 1, number, "deaf"))
            instance.send(text(f"word {number}"))
            instance.downstream.flush()
        await until(lambda: len(client.heard) == 101)
        assert client.heard[1:] == [f"word {number}" for number in range(1, 101)]
        assert server.counters["order.given_up"] == 1
        await owner.layer.group_send("deaf", text("and here it hears again"))
        await until(lambda: client.heard[-1] == "and here it hears again")
        client.upstream.leave()
        await until(lambda: not owner.downstreams)
