"""How code of the application is run while it is loaded: in one context, and with or without a running event loop.

A module is imported while the loop that will serve is the current one and does not run, as under gunicorn: `asyncio.run()` works
there, and so do Django's database and `async_to_sync()`, which refuse to in a running loop. A factory is called while it runs, as
under uvicorn. What raises because of that, and only that, is done once more in the other way. decisions/0018.
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

#: Runs a call in a context, while the loop that will serve runs; its result, or what it raised.
InLoop = Callable[[Context, Callable[[], Any]], Any]

#: What asyncio, uvloop and asgiref say where a running loop is missing, or must not be.
_needs_loop = re.compile("no running event loop").search
_needs_no_loop = re.compile(
    "from a running event loop|loop is already running|another loop is running|same thread as an async event loop"
).search


def without_loop(context: Context, call: Callable[[], Any]) -> Any:
    """As `InLoop`, where there is none."""
    return context.run(call)


class Loading:
    """One loading of an application. `context`: what the application has set in it so far."""

    def __init__(self, in_loop: InLoop) -> None:
        self.context = copy_context()
        self._in_loop = in_loop

    def outside_first(self, call: Callable[[], Any]) -> Any:
        """What `call` returns or raises before the loop runs; within the loop, if it needs one."""
        return _first_that_can(self._outside(call), self._inside(call), _needs_loop)

    def inside_first(self, call: Callable[[], Any]) -> Any:
        """What `call` returns or raises within the loop; outside of it, if it cannot be there."""
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
        with warnings.catch_warnings():  # of a coroutine that nobody could take
            warnings.simplefilter("ignore", RuntimeWarning)
            clear_frames(cause.__traceback__)
    return other()
