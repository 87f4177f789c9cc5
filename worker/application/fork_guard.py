"""Keeps a forked child of a worker from being a second worker.

An application may fork in a request. The child is a copy of the worker, inside of a copy of the event loop.

* The child has signals of its own: the handlers are Python's, and nothing wakes the parent.
* The objects of the event loop are neither used nor closed in the child: that would remove descriptors from its parent's epoll set.
* A child has to end by itself (`os._exit`, `multiprocessing`). One that returns into the event loop instead, or from a call in a
  thread, would serve what its parent serves: it is ended there, before anything else runs. `sys.exit()` gets the exit status that it
  asks for.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, NoReturn

from channel_layer.process.forked_child import give_up_in_children

log = logging.getLogger("towpath.worker")

FAILED = 1  #: the exit status of a child that returned into the worker's code
#: Modules of the callbacks by which a thread hands over what a call has returned or raised.
RESULTS_COME_FROM = ("asyncio.futures", "anyio._backends._asyncio")

_in_child = False


def end_child(error: BaseException | None) -> None:
    """End this process if it is a forked child, which has returned into the worker's code with `error`. Else do nothing."""
    if _in_child:
        _end(error)


class ForkGuard:
    """Guards one event loop, from before the application is imported. Construct it on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._handlers: dict[signal.Signals, Any] = {}
        give_up_in_children(self)

    def took(self, signals: Iterable[signal.Signals]) -> None:
        """Record the handlers that the worker has for these signals. A child resets them."""
        self._handlers = {number: signal.getsignal(number) for number in signals}

    def forked(self) -> None:
        """See `Inherited`."""
        global _in_child
        _in_child = True
        signal.set_wakeup_fd(-1)
        for number, ours in self._handlers.items():
            if signal.getsignal(number) == ours:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if threading.get_ident() == self._thread:
            self._end_in_loop()
        else:
            loop: Any = self._loop  # no other code of the loop runs in a child; its threads call this
            loop.call_soon_threadsafe = _from_thread

    def _end_in_loop(self) -> None:
        """Make sure that `_from_task` runs first when the loop has control again, whatever was ready to run at the fork."""
        self._loop.call_soon(_from_task, asyncio.current_task(self._loop))
        ready = _ready(self._loop)
        if ready is not None:
            ready.rotate(1)


def _ready(loop: asyncio.AbstractEventLoop) -> deque[Any] | None:
    """The queue of callbacks that the loop runs next. uvloop shows it to the garbage collector alone. None: the loop has none."""
    found: deque[Any] | None = getattr(loop, "_ready", None)
    return next((each for each in gc.get_referents(loop) if isinstance(each, deque)), None) if found is None else found


def _from_task(forked_in: asyncio.Task[Any] | None) -> None:
    ended = forked_in is not None and forked_in.done() and not forked_in.cancelled()
    _end(forked_in.exception() if forked_in is not None and ended else None)


def _from_thread(callback: Callable[..., object], *args: Any, context: object = None) -> None:
    """Replaces `call_soon_threadsafe` in a child: the result of a call ends it, and no loop would run anything else."""
    if getattr(callback, "__module__", None) in RESULTS_COME_FROM:
        last = args[-1] if args else None
        _end(last.exception() if isinstance(last, Future) else last if isinstance(last, BaseException) else None)


def _end(error: BaseException | None) -> NoReturn:
    exited = _exit_in(error)
    if exited is not None:
        status = _status(exited)
    else:
        status = FAILED
        text = "process %d was forked by the application and came back into its worker's code: it ends here"
        log.error(text, os.getpid(), exc_info=error)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _exit_in(error: BaseException | None) -> SystemExit | None:
    """The SystemExit among `error` and its causes: one that was raised in an import is the cause of another exception."""
    while error is not None and not isinstance(error, SystemExit):
        error = error.__cause__ or error.__context__
    return error


def _status(error: SystemExit) -> int:
    """The exit status, as the interpreter derives it."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return FAILED
