"""Contexts of what runs the application: as loading has left them, and each for itself."""

from __future__ import annotations

import decimal
import threading
from contextvars import ContextVar

import pytest
from asgiref.sync import sync_to_async

LANGUAGE: ContextVar[str] = ContextVar("language", default="unset")
START = {"type": "http.response.start", "status": 200, "headers": []}


def seen_and_changed():
    """What code of the application finds, before it changes all of it."""
    found = (decimal.getcontext().prec, LANGUAGE.get())
    decimal.getcontext().prec = 4
    LANGUAGE.set("changed")
    return found


async def seen_in_async_code():
    return seen_and_changed()


def asgi(see):
    """An application that tells what it has found, in its lifespan too."""
    found = []

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            found.append(await see())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        found.append(await see())
        if scope["type"] == "http":
            await send(START)
            await send({"type": "http.response.body"})

    return application, found


def wsgi():
    found = []

    def application(environ, start_response):
        found.append(seen_and_changed())
        start_response("200 OK", [])
        return []

    return application, found


@pytest.fixture
def loaded_here():
    """What a module may do while it is imported, here: the host is opened in this context, as after loading."""

    def load():
        decimal.setcontext(decimal.Context(prec=50))
        LANGUAGE.set("of the module")

    return load


@pytest.mark.parametrize("see", [seen_in_async_code, sync_to_async(seen_and_changed)], ids=["async", "sync"])
async def test_what_was_set_while_loading_is_found_in_every_instance(
    hosts, new_downstream, http_scope, websocket_scope, loaded_here, see
):
    """In HTTP, WebSockets, lifespan, and their threads; and what one of them changes is not found by the next."""
    loaded_here()
    application, found = asgi(see)
    host = await hosts.open(application, lifespan="on", threads=2)
    for scope in (http_scope(), http_scope(), http_scope(), websocket_scope(), websocket_scope()):
        downstream = new_downstream()
        host.start(scope, b"", False, downstream)
        await downstream.over()
    assert found == [(50, "of the module")] * 6
    assert (decimal.getcontext().prec, LANGUAGE.get()) == (50, "of the module")


async def test_what_was_set_while_loading_is_found_in_every_wsgi_request(
    hosts, new_downstream, http_scope, loaded_here
):
    """In one thread, one request after the other."""
    loaded_here()
    application, found = wsgi()
    host = await hosts.open(application, threads=1)
    for _ in range(3):
        downstream = new_downstream()
        host.start(http_scope(), b"", False, downstream)
        await downstream.over()
    assert found == [(50, "of the module")] * 3


async def test_two_requests_at_once_have_a_decimal_context_each(hosts, new_downstream, http_scope, loaded_here):
    """P2. It is changed in place, so a copy of the reference to it would be no copy."""
    loaded_here()
    both, found = threading.Barrier(2, timeout=10.0), []

    def view():
        decimal.getcontext().prec += 1
        both.wait()
        found.append(decimal.getcontext().prec)

    async def application(scope, receive, send):
        await sync_to_async(view)()
        await send(START)
        await send({"type": "http.response.body"})

    host = await hosts.open(application, threads=2)
    downstreams = [new_downstream(), new_downstream()]
    for downstream in downstreams:
        host.start(http_scope(), b"", False, downstream)
    for downstream in downstreams:
        await downstream.over()
    assert found == [51, 51]


async def test_an_application_that_set_nothing_finds_what_every_new_context_has(hosts, new_downstream, http_scope):
    """As in a thread of its own."""
    decimal.setcontext(decimal.Context())
    application, found = asgi(seen_in_async_code)
    downstream = new_downstream()
    (await hosts.open(application)).start(http_scope(), b"", False, downstream)
    await downstream.over()
    assert found == [(28, "unset")]
