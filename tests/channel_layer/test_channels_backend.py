"""The contract of Django Channels' layers, call by call: on Valkey, on Redis, through Sentinel, and encrypted."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull, InvalidChannelLayerError, MessageTooLarge
from channels.utils import await_many_dispatch

import channel_layer
from channel_layer.channels import RedisChannelLayer
from tests.support.facts import until
from tests.support.guarded_redis import REDIS, needs_redis
from tests.support.redis_sentinels import SERVICE, RedisSentinels
from tests.support.redis_server import RedisServer

DEADLINE_S = 15.0
KEYS = ["the key of today, with 32 characters", "the key of yesterday, with 32 of them"]
LONG = "x" * 99
BAD_NAMES = ["", "two words", "umlaut-ü", "x" * 100, "line\n", 7, None, b"bytes", "a/b", "a:b"]
VALUES = {
    "text": "ünïcödé \x00",
    "bytes": b"\x00\xff",
    "int": -(2**63),
    "float": 0.1,
    "true": True,
    "none": None,
    "list": [1, [2, {"three": 3}]],
    "dict": {"": {"nested": []}},
}

SHORT_KEY = {"symmetric_encryption_keys": ["too short"]}
Make = Callable[..., RedisChannelLayer]


@pytest.fixture(
    scope="module", params=["valkey", pytest.param("redis", marks=needs_redis), "sentinel", "encrypted"], name="place"
)
def _place(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The options that lead to each kind of server, as a user would write them."""
    if request.param == "sentinel":
        sentinels = RedisSentinels(replicas=1).start()
        with sentinels.sentinel.client() as client:
            # A fail-over loses messages, and a loaded machine looks like a dead one.
            client.execute_command("SENTINEL", "SET", SERVICE, "down-after-milliseconds", "60000")
        yield {"hosts": [{"sentinels": [("127.0.0.1", sentinels.sentinel.port)], "master_name": SERVICE}]}
        sentinels.remove()
    else:
        server = RedisServer(binary=(REDIS or "") if request.param == "redis" else "").start()
        keys = {"symmetric_encryption_keys": KEYS} if request.param == "encrypted" else {}
        yield {"hosts": [server.url], **keys}
        server.remove()


@pytest.fixture
async def make(place: dict[str, Any], prefix: str) -> AsyncIterator[Make]:
    """Makes layers with options of their own, over the connections of one process."""
    made: list[RedisChannelLayer] = []

    def make(**options: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**place, prefix=prefix, **options))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


@pytest.fixture
def layer(make: Make) -> RedisChannelLayer:
    return make()


@pytest.fixture
async def other_process(layer: RedisChannelLayer) -> AsyncIterator[channel_layer.layer.ChannelLayer]:
    """A layer with a node of its own, as another process has it."""
    redis = layer.layer.home.redis
    other = await channel_layer.connect(redis.url, prefix=redis.prefix, encryption_keys=redis.encryption_keys)
    yield other
    await other.close()


async def received(layer: Any, channel: str) -> Any:
    """The next message, with a deadline."""
    return await asyncio.wait_for(layer.receive(channel), DEADLINE_S)


async def is_empty(layer: RedisChannelLayer, channel: str) -> bool:
    """True if nothing has arrived that was sent before this: what is sent last arrives first."""
    await layer.send(channel, {"type": "mark"})
    return (await received(layer, channel))["type"] == "mark"


# -- what a layer is


def test_it_says_what_it_can(layer: RedisChannelLayer) -> None:
    assert set(layer.extensions) == {"groups", "flush"}
    assert (layer.group_expiry, layer.expiry, layer.capacity) == (86_400, 60, 100)


def test_options_that_cannot_be_kept_are_an_error_of_channels() -> None:
    """When the layer is made, with nothing connected."""
    for options in ({"hosts": ["redis://a", "redis://b"]}, {"hosts": ["nothing://a"]}, {"colour": "red"}, SHORT_KEY):
        with pytest.raises(InvalidChannelLayerError):
            RedisChannelLayer(**options)


async def test_without_a_server_each_call_says_so() -> None:
    """The error is Towpath's: Channels has none for it."""
    layer = RedisChannelLayer(hosts=["unix:///nowhere/redis.sock"])
    for call in (layer.send("c", {"type": "t"}), layer.new_channel(), layer.group_send("g", {"type": "t"})):
        with pytest.raises(channel_layer.LayerUnavailable):
            await call


# -- names


@pytest.mark.parametrize("name", [*BAD_NAMES, "a!b!c"], ids=repr)
async def test_a_bad_channel_name_is_a_type_error(layer: RedisChannelLayer, name: Any) -> None:
    for call in (
        layer.send(name, {"type": "t"}),
        layer.receive(name),
        layer.group_add("group", name),
        layer.group_discard("group", name),
    ):
        with pytest.raises(TypeError):
            await call


@pytest.mark.parametrize("name", [*BAD_NAMES, "a!b"], ids=repr)
async def test_a_bad_group_name_is_a_type_error(layer: RedisChannelLayer, name: Any) -> None:
    channel = await layer.new_channel()
    for call in (
        layer.group_add(name, channel),
        layer.group_discard(name, channel),
        layer.group_send(name, {"type": "t"}),
    ):
        with pytest.raises(TypeError):
            await call


async def test_the_longest_names_are_good_ones(layer: RedisChannelLayer) -> None:
    await layer.send(LONG, {"type": "t"})
    assert await received(layer, LONG) == {"type": "t"}
    channel = await layer.new_channel()
    await layer.group_add(LONG, channel)
    await layer.group_send(LONG, {"type": "t"})
    assert await received(layer, channel) == {"type": "t"}


async def test_new_channels_are_unique_and_belong_to_this_process(layer: RedisChannelLayer) -> None:
    names = [await layer.new_channel() for _ in range(100)] + [await layer.new_channel("replies")]
    assert len(set(names)) == 101
    assert all(layer.require_valid_channel_name(name) and name.count("!") == 1 for name in names)
    assert len({layer.non_local_name(name) for name in names}) == 1
    assert "replies." in names[-1]


# -- messages


@pytest.mark.parametrize("kind", ["shared", "application", "group"])
async def test_every_type_of_value_arrives_as_it_was(layer: RedisChannelLayer, kind: str) -> None:
    channel = "shared" if kind == "shared" else await layer.new_channel()
    if kind == "group":
        await layer.group_add("group", channel)
    for message in ({"type": "t", **VALUES}, dict(VALUES), {}):
        await (layer.group_send("group", message) if kind == "group" else layer.send(channel, message))
        assert await received(layer, channel) == message
    await layer.send(channel, {"type": "t", "pair": (1, (2,))})
    assert (await received(layer, channel))["pair"] == [1, [2]]


@pytest.mark.parametrize(
    "message",
    [None, "text", [], {"type": "t", "x": object()}, {"type": "t", 1: 2}],
    ids=["None", "a text", "a list", "a value of no type", "a key that is no text"],
)
async def test_a_message_of_other_types_is_refused_at_once(layer: RedisChannelLayer, message: Any) -> None:
    channel = await layer.new_channel()
    for call in (layer.send("shared", message), layer.send(channel, message), layer.group_send("group", message)):
        with pytest.raises(TypeError):
            await call


async def test_a_message_of_a_mebibyte_arrives_and_a_huge_one_is_refused(layer: RedisChannelLayer) -> None:
    """The specification asks for 1 MB."""
    channel = await layer.new_channel()
    for name in ("shared", channel):
        await layer.send(name, {"type": "t", "text": "x" * 2**20})
        assert len((await received(layer, name))["text"]) == 2**20
    huge = {"type": "t", "bytes": bytes(16 * 2**20)}
    for call in (layer.send("shared", huge), layer.send(channel, huge), layer.group_send("group", huge)):
        with pytest.raises(MessageTooLarge):
            await call


async def test_receivers_have_copies_of_their_own(layer: RedisChannelLayer) -> None:
    """What one of them, or the sender, changes later is not seen by another."""
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("group", channel)
    message = {"type": "t", "list": [1]}
    await layer.group_send("group", message)
    await layer.send(channels[0], message)
    message["list"].append(2)
    for channel in (*channels, channels[0]):
        copy = await received(layer, channel)
        assert copy == {"type": "t", "list": [1]}
        copy["list"].append(3)


async def test_messages_keep_their_order(layer: RedisChannelLayer, other_process: Any) -> None:
    channel = await layer.new_channel()
    for number in range(50):
        await layer.send(channel, {"type": "t", "number": number})
        await layer.send("shared", {"type": "t", "number": number})
    assert [(await received(layer, channel))["number"] for _ in range(50)] == list(range(50))
    assert [(await received(layer, "shared"))["number"] for _ in range(50)] == list(range(50))
    for number in range(50):
        await other_process.send(channel, {"type": "t", "number": number})
    assert [(await received(layer, channel))["number"] for _ in range(50)] == list(range(50))


async def test_one_of_many_readers_gets_a_message(layer: RedisChannelLayer, other_process: Any) -> None:
    """Readers in two processes; each message comes to one of them."""
    got: list[int] = []

    async def read(of: Any) -> None:
        while True:
            got.append((await of.receive("shared"))["number"])

    readers = [asyncio.ensure_future(read(of)) for of in (layer, layer, other_process, other_process)]
    for number in range(60):
        await layer.send("shared", {"type": "t", "number": number})
    await until(lambda: len(got) >= 60, deadline_s=DEADLINE_S)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert sorted(got) == list(range(60))


# -- receiving


@pytest.mark.parametrize("kind", ["shared", "application", "remote"])
async def test_a_receive_that_is_cancelled_loses_nothing(
    layer: RedisChannelLayer, other_process: Any, kind: str
) -> None:
    """At each of its steps. Consumers cancel it each time that they end."""
    channel = "shared" if kind == "shared" else await layer.new_channel()
    sender = other_process if kind == "remote" else layer
    got: list[int] = []
    for number in range(60):
        receiver = asyncio.ensure_future(layer.receive(channel))
        sending = asyncio.ensure_future(sender.send(channel, {"type": "t", "number": number}))
        for _ in range(number % 12):
            await asyncio.sleep(0)
        receiver.cancel()
        with suppress(asyncio.CancelledError):
            got.append((await receiver)["number"])
        await sending
    while len(got) < 60:
        got.append((await received(layer, channel))["number"])
    assert got == list(range(60))
    assert await is_empty(layer, channel)


async def test_a_consumer_that_ends_leaves_what_it_has_not_handled(layer: RedisChannelLayer) -> None:
    """By the function with which consumers receive from the client and from the layer at once."""
    channel = await layer.new_channel()
    handled: list[int] = []

    class Stop(Exception):
        """As a consumer ends."""

    async def handle(message: dict[str, Any]) -> None:
        handled.append(message["number"])
        if message["number"] % 3 == 2:
            raise Stop

    async def from_client() -> dict[str, Any]:
        return await layer.receive("client")

    for number in range(9):
        await layer.send(channel, {"type": "t", "number": number})
    for _ in range(3):
        with pytest.raises(Stop):
            await asyncio.wait_for(
                await_many_dispatch([from_client, lambda: layer.receive(channel)], handle), DEADLINE_S
            )
    assert handled == list(range(9))


async def test_what_belongs_to_another_process_is_not_received(layer: RedisChannelLayer, other_process: Any) -> None:
    channel = await other_process.new_channel()
    with pytest.raises(TypeError):
        await layer.receive(channel)


async def test_a_message_to_a_process_that_is_gone_raises_nothing(layer: RedisChannelLayer) -> None:
    """As with a message that nobody receives in time."""
    gone = await layer.new_channel()
    process = layer.non_local_name(gone)
    for name in (f"{process}specific.000000000000", "layer.000000000000!specific.000000000000"):
        await layer.send(name, {"type": "t"})


# -- capacity and expiry


async def test_a_full_channel_refuses_the_newest(make: Make) -> None:
    """A shared channel for every sender, an application channel for those of its process; the oldest stay."""
    layer = make(capacity=3)
    for channel in ("shared", await layer.new_channel()):
        for number in range(3):
            await layer.send(channel, {"type": "t", "number": number})
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"type": "t", "number": 3})
        assert [(await received(layer, channel))["number"] for _ in range(3)] == [0, 1, 2]
        await layer.send(channel, {"type": "t"})


async def test_capacities_by_pattern(make: Make) -> None:
    """Globs and compiled expressions; the first that matches counts."""
    patterns = {"one.*": 1, re.compile(r"(two|one)\..*"): 2, "*!specific.*": 4}
    layer = make(capacity=3, channel_capacity=patterns)
    for channel, capacity in (("one.a", 1), ("two.a", 2), ("three.a", 3), (await layer.new_channel(), 4)):
        assert layer.get_capacity(channel) == capacity
        for _ in range(capacity):
            await layer.send(channel, {"type": "t"})
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"type": "t"})


async def test_a_group_is_never_full(make: Make) -> None:
    """The member that is full misses the newest; the others do not."""
    layer = make(capacity=2)
    full, free = await layer.new_channel(), await layer.new_channel()
    for channel in (full, free):
        await layer.group_add("group", channel)
    for number in range(4):
        await layer.group_send("group", {"type": "t", "number": number})
        assert (await received(layer, free))["number"] == number
    assert [(await received(layer, full))["number"] for _ in range(2)] == [0, 1]
    assert await is_empty(layer, full)


@pytest.mark.parametrize("kind", ["shared", "application"])
async def test_a_message_that_is_not_received_in_time_is_dropped(make: Make, kind: str) -> None:
    layer = make(expiry=0.2)
    channel = "shared" if kind == "shared" else await layer.new_channel()
    await layer.send(channel, {"type": "old"})
    over = time.monotonic() + 0.3
    await until(lambda: time.monotonic() > over)
    # A mark of `layer` would expire in a shared channel while a reader is being connected.
    assert await is_empty(make() if kind == "shared" else layer, channel)


# -- groups


async def test_members_get_what_is_sent_to_their_group(layer: RedisChannelLayer, other_process: Any) -> None:
    """Wherever they are, once each, however often they were added; those of other groups do not."""
    here, there = await layer.new_channel(), await other_process.new_channel()
    stranger = await layer.new_channel()
    for channel in (here, there, here):
        await layer.group_add("group", channel)
    await layer.group_add("other", stranger)
    await layer.group_send("group", {"type": "t", "text": "hello"})
    assert await received(layer, here) == await received(other_process, there) == {"type": "t", "text": "hello"}
    assert await is_empty(layer, here) and await is_empty(layer, stranger)


async def test_a_channel_that_belongs_to_no_process_is_a_member_as_any_other(
    layer: RedisChannelLayer, other_process: Any
) -> None:
    """P10. What `runworker` reads. Whoever sends, one reader gets the message."""
    mine = await layer.new_channel()
    for channel in (mine, "thumbnails"):
        await layer.group_add("room", channel)
    for sender in (layer, other_process):
        await sender.group_send("room", {"type": "t"})
        assert await received(layer, mine) == await received(other_process, "thumbnails") == {"type": "t"}
    await layer.group_discard("room", "thumbnails")
    await layer.group_send("room", {"type": "t"})
    assert await received(layer, mine) == {"type": "t"} and await is_empty(layer, "thumbnails")


async def test_who_was_removed_gets_nothing(layer: RedisChannelLayer) -> None:
    stays, leaves = await layer.new_channel(), await layer.new_channel()
    for channel in (stays, leaves):
        await layer.group_add("group", channel)
    await layer.group_discard("group", leaves)
    await layer.group_discard("group", leaves)
    await layer.group_discard("never-seen", leaves)
    await layer.group_send("group", {"type": "t"})
    assert await received(layer, stays) == {"type": "t"}
    assert await is_empty(layer, leaves)


async def test_a_group_without_members_is_none(layer: RedisChannelLayer) -> None:
    await layer.group_send("nobody", {"type": "t"})


async def test_flush_leaves_nothing(layer: RedisChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    for name in ("shared", channel):
        await layer.send(name, {"type": "old"})
    await layer.flush()
    await layer.group_send("group", {"type": "old"})
    assert await is_empty(layer, channel) and await is_empty(layer, "shared")


async def test_a_layer_that_was_closed_connects_again(layer: RedisChannelLayer) -> None:
    """The contract of channels_redis: only the connections end."""
    channel = await layer.new_channel()
    await layer.close()
    assert await layer.new_channel() != channel
    await layer.send("shared", {"type": "t"})
    assert await received(layer, "shared") == {"type": "t"}


# -- loops and threads


async def test_closing_pools_harms_nobody(layer: RedisChannelLayer) -> None:
    """Users of channels_redis call it after each `async_to_sync`, while consumers of the same process wait."""
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    receiver = asyncio.ensure_future(layer.receive(channel))
    await asyncio.to_thread(async_to_sync(layer.close_pools))
    await layer.group_send("group", {"type": "t"})
    assert await asyncio.wait_for(receiver, DEADLINE_S) == {"type": "t"}


async def test_loops_that_live_for_one_call(layer: RedisChannelLayer) -> None:
    """A thread of a sync view, again and again; a channel that one loop has made serves the next."""

    def work() -> list[int]:
        channel = async_to_sync(layer.new_channel)()
        async_to_sync(layer.group_add)("group", channel)
        for number in range(10):
            async_to_sync(layer.group_send)("group", {"type": "t", "number": number})
        return [async_to_sync(layer.receive)(channel)["number"] for _ in range(10)]

    assert await asyncio.to_thread(work) == list(range(10))
    assert await asyncio.to_thread(lambda: asyncio.run(layer.new_channel()))


async def test_several_loops_at_once(layer: RedisChannelLayer) -> None:
    """One layer object, a loop in each of several threads, and messages between them."""
    results: list[int] = []

    def work(number: int) -> None:
        async def talk() -> None:
            mine = await layer.new_channel()
            await layer.group_add("loops", mine)
            await layer.send("ready", {"type": "t", "channel": mine})
            total = 0
            while total < 10:
                total += (await received(layer, mine))["number"]
            results.append(total)

        asyncio.run(talk())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        await received(layer, "ready")
    for number in range(1, 5):
        await layer.group_send("loops", {"type": "t", "number": number})
    for thread in threads:
        await asyncio.to_thread(thread.join, DEADLINE_S)
    assert results == [10] * 4


async def test_two_aliases_of_one_deployment_share_their_channels(make: Make) -> None:
    """Options that say how full a channel may be are of the alias; channels and groups are of the deployment."""
    narrow, wide = make(capacity=1), make(capacity=5)
    channel = await narrow.new_channel()
    await wide.group_add("group", channel)
    await narrow.group_send("group", {"type": "t"})
    assert await received(wide, channel) == {"type": "t"}


async def test_prefixes_keep_deployments_apart(make: Make, place: dict[str, Any], prefix: str) -> None:
    layer, stranger = make(), RedisChannelLayer(**place, prefix=f"{prefix}other:")
    channel, elsewhere = await layer.new_channel(), await stranger.new_channel()
    await layer.group_add("group", channel)
    await stranger.group_add("group", elsewhere)
    await layer.group_send("group", {"type": "t"})
    await layer.send("shared", {"type": "t"})
    assert await is_empty(stranger, elsewhere) and await is_empty(stranger, "shared")
    await stranger.close()
