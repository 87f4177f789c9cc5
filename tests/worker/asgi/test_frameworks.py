"""Django, Starlette, FastAPI and Flask, unmodified, in the application host. The same through real sockets: tests/applications."""

from __future__ import annotations

import asyncio
import threading

import pytest

DEADLINE_S = 10.0


async def ask(host, new_downstream, http_scope, method="GET", path="/", body=b"", headers=(), **more):
    """One request; the line after its response."""
    downstream = new_downstream()
    fields = [[b"host", b"example.org"], [b"content-length", b"%d" % len(body)], *headers]
    host.start(http_scope(method, path, headers=fields, **more), body, False, downstream)
    assert await downstream.over() == ["complete"]
    return downstream


@pytest.fixture(scope="module")
def django_applications():
    """The ASGI and the WSGI application of one Django project, whose urls are this module's."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
        django.setup()
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    return get_asgi_application(), get_wsgi_application()


def sync_view(request):
    from django.http import HttpResponse

    return HttpResponse(f"{request.method} {request.body.decode()} {threading.current_thread().name}")


async def async_view(request):
    from django.http import HttpResponse

    await asyncio.sleep(0)
    return HttpResponse(f"{request.method} {request.body.decode()} {threading.current_thread().name}")


async def stream_view(request):
    from django.http import StreamingHttpResponse

    async def parts():
        for number in range(3):
            yield b"%d" % number
            await asyncio.sleep(0)

    return StreamingHttpResponse(parts())


class Urls:
    """Made when Django asks, so that this module can be imported without it."""

    def __iter__(self):
        from django.urls import path

        return iter([path("sync", sync_view), path("async", async_view), path("stream", stream_view)])

    def __reversed__(self):
        return reversed(list(iter(self)))


urlpatterns = Urls()


async def test_django_async_and_sync_views(hosts, new_downstream, http_scope, django_applications):
    """Sync views run in sync threads, though Django enters a thread-sensitive context of its own for each request."""
    host = await hosts.open(django_applications[0], lifespan="auto", threads=3)
    names = set()
    for _ in range(50):
        downstream = await ask(host, new_downstream, http_scope, "PUT", "/sync", b"data")
        method, data, name = downstream.body.decode().split()
        assert (method, data) == ("PUT", "data")
        names.add(name)
    assert names <= {"towpath-sync-0", "towpath-sync-1", "towpath-sync-2"}
    assert (await ask(host, new_downstream, http_scope, path="/async")).body.startswith(b"GET  MainThread")
    assert (await ask(host, new_downstream, http_scope, path="/stream")).body == b"012"
    assert (await ask(host, new_downstream, http_scope, path="/none")).status == 404


async def test_django_hears_that_a_client_left(hosts, new_downstream, http_scope, django_applications, caplog):
    """A view that waits is cancelled by Django itself, and nothing of it is an error."""
    host = await hosts.open(django_applications[0])
    run = host.start(http_scope(path="/stream"), b"", True, new_downstream())
    run.disconnect(1006, "")
    async with asyncio.timeout(DEADLINE_S):
        while host.running_count:
            await asyncio.sleep(0)
    assert caplog.text == ""


async def test_django_through_wsgi(hosts, new_downstream, http_scope, django_applications):
    """The same project by its other entry."""
    host = await hosts.open(django_applications[1], threads=2)
    downstream = await ask(
        host, new_downstream, http_scope, "POST", "/sync", b"data", headers=[[b"content-type", b"text/plain"]]
    )
    assert downstream.body.startswith(b"POST data towpath-sync-")


@pytest.mark.parametrize(
    "later", [(), (b"da", b"ta"), (b"d" * 700_000, b"a" * 700_000)], ids=["at once", "later", "large"]
)
async def test_django_through_wsgi_reads_a_chunked_body(hosts, new_downstream, http_scope, django_applications, later):
    """It reads what CONTENT_LENGTH says, and nothing where there is none: so the body is collected before it is called."""
    host = await hosts.open(django_applications[1], threads=2)
    downstream = new_downstream()
    headers = [[b"host", b"h"], [b"content-type", b"text/plain"], [b"transfer-encoding", b"chunked"]]
    run = host.start(http_scope("POST", "/sync", headers), b"some ", bool(later), downstream)
    for number, part in enumerate(later, 1):
        run.deliver({"type": "http.request", "body": part, "more_body": number < len(later)}, len(part) + 64)
    await downstream.over()
    assert downstream.body.startswith(b"POST some " + b"".join(later) + b" towpath-sync-")


async def test_flask(hosts, new_downstream, http_scope):
    """Routing, upload, streaming, and its own 500 page."""
    from flask import Flask, Response, request

    flask = Flask("test")

    @flask.post("/upload/<name>")
    def upload(name):
        return f"{name} {len(request.get_data())}"

    @flask.get("/stream")
    def stream():
        return Response(b"%d" % number for number in range(5))

    @flask.get("/broken")
    def broken():
        raise ZeroDivisionError

    host = await hosts.open(flask)
    assert (await ask(host, new_downstream, http_scope, "POST", "/upload/a", b"x" * 5000)).body == b"a 5000"
    assert (await ask(host, new_downstream, http_scope, path="/stream")).body == b"01234"
    assert (await ask(host, new_downstream, http_scope, path="/broken")).status == 500
    assert (await ask(host, new_downstream, http_scope, path="/none")).status == 404


async def test_starlette(hosts, new_downstream, http_scope, websocket_scope):
    """Lifespan state, background task, streaming, sync endpoint, WebSocket, denial response."""
    from contextlib import asynccontextmanager

    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    ran = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app):
        yield {"greeting": "hi"}

    async def hello(request):
        async def later():
            ran.set()

        return PlainTextResponse(request.state.greeting, background=BackgroundTask(later))

    def sync(request):
        return PlainTextResponse(threading.current_thread().name)

    async def stream(request):
        async def parts():
            for number in range(3):
                yield memoryview(b"%d" % number)

        return StreamingResponse(parts())

    async def echo(websocket):
        if websocket.url.path == "/deny":
            await websocket.send_denial_response(PlainTextResponse("not you", 401))
            return
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text.upper())

    routes = [Route("/", hello), Route("/sync", sync), Route("/stream", stream)]
    routes += [WebSocketRoute("/ws", echo), WebSocketRoute("/deny", echo)]
    host = await hosts.open(Starlette(routes=routes, lifespan=lifespan), lifespan="on")
    assert (await ask(host, new_downstream, http_scope)).body == b"hi"
    await asyncio.wait_for(ran.wait(), DEADLINE_S)
    assert b"MainThread" not in (await ask(host, new_downstream, http_scope, path="/sync")).body
    assert (await ask(host, new_downstream, http_scope, path="/stream")).body == b"012"

    downstream = new_downstream()
    run = host.start(websocket_scope(), b"", False, downstream)
    run.deliver({"type": "websocket.receive", "text": "abc"}, 67)
    await downstream.until(lambda downstream: len(downstream.events) == 2)
    assert downstream.events[1] == {"type": "websocket.send", "text": "ABC"}
    run.disconnect(1000, "")
    denied = new_downstream()
    host.start(websocket_scope("/deny"), b"", False, denied)
    await denied.over()
    assert (denied.status, denied.body) == (401, b"not you")


async def test_fastapi(hosts, new_downstream, http_scope):
    """Validation errors, sync and async endpoints, server-sent events that end with their client."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()
    ended = asyncio.Event()

    @app.get("/items/{number}")
    async def item(number: int):
        return {"number": number}

    @app.get("/sync")
    def sync():
        return "ok"

    @app.get("/events")
    async def events():
        async def parts():
            try:
                while True:
                    yield "data: tick\n\n"
                    await asyncio.sleep(0.001)
            finally:
                ended.set()

        return StreamingResponse(parts(), media_type="text/event-stream")

    host = await hosts.open(app, lifespan="on")
    assert (await ask(host, new_downstream, http_scope, path="/items/7")).body == b'{"number":7}'
    assert (await ask(host, new_downstream, http_scope, path="/items/x")).status == 422
    assert (await ask(host, new_downstream, http_scope, path="/sync")).body == b'"ok"'
    downstream = new_downstream()
    run = host.start(http_scope(path="/events"), b"", False, downstream)
    await downstream.until(lambda downstream: len(downstream.events) > 3)
    run.disconnect(1006, "")
    await asyncio.wait_for(ended.wait(), DEADLINE_S)


async def test_a_stream_is_closed_as_soon_as_its_client_has_left(hosts, new_downstream, http_scope):
    """Its `finally` gives back what it holds; waiting for the garbage collector is no way to give back a connection."""
    import gc

    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    closed = asyncio.Event()

    async def endless(request):
        async def parts():
            try:
                while True:
                    yield b"."
                    await asyncio.sleep(0)
            finally:
                closed.set()

        return StreamingResponse(parts())

    host = await hosts.open(Starlette(routes=[Route("/", endless)]))
    downstream = new_downstream()
    run = host.start(http_scope(), b"", False, downstream)
    await downstream.until(lambda downstream: len(downstream.events) > 3)
    gc.disable()
    try:
        run.disconnect(1006, "")
        await asyncio.wait_for(closed.wait(), DEADLINE_S)
    finally:
        gc.enable()
