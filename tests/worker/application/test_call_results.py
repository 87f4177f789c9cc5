"""The results of sync calls on their way to the event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from contextvars import Context

import pytest

from tests.support.facts import until
from worker.application.call_results import CallResults
from worker.application.sync_threads import SyncThreads

DEADLINE_S = 10.0


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(DEADLINE_S)


@pytest.fixture
async def thread():
    threads = SyncThreads(1, lambda: None, Context())
    yield threads.threads[0]
    threads.shutdown()


async def test_results_of_one_moment_come_in_one_turn_and_in_order():
    """One wake-up of the loop brings all of them."""
    results, order = CallResults(), []
    futures = [results.future() for _ in range(3)]
    for future in futures:
        future.add_done_callback(lambda done: order.append(done.result()))

    def put():
        for number, future in enumerate(futures):
            results.put(future, number, None)

    in_thread(put)
    assert not any(future.done() for future in futures)
    await futures[0]
    assert all(future.done() for future in futures)
    await until(lambda: order == [0, 1, 2])
    late = results.future()
    in_thread(lambda: results.put(late, 3, None))
    assert await late == 3


async def test_an_error_of_the_call_is_raised_where_it_is_awaited(thread):
    with pytest.raises(ZeroDivisionError):
        await asyncio.get_running_loop().run_in_executor(thread, lambda: 1 / 0)


async def test_a_call_that_raises_stop_iteration_does_not_hang(thread):
    """A future refuses that error."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(thread, next, iter(())), DEADLINE_S)


async def test_the_result_of_a_cancelled_call_is_dropped(thread):
    """The call goes on to its end in its thread, and the next one gets its result."""
    begun, release = threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    cancelled = loop.run_in_executor(thread, lambda: (begun.set(), release.wait(DEADLINE_S)))
    await until(begun.is_set)
    cancelled.cancel()
    release.set()
    assert await loop.run_in_executor(thread, lambda: 7) == 7


async def test_a_call_of_another_thread_gets_a_future_for_threads(thread):
    """A loop that a sync view has made for itself is not woken by results of ours."""
    answers = []

    def on_another_loop():
        async def ask():
            return await asyncio.get_running_loop().run_in_executor(thread, threading.get_ident)

        answers.append(asyncio.run(ask()))
        answers.append(thread.submit(threading.get_ident))

    await asyncio.to_thread(on_another_loop)
    ident = await asyncio.get_running_loop().run_in_executor(thread, threading.get_ident)
    assert isinstance(answers[1], concurrent.futures.Future)
    assert (answers[0], await asyncio.wrap_future(answers[1])) == (ident, ident)


def test_a_call_that_outlives_its_loop_ends_quietly():
    """A view that has outlived its worker."""
    release, ended = threading.Event(), threading.Event()

    async def leave():
        threads = SyncThreads(1, lambda: None, Context())
        threads.threads[0].submit(release.wait, DEADLINE_S)
        threads.threads[0].submit(ended.set)

    asyncio.run(leave())
    release.set()
    assert ended.wait(DEADLINE_S)


async def test_an_error_leaves_no_garbage(thread):
    """Its frames are freed at once, with what a view had open."""

    class Marked(Exception):
        pass

    def fail():
        raise Marked

    gc.collect()
    gc.disable()
    try:
        try:
            await asyncio.get_running_loop().run_in_executor(thread, fail)
        except Marked:
            pass
        await asyncio.get_running_loop().run_in_executor(thread, lambda: None)
        assert not [each for each in gc.get_objects() if isinstance(each, Marked)]
    finally:
        gc.enable()
