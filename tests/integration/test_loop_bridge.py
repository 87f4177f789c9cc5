"""Calls from other loops: results, errors, cancellation, contexts, many threads, and loops that have ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from channel_layer.errors import NothingSent
from channel_layer.loop.loop_bridge import LoopBridge
from tests.support.facts import until, wait_until

PLACE: ContextVar[str] = ContextVar("place", default="nowhere")


@pytest.fixture
def home() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_a_call_runs_on_the_other_loop_in_the_context_of_its_caller(home: asyncio.AbstractEventLoop) -> None:
    async def where(number: int) -> tuple[int, str, bool]:
        return number, PLACE.get(), asyncio.get_running_loop() is home

    PLACE.set("here")
    assert await LoopBridge(home).run(where, 7) == (7, "here", True)


async def test_an_error_comes_back_as_it_was_raised(home: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await LoopBridge(home).run(fail)


async def test_a_caller_that_is_cancelled_cancels_its_call(home: asyncio.AbstractEventLoop) -> None:
    seen: list[str] = []

    async def wait() -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("over")

    caller = asyncio.ensure_future(LoopBridge(home).run(wait))
    await until(lambda: seen == ["begun"], "the call has begun")
    caller.cancel()
    await until(lambda: seen == ["begun", "over"], "the call is cancelled")
    assert caller.cancelled()


def test_many_loops_and_threads_get_each_their_own_answers(home: asyncio.AbstractEventLoop) -> None:
    bridge, answers = LoopBridge(home), []

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def ask(start: int) -> list[int]:
        return await asyncio.gather(*(bridge.run(double, number) for number in range(start, start + 200)))

    def in_a_thread(start: int) -> None:
        answers.append(asyncio.run(ask(start)) == [2 * number for number in range(start, start + 200)])
        answers.append(asyncio.run(bridge.run(double, start)) == 2 * start)

    threads = [threading.Thread(target=in_a_thread, args=(1_000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(thread.is_alive() for thread in threads), "all threads are done")
    assert answers == [True] * 16


async def test_a_loop_that_has_ended_is_an_error_and_no_wait(home: asyncio.AbstractEventLoop) -> None:
    async def nothing() -> None: ...

    bridge = LoopBridge(home)
    await bridge.run(nothing)
    home.call_soon_threadsafe(home.stop)
    await until(lambda: not home.is_running(), "the loop has ended")
    home.close()
    for _ in range(2):
        with pytest.raises(NothingSent, match="has ended"):
            await bridge.run(nothing)


async def test_a_caller_that_is_cancelled_when_the_loop_has_ended_is_cancelled(home: asyncio.AbstractEventLoop) -> None:
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    caller = asyncio.ensure_future(LoopBridge(home).run(wait))
    await until(begun.is_set, "the call has begun")
    home.call_soon_threadsafe(home.stop)
    await until(lambda: not home.is_running(), "the loop has ended")
    home.close()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_bridge_that_is_closed_begins_what_waits_and_refuses_the_rest(home: asyncio.AbstractEventLoop) -> None:
    """A loop that is about to end looks there no more: whoever put in a call then would wait for ever."""

    async def double(number: int) -> int:
        return 2 * number

    bridge, gate = LoopBridge(home), threading.Event()
    home.call_soon_threadsafe(gate.wait, 20)
    home.call_soon_threadsafe(bridge.close)
    waiting = asyncio.ensure_future(bridge.run(double, 1))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(waiting, 20) == 2
    with pytest.raises(NothingSent, match="has ended"):
        await asyncio.wait_for(bridge.run(double, 2), 20)
