"""Receivers of shared channels that leave, come too late or outlive the layer: no message waits for ever, and no receiver does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import async_to_sync
from redis import Redis

import channel_layer
from channel_layer import LayerUnavailable
from channel_layer.application.message_reader import MessageReader
from channel_layer.application.receiving import clock
from channel_layer.layer import ChannelLayer
from channel_layer.loop import loop_layer as loop_layer_module
from channel_layer.loop.loop_layer import LoopLayer
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer

DEADLINE_S = 20.0
LONG_S = 1_000
JOB = {"type": "job"}


class Receiver:
    """A receiver that is woken and takes nothing."""

    def wake(self) -> bool:
        return True


@pytest.fixture
async def layer(redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ChannelLayer]:
    monkeypatch.setattr(loop_layer_module, "CLEAN_UP_INTERVAL_S", 0.02)
    async with channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix) as layer:
        yield layer


@pytest.fixture
async def sender(redis_settings: RedisSettings) -> AsyncIterator[ChannelLayer]:
    options = {"prefix": redis_settings.prefix, "expiry": LONG_S}
    async with channel_layer.connect(redis_settings.url, **options) as layer:
        yield layer


def on_loop(layer: ChannelLayer) -> LoopLayer:
    loop_layer = layer.home.loop_layer()
    assert loop_layer is not None
    return loop_layer


async def leave_with_a_message(layer: ChannelLayer, sender: ChannelLayer) -> MessageReader:
    """Let a receiver leave when a message was taken for it, and return the reader that has the message."""
    await sender.send("work", {"type": "first"})
    await layer.receive("work")
    reader = on_loop(layer).open_reader("work")
    assert reader is not None
    receiver = Receiver()
    reader.queue.take(clock(), receiver)
    reader.on_waiting()
    await sender.send("work", JOB)
    await until(lambda: reader.queue.waiting_count, "the message is in this process")
    reader.queue.give_up(receiver, clock())
    return reader


def rest_ms(redis: RedisServer, settings: RedisSettings) -> int:
    """The expiry of the one message in Redis."""
    client = Redis(unix_socket_path=str(redis.socket))  # an entry holds bytes that are no text
    ((_, fields),) = client.xrange(f"{settings.prefix}channel:work")
    return int(fields[b"e"])


async def test_a_message_of_a_receiver_that_left_is_there_for_other_processes_again(
    layer: ChannelLayer,
    sender: ChannelLayer,
    redis_settings: RedisSettings,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P1. With the rest of its own expiry, and not with that of the process that puts it back."""
    reader = await leave_with_a_message(layer, sender)
    assert (await sender.statistics("work"))["messages_pending"] == 0
    monkeypatch.setattr("channel_layer.application.shared_messages.READER_IDLE_S", 0.0)
    await until(lambda: not reader.queue.waiting_count, "the reader is closed")
    await until(lambda: redis_server.client().xlen(f"{redis_settings.prefix}channel:work"), "it is put back")
    assert 500_000 < rest_ms(redis_server, redis_settings) <= 1_000 * LONG_S
    assert await asyncio.wait_for(sender.receive("work"), DEADLINE_S) == JOB


async def test_a_layer_that_is_closed_puts_back_a_message_with_the_rest_of_its_expiry(
    layer: ChannelLayer, sender: ChannelLayer, redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    await leave_with_a_message(layer, sender)
    await layer.close()
    assert 500_000 < rest_ms(redis_server, redis_settings) <= 1_000 * LONG_S


async def test_a_message_that_no_receiver_came_for_expires_in_the_process_too(
    layer: ChannelLayer, redis_settings: RedisSettings
) -> None:
    """P4. And is counted."""
    options = {"prefix": redis_settings.prefix, "expiry": 0.5}
    async with channel_layer.connect(redis_settings.url, **options) as hasty:
        await leave_with_a_message(layer, hasty)
    await until(lambda: layer.counters.get("dropped.expired") == 1, "it is dropped")


async def test_a_receiver_that_comes_when_its_reader_is_being_closed_gets_its_message_from_the_next(
    layer: ChannelLayer, sender: ChannelLayer
) -> None:
    """The reader is closed on another thread than that of the receiver, which it may not have seen."""
    await sender.send("work", {"type": "first"})
    await layer.receive("work")
    loop_layer = on_loop(layer)
    reader = loop_layer.open_reader("work")
    assert reader is not None
    receiver = asyncio.ensure_future(layer.receive("work"))
    await until(lambda: reader.queue.receiver_count, "it waits")
    loop_layer.loop.call_soon_threadsafe(loop_layer._shared._end_reader, "work")
    await until(lambda: loop_layer.open_reader("work") not in (None, reader), "another reader is there")
    await sender.send("work", JOB)
    assert await asyncio.wait_for(receiver, DEADLINE_S) == JOB


async def test_threads_that_receive_from_the_layer_of_a_worker_end_with_it(redis_settings: RedisSettings) -> None:
    """A thread that waited on would keep the process from ending."""
    errors: list[Exception] = []

    def receive(layer: ChannelLayer, channel: str) -> None:
        try:
            async_to_sync(layer.receive)(channel)
        except LayerUnavailable as error:
            errors.append(error)

    async with worker(redis_settings, RecordedHost()) as dispatcher:
        layer, mine = dispatcher.layer, await dispatcher.layer.new_channel()
        threads = [threading.Thread(target=receive, args=(layer, channel), daemon=True) for channel in (mine, "work")]
        for thread in threads:
            thread.start()
        queue = on_loop(layer).queue_of(mine)
        assert queue is not None
        await until(lambda: queue.receiver_count, "one waits for its own channel")
        await until(lambda: on_loop(layer).open_reader("work"), "the other reads a shared channel")
    await until(lambda: not any(thread.is_alive() for thread in threads), "both threads end", DEADLINE_S)
    assert [str(error) for error in errors] == ["this layer is closed"] * 2
