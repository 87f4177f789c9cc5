"""The executor of an exchange that has no sync thread yet: it gets the one that begins with its first call.

While calls are put into one thread (call_spread.py), a call there may turn out to be long, or to wait for another exchange: a view that
requests a page of its own site, for instance. Then calls of other exchanges must not wait for it. Those of an exchange that has called
nothing before can be moved to another thread; all its further calls go there too, since sqlite connections and the like belong to a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Generic, Protocol, TypeVar

AnyThread = TypeVar("AnyThread", bound="Queue")


class Queue(Protocol):
    """A sync thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Queue a call that no other thread may take."""

    def queue(
        self, movable: MovableCalls[Any] | None, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Queue a call of this exchange, which another thread may take."""


class MovableCalls(Executor, Generic[AnyThread]):
    """The calls of one exchange. waits_for: the first of them wait in the queue of this thread. on_wait: called before each of these."""

    __slots__ = ("_on_wait", "_thread", "waits_for")

    def __init__(self, waits_for: AnyThread, on_wait: Callable[[], None]) -> None:
        self.waits_for = waits_for
        self._on_wait = on_wait
        self._thread: dict[None, AnyThread] = {}  # one entry at most: `setdefault` is atomic, and threads compete here

    def bind(self, thread: AnyThread) -> AnyThread:
        """The thread of this exchange, which is `thread` if it had none. Called in any thread."""
        return self._thread.setdefault(None, thread)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Queue one call; see `Queue.submit`."""
        thread = self._thread.get(None)
        if thread is not None:
            return thread.submit(fn, *args, **kwargs)
        self._on_wait()
        return self.waits_for.queue(self, fn, args, kwargs)
