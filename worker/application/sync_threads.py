"""Sync threads: a fixed pool of threads for sync code; each connection is pinned to one.

A view that is not async has to run in a thread. asgiref makes one for each context and drops it afterwards, and Django opens
such a context for each request: a thread, and with it a database connection, per request. Here a connection is pinned to
one of `--threads` threads instead. Threads and database connections are bounded, CONN_MAX_AGE works again, and a sync view
costs about half.

Which thread: the one with the least unfinished work, or, while only the interpreter is the limit, the first (call_spread.py). If a
call lasts too long there, exchanges that wait for it are moved to other threads (movable_calls.py).

How a sync thread replaces those of asgiref: `ThreadSensitiveContext(executor=…)` is entered once per thread, in a
contextvars.Context of its own, and is never left. That context begins as a copy of the one in which the application was
loaded, and each application instance runs in a copy of it. The ThreadSensitiveContext() that Django enters for each request
finds one that is entered already and does nothing: without an executor only the outermost counts.

* Entered per connection it would have to be left per connection, and asgiref refuses work of tasks that outlive it.
* It has to be entered on the loop's thread: asgiref tags what it keeps in the context with the thread that put it there.
* `async_to_sync` inside of a sync view still works: asgiref prefers the thread that waits there to any context.
* Threads that asgiref does not manage (anyio's worker threads, as Starlette uses them) are not seen here, and not bounded.
* Doubt: two connections on one thread wait for each other if a sync view waits for another connection's sync view. In
  asgiref's own single thread it would be the same.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from channel_layer.process.cpu_wait import CpuWait
from worker.application.call_results import CallResults
from worker.application.call_spread import CallSpread, Reading
from worker.application.fresh_context import copies_of, fresh_context
from worker.application.movable_calls import MovableCalls

#: How long a new exchange may take until its first sync call: its thread does not count as idle for so long.
PINNED_FRESH_S = 0.005

#: Unfinished calls for each thread until a worker without peers takes no more exchanges: one that runs, and one that waits for it.
CALLS_PER_THREAD = 2
#: A call that lasts longer is slow. While more than this share of the last calls were, the next may well be. One that is slow only
#: because the machine is busy is forgotten after thirty others.
SLOW_CALL_S, SLOW_SHARE_MAX, LAST_CALLS = 0.05, 0.01, 64
#: How long a thread waits for a CPU is read before a call, but not again for so long: it takes as long as a short call does.
STARVED_READ_S = 0.01

#: While exchanges are put into one thread: its call has lasted so long that the next exchange belongs elsewhere, and those that wait for
#: it. That some wait is looked at now and then.
PASSED_OVER_S, LOOK_S = 0.01, 0.03

EXCHANGES_BEYOND = 65_536  #: more than are ever pinned to one thread: one call that is unfinished outweighs them all

#: The sync thread, or what stands for it, of the application instance that is running.
SYNC_THREAD: ContextVar[Executor] = ContextVar("towpath_sync_thread")

Call = tuple["Future[Any] | asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Job = tuple[Call, "MovableCalls[SyncThread] | None"]  #: with the exchange that may be moved with it


@dataclass(frozen=True, slots=True)
class SharedByThreads:
    """Values that all sync threads of one worker share."""

    loaded: Context  #: the context in which the application was loaded
    on_first_use: Callable[[], None]  #: called at the first call of each thread, by the caller
    on_idle: Callable[[float], None]  #: called after each call, in its thread, with its length in s
    results: CallResults = field(default_factory=CallResults)
    loop_wait: CpuWait = field(default_factory=CpuWait)


def enter(executor: Executor) -> None:
    """Let all sync calls in the current context run in this executor."""
    SYNC_THREAD.set(executor)
    context: Any = ThreadSensitiveContext(executor=executor)
    entering = context.__aenter__()
    try:
        entering.send(None)
    except StopIteration:
        context.token = None  # it is never left, and the token would make a reference cycle with the context
        return
    raise AssertionError("asgiref waits inside ThreadSensitiveContext.__aenter__: nothing here was made for that")


class SyncThread(Executor):
    """One thread that runs one call after another. A daemon: a view that never returns must not keep the process alive."""

    def __init__(self, name: str, shared: SharedByThreads) -> None:
        self.name = name
        self.exchanges = 0  #: HTTP exchanges that are pinned to this thread now
        self.pinned_at = 0.0  #: when the last of them was, on the loop's clock
        self._context = fresh_context(shared.loaded)
        #: Makes a context for one application instance whose sync code runs in this thread.
        self.new_context = copies_of(self._context)
        self._results = shared.results
        self._loop_wait = shared.loop_wait
        self._starved_read_at = -math.inf
        self._starved_before_s = 0.0
        self._on_first_use = shared.on_first_use
        self._on_idle = shared.on_idle
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._busy = False
        self._began_s = 0.0  # when the newest call began, monotonic
        self._thread: Thread | None = None
        #: Of this thread, since its first call.
        self.cpu_wait: CpuWait | None = None
        self.calls = 0
        self.calls_s = 0.0
        self._starting = Lock()
        self._context.run(enter, self)

    @property
    def unfinished(self) -> int:
        """The number of calls that wait or run. Read without a lock: a wrong value moves a connection to the next best thread."""
        return self._jobs.qsize() + self._busy

    def is_slow(self, now: float, slow_s: float = SLOW_CALL_S) -> bool:
        """True if the call that runs has done so for longer than `slow_s`, but for time in which the machine had no CPU for it."""
        return self._busy and (took_s := now - self._began_s) > slow_s and self._without_starving(took_s) > slow_s

    def _without_starving(self, took_s: float) -> float:
        return took_s - (self._starved_s() - self._starved_before_s)

    def _starved_s(self) -> float:
        """For how long this thread had no CPU, or the loop had none, which may have kept the interpreter meanwhile."""
        return self._loop_wait.total_s() + (self.cpu_wait.total_s() if self.cpu_wait is not None else 0.0)

    def load(self) -> int:
        """The load, by which threads are compared: unfinished calls, then connections that may bring some. 0: none of both."""
        return (self._jobs.qsize() + self._busy) * EXCHANGES_BEYOND + self.exchanges

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Queue one call; as concurrent.futures.Executor, but on the worker's loop the future is one of asyncio.

        `run_in_executor` takes both.
        """
        return self.queue(None, fn, args, kwargs)

    def queue(
        self,
        movable: MovableCalls[SyncThread] | None,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The same. movable: the exchange of this call, if another thread may take it."""
        if self._thread is None:
            self._start()
        future: Future[Any] | asyncio.Future[Any] = self._results.future() or Future()
        self._jobs.put(((future, fn, args, kwargs), movable))
        return future

    def move(self, to: Callable[[], SyncThread]) -> None:
        """Move the calls that wait here, and may be moved, to other threads, each exchange to one that `to` gives."""
        for _ in range(self._jobs.qsize()):
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            # What stays is put behind what was queued meanwhile: of one exchange nothing was, as this is the loop's thread.
            movable = job[1] if job is not None else None
            (self if movable is None else movable.bind(to()))._requeue(job)

    def _requeue(self, job: Job | None) -> None:
        if self._thread is None:
            self._start()
        self._jobs.put(job)

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the thread after the calls that are queued. By default it does not wait: they may never return."""
        if self._thread is None:
            return
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def _start(self) -> None:
        with self._starting:  # a second caller may be on another thread's loop
            if self._thread is None:
                self._thread = Thread(target=self._work, name=self.name, daemon=True)
                self._thread.start()
                self._on_first_use()

    def _work(self) -> None:
        self.cpu_wait = CpuWait()
        while True:
            job = self._jobs.get()
            if job is None:
                return
            call, movable = job
            if movable is not None and (thread := movable.bind(self)) is not self:
                thread._requeue(job)
                continue
            self._busy, self._began_s = True, (began_s := time.monotonic())
            if began_s - self._starved_read_at > STARVED_READ_S:
                self._starved_read_at, self._starved_before_s = began_s, self._starved_s()
            self._run(*call)
            del job, call  # else the last call's arguments live until the next call
            lasted_s = time.monotonic() - began_s
            self.calls += 1
            self.calls_s += lasted_s
            self._on_idle(lasted_s if lasted_s <= SLOW_CALL_S else self._without_starving(lasted_s))

    def _run(
        self,
        future: Future[Any] | asyncio.Future[Any],
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        is_cancelled = not future.set_running_or_notify_cancel() if isinstance(future, Future) else future.cancelled()
        if is_cancelled:
            self._busy = False
            return
        result = error = None
        try:
            result = fn(*args, **kwargs)
        except BaseException as raised:  # noqa: BLE001 - the user's code; the error is its caller's
            error = raised
        self._busy = False  # first idle, then done: the task that the result wakes may ask for an idle thread at once
        if not isinstance(future, Future):
            self._results.put(future, result, error)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
        del future, error  # breaks a reference cycle: the error has this frame


class SyncThreads:
    """All sync threads of a worker. Picks the thread of each connection."""

    def __init__(self, count: int, on_idle: Callable[[], None], loaded: Context) -> None:
        """`on_idle` is called, in any of the threads, when one has become idle after `idle()` was 0.

        loaded: the context in which the application was loaded.
        """
        self.used = False  #: whether this application has run sync code so far
        self._on_idle = on_idle
        self._missed = False
        self._slow_share = 0.0  #: of the last calls, those that were slow
        self._turn = 0
        self._spread = CallSpread()
        self._new_context = copies_of(loaded)
        self._look: asyncio.TimerHandle | None = None
        shared = SharedByThreads(loaded, self._first_use, self._thread_idle)
        self._results, self._loop_wait = shared.results, shared.loop_wait
        self.threads = [SyncThread(f"towpath-sync-{number}", shared) for number in range(count)]

    def pick(self, for_exchange: bool = False) -> SyncThread:
        """The thread for a new connection: the one with the least load. Does not pin it.

        for_exchange: the first thread, while calls are put into one (call_spread.py). Sockets stay for too long for that.
        """
        threads = self.threads
        self._turn = turn = (self._turn + 1) % len(threads)
        best = threads[turn]
        if not self.used:  # a purely async application does not pay for the comparison
            return best
        if for_exchange and self._spread.in_one and not threads[0].is_slow(time.monotonic(), PASSED_OVER_S):
            return threads[0]
        if least := best.load():
            for thread in threads:
                load = thread.load()
                if load < least:
                    best, least = thread, load
                    if not load:
                        break
        return best

    def new_context(self, thread: SyncThread) -> Context:
        """A context for one application instance with sync code in this thread, which was picked for it."""
        if not self._spread.in_one or thread is not self.threads[0]:
            return thread.new_context()
        context = self._new_context()
        context.run(enter, MovableCalls(thread, self._look_soon))
        return context

    def _look_soon(self) -> None:
        """A call waits in the first thread that may be moved. Those that come from other loops and threads are not looked after."""
        loop = asyncio._get_running_loop()
        if self._look is None and loop is not None and loop is self._results.loop:
            self._look = loop.call_later(LOOK_S, self._move)

    def _move(self) -> None:
        """Move what waits for a long call in the first thread."""
        self._look = None
        first, now = self.threads[0], time.monotonic()
        if first.is_slow(now, PASSED_OVER_S) and first.unfinished > 1:
            self._spread.spread(now)
            first.move(self.pick)
        if first.unfinished:
            self._look_soon()

    def idle(self, now: float) -> tuple[int, int]:
        """The number of idle threads, and of those that only seem idle: an exchange has just been pinned to them.

        After (0, 0), `on_idle` is called when that has changed. After (0, n), call it again in PINNED_FRESH_S: an exchange
        that waits for something other than sync code leaves its thread idle, and no thread will ever report that.
        """
        self._spread.spread(now)
        # Set before the threads are checked: a thread that becomes idle in between sees that one is wanted.
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

    def calls_ahead(self, now: float) -> int | None:
        """How many calls are missing until CALLS_PER_THREAD are unfinished for each thread. None: some are slow, and the next would
        wait for one while another thread is idle.

        After 0 or less, `on_idle` is called when a call has ended.
        """
        if self._slow_share > SLOW_SHARE_MAX or any(thread.is_slow(now) for thread in self.threads):
            return None
        if self._spread.is_due(now):
            self._spread.update(self._reading(now))
        self._missed = True  # as in `idle`
        missing = CALLS_PER_THREAD * len(self.threads) - sum(thread.unfinished for thread in self.threads)
        if missing > 0:
            self._missed = False
        return missing

    def _reading(self, now: float) -> Reading:
        waits = [self._loop_wait, *(thread.cpu_wait for thread in self.threads if thread.cpu_wait is not None)]
        return Reading(
            now,
            time.process_time(),
            sum(wait.total_s() for wait in waits),
            sum(thread.calls for thread in self.threads),
            sum(thread.calls_s for thread in self.threads),
        )

    def shutdown(self) -> None:
        """End each thread after its queued calls, without waiting for them."""
        if self._look is not None:
            self._look.cancel()
        for thread in self.threads:
            thread.shutdown()

    def _first_use(self) -> None:
        self.used = True

    def _thread_idle(self, lasted_s: float) -> None:
        # Without a lock: an update that is lost among others makes no difference.
        self._slow_share += ((lasted_s > SLOW_CALL_S) - self._slow_share) / LAST_CALLS
        if self._missed:
            self._missed = False
            self._on_idle()
