"""Runs one application: one instance for each connection that the dispatcher hands over.

    host = AsgiHost(load_application(settings), settings, on_capacity)
    await host.startup()      # lifespan; StartupError
    …                         # the dispatcher calls free() and start()
    await host.shutdown()

Each scope gets `asgi`, `extensions` and `state` here. Scopes share nothing but the values that the application has put into its
state: a value that is written into one connection's scope is never found in another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.compatibility import double_to_single_callable

from channel_layer.protocol.events import Event
from worker.application.django_handlers import django_answers
from worker.application.loader import LoadedApplication
from worker.application.sync_threads import PINNED_FRESH_S, SyncThreads
from worker.asgi.capacity import Capacity
from worker.asgi.http import HttpInstance
from worker.asgi.instance import Application, AsgiInstance, HostContext, logger
from worker.asgi.lifespan import Lifespan
from worker.asgi.logged_connection import logged_asgi, logged_wsgi
from worker.asgi.websocket import WebSocketInstance
from worker.connections.interfaces import Downstream, Instance
from worker.settings import WorkerSettings
from worker.wsgi.adapter import WsgiApplication
from worker.wsgi.input import with_length

#: As in uvicorn. Under "2.4" applications (those of Starlette) no longer listen for the HTTP disconnect, and a stream that waits
#: for its next item then outlives its client.
SPEC_VERSIONS: Final = {"http": "2.3", "websocket": "2.5", "lifespan": "2.0"}


def ignore() -> None:
    """Does nothing when capacity is free again."""


class AsgiHost:
    """Starts application instances. Implements `ApplicationHost` (worker/connections/interfaces.py)."""

    def __init__(
        self, application: LoadedApplication, settings: WorkerSettings, on_capacity: Callable[[], object] = ignore
    ) -> None:
        """Needs a running loop, and stays on it.

        on_capacity: called on the loop's thread, soon after `free` has returned 0 and there is capacity again.
        """
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._application = as_asgi3(application, settings.logs_connections)
        self._is_wsgi = application.interface == "wsgi"
        version = "2.0" if application.interface == "asgi2" else "3.0"
        self._asgi = {kind: {"version": version, "spec_version": spec} for kind, spec in SPEC_VERSIONS.items()}
        self._threads = SyncThreads(settings.threads, self._on_thread_free, application.context)
        self._capacity = self._capacity_of(settings)
        self._context = HostContext(
            self._loop, self._ended, self._capacity, settings.resume_websockets, is_wsgi=self._is_wsgi
        )
        self._websockets: set[AsgiInstance] = set()
        self._state: Event | None = None
        self._was_full = False
        self._recheck: asyncio.TimerHandle | None = None
        context = self._threads.threads[0].new_context()
        self._lifespan = Lifespan(self._application, self._asgi["lifespan"], settings, context)
        if self._is_wsgi:
            self._lifespan.skip()
        self._on_capacity = on_capacity

    def _capacity_of(self, settings: WorkerSettings) -> Capacity[AsgiInstance]:
        if self._is_wsgi:  # an exchange holds a thread also while it waits for its client
            return Capacity(min(settings.concurrency, settings.threads), 0, self._on_place_left)
        return Capacity(settings.concurrency, settings.streams, self._on_place_left)

    def wrap(self, wrapper: Callable[[Application], Application]) -> None:
        """Run `wrapper(application)` from now on."""
        self._application = wrapper(self._application)

    async def startup(self) -> None:
        """Run the application's startup. Raises LifespanFailed."""
        self._state = await self._lifespan.startup()

    async def shutdown(self) -> None:
        """End the instances that still run, then run the application's shutdown; each takes at most `lifespan_timeout_s`."""
        await self._stop_all()
        await self._lifespan.shutdown()
        self._threads.shutdown()

    @property
    def running_count(self) -> int:
        """The number of application instances that have not ended, including those with background work after their response."""
        return len(self._capacity.exchanges) + len(self._websockets)

    @property
    def websocket_count(self) -> int:
        """See ApplicationHost."""
        return len(self._websockets)

    @property
    def stream_count(self) -> int:
        """See ApplicationHost."""
        return len(self._capacity.waiting)

    def free(self, kind: str, alone: bool = False) -> int:
        """See ApplicationHost. While sync code is in use, at most as many exchanges as there are idle threads: a slow view
        must not delay a request that another worker could take. A worker that is alone takes some ahead while calls are short, so
        that neither its loop nor its threads wait for the next read.
        """
        if kind == "websocket":
            count = self._settings.websockets - len(self._websockets)
        else:
            count = self._capacity.free
            self._capacity.missed = count <= 0
            if self._threads.used and count > 0 and not self._is_wsgi:
                ahead = self._threads.calls_ahead(self._loop.time()) if alone else None
                count = min(count, self._idle_threads() if ahead is None else ahead)
        if count > 0:
            return count
        self._was_full = True
        return 0

    def taken(self) -> dict[str, bool]:
        """See ApplicationHost."""
        settings, free = self._settings, self._capacity.free
        by_threads = self._is_wsgi and settings.threads <= settings.concurrency  # the threads are its places then
        threads = free <= 0 if by_threads else all(thread.unfinished > 0 for thread in self._threads.threads)
        sockets = self.websocket_count >= settings.websockets
        return {
            f"{settings.concurrency} places for exchanges (--worker-concurrency)": free <= 0 and not by_threads,
            f"{settings.websockets} places for WebSockets (--worker-websockets)": sockets,
            f"{settings.threads} threads for sync code (--threads)": threads,
        }

    def start(self, scope: Event, body: bytes, more_body: bool, downstream: Downstream) -> Instance:
        """See ApplicationHost. An invalid scope raises KeyError, TypeError or ValueError, and nothing was started."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            raise ValueError(f"a scope of type {kind!r}")
        self._complete_scope(scope, downstream)
        thread = self._threads.pick(for_exchange=kind == "http")
        instance: AsgiInstance
        if kind == "http":
            instance = HttpInstance(downstream, thread, self._context, body, more_body)
            self._capacity.exchanges.add(instance)
            thread.exchanges += 1
            if self._threads.used:
                thread.pinned_at = self._loop.time()
        else:
            instance = WebSocketInstance(downstream, thread, self._context)
            self._websockets.add(instance)
        instance.start(self._application, scope, self._threads.new_context(thread))
        return instance

    async def run_channel(
        self, channel: str, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
    ) -> None:
        """Run one application instance for messages of a shared channel, until it ends. Raises what it raises."""
        scope: Event = {"type": "channel", "channel": channel, "asgi": self._asgi["lifespan"].copy(), "extensions": {}}
        if self._state is not None:
            scope["state"] = self._state.copy()
        context = self._threads.pick().new_context()
        await self._loop.create_task(_run(self._application, scope, receive, send), context=context)

    def _complete_scope(self, scope: Event, downstream: Downstream) -> None:
        scope["asgi"] = self._asgi[scope["type"]].copy()
        extensions: Event = {"towpath.channel": {"reply_channel": downstream.reply_channel}}
        if scope["type"] == "websocket":
            extensions["websocket.http.response"] = {}
            extensions["towpath.resume"] = {} if downstream.resume is None else downstream.resume
        scope["extensions"] = extensions
        if self._state is not None:
            scope["state"] = self._state.copy()

    def _idle_threads(self) -> int:
        idle, fresh = self._threads.idle(self._loop.time())
        if fresh and not idle and self._recheck is None:
            self._recheck = self._loop.call_later(PINNED_FRESH_S, self._no_longer_fresh)
        return idle

    def _no_longer_fresh(self) -> None:
        self._recheck = None
        self._announce_capacity()

    def _ended(self, instance: AsgiInstance) -> None:
        if instance.kind == "http":
            instance.thread.exchanges -= 1
            self._capacity.waiting.discard(instance)
            self._capacity.exchanges.discard(instance)
        else:
            self._websockets.discard(instance)
        if self._was_full:
            self._announce_capacity()

    def _on_place_left(self) -> None:
        self._loop.call_soon(self._announce_place)

    def _announce_place(self) -> None:
        """Announce a place if one is free now. A response that is complete in the turn in which it starts frees none."""
        if self._capacity.free > 0:
            self._announce_capacity()
        else:
            self._capacity.missed = True

    def _on_thread_free(self) -> None:
        """Called in a sync thread."""
        try:
            self._loop.call_soon_threadsafe(self._announce_capacity)
        except RuntimeError:
            return  # the loop is closed: a view has outlived the worker, which takes nothing any more

    def _announce_capacity(self) -> None:
        if self._was_full:
            self._was_full = False
            self._on_capacity()

    async def _stop_all(self) -> None:
        runs = [*self._capacity.exchanges, *self._websockets]
        tasks = [instance.task for instance in runs if instance.task is not None]
        for instance in runs:
            instance.stop()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self._settings.lifespan_timeout_s)
            if stuck:
                logger.error("%d application instances do not end though they were cancelled", len(stuck))


async def _run(application: Application, *arguments: Any) -> None:
    await application(*arguments)


def as_asgi3(application: LoadedApplication, logs_connections: bool = False) -> Application:
    """The application as ASGI 3, whatever its interface. logs_connections: its log records have the name of their connection."""
    target = application.target
    asgi3: Application
    if application.interface == "wsgi":
        if django_answers():
            target = with_length(target)
        asgi3 = WsgiApplication(logged_wsgi(target) if logs_connections else target, application.context)
    elif application.interface == "asgi2":
        asgi3 = double_to_single_callable(target)  # type: ignore[no-untyped-call]  # asgiref has no types
    else:
        asgi3 = target
    return logged_asgi(asgi3) if logs_connections else asgi3
