"""An interface server without Redis, for the tests of HTTP: an ASGI 3 application runs beside the real sockets, under real credit."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.scope import Scope, ScopeReader
from interface_server.connections.interfaces import Client, EndReason
from interface_server.http.server_context import ServerContext
from interface_server.protocol_factory import ProtocolFactory
from interface_server.settings import InterfaceSettings
from interface_server.transport.endpoint import ServerEndpoint

DEADLINE_S = 30.0
TICK_PERIOD_S = 0.02  #: a second would be a second of waiting in each test of a deadline
WINDOW_SIZE_BYTES = 256 * 1024

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]


class Downstream:
    """One connection: an `Upstream` towards the client's side, `receive` and `send` towards the application."""

    def __init__(self, backend: InProcessServer, client: Client, scope: Event, first: Event, number: int) -> None:
        self.channel = f"test!{number}"
        self.scope = scope
        self.client = client
        self.unread: list[Event] = [first]
        self.unread_bytes = 0
        self.unread_bytes_max = 0
        self.unacknowledged_bytes = 0
        self.unacknowledged_bytes_max = 0
        self.sizes: list[int] = []  #: of the bodies that were forwarded
        self.left: list[tuple[int, str]] = []
        self.completed = 0
        self.took_events = 0  #: how often the start of an event stream was reported
        self.ended = False
        self.may_be_sent_again = False
        self._wanted = False
        self._outbox: list[tuple[Event, int]] = []
        self._paused = False
        self._news = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(backend.app))

    # What the client's side calls.

    def forward(self, event: Event, size_bytes: int) -> bool:
        assert not self.over(), "nothing may be forwarded after the end"
        assert size_bytes == payload_size_bytes(event)
        self.unread.append(event)
        self.sizes.append(len(event["body"]))
        self.unread_bytes += size_bytes
        self.unread_bytes_max = max(self.unread_bytes_max, self.unread_bytes)
        self._news.set()
        self._paused = self.unread_bytes >= WINDOW_SIZE_BYTES
        return not self._paused

    def delivered(self, size_bytes: int) -> None:
        assert not self.over(), "nothing is delivered after the end"
        self.unacknowledged_bytes -= size_bytes
        assert self.unacknowledged_bytes >= 0
        self._news.set()

    def leave(self, code: int = 1006, reason: str = "") -> None:
        assert not self.over(), "who left or is complete cannot leave"
        self.left.append((code, reason))
        self._news.set()

    def complete(self) -> None:
        assert not self.over()
        self.completed += 1
        self._news.set()

    def event_stream_began(self) -> None:
        assert not self.over()
        self.took_events += 1

    def over(self) -> bool:
        return bool(self.left or self.completed or self.ended)

    # What the application calls.

    async def receive(self) -> Event:
        if not self._wanted:
            self._wanted = True
            if not self.over():
                self.client.on_body_requested()
        while not self.unread and not self.over():
            await self._wait()
        if not self.unread:
            return {"type": "http.disconnect"}
        event = self.unread.pop(0)
        if self.unread_bytes:
            self.unread_bytes -= payload_size_bytes(event)
        if self._paused and self.unread_bytes < WINDOW_SIZE_BYTES and not self.over():
            self._paused = False
            self.client.resume()
        return event

    async def send(self, event: Event) -> None:
        if self.left:
            raise OSError("the client has left")
        if self.over():
            return
        size = payload_size_bytes(event)
        self.unacknowledged_bytes += size
        self.unacknowledged_bytes_max = max(self.unacknowledged_bytes_max, self.unacknowledged_bytes)
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((event, size))
        while self.unacknowledged_bytes >= WINDOW_SIZE_BYTES and not self.over():
            await self._wait()

    def _flush(self) -> None:
        """What was sent in one turn of the loop arrives as one batch, as it does from Redis."""
        outbox, self._outbox = self._outbox, []
        if outbox and not self.over():
            self.client.deliver([event for event, _ in outbox], sum(size for _, size in outbox))

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _run(self, app: App) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except OSError:
            pass
        except Ended as ended:
            self._end(ended.end_reason)
        except Exception:
            self._end(EndReason.FAILED)
        else:
            self._end(EndReason.FINISHED)

    def _end(self, end_reason: EndReason) -> None:
        self._flush()
        if not self.over():
            self.ended = True
            self.client.end(end_reason)

    async def gone(self) -> None:
        """Until the connection is over, whichever way."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.over():
                await self._wait()


class Ended(Exception):
    """Raised by an application of a test: the connection ends for this reason."""

    def __init__(self, end_reason: EndReason) -> None:
        super().__init__(end_reason)
        self.end_reason = end_reason


class InProcessServer:
    """Runs `app` for each connection; `lines` has all of them, `next` waits for the next one."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.ready = True
        self.lines: list[Downstream] = []
        self.openings: list[dict[str, Any]] = []
        self._arrived: asyncio.Queue[Downstream] = asyncio.Queue()

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Downstream:
        first = {"type": "http.request", "body": body, "more_body": more_body}
        line = Downstream(self, client, ScopeReader().read(scope.pieces), first, len(self.lines))
        if more_body and not body:
            line.unread.clear()
        self.openings.append({"body": body, "more_body": more_body, "expect_continue": expect_continue})
        self.lines.append(line)
        self._arrived.put_nowait(line)
        asyncio.get_running_loop().call_soon(client.adopted)
        return line

    async def next(self) -> Downstream:
        return await asyncio.wait_for(self._arrived.get(), DEADLINE_S)


class Served:
    """A listening server and its address."""

    def __init__(
        self, backend: InProcessServer, context: ServerContext, factory: ProtocolFactory, address: Any
    ) -> None:
        self.backend = backend
        self.context = context
        self.factory = factory
        self.address = address

    async def connect(self) -> Client1:
        if isinstance(self.address, str):
            return Client1(*await asyncio.open_unix_connection(self.address))
        return Client1(*await asyncio.open_connection(*self.address[:2]))

    async def ask(self, request: bytes) -> bytes:
        """Send `request` on a connection of its own and read until the server closes."""
        client = await self.connect()
        try:
            client.write(request)
            return await client.rest()
        finally:
            client.close()


class Client1:
    """A client that says exactly what a test wants, and hears exactly what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(mark), DEADLINE_S)

    async def exactly(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), DEADLINE_S)

    async def rest(self) -> bytes:
        """All that comes until the server closes; a reset raises ConnectionResetError."""
        return await asyncio.wait_for(self.reader.read(-1), DEADLINE_S)

    async def response(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """One response that has a Content-Length, is chunked, or has no body."""
        head = await self.until(b"\r\n\r\n")
        status_line, *lines = head[:-4].split(b"\r\n")
        status = int(status_line.split()[1])
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if headers.get(b"transfer-encoding") == b"chunked":
            return status, headers, await self._chunks()
        return status, headers, await self.exactly(int(headers.get(b"content-length", 0)))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.until(b"\r\n")).strip(), 16):
            body += (await self.exactly(size + 2))[:-2]
        await self.exactly(2)
        return body

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close so that the server gets a reset: behind bytes that nobody reads, an orderly end would never arrive."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def served(
    app: App, settings: InterfaceSettings | None = None, *, uds: str | None = None
) -> AsyncIterator[Served]:
    """`app` behind a server on a free port of 127.0.0.1, or on a unix socket; nothing is left of it afterwards."""
    backend = InProcessServer(app)
    loop = asyncio.get_running_loop()
    settings = settings or InterfaceSettings(access_log=False)
    context = ServerContext.of(settings, backend, loop, Counter(), tick_period_s=TICK_PERIOD_S)
    factory = ProtocolFactory(context)
    context.start()
    port = await ServerEndpoint(loop, port=0, uds=uds).open(factory)
    try:
        yield Served(backend, context, factory, uds or port.sockets[0].getsockname())
    finally:
        port.stopListening()
        factory.http1.abort_all()
        context.stop()
        for line in backend.lines:
            line.task.cancel()
        await asyncio.gather(*(line.task for line in backend.lines), return_exceptions=True)
        assert context.under_way == 0, "every opening was taken off again"
