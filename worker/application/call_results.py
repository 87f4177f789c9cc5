"""Brings the results of sync calls to the event loop: those of one moment by one wake-up.

A future of `concurrent.futures` has a lock and a condition, is copied into one of asyncio, and wakes the loop by itself. A call that was
submitted on the loop needs none of that: it gets a future of the loop, and its result waits here until the loop takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import Any

from worker.application.fork_guard import end_child

CallResult = tuple["asyncio.Future[Any]", Any, BaseException | None]


class CallResults:
    """The results of all sync threads of one worker. `loop`: the one on which this is made, if one runs."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = asyncio._get_running_loop()
        self._results: deque[CallResult] = deque()
        self._is_waking = False
        self._context = Context()

    def future(self) -> asyncio.Future[Any] | None:
        """A future for a call that is submitted now. None: it is not submitted on the loop."""
        loop = self.loop
        return loop.create_future() if loop is not None and asyncio._get_running_loop() is loop else None

    def put(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Complete `future` on the loop. Called in any thread. A forked child ends here: its call has returned to its parent's worker."""
        end_child(error)
        self._results.append((future, result, error))
        if self._is_waking or self.loop is None:
            return
        # In this order, and in `_deliver` the other way round: so each result is seen by a delivery that is under way, or wakes the loop.
        self._is_waking = True
        try:
            self.loop.call_soon_threadsafe(self._deliver, context=self._context)
        except RuntimeError:
            return  # the loop is closed: nothing waits for a view that has outlived its worker

    def _deliver(self) -> None:
        self._is_waking = False
        results = self._results
        while results:
            future, result, error = results.popleft()
            if future.done():
                continue  # cancelled meanwhile
            if error is None:
                future.set_result(result)
            elif isinstance(error, StopIteration):  # no future may have that
                future.set_exception(RuntimeError("a sync call raised StopIteration"))
            else:
                future.set_exception(error)
