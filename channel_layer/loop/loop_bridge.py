"""Runs calls on one loop for any other: what several callers ask for in one moment wakes that loop once, and so do the answers.

asyncio's own way (`run_coroutine_threadsafe`, `wrap_future`) costs two futures with locks and two wake-ups for each call. Here calls
and answers travel in queues: the first one into an idle queue wakes the loop at its end, and the loop then takes all that is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any
from weakref import WeakKeyDictionary

from channel_layer.errors import LayerUnavailable, NothingSent

Call = Callable[..., Coroutine[Any, Any, Any]]


class _Mailbox:
    """Functions that one loop is to call, put in by any thread."""

    __slots__ = ("__weakref__", "_closed", "_due", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._due = False  # the loop will look here
        self._closed = False

    def put(self, function: Callable[[], None]) -> None:
        """Let the loop call `function` soon. Raises RuntimeError if the loop is closed, or calls nothing more."""
        if self._loop.is_closed():
            raise RuntimeError("Event loop is closed")
        self._waiting.append(function)
        if self._closed:  # read after the function is in: either `close` has called it, or it is taken out here
            with contextlib.suppress(ValueError):
                self._waiting.remove(function)
                raise RuntimeError("it calls nothing more")
        elif not self._due:
            self._due = True
            self._loop.call_soon_threadsafe(self._empty)

    def close(self) -> None:
        """Call what waits, and nothing more. Runs on the loop."""
        self._closed = True
        self._empty()

    def _empty(self) -> None:
        self._due = False  # before the first is taken: what is put in from here on wakes the loop again
        while self._waiting:
            self._waiting.popleft()()


class _Pending:
    """One call that another loop has made, and its answer."""

    __slots__ = ("_answers", "_arguments", "_call", "_context", "_error", "_result", "_task", "future")

    def __init__(self, call: Call, arguments: tuple[Any, ...], answers: _Mailbox, future: asyncio.Future[Any]) -> None:
        self._call, self._arguments, self._answers, self.future = call, arguments, answers, future
        self._context: Context = copy_context()
        self._task: asyncio.Task[Any] | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Start the call; runs on the loop that carries it out."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._call(*self._arguments), context=self._context)
        self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancel the call, since its caller waits no longer; runs on the loop that carries it out."""
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._error = LayerUnavailable("the channel layer of this process was closed meanwhile")
        elif (error := task.exception()) is not None:
            self._error = error
        else:
            self._result = task.result()
        try:
            self._answers.put(self._settle)
        except RuntimeError:  # the caller's loop is closed: it waits no longer
            pass

    def _settle(self) -> None:
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)


class LoopBridge:
    """The way of all other loops of a process to one loop. May be used by any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._calls = _Mailbox(loop)
        self._answers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox] = WeakKeyDictionary()

    async def run(self, call: Call, *arguments: Any) -> Any:
        """Run `call` with these arguments on that loop, in the context of the caller, and return its result.

        Raises what it raises; NothingSent if that loop has ended, LayerUnavailable if it ends meanwhile. A caller that is cancelled
        cancels it.
        """
        loop = asyncio.get_running_loop()
        answers = self._answers.get(loop)
        if answers is None:
            answers = self._answers.setdefault(loop, _Mailbox(loop))
        pending = _Pending(call, arguments, answers, loop.create_future())
        try:
            self._calls.put(pending.begin)
        except RuntimeError as error:
            raise NothingSent(f"the event loop of the channel layer has ended: {error}") from error
        try:
            return await pending.future
        except asyncio.CancelledError:
            with contextlib.suppress(RuntimeError):  # that loop has ended, and the call with it
                self._calls.put(pending.cancel)
            raise

    def close(self) -> None:
        """Begin what callers have asked for, and nothing more: later calls raise NothingSent. Runs on that loop, shortly before it ends."""
        self._calls.close()
