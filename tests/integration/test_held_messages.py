"""Messages that are received at least once, as one process sees them: what it has, what it has lost, what Redis does not know yet."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from channel_layer.application.held_messages import HeldMessages
from channel_layer.errors import LayerUnavailable
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import GROUP, Keys
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, worker
from tests.support.facts import until
from worker.background.failed_messages import FailedMessages
from worker.connections.dispatcher import Dispatcher

DEADLINE_S = 10.0


async def held_by(taker: Dispatcher, visibility_timeout_s: float = 1.0) -> HeldMessages:
    loop_layer = taker.layer.home.loop_layer()
    assert loop_layer is not None
    return await loop_layer.hold_messages("work", visibility_timeout_s)


async def nothing_within(held: HeldMessages, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await held.next()
    except TimeoutError:
        return True
    return False


async def test_a_process_does_not_receive_what_it_has_a_second_time(
    redis: Redis, redis_settings: RedisSettings
) -> None:
    """P1. After an outage longer than the timeout it claims its own entries: also one that is finished here, and not in Redis."""
    stream = Keys(redis_settings.prefix).channel("work")
    async with worker(redis_settings, RecordedHost()) as taker:
        held = await held_by(taker)
        await taker.layer.send("work", {"type": "a"})
        message = await held.next()
        redis.xclaim(stream, GROUP, taker.node.name, 0, [message.entry_id], idle=60_000, justid=True)
        assert await nothing_within(held, 1.5)
        held._finished[message.entry_id] = message  # as if Redis had not been told
        held._held.clear()
        redis.xclaim(stream, GROUP, taker.node.name, 0, [message.entry_id], idle=60_000, justid=True)
        assert await nothing_within(held, 1.5)
        await until(lambda: redis.xlen(stream) == 0, "it is removed")
        await held.close()


async def test_what_another_process_has_got_is_no_longer_ours(redis: Redis, redis_settings: RedisSettings) -> None:
    """P1. It is counted, and whoever fails at it now sends nothing on."""
    stream = Keys(redis_settings.prefix).channel("work")
    async with worker(redis_settings, RecordedHost()) as taker:
        held = await held_by(taker)
        await taker.layer.send("work", {"type": "a"})
        message = await held.next()
        assert held.has(message)
        redis.xclaim(stream, GROUP, "another", 0, [message.entry_id])
        await until(lambda: not held.has(message), "the next renewal", DEADLINE_S)
        assert taker.counters["background.taken_over"] == 1
        await held.close()
        assert redis.xlen(stream) == 1


async def test_what_two_processes_have_finished_is_counted(redis: Redis, redis_settings: RedisSettings) -> None:
    """P1. This one was blocked meanwhile, and no renewal told it."""
    keys = Keys(redis_settings.prefix)
    async with worker(redis_settings, RecordedHost()) as taker:
        held = await held_by(taker, 1000.0)
        await taker.layer.send("work", {"type": "a"})
        message = await held.next()
        redis.xdel(keys.channel("work"), message.entry_id)
        held.finish(message)
        await until(lambda: taker.counters["background.taken_over"] == 1, "it is counted", DEADLINE_S)
        await taker.layer.send("work", {"type": "b"})
        held.finish(await held.next())
        await until(lambda: redis.xlen(keys.channel("work")) == 0, "it is removed", DEADLINE_S)
        assert taker.counters["background.taken_over"] == 1
        await held.close()


async def test_what_was_finished_while_redis_was_away_is_removed_before_the_process_ends(
    redis: Redis, redis_settings: RedisSettings
) -> None:
    """P7."""
    stream = Keys(redis_settings.prefix).channel("work")
    async with worker(redis_settings, RecordedHost()) as taker:
        held = await held_by(taker, 1000.0)
        await taker.layer.send("work", {"type": "a"})
        message = await held.next()
        redis.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not taker.node.connected, "the connection is gone")
        held.finish(message)
        await until(lambda: taker.node.connected, "the connection is back", DEADLINE_S)
        assert redis.xlen(stream) == 1
        await held.close()
        assert redis.xlen(stream) == 0


async def test_what_was_read_and_not_begun_counts_as_never_read(redis: Redis, redis_settings: RedisSettings) -> None:
    """P7. A receiver that was cancelled leaves its message here; the process gives it back when it ends."""
    stream = Keys(redis_settings.prefix).channel("work")
    async with worker(redis_settings, RecordedHost()) as taker:
        held = await held_by(taker, 1000.0)
        receiving = asyncio.ensure_future(held.next())
        await asyncio.sleep(0.1)
        await taker.layer.send("work", {"type": "a"})
        await until(lambda: held._reader.queue.waiting_count > 0 or receiving.done(), "it is here")
        begun = receiving.done()
        receiving.cancel()
        await held.close()
        (pending,) = redis.xpending_range(stream, GROUP, "-", "+", 1)  # type: ignore[misc]
        assert (pending["times_delivered"], pending["time_since_delivered"] >= 1_000_000) == (int(begun), True)


@pytest.mark.parametrize(("at_least_once", "sent", "lost"), [(True, 2, 0), (False, 1, 1)])
async def test_a_failed_message_that_may_have_been_sent_on_is_sent_once_more_if_the_delivery_says_so(
    redis: Redis, redis_settings: RedisSettings, at_least_once: bool, sent: int, lost: int
) -> None:
    """P1, P12. Else it would be lost, as the delivery does not allow."""
    async with worker(redis_settings, RecordedHost()) as taker:
        failed = FailedMessages(taker.layer, taker.counters, 1, "", at_least_once)
        send, answers = failed._for_retries.send, [LayerUnavailable("the answer is lost")]

        async def answered_once_not(channel: str, message: Event) -> None:
            await send(channel, message)
            if answers:
                raise answers.pop()

        failed._for_retries.send = answered_once_not  # type: ignore[method-assign]
        await failed.handle("work", {"type": "a"}, ValueError("as asked"))
        assert redis.xlen(Keys(redis_settings.prefix).channel("work")) == sent
        assert (taker.counters["background.retried"], taker.counters["background.lost"]) == (1 - lost, lost)
