"""An interface server without Redis, for the tests of WebSockets: the test plays dispatcher and application; the sockets are real."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.scope import Scope, ScopeReader
from interface_server.connections.interfaces import Client
from interface_server.http.server_context import ServerContext
from interface_server.protocol_factory import ProtocolFactory
from interface_server.settings import InterfaceSettings
from interface_server.transport.endpoint import ServerEndpoint

DEADLINE_S = 30.0
ACCEPT: Event = {"type": "websocket.accept", "subprotocol": None, "headers": []}


class Downstream:
    """One connection as the dispatcher sees it: an `Upstream` that remembers, and what the test sends to the client's side."""

    def __init__(self, client: Client, scope: Event, name: str) -> None:
        self.client: Any = client  # tests look at its slots
        self.scope = scope
        self.channel = name
        self.has_credit = True  #: what `forward` answers
        self.owned = True
        self.delivered_bytes = 0
        self.unread = asyncio.Queue[Event]()
        self.gone: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.credited = asyncio.Event()

    def forward(self, event: Event, size_bytes: int) -> bool:
        assert size_bytes == payload_size_bytes(event), "the size that is counted is the size that there is"
        self.unread.put_nowait(event)
        return self.has_credit

    def delivered(self, size_bytes: int) -> None:
        self.delivered_bytes += size_bytes
        self.credited.set()

    def leave(self, code: int = 1006, reason: str = "") -> None:
        self.gone.set_result((code, reason))  # a second call raises: after `leave` never again

    def complete(self) -> None:
        raise AssertionError("a WebSocket is never complete")

    def say(self, *events: Event) -> None:
        self.client.deliver(events, sum(map(payload_size_bytes, events)))

    async def heard(self) -> Event:
        return await asyncio.wait_for(self.unread.get(), DEADLINE_S)

    async def left(self) -> tuple[int, str]:
        return await asyncio.wait_for(asyncio.shield(self.gone), DEADLINE_S)

    async def credit(self, size_bytes: int) -> None:
        """Wait until so much was said to be delivered."""
        async with asyncio.timeout(DEADLINE_S):
            while self.delivered_bytes < size_bytes:
                self.credited.clear()
                await self.credited.wait()


class ScriptedBackend:
    """Where connections arrive; `on_open` may answer at the next turn of the loop."""

    ready = True

    def __init__(self, on_open: Callable[[Downstream], None] | None = None) -> None:
        self.on_open = on_open
        self.opened = asyncio.Queue[Downstream]()
        self.count = 0

    def open(
        self, client: Client, sent: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Downstream:
        scope = ScopeReader().read(sent.pieces)
        assert scope["type"] == "websocket" and body == b"" and not more_body
        self.count += 1
        line = Downstream(client, scope, f"test!{self.count}")
        self.opened.put_nowait(line)
        asyncio.get_running_loop().call_soon(client.adopted)
        if self.on_open is not None:
            asyncio.get_running_loop().call_soon(self.on_open, line)
        return line

    async def next(self) -> Downstream:
        return await asyncio.wait_for(self.opened.get(), DEADLINE_S)


class Served:
    """A listening server and its address."""

    def __init__(self, backend: ScriptedBackend, context: ServerContext, factory: ProtocolFactory, port: int) -> None:
        self.backend = backend
        self.context = context
        self.factory = factory
        self.port = port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/chat?room=lock"

    async def connect(self, *, accept: bool = True, **request: Any) -> tuple[RawClient, Downstream]:
        """A raw client whose handshake has arrived; accepted, unless not wanted."""
        client = await RawClient.connect(self.port)
        client.send(upgrade_request(**request))
        line = await self.backend.next()
        if accept:
            line.say(ACCEPT)
            await client.head()
        return client, line


@asynccontextmanager
async def served(
    settings: InterfaceSettings | None = None,
    on_open: Callable[[Downstream], None] | None = None,
    tick_period_s: float = 0.02,
) -> AsyncIterator[Served]:
    """A server on a free port of 127.0.0.1; nothing is left of it afterwards."""
    backend = ScriptedBackend(on_open)
    loop = asyncio.get_running_loop()
    context = ServerContext.of(
        settings or InterfaceSettings(access_log=False), backend, loop, Counter(), tick_period_s=tick_period_s
    )
    context.start()
    factory = ProtocolFactory(context)
    port = await ServerEndpoint(loop, port=0).open(factory)
    try:
        yield Served(backend, context, factory, port.sockets[0].getsockname()[1])
    finally:
        port.stopListening()
        context.stop()


def upgrade_request(
    *,
    key: bytes = base64.b64encode(bytes(16)),
    version: bytes | None = b"13",
    extra: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """An upgrade's head. extra: whole lines more. behind: bytes that come in the same breath."""
    lines = [
        b"GET /chat?room=lock HTTP/1.1",
        b"Host: towpath.test",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
    ]
    if version is not None:
        lines.append(b"Sec-WebSocket-Version: " + version)
    lines.append(b"Sec-WebSocket-Key: " + key)
    return b"\r\n".join(lines) + b"\r\n" + extra + b"\r\n" + behind


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """One frame as a client writes it, masked; or breaking that rule."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


class RawClient:
    """A client that sends any bytes, and reads frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> RawClient:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        """The head of a response."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)

    async def frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next frame."""
        async with asyncio.timeout(DEADLINE_S):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first, await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """All until the server closes."""
        return await asyncio.wait_for(self.reader.read(), DEADLINE_S)

    def stop_reading(self) -> None:
        """Take nothing more from the kernel; its buffers fill."""
        transport: Any = self.writer.transport
        transport.pause_reading()

    def read_on(self) -> None:
        """Take what there is."""
        transport: Any = self.writer.transport
        transport.resume_reading()

    def vanish(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()
