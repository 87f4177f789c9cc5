"""Runs the event loop of a worker, and starts it again if a task of the application ends it.

asyncio lets two exceptions out of the task that raised them, through the loop, to its caller: SystemExit and
KeyboardInterrupt. Django runs each view in a task of its own, and many applications work in the background: one
`sys.exit()` there would end the worker, and with it all other connections; so would `loop.stop()`. So the loop is started
again where it stopped. A task that awaits the failed one gets the exception like any other; an instance that fails with it
is ended and logged as always (asgi/instance.py). To stop its worker, an application sends SIGTERM to its own process.

The loop exists, and is the current one, before it runs: objects that an application creates while it is imported (tasks,
gRPC channels) belong to the loop that serves.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from worker.application.fork_guard import ForkGuard, end_child

Result = TypeVar("Result")

log = logging.getLogger("towpath.worker")


class LoopRunner:
    """Runs one coroutine after the other, each to its end, across restarts of the loop. Needs the main thread."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._loop = self._runner.get_loop()
        asyncio.set_event_loop(self._loop)
        self.guard = ForkGuard(self._loop)
        self._restart_listeners: list[Callable[[], object]] = []

    def on_restart(self, listener: Callable[[], object]) -> None:
        """Call `listener` inside of the loop after each restart: the loop's descriptor for signals is another one then."""
        self._restart_listeners.append(listener)

    def run(self, main: Coroutine[Any, Any, Result], context: Context | None = None) -> Result:
        """Run `main` to its end. Returns its result, or raises its exception."""
        loop = self._loop
        task = loop.create_task(main, name="main", context=context)
        while True:
            try:
                return loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt, RuntimeError) as error:  # the last one after loop.stop()
                end_child(error)
                if task.done() or loop.is_closed() or is_from_ctrl_c(error):
                    raise
                log.error("the application ended the event loop; the worker goes on", exc_info=error)
                for listener in self._restart_listeners:
                    loop.call_soon(listener)

    def call(self, context: Context, function: Callable[[], Result]) -> Result:
        """Call `function` in `context` while the loop runs. Returns its result, or raises its exception."""

        async def called() -> Result:
            return function()

        return self.run(called(), context)

    def close(self) -> None:
        """Cancel the tasks that are left, and close the loop."""
        self._runner.close()
        asyncio.set_event_loop(None)


def is_from_ctrl_c(error: BaseException) -> bool:
    """True if SIGINT raised `error`. Once the loop has a handler for the signal, the application did."""
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
