"""The event loop of a worker, which a task of the application does not end.

Of all exceptions asyncio lets two out of the task that raised them, through the loop, to whoever runs it: SystemExit and
KeyboardInterrupt. Django runs each view in a task of its own, and many an application works in the background: one
`sys.exit()` there would end the worker, and with it all that others have under way; so would a `loop.stop()`. So the loop
is started again where it stood. Whoever waits for that task gets its exception as any other; an instance that dies of it is
told and logged as always (asgi_runner.py). An application that means its worker to leave sends SIGTERM to its own process.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from worker.fork_guard import end_child

log = logging.getLogger("towpath.worker")


class SteadfastLoop:
    """Runs one coroutine, and begins again."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop_factory = loop_factory
        #: Called inside of the loop when that has begun again: its descriptor for signals is another one then.
        self.begun_again: Callable[[], object] = lambda: None

    def run(self, main: Coroutine[Any, Any, int]) -> int:
        """Run `main` to its end; its result, or what it raised. Needs the main thread."""
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            loop = runner.get_loop()
            task = loop.create_task(main, name="main")
            while True:
                try:
                    return loop.run_until_complete(task)
                except (SystemExit, KeyboardInterrupt, RuntimeError) as error:  # the last one of who called loop.stop()
                    end_child(error)
                    if task.done() or loop.is_closed() or is_of_ctrl_c(error):
                        raise
                    log.error("the application ended the event loop; the worker goes on", exc_info=error)
                    loop.call_soon(self.begun_again)


def is_of_ctrl_c(error: BaseException) -> bool:
    """Did the signal raise `error`? Not once the loop has a handler for it: then it is the application's own."""
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
