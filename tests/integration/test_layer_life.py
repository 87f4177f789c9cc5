"""The life of a channel layer in a process that is no worker: its start, its end, and what it has counted."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import msgpack
import pytest

import channel_layer
from channel_layer import ChannelFull, LayerUnavailable
from channel_layer.layer import ChannelLayer
from channel_layer.settings import RedisSettings
from tests.support.facts import until
from tests.support.redis_server import RedisServer

DEADLINE_S = 20.0
KEY = "a key of more than 32 characters, 0123456789"


@pytest.fixture
async def layer(redis_settings: RedisSettings) -> AsyncIterator[ChannelLayer]:
    async with await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix, capacity=1) as layer:
        yield layer


def living(redis: RedisServer, settings: RedisSettings) -> list[str]:
    return list(redis.client().keys(f"{settings.prefix}node:*"))


async def test_a_closed_layer_stays_closed(
    layer: ChannelLayer, redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    """P11. A call that comes late, or waits, gets an error and connects nothing; leaving `async with` and a second close are harmless."""
    mine = await layer.new_channel()
    waiting = [asyncio.ensure_future(layer.receive(channel)) for channel in (mine, "work")]
    async with layer as same:
        assert same is layer and not layer.closed
        assert len(living(redis_server, redis_settings)) == 1
    assert layer.closed and not living(redis_server, redis_settings)
    for receiver in waiting:
        with pytest.raises(LayerUnavailable, match="this layer is closed"):
            await asyncio.wait_for(receiver, DEADLINE_S)
    calls = (
        layer.start(), layer.send("work", {"type": "test"}), layer.receive("work"), layer.receive(mine), layer.new_channel(),
        layer.group_add("room", mine), layer.group_discard("room", mine), layer.group_send("room", {"type": "test"}),
        layer.flush(), layer.statistics("work"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(LayerUnavailable, match="this layer is closed") as refused:
            await call
        assert refused.value.known
    await layer.close()
    assert not living(redis_server, redis_settings)


def threads() -> set[threading.Thread]:
    """The threads on which nodes of layers run."""
    return {thread for thread in threading.enumerate() if thread.name == "towpath-layer"}


async def test_a_process_may_have_another_layer_when_its_own_is_closed(
    redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel_layer.set_channel_layer(None)
    monkeypatch.setitem(os.environ, "TOWPATH_REDIS", redis_settings.url)
    monkeypatch.setitem(os.environ, "TOWPATH_PREFIX", redis_settings.prefix)
    try:
        first = channel_layer.get_channel_layer()
        await first.close()
        second = channel_layer.get_channel_layer()
        assert second is not first and second is channel_layer.get_channel_layer()
        async with second:
            assert await second.statistics("work") == {"messages_pending": 0, "messages_max_age": 0.0}
    finally:
        channel_layer.set_channel_layer(None)


async def test_a_layer_that_is_closed_while_it_connects_leaves_nothing_behind(own_redis: RedisServer) -> None:
    """P11. Its thread ends as soon as it has connected."""
    others = threads()
    own_redis.signal(signal.SIGSTOP)
    connecting = asyncio.ensure_future(channel_layer.connect(own_redis.url))
    await until(lambda: threads() - others, "it connects")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    own_redis.signal(signal.SIGCONT)
    await until(lambda: not threads() - others, "its thread has ended", DEADLINE_S)
    assert own_redis.client().keys("towpath:node:*") == []


async def test_a_caller_that_is_cancelled_while_the_layer_connects_takes_nothing_from_the_others(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All callers wait for the same start."""
    channel_layer.set_channel_layer(None)
    monkeypatch.setitem(os.environ, "TOWPATH_REDIS", own_redis.url)
    others = threads()
    own_redis.signal(signal.SIGSTOP)
    layer = channel_layer.get_channel_layer()
    hasty, patient = [asyncio.ensure_future(layer.send("work", {"type": "test"})) for _ in range(2)]
    try:
        await until(lambda: threads() - others, "it connects")
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        own_redis.signal(signal.SIGCONT)
        await asyncio.wait_for(patient, DEADLINE_S)
        assert (await layer.statistics("work"))["messages_pending"] == 1
    finally:
        own_redis.signal(signal.SIGCONT)
        await layer.close()
        channel_layer.set_channel_layer(None)
    await until(lambda: not threads() - others, "its thread has ended", DEADLINE_S)
    assert "Traceback" not in caplog.text


async def test_a_start_that_failed_is_tried_again_by_the_next_call(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel_layer.set_channel_layer(None)
    monkeypatch.setitem(os.environ, "TOWPATH_REDIS", own_redis.url)
    try:
        async with channel_layer.get_channel_layer() as layer:
            own_redis.client().execute_command("ACL", "SETUSER", "default", "resetchannels")
            with pytest.raises(LayerUnavailable, match="publish"):
                await layer.flush()
            own_redis.client().execute_command("ACL", "SETUSER", "default", "allchannels")
            await layer.flush()
    finally:
        channel_layer.set_channel_layer(None)


CLOSED_BEFORE_FORK = """
import asyncio, os
import channel_layer

layer = channel_layer.get_channel_layer()
asyncio.run(layer.start())
asyncio.run(layer.close())
child = os.fork()
if child:
    os.waitpid(child, 0)
try:
    asyncio.run(layer.send("work", {"type": "test"}))
except channel_layer.LayerUnavailable as error:
    print(error, flush=True)
if not child:
    asyncio.run(channel_layer.get_channel_layer().send("work", {"type": "test"}))
    print("sent", flush=True)
"""


async def test_a_layer_that_was_closed_is_closed_in_a_forked_child_too(redis_settings: RedisSettings) -> None:
    environment = os.environ | {"TOWPATH_REDIS": redis_settings.url, "TOWPATH_PREFIX": redis_settings.prefix}
    command = [sys.executable, "-c", CLOSED_BEFORE_FORK]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["this layer is closed", "sent", "this layer is closed"]


FORKED_UNDER_LOCK = """
import asyncio, os, signal, threading
import channel_layer

layer = channel_layer.get_channel_layer()
asyncio.run(layer.start())
held, forked = threading.Event(), threading.Event()

def hold(lock):
    with lock:
        held.set()
        forked.wait()

holder = threading.Thread(target=hold, args=(layer.home._lock,))
holder.start()
held.wait()
child = os.fork()
if child:
    forked.set()
    holder.join()
    os.waitpid(child, 0)
else:
    signal.alarm(20)  # a child that waits for ever stays behind otherwise
    print(layer.home.loop_layer(), layer.counters, flush=True)
asyncio.run(layer.close())
print("closed", flush=True)
"""


async def test_a_child_that_is_forked_while_another_thread_starts_or_ends_the_layer_can_close_it(
    redis_settings: RedisSettings,
) -> None:
    """The lock of that moment stays locked in the child: the thread that held it does not exist there."""
    environment = os.environ | {"TOWPATH_REDIS": redis_settings.url, "TOWPATH_PREFIX": redis_settings.prefix}
    command = [sys.executable, "-c", FORKED_UNDER_LOCK]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["None {}", "closed", "closed"]


async def test_a_group_add_whose_channel_leaves_meanwhile_returns(own_redis: RedisServer) -> None:
    """Nobody has cancelled it, and the layer is not closed."""
    async with await channel_layer.connect(own_redis.url) as layer:
        mine = await layer.new_channel()
        own_redis.signal(signal.SIGSTOP)  # the subscription stays unconfirmed
        try:
            adding = asyncio.ensure_future(layer.group_add("room", mine))
            await asyncio.sleep(0)
            await layer.group_discard("room", mine)
            await asyncio.wait_for(adding, DEADLINE_S)
        finally:
            own_redis.signal(signal.SIGCONT)


async def test_counters_tell_what_was_dropped_and_cannot_be_written(
    layer: ChannelLayer, redis_settings: RedisSettings
) -> None:
    """Also after the layer was closed; before it is used there is nothing to tell."""
    mine = await layer.new_channel()
    assert layer.counters.get("dropped.channel_full", 0) == 0
    await layer.send(mine, {"type": "test"})
    with pytest.raises(ChannelFull):
        await layer.send(mine, {"type": "test"})
    await layer.group_add("room", mine)
    await layer.group_send("room", {"type": "test"})
    await until(lambda: layer.counters.get("dropped.channel_full") == 1, "the full channel has dropped the message")
    with pytest.raises(TypeError):
        layer.counters["dropped.channel_full"] = 0  # type: ignore[index]
    await layer.close()
    assert layer.counters["dropped.channel_full"] == 1


async def test_waiting_for_the_keys_of_a_dead_process_is_no_blocked_loop(
    redis_settings: RedisSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lease ends by itself; the loop turns all the while, and the log must not accuse the application."""
    redis, node = redis_server.client(), "worker.000000000000"
    redis.zadd(f"{redis_settings.prefix}nodes", {node: int(redis.time()[0]) * 1000})
    lease = msgpack.packb({"role": "worker", "version": 1, "encryption": ["00000000"], "encrypted": b""})
    redis.set(f"{redis_settings.prefix}node:{node}", lease, px=2_300)
    with caplog.at_level(logging.WARNING):
        layer = await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix, encryption_keys=[KEY])
        await layer.close()
    assert not redis.exists(f"{redis_settings.prefix}node:{node}")
    assert "blocked" not in caplog.text
