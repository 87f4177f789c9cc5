"""The channel layer of a process that is no worker: shared channels, application channels, groups; loops, threads, cancellation."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import async_to_sync

import channel_layer
from channel_layer import ChannelFull, ChannelGone, InvalidMessage, InvalidName, LayerUnavailable, MessageTooLarge
from channel_layer.layer import ChannelLayer
from channel_layer.settings import RedisSettings
from tests.support.facts import until, until_async
from tests.support.redis_server import RedisServer

DEADLINE_S = 20.0


@pytest.fixture
async def layer(redis_settings: RedisSettings) -> AsyncIterator[ChannelLayer]:
    layer = await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix)
    yield layer
    await layer.close()


@pytest.fixture
async def other(redis_settings: RedisSettings) -> AsyncIterator[ChannelLayer]:
    layer = await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix, capacity=3, expiry=1.0)
    yield layer
    await layer.close()


async def soon(layer: ChannelLayer, channel: str) -> dict[str, object]:
    async with asyncio.timeout(DEADLINE_S):
        return await layer.receive(channel)


async def test_a_message_of_a_shared_channel_goes_to_one_receiver_in_order(
    layer: ChannelLayer, other: ChannelLayer
) -> None:
    """P1. Whether it was there before the receiver or not."""
    await layer.send("work", {"type": "job", "number": 0})
    assert await soon(other, "work") == {"type": "job", "number": 0}
    receiver = asyncio.ensure_future(soon(other, "work"))
    await asyncio.sleep(0)
    for number in (1, 2, 3):
        await layer.send("work", {"type": "job", "number": number, "data": b"\x00", "list": [1, None, 2.5]})
    assert (await receiver)["number"] == 1
    assert [(await soon(layer, "work"))["number"] for _ in range(2)] == [2, 3]


async def test_two_processes_share_the_messages(layer: ChannelLayer, other: ChannelLayer) -> None:
    receivers = [asyncio.ensure_future(soon(each, "work")) for each in (layer, other) for _ in range(10)]
    for number in range(20):
        await layer.send("work", {"type": "job", "number": number})
    assert sorted([(await receiver)["number"] for receiver in receivers]) == list(range(20))


async def test_a_receive_that_is_cancelled_at_any_moment_loses_nothing(
    layer: ChannelLayer, other: ChannelLayer
) -> None:
    """P1. A consumer of Channels cancels it at each of its ends."""
    mine = await layer.new_channel()
    for channel, receiver, sender in (("work", layer, other), (mine, layer, other)):
        got: list[object] = []
        for number in range(60):
            task = asyncio.ensure_future(receiver.receive(channel))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            while True:
                try:
                    await sender.send(channel, {"type": "test", "number": number})
                    break
                except ChannelFull:
                    got.append((await soon(receiver, channel))["number"])
            for _ in range(number % 7):
                await asyncio.sleep(0.0003)
            task.cancel()
            try:
                got.append((await task)["number"])
            except asyncio.CancelledError:
                pass
        while len(got) < 60:
            got.append((await soon(receiver, channel))["number"])
        assert sorted(got) == list(range(60))


async def test_a_channel_that_is_full_refuses_the_newest_until_the_oldest_expire(
    layer: ChannelLayer, other: ChannelLayer
) -> None:
    """P4."""
    for number in range(3):
        await other.send("full", {"type": "test", "number": number})
    with pytest.raises(ChannelFull, match="full") as refused:
        await other.send("full", {"type": "test", "number": 3})
    assert refused.value.retry and refused.value.known
    assert (await layer.statistics("full"))["messages_pending"] == 3
    await layer.send("full", {"type": "test", "number": 4})  # another capacity

    async def expired() -> bool:
        return (await layer.statistics("full"))["messages_max_age"] > 1.1

    await until_async(expired, "the oldest message is past its second", DEADLINE_S)
    await other.send("full", {"type": "test", "number": 5})
    assert [(await soon(layer, "full"))["number"] for _ in range(2)] == [4, 5]


async def test_groups_of_application_channels(layer: ChannelLayer, other: ChannelLayer) -> None:
    """P10. Members of two processes; each gets a copy, but for those that are excluded."""
    mine, here, there = await layer.new_channel(), await layer.new_channel(), await other.new_channel("chat")
    for owner, channel in ((layer, mine), (layer, here), (layer, there)):
        await owner.group_add("room", channel)
    await other.group_send("room", {"type": "chat.message", "text": ["hello"]}, exclude=[mine])
    first, second = await soon(layer, here), await soon(other, there)
    assert first == second == {"type": "chat.message", "text": ["hello"]}
    await other.group_discard("room", here)
    await other.group_send("room", {"type": "chat.message", "text": "again"})
    assert (await soon(layer, mine))["text"] == "again"
    assert (await layer.statistics(here))["messages_pending"] == 0


async def test_a_send_from_another_process_reaches_an_application_channel(
    layer: ChannelLayer, other: ChannelLayer
) -> None:
    mine = await layer.new_channel()
    await other.send(mine, {"type": "test", "text": "over there"})
    assert await soon(layer, mine) == {"type": "test", "text": "over there"}


async def test_the_sender_keeps_its_message(layer: ChannelLayer) -> None:
    """A receiver that changes what it got changes nothing for others."""
    mine, message = await layer.new_channel(), {"type": "test", "list": [1]}
    await layer.send(mine, message)
    (await soon(layer, mine))["list"].append(2)
    assert message == {"type": "test", "list": [1]}


async def test_wrong_calls_are_told_what_is_wrong(layer: ChannelLayer, other: ChannelLayer) -> None:
    """P12."""
    theirs = await other.new_channel()
    with pytest.raises(InvalidName, match="another process"):
        await layer.receive(theirs)
    with pytest.raises(InvalidName, match="connections"):
        await layer.send("http.request", {"type": "test"})
    with pytest.raises(InvalidName):
        await layer.send("a b", {"type": "test"})
    with pytest.raises(InvalidMessage, match=r"message\['x'\]\[1\]"):
        await layer.send("work", {"type": "test", "x": [1, object()]})
    with pytest.raises(InvalidMessage, match=r"message\['x'\]\[0\] contains half of a surrogate pair"):
        await layer.group_send("room", {"type": "test", "x": ["\udc80"]})
    with pytest.raises(InvalidName, match="channel prefix 'bad name!'"):
        await layer.new_channel("bad name!")
    with pytest.raises(InvalidName, match=r"exclude is 'one.name'; it is a list"):
        await layer.group_send("room", {"type": "test"}, exclude="one.name")
    for send in (layer.send, layer.group_send):
        with pytest.raises(MessageTooLarge, match="reference"):
            await send("work", {"type": "test", "data": bytes(16 * 1024 * 1024)})
    gone = theirs.replace(theirs[:18], (await layer.new_channel())[:18])
    with pytest.raises(ChannelGone):
        await layer.send(gone, {"type": "test"})
    with pytest.raises(ValueError, match="capacity"):
        await channel_layer.connect("redis://127.0.0.1:1", capacity=0)
    for url in ("http://127.0.0.1", "redis://127.0.0.1/abc", ""):
        with pytest.raises(ValueError, match=r"URL|database|Redis"):
            await channel_layer.connect(url)
    with pytest.raises(ValueError, match="encryption key"):
        await channel_layer.connect("redis://127.0.0.1:1", encryption_keys=["short"])
    with pytest.raises(LayerUnavailable, match="unreachable"):
        await channel_layer.connect("redis://127.0.0.1:1")


async def test_loops_that_live_for_one_call_use_one_layer(layer: ChannelLayer) -> None:
    """As `async_to_sync` makes them in a thread that has none."""
    mine = await layer.new_channel()
    await layer.group_add("room", mine)
    answers: list[object] = []

    def in_a_thread() -> None:
        async_to_sync(layer.group_send)("room", {"type": "test", "number": 1})
        answers.append(asyncio.run(layer.receive(mine)))
        asyncio.run(layer.send("work", {"type": "test", "number": 2}))
        answers.append(async_to_sync(layer.receive)("work"))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    await until(lambda: not thread.is_alive(), "the thread is done", DEADLINE_S)
    assert [answer["number"] for answer in answers] == [1, 2]


async def test_a_channel_that_asked_is_told_of_missed_messages(
    layer: ChannelLayer, other: ChannelLayer, redis_server: RedisServer
) -> None:
    """P10. The other one is not: it has not asked."""
    asked, silent = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", asked, report_missed=True)
    await layer.group_add("room", silent)
    await other.group_send("room", {"type": "first"})
    assert await soon(layer, asked) == await soon(layer, silent) == {"type": "first"}
    got: list[dict[str, object]] = []
    while not got or got[-1]["type"] != "towpath.gap":
        redis_server.client().client_kill_filter(_type="pubsub")
        await other.group_send("room", {"type": "lost"})
        got.append(await soon(layer, asked))
    assert got[-1]["group"] == "room" and int(str(got[-1]["missed"])) >= 1
    with pytest.raises(InvalidName, match="missed"):
        await layer.group_add("room", await other.new_channel(), report_missed=True)
    while (await layer.statistics(silent))["messages_pending"]:
        assert (await soon(layer, silent))["type"] != "towpath.gap"


async def test_flush_leaves_no_message_and_no_member(layer: ChannelLayer, other: ChannelLayer) -> None:
    mine = await layer.new_channel()
    await layer.group_add("room", mine)
    await layer.send("work", {"type": "test"})
    await layer.send(mine, {"type": "test"})
    await layer.flush()
    await other.group_send("room", {"type": "test"})
    await other.send(mine, {"type": "last"})
    assert await soon(layer, mine) == {"type": "last"}
    assert (await layer.statistics("work"))["messages_pending"] == 0


async def test_the_layer_of_a_process_is_found_by_its_environment(
    redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one sentence says what to do where there is none."""
    channel_layer.set_channel_layer(None)
    monkeypatch.delenv("TOWPATH_REDIS", raising=False)
    with pytest.raises(RuntimeError, match="set TOWPATH_REDIS"):
        channel_layer.get_channel_layer()
    monkeypatch.setitem(os.environ, "TOWPATH_REDIS", redis_settings.url)
    monkeypatch.setitem(os.environ, "TOWPATH_PREFIX", redis_settings.prefix)
    layer = channel_layer.get_channel_layer()
    try:
        assert layer is channel_layer.get_channel_layer()
        await layer.send("work", {"type": "test"})
        assert await soon(layer, "work") == {"type": "test"}
    finally:
        await layer.close()
        channel_layer.set_channel_layer(None)


FORKING = """
import asyncio, os, sys
import channel_layer

async def both(layer, name):
    mine = await layer.new_channel()
    await layer.group_add("room", mine)
    await layer.send("work", {"type": name})
    return (await layer.receive("work"))["type"]

layer = channel_layer.get_channel_layer()
print(asyncio.run(both(layer, "before")), flush=True)
if (child := os.fork()) == 0:
    print(asyncio.run(both(layer, "child")), flush=True)
    sys.exit(0)
os.waitpid(child, 0)
print(asyncio.run(both(layer, "parent")), flush=True)
"""


async def test_a_forked_child_has_a_layer_of_its_own_and_both_leave_nothing_behind(
    redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    """P11. As servers do that load the application first and fork then. An ended process counts as alive for no moment."""
    environment = os.environ | {"TOWPATH_REDIS": redis_settings.url, "TOWPATH_PREFIX": redis_settings.prefix}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", FORKING], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["before", "child", "parent"], "")
    assert redis_server.client().keys(f"{redis_settings.prefix}node:*") == []
    assert redis_server.client().keys(f"{redis_settings.prefix}inbox:*") == []
