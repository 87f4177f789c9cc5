"""Sync code under ASGI: which thread it gets, and that there are no others."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import Context

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async

from tests.support.facts import until
from worker.application.call_spread import INTERVAL_S
from worker.application.sync_threads import SLOW_CALL_S, SyncThreads

START = {"type": "http.response.start", "status": 200, "headers": []}
DEADLINE_S = 10.0


def answering(function):
    """An application as Django's handler is: a context of its own per request, and a sync view inside."""

    async def application(scope, receive, send):
        async with ThreadSensitiveContext():
            body = await sync_to_async(function)()
        await send(START)
        await send({"type": "http.response.body", "body": str(body).encode()})

    return application


async def ask(host, new_downstream, http_scope, count):
    downstreams = [new_downstream() for _ in range(count)]
    for downstream in downstreams:
        host.start(http_scope(), b"", False, downstream)
    for downstream in downstreams:
        assert await downstream.over() == ["complete"]
    return [downstream.body for downstream in downstreams]


async def test_fifty_requests_use_no_more_than_the_pool_of_threads(hosts, new_downstream, http_scope):
    """Threads, and with them database connections, are bounded by --threads and used again."""
    host = await hosts.open(answering(threading.get_ident), threads=3)
    idents = set()
    for _ in range(10):
        idents.update(await ask(host, new_downstream, http_scope, 5))
    assert len(idents) == 3


async def test_two_sync_views_run_at_the_same_time(hosts, new_downstream, http_scope):
    """Each waits for the other: in one thread neither would ever end."""
    barrier = threading.Barrier(2)
    host = await hosts.open(answering(lambda: barrier.wait(DEADLINE_S)), threads=2)
    assert sorted(await ask(host, new_downstream, http_scope, 2)) == [b"0", b"1"]


async def test_all_sync_code_of_a_connection_runs_in_one_thread(hosts, new_downstream, http_scope):
    """What is opened in one call can be used in the next: sqlite connections and the like belong to their thread."""

    async def application(scope, receive, send):
        idents = {await sync_to_async(threading.get_ident)() for _ in range(5)}
        idents.add(await asyncio.create_task(sync_to_async(threading.get_ident)()))
        await send(START)
        await send({"type": "http.response.body", "body": b"%d" % len(idents)})

    host = await hosts.open(application, threads=4)
    assert set(await ask(host, new_downstream, http_scope, 8)) == {b"1"}


async def test_background_work_may_use_its_thread_after_the_response(hosts, new_downstream, http_scope):
    """The kept context is never left, so work that outlives its request is not refused."""
    done = []

    async def application(scope, receive, send):
        async def later():
            done.append(await sync_to_async(lambda: threading.current_thread().name)())

        await send(START)
        await send({"type": "http.response.body"})
        tasks.append(asyncio.get_running_loop().create_task(later()))

    tasks = []
    host = await hosts.open(application, threads=2)
    await ask(host, new_downstream, http_scope, 1)
    await until(lambda: done)
    assert done[0].startswith("towpath-sync-")


async def test_async_code_called_from_a_sync_view_runs_on_the_loop(hosts, new_downstream, http_scope):
    """async_to_sync inside of a sync thread comes back to this loop, and sync code inside of that to this thread."""

    def view():
        async def inner():
            return threading.get_ident(), await sync_to_async(threading.get_ident)()

        return async_to_sync(inner)() == (main, threading.get_ident())

    main = threading.get_ident()
    host = await hosts.open(answering(view), threads=2)
    assert await ask(host, new_downstream, http_scope, 4) == [b"True"] * 4


async def test_a_connection_goes_to_the_thread_with_the_least_work(hosts, new_downstream, http_scope):
    """One slow view holds up nobody while another thread is idle."""
    release, begun = threading.Event(), threading.Event()

    def view():
        if begun.is_set():
            return "fast"
        begun.set()
        return release.wait(DEADLINE_S)

    host = await hosts.open(answering(view), threads=2)
    slow = new_downstream()
    host.start(http_scope(), b"", False, slow)
    await until(begun.is_set)
    for _ in range(6):
        assert await ask(host, new_downstream, http_scope, 1) == [b"fast"]
    assert not slow.events
    release.set()
    await slow.over()


async def test_a_worker_whose_threads_are_busy_takes_nothing_and_says_when_it_can(hosts, new_downstream, http_scope):
    """A slow view never holds up a request that another worker could take; the dispatcher need not poll for the end of it."""
    release, told = threading.Event(), asyncio.Event()
    application = answering(lambda: release.wait(DEADLINE_S))
    host = await hosts.open(application, on_capacity=told.set, threads=2, concurrency=50)
    assert host.free("http") == 50
    downstreams = [new_downstream(), new_downstream()]
    for downstream in downstreams:
        host.start(http_scope(), b"", False, downstream)
    await until(lambda: all(thread.unfinished for thread in host._threads.threads))
    assert host.free("http") == 0
    assert host.free("websocket") > 0
    release.set()
    await asyncio.wait_for(told.wait(), DEADLINE_S)
    for downstream in downstreams:
        await downstream.over()
    await until(lambda: host.free("http") == 2)


async def test_a_worker_that_is_alone_takes_one_more_for_each_thread_while_calls_are_short(
    hosts, new_downstream, http_scope
):
    """P5. No other worker could take them. They are few, as those that wait for a slow view would wait while a thread is idle."""
    release = threading.Event()
    release.set()
    host = await hosts.open(answering(lambda: release.wait(DEADLINE_S)), threads=2, concurrency=50)
    await ask(host, new_downstream, http_scope, 2)
    await until(lambda: (host.free("http"), host.free("http", alone=True)) == (2, 4))
    release.clear()
    slow = new_downstream()
    host.start(http_scope(), b"", False, slow)
    await until(lambda: host.free("http") == host.free("http", alone=True) == 1)
    release.set()
    await slow.over()
    await until(lambda: host.free("http") == host.free("http", alone=True) == 2)  # the next view may be as slow
    while host.free("http", alone=True) != 4:
        await ask(host, new_downstream, http_scope, 10)


async def test_calls_ahead_are_counted_until_one_is_slow_and_the_end_of_a_call_is_reported():
    """Two for each thread; a worker that drains or dies then has few."""
    release, called, begun = threading.Event(), threading.Event(), []
    threads = SyncThreads(2, called.set, Context())
    began_s = time.monotonic()
    for submitted in range(1, 5):
        assert threads.calls_ahead(began_s) == 5 - submitted
        threads.threads[submitted % 2].submit(lambda: (begun.append(1), release.wait(DEADLINE_S)))
        await until(lambda submitted=submitted: len(begun) == min(submitted, 2))  # the others wait behind these
    assert threads.calls_ahead(began_s) == 0
    assert threads.calls_ahead(time.monotonic() + SLOW_CALL_S) is None
    release.set()
    await until(called.is_set)
    threads.shutdown()


async def saturated_threads(count):
    """Threads whose pool puts exchanges into the first, as calls take all of the CPU."""
    threads = SyncThreads(count, lambda: None, Context())
    for now in (0.0, INTERVAL_S, 2 * INTERVAL_S):
        assert threads.calls_ahead(now) == 2 * count
    ended_s = time.process_time() + INTERVAL_S
    while time.process_time() < ended_s:
        await asyncio.wrap_future(threads.pick(for_exchange=True).submit(lambda: None))
    assert threads.calls_ahead(3 * INTERVAL_S) == 2 * count
    return threads


async def test_exchanges_of_a_saturated_worker_go_to_one_thread_unless_its_call_is_long():
    """Calls that follow each other in one thread take less CPU. What runs for long there delays those that are there already, and
    no others.
    """
    release, begun = threading.Event(), threading.Event()
    threads = await saturated_threads(4)
    first = threads.threads[0]
    assert [threads.pick(for_exchange=True) for _ in range(8)] == [first] * 8
    assert len({threads.pick() for _ in range(8)}) == 4  # sockets stay for long
    first.submit(lambda: (begun.set(), release.wait(DEADLINE_S)))
    await until(begun.is_set)
    await until(lambda: threads.pick(for_exchange=True) is not first)
    release.set()
    await until(lambda: threads.pick(for_exchange=True) is first)
    threads.idle(3 * INTERVAL_S)  # other workers are there, or a call was slow
    assert len({threads.pick(for_exchange=True) for _ in range(8)}) == 4
    threads.shutdown()


async def test_a_view_may_wait_for_another_page_of_its_site_also_where_both_are_in_one_thread():
    """The page would wait for the view, and the view for the page. It is moved, and what it calls later runs in the same thread."""
    threads = await saturated_threads(4)
    first = threads.threads[0]
    view_waits, page_has_answered = threading.Event(), threading.Event()

    def view():
        view_waits.set()
        return page_has_answered.wait(DEADLINE_S)

    async def exchange(*calls):
        return [await sync_to_async(call)() for call in calls]

    def started(context, *calls):
        return asyncio.get_running_loop().create_task(exchange(*calls), context=context)

    contexts = [threads.new_context(first) for _ in range(2)]
    of_view = started(contexts[0], threading.get_ident, view, threading.get_ident)
    await until(view_waits.is_set)
    of_page = started(contexts[1], threading.get_ident, page_has_answered.set, threading.get_ident)
    its_thread, answered, same_thread = await of_view
    assert answered and its_thread == same_thread
    assert len({its_thread, *[ident for ident in await of_page if ident]}) == 2
    threads.shutdown()


async def test_a_call_for_which_the_machine_had_no_cpu_is_not_slow(monkeypatch):
    """Otherwise a busy machine would make every worker as careful as one with slow views."""
    release, begun = threading.Event(), threading.Event()
    threads = SyncThreads(1, lambda: None, Context())
    threads.threads[0].submit(lambda: (begun.set(), release.wait(DEADLINE_S)))
    await until(begun.is_set)
    later = time.monotonic() + 2 * SLOW_CALL_S
    assert threads.calls_ahead(later) is None
    waited_s = threads._loop_wait.total_s()
    monkeypatch.setattr(threads._loop_wait, "total_s", lambda: waited_s + 2 * SLOW_CALL_S + 1.0)
    assert threads.calls_ahead(later) == 1
    release.set()
    await until(lambda: not threads.threads[0].unfinished)
    assert threads.calls_ahead(time.monotonic()) == 2
    threads.shutdown()


async def test_a_thread_that_was_just_given_an_exchange_is_not_called_idle(hosts, new_downstream, http_scope):
    """Between its start and its first sync call an exchange looks like nothing: a second slow one must not follow it."""
    host = await hosts.open(answering(lambda: None), threads=3)
    await ask(host, new_downstream, http_scope, 3)
    await until(lambda: host.free("http") == 3)
    downstreams = [new_downstream(), new_downstream()]
    for downstream in downstreams:
        host.start(http_scope(), b"", False, downstream)
    assert host.free("http") == 1
    for downstream in downstreams:
        await downstream.over()


async def test_exchanges_that_wait_for_something_else_do_not_fill_the_threads(hosts, new_downstream, http_scope):
    """An async view that waits long leaves its thread to others, and the dispatcher is told so."""
    release, told = asyncio.Event(), asyncio.Event()

    async def application(scope, receive, send):
        if scope["path"] == "/wait":
            await release.wait()
        await answering(lambda: None)(scope, receive, send)

    host = await hosts.open(application, on_capacity=told.set, threads=2)
    await ask(host, new_downstream, http_scope, 2)
    told.clear()
    downstreams = [new_downstream() for _ in range(2)]
    for downstream in downstreams:
        host.start(http_scope(path="/wait"), b"", False, downstream)
    if host.free("http") == 0:
        await asyncio.wait_for(told.wait(), DEADLINE_S)
    await until(lambda: host.free("http") == 2)
    release.set()
    for downstream in downstreams:
        await downstream.over()


async def test_an_async_application_has_no_threads_at_all(hosts, new_downstream, http_scope):
    """Threads are started by the first sync call that needs them."""

    async def application(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body"})

    before = set(threading.enumerate())  # threads of an earlier test may end meanwhile
    host = await hosts.open(application, threads=8)
    await ask(host, new_downstream, http_scope, 20)
    assert set(threading.enumerate()) <= before


async def test_a_view_that_raises_leaves_its_thread_in_order(hosts, new_downstream, http_scope):
    """The error is the caller's; the thread goes on."""

    async def application(scope, receive, send):
        with pytest.raises(SystemExit):
            await sync_to_async(lambda: (_ for _ in ()).throw(SystemExit(4)))()
        name = await sync_to_async(lambda: threading.current_thread().name)()
        await send(START)
        await send({"type": "http.response.body", "body": name.encode()})

    host = await hosts.open(application, threads=1)
    assert await ask(host, new_downstream, http_scope, 2) == [b"towpath-sync-0"] * 2


async def test_a_cancelled_call_that_has_not_begun_never_runs(hosts, new_downstream, http_scope):
    """A client that left while its view was queued behind another: the view is not run for nobody."""
    release, ran = threading.Event(), []

    async def application(scope, receive, send):
        if scope["path"] == "/first":
            await sync_to_async(release.wait)(DEADLINE_S)
        else:
            await sync_to_async(ran.append)(1)

    host = await hosts.open(application, threads=1)
    first, second = new_downstream(), new_downstream()
    host.start(http_scope(path="/first"), b"", False, first)
    run = host.start(http_scope(path="/second"), b"", False, second)
    await until(lambda: host._threads.threads[0].unfinished == 2)
    run.stop()
    await until(lambda: host.running_count == 1)
    release.set()
    await first.over()
    await until(lambda: not host._threads.threads[0].unfinished)
    assert ran == []


async def test_a_view_that_never_returns_does_not_keep_the_process(tmp_path):
    """The threads are daemons: after the drain time the process can leave."""
    import subprocess
    import sys

    program = (
        "import contextvars, threading, worker.application.sync_threads as kept\n"
        "begun = threading.Event()\n"
        "threads = kept.SyncThreads(1, lambda: None, contextvars.Context())\n"
        "threads.pick().submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait(10)\n"
    )
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE_S)
    assert time.monotonic() - began_s < DEADLINE_S
