"""A message that its owner has not finished, and nobody else can: a real socket, a real server of Redis, a played application."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher
from interface_server.http.server_context import ServerContext
from interface_server.protocol_factory import ProtocolFactory
from interface_server.settings import InterfaceSettings
from interface_server.transport.endpoint import ServerEndpoint
from tests.support.both_dispatchers import RecordedHost, RecordedInstance, adopted, interface, worker
from tests.support.websocket_server import RawClient, upgrade_request
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher

TEXT_BEGINS, TEXT, CLOSE = 0x01, 0x81, 0x88


@contextlib.asynccontextmanager
async def listening(dispatcher: Dispatcher, redis_settings: RedisSettings) -> AsyncIterator[int]:
    """The port at which this dispatcher's clients arrive."""
    loop = asyncio.get_running_loop()
    context = ServerContext.of(InterfaceSettings(redis=redis_settings, access_log=False), dispatcher, loop, Counter())
    context.start()
    port = await ServerEndpoint(loop, port=0).open(ProtocolFactory(context))
    try:
        yield port.sockets[0].getsockname()[1]
    finally:
        port.stopListening()
        context.stop()


@dataclass(frozen=True)
class Stage:
    """A WebSocket whose application wants it to outlive its worker, and all who have to do with it."""

    dispatcher: Dispatcher
    owner: WorkerDispatcher
    host: RecordedHost
    client: RawClient
    instance: RecordedInstance


@pytest.fixture
async def stage(redis_settings: RedisSettings) -> AsyncIterator[Stage]:
    host = RecordedHost()
    async with (
        interface(redis_settings) as dispatcher,
        listening(dispatcher, redis_settings) as port,
        worker(redis_settings, host) as owner,
    ):
        client = await RawClient.connect(port)
        client.send(upgrade_request())
        instance = await adopted(host)
        instance.send({"type": "websocket.accept", "subprotocol": None, "headers": [], "resumable": "crash"})
        await client.head()
        yield Stage(dispatcher, owner, host, client, instance)
        client.vanish()


def died(stage: Stage) -> None:
    """Its owner is found dead."""
    stage.dispatcher.on_dead(stage.owner.node.name)


def lets_go(stage: Stage) -> None:
    """Its owner hands it off too early."""
    stage.instance.downstream.hand_off()


@pytest.mark.parametrize("loss", [died, lets_go])
async def test_who_has_heard_half_a_message_is_closed_and_hears_no_other_end_of_it(
    stage: Stage, loss: Callable[[Stage], None]
) -> None:
    """P1, P2. What the next owner says first would be the rest of that message; so there is no next owner, visibly."""
    stage.instance.send({"type": "websocket.send", "text": "half of", "more_body": True})
    assert await stage.client.frame() == (TEXT_BEGINS, b"half of")
    loss(stage)
    first_byte, payload = await stage.client.frame()
    assert (first_byte, payload[:2]) == (CLOSE, (1012).to_bytes(2, "big"))
    assert len(stage.host.instances) == 1


async def test_who_has_heard_whole_messages_goes_on_with_the_next_owner(stage: Stage) -> None:
    """P6. Also where the last one came in parts."""
    stage.instance.send({"type": "websocket.send", "text": "who", "more_body": True})
    stage.instance.send({"type": "websocket.send", "text": "le"})
    assert [(await stage.client.frame())[1] for _ in range(2)] == [b"who", b"le"]
    died(stage)
    successor = await adopted(stage.host, 2)
    successor.send({"type": "websocket.accept", "resumable": "crash"})
    successor.send({"type": "websocket.send", "text": "next"})
    assert await stage.client.frame() == (TEXT, b"next")
