"""Runs code of the application while it is loaded: in one context, with or without a running event loop.

A module is imported while the loop that will serve is the current one but does not run, as under gunicorn: `asyncio.run()` works
there, and so do Django's database and `async_to_sync()`, which refuse to run in a running loop. A factory is called while the loop
runs, as under uvicorn. If a call fails because of that, and only then, it is repeated in the other way. decisions/0018.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from traceback import clear_frames
from typing import Any

from worker.errors import AppBroken

#: Runs a call in a context, while the loop that will serve runs. Returns its result, or raises its exception.
InLoop = Callable[[Context, Callable[[], Any]], Any]

#: Messages of asyncio, uvloop and asgiref if a running loop is missing, or is there and must not be.
_needs_loop = re.compile("no running event loop").search
_needs_no_loop = re.compile(
    "from a running event loop|loop is already running|another loop is running|same thread as an async event loop"
).search


def without_loop(context: Context, call: Callable[[], Any]) -> Any:
    """As `InLoop`, without an event loop."""
    return context.run(call)


class Loading:
    """The loading of one application. `context` holds the context variables that it has set so far."""

    def __init__(self, in_loop: InLoop) -> None:
        self.context = copy_context()
        self._in_loop = in_loop

    def outside_first(self, call: Callable[[], Any]) -> Any:
        """Run `call` before the loop runs; within the loop, if it needs one."""
        return _first_that_can(self._outside(call), self._inside(call), _needs_loop)

    def inside_first(self, call: Callable[[], Any]) -> Any:
        """Run `call` within the loop; outside of it, if it cannot run there."""
        return _first_that_can(self._inside(call), self._outside(call), _needs_no_loop)

    def _outside(self, call: Callable[[], Any]) -> Callable[[], Any]:
        return partial(self.context.run, call)

    def _inside(self, call: Callable[[], Any]) -> Callable[[], Any]:
        return partial(self._in_loop, self.context, call)


def _first_that_can(one: Callable[[], Any], other: Callable[[], Any], needs_other: Callable[[str], object]) -> Any:
    try:
        return one()
    except AppBroken as broken:
        cause = broken.__cause__
        if not isinstance(cause, RuntimeError) or not needs_other(str(cause)):
            raise
        with warnings.catch_warnings():  # about a coroutine that was never awaited
            warnings.simplefilter("ignore", RuntimeWarning)
            clear_frames(cause.__traceback__)
    return other()
