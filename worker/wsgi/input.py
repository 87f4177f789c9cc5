"""The request's body as a file for a WSGI application: one that waits, or for Django one collected before.

The application runs in a sync thread and reads at any time; the parts arrive on the loop's thread, under credit. So a read
that finds nothing asks the loop for the next part and waits for it: a part that is not read is never fetched, and an upload
to an application that does not read stops at the client. P5.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import Any

from channel_layer.protocol.events import Event
from worker.errors import ClientGone

#: The most of a collected body that is kept in memory; a longer body is on the disk.
COLLECTED_IN_MEMORY_BYTES = 1_048_576

Receive = Callable[[], Awaitable[Event]]


class BodyInput(io.RawIOBase):
    """Body parts as a raw file. Read in the sync thread only."""

    def __init__(self, first: bytes, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._part = memoryview(first)
        self._more_body = True
        self._receive = receive
        self._loop = loop

    def readable(self) -> bool:
        """As io.RawIOBase."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer; ours is BufferedReader's
        """As io.RawIOBase; raises ClientGone when the connection ended before the body was complete."""
        while not self._part and self._more_body:
            self._next_part()
        count = min(len(buffer), len(self._part))
        buffer[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def _next_part(self) -> None:
        event = asyncio.run_coroutine_threadsafe(received(self._receive), self._loop).result()
        if event["type"] == "http.disconnect":
            raise ClientGone(
                "the connection has ended before the request was complete: its client has left, or its worker leaves"
            )
        self._part = memoryview(event["body"])
        self._more_body = event["more_body"]


async def received(receive: Receive) -> Event:
    """`receive()` as a coroutine, which a thread can hand to the loop."""
    return await receive()


def body_input(first: Event, receive: Receive, loop: asyncio.AbstractEventLoop) -> io.BufferedIOBase:
    """A file for `wsgi.input`, starting with the body part of `first`."""
    if not first["more_body"]:
        return io.BytesIO(first["body"])
    raw: Any = BodyInput(first["body"], receive, loop)
    return io.BufferedReader(raw, 65_536)


def with_length(application: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an `application` that reads no more than CONTENT_LENGTH, as Django: collect a chunked body first, to know its length."""

    def measured(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if "HTTP_TRANSFER_ENCODING" in environ and "CONTENT_LENGTH" not in environ:
            body = SpooledTemporaryFile(COLLECTED_IN_MEMORY_BYTES)  # noqa: SIM115 - the application reads it
            copyfileobj(environ["wsgi.input"], body)
            environ["CONTENT_LENGTH"] = str(body.tell())
            body.seek(0)
            environ["wsgi.input"] = body
        return application(environ, start_response)

    return measured
