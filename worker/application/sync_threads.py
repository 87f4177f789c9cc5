"""The threads that sync code runs in: few, kept for the life of the process, each with its own place in asgiref.

A view that is not async has to run in a thread. asgiref makes one for each context and forgets it afterwards, Django opens
such a context for each request: a thread, and with it a database connection, per request. Here a connection is pinned to
one of `--threads` kept threads instead. Threads and database connections are bounded, CONN_MAX_AGE works again, and a sync
view costs about half.

How a kept thread wins. `ThreadSensitiveContext(executor=…)` is entered once per thread, in a contextvars.Context of its
own, and is never left. That context begins as a copy of the one in which the application was loaded, and each application
instance runs in a copy of it. The ThreadSensitiveContext() that Django
enters for each request finds one that is entered already and does nothing: without an executor only the outermost counts.

* Entered per connection it would have to be left per connection, and asgiref refuses work of tasks that outlive it.
* It has to be entered on the loop's thread: asgiref tags what it keeps in the context with the thread that put it there.
* `async_to_sync` inside of a sync view still works: asgiref prefers the thread that waits there to any context.
* What goes round asgiref (anyio's worker threads, as Starlette uses them) is not seen here, and not bounded by us.
* Doubt: two connections on one thread wait for each other if a sync view waits for what another connection's sync view
  is to do. In asgiref's own single thread it would be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from worker.application.fresh_context import copies_of, fresh_context

#: How long an exchange that was just pinned may take until its first sync call: so long its thread is not called idle.
PINNED_FRESH_S = 0.005

EXCHANGES_BEYOND = 65_536  #: more than are ever pinned to one thread: one call that is unfinished outweighs them all

#: The kept thread of the application instance that is running.
SYNC_THREAD: ContextVar[SyncThread] = ContextVar("towpath_sync_thread")

Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class SyncThread(Executor):
    """One thread that runs one call after another. A daemon: a view that never returns must not keep the process."""

    def __init__(
        self, name: str, on_first_use: Callable[[], None], on_idle: Callable[[], None], loaded: Context
    ) -> None:
        """`used` is called at the first call, by the caller; `on_idle` after each call, in the thread."""
        self.name = name
        self.exchanges = 0  #: HTTP exchanges that are pinned to this thread now
        self.pinned_at = 0.0  #: when the last of them was, on the loop's clock
        self._context = fresh_context(loaded)
        #: Makes a context for one application instance whose sync code runs in this thread.
        self.new_context = copies_of(self._context)
        self._on_first_use = on_first_use
        self._on_idle = on_idle
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._busy = False
        self._thread: Thread | None = None
        self._starting = Lock()
        self._context.run(self._enter)

    @property
    def unfinished(self) -> int:
        """Calls that wait or run. Read without a lock: a moment's error moves a connection to the next best thread."""
        return self._jobs.qsize() + self._busy

    def load(self) -> int:
        """What decides between threads: unfinished work, then connections that may bring some. 0: nothing at all."""
        return (self._jobs.qsize() + self._busy) * EXCHANGES_BEYOND + self.exchanges

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue one call; as concurrent.futures.Executor."""
        if self._thread is None:
            self._start()
        future: Future[Any] = Future()
        self._jobs.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the thread after the calls that are queued. By default nobody waits: they may never return."""
        if self._thread is None:
            return
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def _enter(self) -> None:
        SYNC_THREAD.set(self)
        context: Any = ThreadSensitiveContext(executor=self)
        entering = context.__aenter__()
        try:
            entering.send(None)
        except StopIteration:
            return
        raise AssertionError("asgiref waits inside ThreadSensitiveContext.__aenter__: nothing here was made for that")

    def _start(self) -> None:
        with self._starting:  # a second caller may be on another thread's loop
            if self._thread is None:
                self._thread = Thread(target=self._work, name=self.name, daemon=True)
                self._thread.start()
                self._on_first_use()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            self._busy = True
            self._run(*job)
            del job  # else the last call's arguments live until the next call
            self._on_idle()

    def _run(self, future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not future.set_running_or_notify_cancel():
            self._busy = False
            return
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the user's code; the error is its caller's
            self._busy = False
            future.set_exception(error)
        else:
            # First idle, then done: whoever is woken by the result may at once ask for a free thread.
            self._busy = False
            future.set_result(result)


class SyncThreads:
    """All kept threads of a worker, and who gets which."""

    def __init__(self, count: int, on_idle: Callable[[], None], loaded: Context) -> None:
        """`on_idle` is called, in any of the threads, when one has become idle after `idle()` was 0.

        loaded: the context in which the application was loaded.
        """
        self.used = False  #: whether this application has sync code at all, as far as we have seen
        self._on_idle = on_idle
        self._missed = False
        self._turn = 0
        self.threads = [
            SyncThread(f"towpath-sync-{number}", self._first_use, self._thread_idle, loaded) for number in range(count)
        ]

    def pick(self) -> SyncThread:
        """The thread for a new connection: the one with the least unfinished work. Pins nothing."""
        threads = self.threads
        self._turn = turn = (self._turn + 1) % len(threads)
        best = threads[turn]
        # An application that is async through and through pays for a turn, not for a comparison.
        if self.used and (least := best.load()):
            for thread in threads:
                load = thread.load()
                if load < least:
                    best, least = thread, load
                    if not load:
                        break
        return best

    def idle(self, now: float) -> tuple[int, int]:
        """How many threads have nothing to do, and how many only look so: an exchange has just been pinned to them.

        After (0, 0), `on_idle` is called when that has changed. After (0, n), ask again in PINNED_FRESH_S: an exchange that
        waits for something else than sync code leaves its thread idle, and no thread will ever report that.
        """
        # Said first, looked second: a thread that ends in between sees that it was missed.
        self._missed = True
        idle = fresh = 0
        for thread in self.threads:
            if thread.exchanges and now - thread.pinned_at < PINNED_FRESH_S:
                fresh += not thread.unfinished
            else:
                idle += not thread.unfinished
        if idle:
            self._missed = False
        return idle, fresh

    def shutdown(self) -> None:
        """End the threads after what they are doing; waits for none of them."""
        for thread in self.threads:
            thread.shutdown()

    def _first_use(self) -> None:
        self.used = True

    def _thread_idle(self) -> None:
        if self._missed:
            self._missed = False
            self._on_idle()
