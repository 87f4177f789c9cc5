"""Keeps a forked child of a worker from being a second worker.

An application may fork in a request. Its child is a copy of the worker, inside of a copy of the event loop.

* Its signals are its own: the handlers are Python's, and nothing wakes the parent.
* The loop's own objects are never used in it, nor closed: it would take descriptors out of the epoll set of its parent.
* A child has to end by itself (`os._exit`, `multiprocessing`). One that returns into the event loop instead, or from a call in a
  thread, would serve what its parent serves: it is ended there, before anything else runs. `sys.exit()` has the exit status that it
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

FAILED = 1  #: the exit status of a child that came back
#: Where the callbacks are defined by which a thread hands over what a call has returned or raised.
RESULTS_COME_FROM = ("asyncio.futures", "anyio._backends._asyncio")

_in_child = False


def end_child(error: BaseException | None) -> None:
    """If this process is a forked child of a worker it has come back with `error`: end it. Else nothing."""
    if _in_child:
        _end(error)


class ForkGuard:
    """Guards one loop, from before the application is imported. Make it on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._handlers: dict[signal.Signals, Any] = {}
        give_up_in_children(self)

    def took(self, signals: Iterable[signal.Signals]) -> None:
        """The worker has handlers for these signals now: a child has none."""
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
            loop: Any = self._loop  # nobody else runs in a child: this is the loop's word to its threads
            loop.call_soon_threadsafe = _from_thread

    def _end_in_loop(self) -> None:
        """When the loop has control again this runs first, whatever was ready to run at the fork."""
        self._loop.call_soon(_from_task, asyncio.current_task(self._loop))
        ready = _ready(self._loop)
        if ready is not None:
            ready.rotate(1)


def _ready(loop: asyncio.AbstractEventLoop) -> deque[Any] | None:
    """What the loop runs next. uvloop shows it to the garbage collector alone; None: the loop has no such thing."""
    found: deque[Any] | None = getattr(loop, "_ready", None)
    return next((each for each in gc.get_referents(loop) if isinstance(each, deque)), None) if found is None else found


def _from_task(forked_in: asyncio.Task[Any] | None) -> None:
    ended = forked_in is not None and forked_in.done() and not forked_in.cancelled()
    _end(forked_in.exception() if forked_in is not None and ended else None)


def _from_thread(callback: Callable[..., object], *args: Any, context: object = None) -> None:
    """Instead of `call_soon_threadsafe`: the result of a call ends the child, all else has nobody to run it."""
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
    """What an import raised comes as the cause of something else."""
    while error is not None and not isinstance(error, SystemExit):
        error = error.__cause__ or error.__context__
    return error


def _status(error: SystemExit) -> int:
    """As the interpreter understands it."""
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return FAILED
