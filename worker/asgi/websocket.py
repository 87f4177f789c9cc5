"""Runs an application instance for one WebSocket. websocket_state.py decides what it may send; this file sends and waits."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from typing import Any

from channel_layer.current_connection import CURRENT_CONNECTION
from channel_layer.protocol.events import Event
from channel_layer.protocol.packets import Close
from worker.application.sync_threads import SyncThread
from worker.asgi.http_state import body_parts
from worker.asgi.instance import (
    PART_WITH_OVERHEAD_BYTES_MAX,
    Application,
    AsgiInstance,
    HostContext,
    describe,
    log_failure,
    logger,
)
from worker.asgi.websocket_state import (
    ASKED,
    CLOSED,
    CONNECTING,
    DENYING,
    GONE,
    NOT_ASKED,
    OPEN,
    SENT,
    check_offered,
    close_event,
    disconnect_step,
    hand_off_step,
    message_parts,
    websocket_step,
)
from worker.connections.interfaces import Downstream
from worker.errors import WrongOrder


class WebSocketInstance(AsgiInstance):
    """One WebSocket."""

    __slots__ = ("_close_event", "_hand_off", "_offered", "_stage")

    kind = "websocket"

    def __init__(self, downstream: Downstream, thread: SyncThread, context: HostContext) -> None:
        AsgiInstance.__init__(self, downstream, thread, context)
        self._hand_off = NOT_ASKED
        self._offered: Sequence[str] = ()  # subprotocols that its client offers
        self._stage = CONNECTING
        self._events = deque((({"type": "websocket.connect"}, 0),))
        #: Code and reason of the disconnect event that receive() has not returned yet.
        self._close_event: tuple[int, str] | None = None

    def start(self, application: Application, scope: Event, context: Context) -> None:
        """As AsgiInstance. In its context, calls of the channel layer about the own channel carry the instance's epoch."""
        self._offered = scope.get("subprotocols") or ()
        context.run(CURRENT_CONNECTION.set, self._downstream.key)
        AsgiInstance.start(self, application, scope, context)

    async def receive(self) -> Event:
        """Return the client's events, in order, then the disconnect event, once.

        Raises WrongOrder when called again after that: a loop that does not check the type of what it receives would
        otherwise wait, or run, for ever. (Servers differ here; an application that stops at the disconnect does not notice.)
        """
        while True:
            event = self._next_event() if self._hand_off is NOT_ASKED else None
            if event is not None:
                return event
            if self._over():
                return self._disconnect_event()
            if self._hand_off is ASKED:
                self._send_hand_off()
            await self._until_woken()

    async def send(self, event: Any) -> None:
        """Check `event`, send it, and wait while there is no credit. Raises as websocket_step does."""
        if self._hand_off is SENT:
            await self._until_gone()
        before = self._stage
        checked, size_bytes, stage = websocket_step(before, event)
        if stage is OPEN:
            if before is CONNECTING:
                self._accepted(checked)
            elif not self._downstream.has_credit:
                # Another task has filled it: all of them together get one message beyond it.
                await self._until_credit()
                return await self.send(event)
        self._stage = stage
        if size_bytes > PART_WITH_OVERHEAD_BYTES_MAX:
            has_credit = self._send_in_parts(checked)
        else:
            has_credit = self._downstream.send(checked, size_bytes)
        if stage is CLOSED:
            self._close_event = close_event(before, checked)
            self._wake_receivers()
        elif not has_credit:
            await self._until_credit()
        return None

    def deliver(self, event: Event, size_bytes: int) -> None:
        """See Instance. After the hand-off was sent, the interface server keeps the event for the next instance."""
        if self._hand_off is not SENT:
            AsgiInstance.deliver(self, event, size_bytes)

    def hand_off(self) -> bool:
        """See Instance."""
        if self._stage is not OPEN or not self._downstream.resumable or self._hand_off is not NOT_ASKED:
            return False
        self._hand_off = hand_off_step(self._hand_off, ASKED)
        if self._receivers:
            self._send_hand_off()
        return True

    def disconnect(self, code: int, reason: str) -> None:
        """See Instance. Events that came before are still received, then the disconnect."""
        if not self._over():
            self._close_event = (code, reason)
        self._stage = disconnect_step(self._stage)
        self._hand_off = hand_off_step(self._hand_off, NOT_ASKED)
        self._wake_receivers()
        self.resume()

    def _accepted(self, accept: Event) -> None:
        check_offered(accept, self._offered)
        if self._context.resume_websockets:
            accept.setdefault("resumable", True)
        self._downstream.resumable = bool(accept.get("resumable"))

    def _send_hand_off(self) -> None:
        """Send the hand-off: the application waits for its client, and everything that it sent is on its way."""
        self._hand_off = hand_off_step(self._hand_off, SENT)
        self._events = None  # not consumed, so the next instance gets them
        self._downstream.hand_off()

    async def _until_gone(self) -> None:
        """Let a background task that sends after the hand-off wait; then its client has left."""
        while self._hand_off is SENT:
            waiter: Future[None] = self._context.loop.create_future()
            self._senders += (waiter,)
            await waiter

    def _send_in_parts(self, checked: Event) -> bool:
        """Send all parts at once. Several tasks may send on one WebSocket, and nothing may come between the parts of a message.

        Returns whether there is credit afterwards.
        """
        parts = body_parts(checked) if "body" in checked else message_parts(checked)
        for part, size_bytes in parts:
            self._downstream.send(part, size_bytes)
        return self._downstream.has_credit

    def _disconnect_event(self) -> Event:
        if self._close_event is None:
            raise WrongOrder("receive() was called after it had returned websocket.disconnect")
        (code, reason), self._close_event = self._close_event, None
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    def _over(self) -> bool:
        return self._stage is CLOSED or self._stage is GONE

    def _gone(self) -> bool:
        return self._stage is GONE

    def _returned(self, scope: Event) -> None:
        if self._stage is GONE:
            return
        if self._stage in (CONNECTING, DENYING):
            logger.error("%s returned, but %s", describe(scope, self._downstream), self._stage.meaning)
        self._downstream.close(Close.FINISHED)

    def _raised(self, scope: Event, error: BaseException) -> None:
        log_failure(describe(scope, self._downstream), self._stage.meaning, error)
        self._downstream.close(Close.FAILED)
