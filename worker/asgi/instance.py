"""One run of the application for one connection: an asyncio task, and the `receive` and `send` that it gets.

This file has what both protocols share: buffering, waiting and waking. http.py and websocket.py have the rest, and their
cores (http_state.py, websocket_state.py) decide which events are legal. A worker has 20 000 instances, and most of them only
wait; so an instance is one task, one slotted object, and nothing that is not needed yet: no queue, no lock, no timer; the
deque of buffered events exists while it holds some.

A connection is ended once: by `complete()` with the last event of an HTTP response, or by `close(why)` when the application
has ended without that. After `disconnect` or `stop` the connection is not used again.

Each call that waits has a future of its own: an application may cancel a `receive()` at any time (frameworks poll for the
disconnect that way). The future only wakes the call; the event stays in the buffer, so none is lost.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from abc import abstractmethod
from asyncio import Future, Task
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from worker.application.fork_guard import end_child
from worker.application.sync_threads import SyncThread
from worker.asgi.capacity import Capacity
from worker.asgi.http_state import PART_SIZE_BYTES_MAX
from worker.connections.interfaces import Downstream
from worker.errors import ClientGone

Application = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[Any]]

PART_WITH_OVERHEAD_BYTES_MAX: Final = PART_SIZE_BYTES_MAX + EVENT_OVERHEAD_BYTES

logger: Final = logging.getLogger("towpath.worker")


@dataclass(frozen=True, slots=True)
class HostContext:
    """Values that all application instances of one host share."""

    loop: asyncio.AbstractEventLoop
    on_end: Callable[[AsgiInstance], None]  #: called once for each instance, when its application has ended
    capacity: Capacity[AsgiInstance]
    resume_websockets: bool = False  #: every accept asks for hand-off (`--resume-websockets`)
    is_wsgi: bool = False


class AsgiInstance:
    """The common part of both protocols: the task, the buffer, and the calls that wait. Implements `Instance`."""

    __slots__ = ("_context", "_downstream", "_events", "_receivers", "_scope", "_senders", "task", "thread")

    kind: ClassVar[str]

    def __init__(self, downstream: Downstream, thread: SyncThread, context: HostContext) -> None:
        self._downstream = downstream
        self._context = context
        self.thread = thread
        self.task: Task[None] | None = None  #: from `start` until the application has ended
        self._scope: Event = {}  #: as the application got it
        self._events: deque[tuple[Event, int]] | None = None
        self._receivers: tuple[Future[None], ...] = ()
        self._senders: tuple[Future[None], ...] = ()

    def start(self, application: Application, scope: Event, context: Context) -> None:
        """Start the application in a task of `context`, which must be its own."""
        self._scope = scope
        task = self._context.loop.create_task(self._run(application, scope), context=context)
        if task.done():  # an eager task factory (Python 3.12) has run it to its end
            self._context.on_end(self)
        else:
            self.task = task

    def deliver(self, event: Event, size_bytes: int) -> None:
        """See Instance. Events after the end are dropped."""
        if self._over():
            return
        if self._events is None:
            self._events = deque()
        self._events.append((event, size_bytes))
        if self._receivers:
            self._wake_receivers()

    def resume(self) -> None:
        """See Instance."""
        if self._senders:
            waiting, self._senders = self._senders, ()
            wake(waiting)

    @property
    def request(self) -> str:
        """See Instance. Only HTTP exchanges have one."""
        return ""

    def hand_off(self) -> bool:
        """See Instance. Only WebSockets can be handed off."""
        return False

    def end_event_stream(self) -> bool:
        """See Instance. Only HTTP exchanges can be event streams."""
        return False

    def stop(self) -> None:
        """Cancel the application once. If it goes on all the same, its client has left."""
        self.disconnect(SERVICE_RESTART, "")
        if self.task is not None:
            # A task that is cancelled before its first step never enters _run.
            self.task.add_done_callback(self._end)
            self.task.cancel()

    @abstractmethod
    def disconnect(self, code: int, reason: str) -> None: ...

    @abstractmethod
    async def receive(self) -> Event: ...

    @abstractmethod
    async def send(self, event: Any) -> None: ...

    @abstractmethod
    def _over(self) -> bool:
        """True if nothing more is received from the client."""

    @abstractmethod
    def _gone(self) -> bool:
        """True if the connection may not be used any more."""

    @abstractmethod
    def _returned(self, scope: Event) -> None:
        """Act on the return of the application, whether its client is still there or not."""

    @abstractmethod
    def _raised(self, scope: Event, error: BaseException) -> None:
        """Act on an exception of the application that it raised while its client was there."""

    async def _run(self, application: Application, scope: Event) -> None:
        try:
            await application(scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - not even SystemExit of the user's code may end the worker
            end_child(error)
            if self._gone():
                log_late_failure(describe(scope, self._downstream), error)
            else:
                self._raised(scope, error)
            clear_frames(error)
        else:
            self._returned(scope)
        finally:
            self._end()

    def _end(self, _task: Task[None] | None = None) -> None:
        self._scope = {}  # breaks a reference cycle too: an application may have put our methods into it
        if self.task is not None:
            self.task = None  # breaks a reference cycle: the frames of the task hold this object
            self._context.on_end(self)

    def _next_event(self) -> Event | None:
        events = self._events
        if not events:
            return None
        event, size_bytes = events.popleft()
        if not events:
            self._events = None
        if size_bytes and not self._over():
            self._downstream.consumed(size_bytes)
        return event

    async def _until_woken(self) -> None:
        """Wait in `receive()` until something has changed."""
        waiter: Future[None] = self._context.loop.create_future()
        self._receivers += (waiter,)
        try:
            await waiter
        except BaseException:
            self._receivers = tuple(other for other in self._receivers if other is not waiter)
            raise

    def _wake_receivers(self) -> None:
        waiting, self._receivers = self._receivers, ()
        wake(waiting)

    async def _until_credit(self) -> None:
        """Wait until the connection has credit, or its last event was sent by another task. Raises ClientGone if it ends before."""
        while not self._downstream.has_credit:
            waiter: Future[None] = self._context.loop.create_future()
            self._senders += (waiter,)
            self._downstream.waits_for_credit()
            try:
                await waiter
            except BaseException:
                self._senders = tuple(other for other in self._senders if other is not waiter)
                raise
            if self._gone():
                raise ClientGone("the connection has ended")
            if self._over():
                return


def wake(waiting: tuple[Future[None], ...]) -> None:
    """Wake every call in `waiting`."""
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None)


def log_failure(name: str, what: str, error: BaseException) -> None:
    """Log one error with its traceback. That of a cancellation is left out: it does not show what cancelled the task."""
    if isinstance(error, asyncio.CancelledError):
        logger.error("%s was cancelled, not by the worker: %s", name, what)
    else:
        logger.error("%s failed: %s", name, what, exc_info=error)


def log_late_failure(name: str, error: BaseException) -> None:
    """Log an error after the client has left: at debug level if it only reports that."""
    level = logging.DEBUG if is_disconnect(error) else logging.ERROR
    logger.log(level, "%s failed after its connection had ended", name, exc_info=error)


def describe(scope: Event, downstream: Downstream) -> str:
    """The connection's name in logs, with the path as it came: decoded, it could contain line breaks."""
    path = scope.get("raw_path") or b""
    return f"{scope.get('method', 'WebSocket')} {path.decode('latin-1')} ({downstream.reply_channel})"


def is_disconnect(error: BaseException) -> bool:
    """True if `error`, however it is wrapped, only means that the client has left or the instance was stopped."""
    if isinstance(error, ClientGone | asyncio.CancelledError):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(inner) for inner in error.exceptions)
    cause = error.__cause__ or error.__context__
    return cause is not None and is_disconnect(cause)


def clear_frames(error: BaseException | None) -> None:
    """Clear the frames through which `error` came.

    They and the error often reference each other, and what the application had open: an async generator would be closed, and
    its `finally` executed, only when the garbage collector runs, which on an idle worker may be never.
    """
    seen: set[int] = set()
    left = [error]
    while left:
        error = left.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        left += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            left += error.exceptions
