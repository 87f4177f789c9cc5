"""Runs an application instance for one HTTP exchange. http_state.py decides what it may send; this file sends and waits."""

from __future__ import annotations

import asyncio
from typing import Any

from channel_layer.current_connection import CURRENT_CONNECTION
from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from channel_layer.protocol.packets import Close
from channel_layer.protocol.server_sent_events import resumes_by_itself
from worker.application.sync_threads import SyncThread
from worker.asgi.http_state import (
    COMPLETE,
    DISCARDED_AT_ONCE,
    GONE,
    SILENT,
    STARTED,
    DiscardedEvents,
    announces_length,
    body_parts,
    disconnect_step,
    http_step,
)
from worker.asgi.instance import (
    PART_WITH_OVERHEAD_BYTES_MAX,
    AsgiInstance,
    HostContext,
    describe,
    log_failure,
    logger,
)
from worker.connections.interfaces import Downstream
from worker.errors import ClientGone


class HttpInstance(AsgiInstance):
    """One HTTP exchange."""

    __slots__ = ("_body", "_discarded", "_more_body", "_stage", "_start")

    kind = "http"

    def __init__(
        self, downstream: Downstream, thread: SyncThread, context: HostContext, body: bytes, more_body: bool
    ) -> None:
        AsgiInstance.__init__(self, downstream, thread, context)
        self._stage = SILENT
        self._body: bytes | None = body
        self._more_body = more_body
        self._start: Event | None = None  # the start of a response that was not complete at once
        self._discarded: DiscardedEvents | None = None

    async def receive(self) -> Event:
        """Return the body part by part; then, or once the response is complete, `http.disconnect` at every call."""
        body = self._body
        if body is not None and not self._over():
            self._body = None
            if self._more_body:
                self._downstream.request_body()
            return {"type": "http.request", "body": body, "more_body": self._more_body}
        while not self._over():
            event = self._next_event()
            if event is not None:
                self._more_body = bool(event.get("more_body"))
                return event
            await self._until_body_or_disconnect()
        return {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        """Check `event`, send it, and wait while there is no credit. Raises as http_step does, but see `_discard`."""
        try:
            checked, size_bytes, stage = http_step(self._stage, event)
            if size_bytes > PART_WITH_OVERHEAD_BYTES_MAX:
                return await self._send_in_parts(checked)
            self._stage = stage
            has_credit = self._downstream.send(checked, size_bytes)
            if stage is COMPLETE:
                self._complete()
            else:
                if self._start is None:
                    self._start = checked
                    self._context.capacity.leave(self)
                elif CURRENT_CONNECTION.get() is None:  # what a stream sends to groups keeps its place among its parts
                    CURRENT_CONNECTION.set(self._downstream.key)
                if not has_credit:
                    await self._until_credit()
        except ClientGone:
            await self._discard(event)
        return None

    def disconnect(self, code: int, reason: str) -> None:
        """See Instance."""
        self._stage = disconnect_step(self._stage)
        self._events = self._body = None
        # Senders first: then a stream is at its own next step when its listener for the disconnect cancels it.
        self.resume()
        self._wake_receivers()

    def stop(self) -> None:
        """As AsgiInstance."""
        self._refuse_further_sends()
        AsgiInstance.stop(self)

    @property
    def request(self) -> str:
        """See Instance."""
        return describe(self._scope, self._downstream)

    def end_event_stream(self) -> bool:
        """See Instance. The client of an event stream reconnects, and reports the last event that it got."""
        if self._stage is not STARTED or self._start is None or not resumes_by_itself(self._scope, self._start):
            return False
        self._downstream.send({"type": "http.response.body", "body": b"", "more_body": False}, EVENT_OVERHEAD_BYTES)
        self._downstream.complete()
        self._refuse_further_sends()
        self.disconnect(SERVICE_RESTART, "")
        return True

    async def _discard(self, event: Any) -> None:
        """The client has left: do nothing, and let other tasks run. Raises ClientGone if the application sends without end.

        A WSGI stream without a reader ends at its next chunk, to free its thread. As under gunicorn, the application meets no
        exception: its iterator gets its `close()`. Only a call of `write()` raises inside it.
        """
        now = self._context.loop.time()
        if self._discarded is None:
            if self._context.is_wsgi:
                raise ClientGone(GONE.meaning)
            self._discarded = DiscardedEvents(now, announces_length(self._start or event))
        if self._discarded.count_event(now):
            raise ClientGone(GONE.meaning)
        if self._discarded.events % DISCARDED_AT_ONCE == 0:
            await asyncio.sleep(0)

    def _refuse_further_sends(self) -> None:
        """Raise ClientGone at every `send()` from now on: the worker leaves, and the application may not listen for the disconnect."""
        self._discarded = DiscardedEvents.exhausted()

    async def _until_body_or_disconnect(self) -> None:
        """Wait in `receive()` for the disconnect, or for a part of the body; the latter without a place."""
        if self._more_body and self._start is None:
            self._context.capacity.leave(self)
        try:
            await self._until_woken()
        finally:
            if self._start is None:
                self._context.capacity.waiting.discard(self)

    async def _send_in_parts(self, body: Event) -> None:
        """Send a body of hundreds of megabytes at the client's pace, though the application gave it at once. P5.

        Each part is checked when its turn comes, as another task may have completed the response meanwhile: then WrongOrder.
        """
        for part, _ in body_parts(body):
            await self._until_credit()
            checked, size_bytes, self._stage = http_step(self._stage, part)
            self._downstream.send(checked, size_bytes)
        if self._stage is COMPLETE:
            self._complete()
        else:
            await self._until_credit()

    def _complete(self) -> None:
        self._events = self._body = None
        self._context.capacity.waiting.discard(self)
        self._downstream.complete()
        if self._receivers:
            self._wake_receivers()
        if self._senders:  # other tasks, which wait for credit: none will come any more
            self.resume()

    def _over(self) -> bool:
        return self._stage is COMPLETE or self._stage is GONE

    def _gone(self) -> bool:
        return self._stage is GONE

    def _returned(self, scope: Event) -> None:
        if not self._over():
            logger.error("%s returned, but %s", describe(scope, self._downstream), self._stage.meaning)
            self._downstream.close(Close.FINISHED)

    def _raised(self, scope: Event, error: BaseException) -> None:
        log_failure(describe(scope, self._downstream), self._stage.meaning, error)
        if self._stage is not COMPLETE:
            self._downstream.close(Close.FAILED)
