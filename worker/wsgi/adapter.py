"""Adapts a WSGI application to ASGI 3, and calls it in the sync thread of its connection.

It streams both ways: `wsgi.input` waits for the parts of the body (input.py), and what the application yields is sent at
once. A hop from the thread to the event loop and back costs more than a small response itself, so the thread hops only to
send something early: at most one hop is under way while the application makes its next chunk, and the last events travel
with the end of the call. So an application that announces its Content-Length, as Flask does, hops once at most.

Not a2wsgi: that has threads of its own, beside the sync threads, and three tasks for each request.

Source: PEP 3333. The reason phrase of a status is dropped, as ASGI has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextvars import Context
from enum import Enum, auto
from types import TracebackType
from typing import Any

from channel_layer.protocol.events import Event
from channel_layer.protocol.illegal_move import legal_move
from worker.application.fresh_context import fresh_context
from worker.application.sync_threads import SYNC_THREAD
from worker.errors import InvalidEvent, WrongOrder
from worker.wsgi.environ import environ_of
from worker.wsgi.input import body_input

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class WsgiApplication:
    """A WSGI application as ASGI 3."""

    def __init__(self, target: Callable[..., Any], loaded: Context) -> None:
        """loaded: the context in which `target` was loaded."""
        self._target = target
        self._loaded = loaded

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request. A WebSocket is rejected: WSGI knows none."""
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        loop = asyncio.get_running_loop()
        first = await receive()
        if first["type"] == "http.disconnect":
            return None
        response = WsgiResponse(send, loop)
        environ = environ_of(scope, body_input(first, receive, loop))
        if first["body"] and not first["more_body"]:  # chunked, and complete already (RFC 3875, 4.1.2)
            environ.setdefault("CONTENT_LENGTH", str(len(first["body"])))
        # A context of its own: context variables that the application sets do not reach the next request.
        run = fresh_context(self._loaded).run
        for event in await loop.run_in_executor(SYNC_THREAD.get(), run, response.run, self._target, environ):
            await send(event)
        return None


class StartState(Enum):
    """How far the start of a response is.

    MISSING ──start_response()──▶ GIVEN ──with the first chunk, or the end──▶ QUEUED
                                  └──▶┘ replaced, if there is exc_info
    """

    MISSING = auto()
    GIVEN = auto()
    QUEUED = auto()


MISSING, GIVEN, QUEUED = StartState

#: From each state to those that may follow.
START_MOVES: dict[StartState, tuple[StartState, ...]] = {MISSING: (GIVEN,), GIVEN: (GIVEN, QUEUED), QUEUED: ()}


def start_step(before: StartState, after: StartState) -> StartState:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    return legal_move(START_MOVES, before, after, "the start of a response")


class WsgiResponse:
    """The response of one call of a WSGI application. Used in the sync thread; only `_send_all` runs on the loop."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self._start: Event = {}  # once it is given
        self._start_state: StartState = MISSING
        self._missing_bytes: int | None = None  #: the rest of an announced Content-Length
        self._unsent: list[Event] = []
        self._hop: Future[None] | None = None

    def run(self, target: Callable[..., Any], environ: dict[str, Any]) -> list[Event]:
        """Call the application and send what it yields. Returns the events that need no hop of their own."""
        try:
            return self._run(target, environ)
        except StopIteration as error:
            # No future can hold a StopIteration: it would be lost, and the client would wait for ever.
            raise RuntimeError("the application raised StopIteration") from error

    def _run(self, target: Callable[..., Any], environ: dict[str, Any]) -> list[Event]:
        chunks: Iterable[bytes] = target(environ, self.start_response)
        close: Callable[[], None] | None = getattr(chunks, "close", None)
        try:
            for chunk in chunks:
                self.write(chunk)
            if self._start_state is MISSING:
                raise WrongOrder("the application returned without a call of start_response()")
            self._queue(b"", more_body=False)
            if close is not None:
                self._start_hop()  # close() may take long, and the client must not wait for it
        finally:
            if close is not None:
                close()
        self._finish_hop()
        return self._unsent

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """As PEP 3333."""
        if exc_info is not None and self._start_state is QUEUED:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._start_state is not MISSING:
            raise WrongOrder("start_response() was called twice without exc_info")
        self._start = {"type": "http.response.start", "status": status_code(status), "headers": as_fields(headers)}
        self._start_state = start_step(self._start_state, GIVEN)
        self._missing_bytes = announced_size_bytes(headers)
        return self.write

    def write(self, chunk: bytes) -> None:
        """Send `chunk`. An empty one sends nothing; above all it does not start the response."""
        if self._start_state is MISSING:
            raise WrongOrder("a chunk was written before start_response() was called")
        if type(chunk) is not bytes:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise InvalidEvent(f"a chunk is of type {type(chunk).__name__}; it is bytes")
            chunk = bytes(chunk)
        if chunk:
            missing = self._missing_bytes
            self._queue(chunk, more_body=True)
            if missing is None or missing != len(chunk):
                self._start_hop()

    def _queue(self, chunk: bytes, more_body: bool) -> None:
        if self._start_state is GIVEN:
            self._start_state = start_step(self._start_state, QUEUED)
            self._unsent.append(self._start)
        if self._missing_bytes is not None and chunk:
            self._missing_bytes -= len(chunk)
        self._unsent.append({"type": "http.response.body", "body": chunk, "more_body": more_body})

    def _start_hop(self) -> None:
        """Send the unsent events, once the hop before has finished: that is the application's backpressure."""
        self._finish_hop()
        events, self._unsent = self._unsent, []
        self._hop = asyncio.run_coroutine_threadsafe(self._send_all(events), self._loop)

    def _finish_hop(self) -> None:
        hop, self._hop = self._hop, None
        if hop is not None:
            hop.result()

    async def _send_all(self, events: list[Event]) -> None:
        for event in events:
            await self._send(event)


def status_code(status: str) -> int:
    """The number of a status such as "200 OK"."""
    code = status[:3] if isinstance(status, str) else ""
    if not code.isdecimal() or status[3:4] not in ("", " "):
        raise InvalidEvent(f"status is {status!r}; it is a str such as '200 OK'")
    return int(code)


def as_fields(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as bytes. `send()` checks what is in them."""
    try:
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidEvent(f"headers are pairs of str in latin-1: {error}") from error


def announced_size_bytes(headers: list[tuple[str, str]]) -> int | None:
    """The Content-Length, if the application announced one."""
    for name, value in headers:
        if name.lower() == "content-length" and value.isdecimal():
            return int(value)
    return None
