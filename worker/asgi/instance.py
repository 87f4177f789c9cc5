"""One run of the application for one connection: an asyncio task, and the `receive` and `send` that it is given.

Here is what both protocols share; http.py and websocket.py have the rest, and their cores (http_state.py,
websocket_state.py) decide what may be said. Here one waits and wakes. There are 20 000 of
these in a worker and most of them only wait, so a run is one task, one slotted object, and nothing that is not needed yet:
no queue, no lock, no timer; the list of buffered events exists while it holds some.

The last word to the line is said once: `complete()` with the last event of an HTTP response, or `close(why)` when the
application has ended without that. After the pump has said `disconnect` or `stop` the line is never used again.

Whoever waits is woken by a future of its own: an application may cancel a `receive()` at any time (frameworks poll for the
disconnect like that). The future only says "look again", the event stays in the buffer, so none is lost.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from abc import abstractmethod
from asyncio import Future, Task
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from worker.application.fork_guard import end_child
from worker.application.sync_threads import SyncThread
from worker.asgi.capacity import Capacity
from worker.asgi.http_state import PART_SIZE_BYTES_MAX
from worker.connections.interfaces import Downstream
from worker.errors import ClientGone

Application = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[Any]]

PART_WITH_OVERHEAD_BYTES_MAX = PART_SIZE_BYTES_MAX + EVENT_OVERHEAD_BYTES

logger = logging.getLogger("towpath.worker")


@dataclass(frozen=True, slots=True)
class HostContext:
    """What all application instances of one host share."""

    loop: asyncio.AbstractEventLoop
    on_end: Callable[[AsgiInstance], None]  #: called once for each instance, when its application has ended
    capacity: Capacity[AsgiInstance]
    resume_websockets: bool = False  #: every accept asks for hand-off (`--resume-websockets`)
    is_wsgi: bool = False


class AsgiInstance:
    """What the runs of both protocols have in common: the task, the buffer, and those who wait. An `Instance`."""

    __slots__ = ("_context", "_downstream", "_events", "_receivers", "_senders", "task", "thread")

    kind: ClassVar[str]

    def __init__(self, downstream: Downstream, thread: SyncThread, context: HostContext) -> None:
        self._downstream = downstream
        self._context = context
        self.thread = thread
        self.task: Task[None] | None = None  #: from `start` until the application has ended
        self._events: deque[tuple[Event, int]] | None = None
        self._receivers: tuple[Future[None], ...] = ()
        self._senders: tuple[Future[None], ...] = ()

    def start(self, application: Application, scope: Event) -> None:
        """Start the application in a context of its own."""
        self.task = self._context.loop.create_task(self._run(application, scope), context=self.thread.new_context())

    def deliver(self, event: Event, size_bytes: int) -> None:
        """See Instance. What comes after the end is dropped: nobody will ask for it."""
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
    def exchange(self) -> str:
        """See Instance. Only an HTTP exchange is one."""
        return ""

    def hand_off(self) -> bool:
        """See Instance. Only a WebSocket can be."""
        return False

    def end_event_stream(self) -> bool:
        """See Instance. Only an event stream can be."""
        return False

    def stop(self) -> None:
        """Its time is over: the application is cancelled once; if it goes on all the same, it finds the client gone."""
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
    async def send(self, event: Event) -> None: ...

    @abstractmethod
    def _over(self) -> bool:
        """Whether there is nothing more to come from the client."""

    @abstractmethod
    def _gone(self) -> bool:
        """Whether the line may not be used any more."""

    @abstractmethod
    def _returned(self, scope: Event) -> None:
        """The application has returned, and the client has not gone."""

    @abstractmethod
    def _raised(self, scope: Event, error: BaseException) -> None:
        """The application has raised, and the client has not gone."""

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
            if not self._gone():
                self._returned(scope)
        finally:
            self._end()

    def _end(self, _task: Task[None] | None = None) -> None:
        if self.task is not None:
            self.task = None  # we hold the task, its frames hold us
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
        """Wait in `receive()` until there is something to look at."""
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
        """Wait until the line has room; ClientGone if that will never be."""
        while not self._downstream.has_credit:
            waiter: Future[None] = self._context.loop.create_future()
            self._senders += (waiter,)
            try:
                await waiter
            except BaseException:
                self._senders = tuple(other for other in self._senders if other is not waiter)
                raise
            if self._gone():
                raise ClientGone("the connection has ended")


def wake(waiting: tuple[Future[None], ...]) -> None:
    """Tell everybody in `waiting` to look again."""
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None)


def log_failure(name: str, what: str, error: BaseException) -> None:
    """One error with its traceback; a cancellation has none that would tell who did it."""
    if isinstance(error, asyncio.CancelledError):
        logger.error("%s was cancelled, not by the worker: %s", name, what)
    else:
        logger.error("%s failed: %s", name, what, exc_info=error)


def log_late_failure(name: str, error: BaseException) -> None:
    """An error of an application whose client has gone; for developers alone if it says nothing else."""
    level = logging.DEBUG if is_disconnect(error) else logging.ERROR
    logger.log(level, "%s failed after its connection had ended", name, exc_info=error)


def describe(scope: Event, downstream: Downstream) -> str:
    """The connection's name in logs: with the path as it came, for decoded it might hold line ends."""
    path = scope.get("raw_path") or b""
    return f"{scope.get('method', 'WebSocket')} {path.decode('latin-1')} ({downstream.reply_channel})"


def is_disconnect(error: BaseException) -> bool:
    """Whether `error` only says, through whatever wraps it, that the client has gone or the instance was stopped."""
    if isinstance(error, ClientGone | asyncio.CancelledError):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(inner) for inner in error.exceptions)
    cause = error.__cause__ or error.__context__
    return cause is not None and is_disconnect(cause)


def clear_frames(error: BaseException | None) -> None:
    """Empty the frames that `error` came through.

    They and the error often hold each other, and with them what the application had open: an async generator would be
    closed, and its `finally` run, only when the garbage collector comes by, which on a quiet worker may be never.
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
