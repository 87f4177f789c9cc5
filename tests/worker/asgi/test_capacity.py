"""Which exchanges hold one of a worker's places: those that its application works at."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.facts import until
from worker.asgi.capacity import Capacity

START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"x", "more_body": True}
LAST = {"type": "http.response.body"}
DEADLINE_S = 10.0


class Steps:
    """An application that goes on when it is told to: `begun` is set where it waits first."""

    def __init__(self, *before: Any, after: Any = ()) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._before, self._after = before, after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for event in self._before:
            await send(event)
        self.begun.set()
        await self.go_on.wait()
        for event in self._after:
            await send(event)


async def read_it_up(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(LAST)


@pytest.mark.parametrize("sent", [(START,), (START, MORE), (START, MORE, MORE)], ids=["start", "one part", "two"])
async def test_a_response_that_streams_holds_no_place_from_its_start(hosts, new_downstream, http_scope, sent):
    """A hundred event streams leave a worker as free as none; also those that have nothing to say yet."""
    application, told = Steps(*sent, after=(LAST,)), asyncio.Event()
    host = await hosts.open(application, on_capacity=told.set, concurrency=1)
    assert host.free("http") == 1
    downstream = new_downstream()
    host.start(http_scope(), b"", False, downstream)
    assert host.free("http") == 0
    await asyncio.wait_for(told.wait(), DEADLINE_S)
    await application.begun.wait()
    assert (host.free("http"), host.stream_count) == (1, 1)
    application.go_on.set()
    await until(lambda: not host.running_count)
    assert (host.free("http"), host.stream_count) == (1, 0)
    assert downstream.last_words == ["complete"]


async def test_an_upload_holds_no_place_while_its_bytes_have_not_come(hosts, new_downstream, http_scope):
    """A hundred slow uploads leave a worker as free as none; when bytes come the work goes on, whoever has the place."""
    host = await hosts.open(read_it_up, concurrency=1)
    runs = [host.start(http_scope("POST"), b"first", True, new_downstream()) for _ in range(3)]
    assert host.free("http") == 0
    await until(lambda: host.stream_count == 3)
    assert host.free("http") == 1
    for run in runs:
        run.deliver({"type": "http.request", "body": b"", "more_body": False}, 64)
    await until(lambda: not host.running_count)
    assert (host.free("http"), host.stream_count) == (1, 0)


async def test_work_that_goes_on_counts_above_the_limit_until_it_is_done(hosts, new_downstream, http_scope):
    """Nothing waits for a place in the middle; nothing new is taken until there are fewer than places again."""
    host = await hosts.open(read_it_up, concurrency=1)
    runs = [host.start(http_scope("POST"), b"first", True, new_downstream()) for _ in range(3)]
    await until(lambda: host.stream_count == 3)
    for run in runs:
        run.deliver({"type": "http.request", "body": b"", "more_body": True}, 64)
        run.deliver({"type": "http.request", "body": b"", "more_body": False}, 64)
        await until(lambda run=run: run.task is None)
    assert host.free("http") == 1


@pytest.mark.parametrize("sent", [(), (START, LAST)], ids=["before its response", "in the background"])
async def test_an_exchange_that_is_worked_at_holds_its_place(hosts, new_downstream, http_scope, sent):
    """Before the response starts, and again when it is complete: that is work, and it is what the places are for."""
    application = Steps(*sent, after=() if sent else (START, LAST))
    host = await hosts.open(application, concurrency=1)
    host.start(http_scope(), b"", False, new_downstream())
    await application.begun.wait()
    assert (host.free("http"), host.stream_count) == (0, 0)
    application.go_on.set()
    await until(lambda: not host.running_count)
    assert host.free("http") == 1


async def test_who_listens_for_the_disconnect_before_its_response_holds_its_place(hosts, new_downstream, http_scope):
    """Frameworks listen in a task of their own from the beginning, while the view works in another."""
    application, listening = Steps(after=(START, LAST)), []

    async def listener(scope, receive, send):
        await receive()
        listening.append(asyncio.get_running_loop().create_task(receive()))
        await application(scope, receive, send)

    host = await hosts.open(listener, concurrency=1)
    host.start(http_scope(), b"", False, new_downstream())
    await application.begun.wait()
    await asyncio.sleep(0)
    assert (host.free("http"), host.stream_count) == (0, 0)
    application.go_on.set()
    await until(lambda: not host.running_count)
    assert await listening[0] == {"type": "http.disconnect"}


async def test_a_receive_that_is_given_up_takes_the_place_again(hosts, new_downstream, http_scope):
    """`is_disconnected()` of frameworks asks for a moment and cancels."""
    application = Steps(after=(START, LAST))

    async def impatient(scope, receive, send):
        await receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.001)
        await application(scope, receive, send)

    host = await hosts.open(impatient, concurrency=1)
    host.start(http_scope("POST"), b"", True, new_downstream())
    await application.begun.wait()
    assert (host.free("http"), host.stream_count) == (0, 0)
    application.go_on.set()
    await until(lambda: not host.running_count)


async def test_a_stream_whose_client_has_left_holds_no_place(hosts, new_downstream, http_scope):
    """A hundred that do not notice it would end the site as before."""
    application = Steps(START, MORE)
    host = await hosts.open(application, concurrency=1)
    run = host.start(http_scope(), b"", False, new_downstream())
    await application.begun.wait()
    run.disconnect(1006, "")
    assert (host.free("http"), host.stream_count) == (1, 1)
    application.go_on.set()
    await until(lambda: not host.running_count)
    assert (host.free("http"), host.stream_count) == (1, 0)


async def test_beyond_the_limit_of_streams_they_keep_their_places(hosts, new_downstream, http_scope):
    """Memory is bounded: so many stream, and then so many as there are places."""
    application = Steps(START, MORE)
    host = await hosts.open(application, concurrency=2, streams=3)
    for expected in (2, 2, 2, 1, 0):
        host.start(http_scope(), b"", False, new_downstream())
        await until(lambda expected=expected: host.free("http") == expected)
    application.go_on.set()
    await until(lambda: not host.running_count)
    assert host.free("http") == 2


async def test_a_wsgi_application_holds_its_place_while_it_streams(hosts, new_downstream, http_scope):
    """It holds a thread, and no other request could have that."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"x"
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(DEADLINE_S)

    host = await hosts.open(application, threads=1, concurrency=50)
    downstream = new_downstream()
    host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: downstream.body)
    assert host.free("http") == 0
    release.set()
    await until(lambda: not host.running_count)
    assert host.free("http") == 1


def test_a_response_that_is_complete_at_once_leaves_its_place_to_nobody():
    """`--worker-concurrency 1` is one at a time, for all that does not stream."""
    told = []
    places: Capacity[str] = Capacity(1, 10, lambda: told.append(places.free))
    places.exchanges.add("a")
    places.missed = True
    places.leave("a")
    places.waiting.discard("a")
    assert (told, places.free, places.missed) == ([1], 0, False)
