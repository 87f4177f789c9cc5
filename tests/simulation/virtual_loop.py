"""Time that costs nothing: a clock that jumps to whatever is due next, and event loops that live on it.

Each simulated process has a loop of its own, so that it can be stopped, blocked or killed without a word to the others. There is no
selector, no socket and no sleep: what is ready runs in turns, and between two turns a little virtual time goes by.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

#: What one turn of a loop takes: so a loop that never rests cannot stop the clock.
TURN_S = 0.000_02


class VirtualClock:
    """Seconds since the beginning, and all that is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, callback: Callable[[], object]) -> None:
        """Call `callback` at `when`; what is due at the same moment comes in the order of asking."""
        heapq.heappush(self._due, (max(when, self.now), next(self._numbers), callback))

    def run_until(self, end: float) -> None:
        """Let everything happen that is due until `end`."""
        due = self._due
        while due and due[0][0] <= end:
            self.now, _, callback = heapq.heappop(due)
            callback()
        self.now = max(self.now, end)


class VirtualLoop(asyncio.AbstractEventLoop):
    """One process' event loop. `dead`: nothing of it will ever run again."""

    def __init__(self, clock: VirtualClock, connect: Callable[[VirtualLoop, Any], None]) -> None:
        self.clock = clock
        self.dead = False
        self.errors: list[BaseException | str] = []  # what a callback or a forgotten task raised
        self._connect = connect
        self._ready: deque[asyncio.Handle] = deque()
        self._turn_due = False
        self._frozen_until = 0.0
        self._tasks: list[asyncio.Task[Any]] = []

    def freeze(self, seconds: float) -> None:
        """Nothing runs for so long; what becomes ready meanwhile waits."""
        self._frozen_until = max(self._frozen_until, self.clock.now + seconds)

    def kill(self) -> None:
        """Nothing will ever run again."""
        self.dead = True
        self._ready.clear()
        tasks, self._tasks = self._tasks, []
        for task in tasks:  # here and now, and not whenever the garbage collector comes by
            if not task.done():
                task.get_coro().close()  # type: ignore[union-attr]

    def _wake(self) -> None:
        if not self._turn_due and not self.dead:
            self._turn_due = True
            self.clock.at(max(self.clock.now + TURN_S, self._frozen_until), self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        if self.dead or self.clock.now < self._frozen_until:
            self._wake()
            return
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.dead:
                    return
        finally:
            asyncio._set_running_loop(None)
        if self._ready:
            self._wake()

    def _ripe(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and not self.dead:
            self._ready.append(handle)
            self._wake()

    # -- asyncio.AbstractEventLoop, as far as the packages use it

    def time(self) -> float:
        return self.clock.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            self._ready.append(handle)
            self._wake()
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:  # type: ignore[override]
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.clock.at(when, lambda: self._ripe(handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.clock.now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **kw: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **kw)
        self._tasks = [task, *(other for other in self._tasks if not other.done())]
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a killed process says no farewell
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """A "thread" that answers with a future is waited for; any other is over at once."""
        answer = func(*args)
        if isinstance(answer, asyncio.Future):
            return answer
        future = self.create_future()
        future.set_result(answer)
        return future

    async def create_unix_connection(self, factory: Any, path: Any = None, **_: Any) -> tuple[Any, Any]:  # type: ignore[override]
        """The only way out of a process: the simulated network. Raises OSError when it is cut."""
        protocol = factory()
        established = self.create_future()
        self._connect(self, (protocol, established))
        return await established, protocol

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self.errors.append(context.get("exception") or context["message"])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""
