"""Calls that wait for a long one are moved to another thread, as far as their exchange has none."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextvars import Context, ContextVar

from tests.support.facts import until
from worker.application.movable_calls import MovableCalls
from worker.application.sync_threads import SyncThreads, enter

DEADLINE_S = 10.0


async def test_an_exchange_that_has_called_before_is_not_moved_away_from_its_thread():
    """What it has opened there can be used there alone. One that has not is moved with all its calls, in their order."""
    threads = SyncThreads(2, lambda: None, Context())
    first = threads.threads[0]
    release, begun = threading.Event(), threading.Event()
    bound, unbound = MovableCalls(first, lambda: None), MovableCalls(first, lambda: None)
    ident = await bound.submit(threading.get_ident)
    long = first.submit(lambda: (begun.set(), release.wait(DEADLINE_S)))
    await until(begun.is_set)
    order = []
    waiting = bound.submit(threading.get_ident)
    moved = [unbound.submit(lambda number=number: order.append(number)) for number in range(3)]
    first.move(lambda: threads.threads[1])
    await asyncio.gather(*moved)
    assert order == [0, 1, 2]
    assert await unbound.submit(threading.get_ident) not in (ident, threading.get_ident())
    assert not waiting.done() and not long.done()
    release.set()
    assert await waiting == ident
    threads.shutdown()


async def test_what_is_not_moved_runs_where_it_waits_in_its_order():
    """The usual case: the thread comes to it before anything is long."""
    threads = SyncThreads(2, lambda: None, Context())
    calls = MovableCalls(threads.threads[0], lambda: None)
    order = []
    await asyncio.gather(*[calls.submit(lambda number=number: order.append(number)) for number in range(5)])
    assert order == [0, 1, 2, 3, 4]
    assert await calls.submit(threading.get_ident) == await threads.threads[0].submit(threading.get_ident)
    threads.shutdown()


async def test_the_context_of_an_exchange_is_freed_with_it():
    """Not with the next garbage collection: all that a request has set in context variables would live until then."""

    class Value:
        pass

    variable = ContextVar("variable")
    threads = SyncThreads(1, lambda: None, Context())
    gc.collect()
    gc.disable()
    try:
        context, value = Context(), Value()
        context.run(enter, MovableCalls(threads.threads[0], lambda: None))
        context.run(variable.set, value)
        freed = weakref.ref(value)
        del context, value
        assert freed() is None
    finally:
        gc.enable()
    threads.shutdown()
