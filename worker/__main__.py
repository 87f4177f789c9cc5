"""Composes a worker, runs it, and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING

import uvloop

from channel_layer import set_channel_layer
from channel_layer.errors import LayerUnavailable
from channel_layer.layer import ChannelLayer, WorkerHome
from channel_layer.process import log_setup as process_log
from channel_layer.process import stop_signals
from channel_layer.process.stop_requests import Meaning, StopRequests
from worker.application.fork_guard import end_child
from worker.application.loader import LoadedApplication, load_application
from worker.asgi.host import AsgiHost
from worker.background.background_work import BackgroundWork
from worker.connections.dispatcher import Dispatcher
from worker.errors import AppBroken, StartupError
from worker.lifecycle import garbage_collection
from worker.lifecycle.drain import drain
from worker.lifecycle.event_loop import LoopRunner
from worker.lifecycle.recycling import Recycling
from worker.lifecycle.recycling_watch import RecyclingWatch
from worker.lifecycle.shutdown_watchdog import ShutdownWatchdog
from worker.lifecycle.supervision import Supervision, Unsupervised
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from channel_layer.admin.admin import Admin
    from channel_layer.tracing.request_spans import RequestSpans

log = logging.getLogger("towpath.worker")

ALONE = Unsupervised()

#: By the value of `--loop`.
LOOPS = {"auto": uvloop.new_event_loop, "uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class Worker:
    """One worker: a host for one application, and a dispatcher."""

    def __init__(
        self,
        settings: WorkerSettings,
        application: LoadedApplication,
        home: WorkerHome,
        supervision: Supervision = ALONE,
    ) -> None:
        """home: the place of the channel layer that the application has got while it was loaded."""
        self._settings = settings
        self._supervision = supervision
        self._host = AsgiHost(application, settings, self._read_more)
        self._dispatcher = Dispatcher(_that_serves(settings, application), self._host, Counter(), home)
        recycling = Recycling.drawn(settings, random.random())
        self._recycling = RecyclingWatch(recycling, self._dispatcher.adopted_count, self._recycle)
        again = supervision.may_repeat_stop_signal
        self._watchdog = ShutdownWatchdog(settings.graceful_timeout_s, _stuck_s_max(settings), again)
        self._requests = StopRequests(again)
        self._takes = False  # what it is for, from then on
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        self._background = BackgroundWork(settings, self._host, self._dispatcher).instances()

    async def run(self) -> None:
        """Work until `stop` is called. Raises StartupError or LayerUnavailable if the worker cannot start.

        Needs the main thread, and handlers that call `stop` for the stop signals.
        """
        self._watchdog.start()
        if not await self._started():
            log.info("this worker leaves before its application has started")
            return
        self._watchdog.serving()  # before the dispatcher: its first connection may block the loop
        try:
            await self._supervision.follow(self._dispatcher.pause)
            await self._dispatcher.start()
            if self._settings.channels:
                await self._background.start(self._stop)
            else:
                log.info("%s takes connections", self._dispatcher.node.name)
            self._recycling.start()
            self._supervision.report_ready()
            self._takes = True
            await self._stop.wait()
            await self._until_dismissed()
            await self._background.stop(self._settings.graceful_timeout_s, self._now)
            await drain(self._dispatcher, self._host, self._settings.graceful_timeout_s, self._now)
        finally:
            self._recycling.stop()
            await self._host.shutdown()
            await self._dispatcher.close()

    def trace(self, spans: RequestSpans) -> None:
        """Make a span for each request. Call it before `run`."""
        self._host.wrap(spans.around)

    def observe(self, admin: Admin) -> None:
        """Show this worker on its admin port. Call it before `run`."""
        from channel_layer.admin.admin import ObservedProcess  # here, since most workers have no admin port

        admin.observe(ObservedProcess(node=self._dispatcher.node, ready=self._ready, stopping=self._stop.is_set))

    def _ready(self) -> bool:
        """True while it takes connections, or messages. Any thread may ask."""
        node = self._dispatcher.node
        has_lease = node.figures()["lease_age_s"] < self._settings.redis.lease_ttl_s
        return self._takes and node.connected and has_lease and not self._stop.is_set()

    async def _until_dismissed(self) -> None:
        """Go on until the supervisor dismisses this worker, or asks it to stop at once. The graceful timeout begins then."""
        ways = [asyncio.ensure_future(way) for way in (self._supervision.dismissal(), self._now.wait())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._watchdog.begin()

    async def _started(self) -> bool:
        """Run the application's startup. False: `stop` was called meanwhile, and the startup was cancelled."""
        self._starting = asyncio.get_running_loop().create_task(self._host.startup(), name="startup")
        try:
            await self._starting
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            return False
        finally:
            self._starting = None
            process_log.keep_ours()
        return True

    def stop(self, number: int) -> None:
        """Handle SIGTERM or SIGINT: drain, and at the second signal exit at once. A worker that has not started yet leaves at once."""
        if self._starting is not None:
            self._starting.cancel()
        if self._requests.receive(number, asyncio.get_running_loop().time()) is Meaning.AT_ONCE:
            self._now.set()
        self._supervision.report_stopping()
        self._stop.set()

    def _read_more(self) -> None:
        """Let the dispatcher read on: the host, which is made before it, has capacity again."""
        self._dispatcher.read_more()

    def watch_signals_again(self) -> None:
        """Watch signals again, since the event loop was restarted."""
        self._watchdog.watch_again()

    def _recycle(self, why: str) -> None:
        """Ask for a successor, and go on until SIGTERM comes. Without a supervisor: leave; the process manager starts another worker."""
        if self._supervision.ask_for_successor(why):
            log.info("this worker asks for its successor: %s", why)
        elif not self._stop.is_set():
            log.info("this worker leaves: %s", why)
            self._watchdog.request_stop()


def _that_serves(settings: WorkerSettings, application: LoadedApplication) -> WorkerSettings:
    """The same settings with the application's full name, however APP was written. The lease shows it."""
    return dataclasses.replace(settings, redis=dataclasses.replace(settings.redis, app=application.name))


def _stuck_s_max(settings: WorkerSettings) -> float:
    """The time after which a blocked loop ends the worker. None at a terminal, where a debugger may hold the loop."""
    return 0.0 if os.isatty(sys.stdin.fileno()) else settings.stuck_s_max


def check(settings: WorkerSettings) -> None:
    """Set up the log and load the application, and nothing else. Raises StartupError.

    The loop is not closed, nor is what the application has begun there: the process is about to exit.
    """
    _set_up_log(settings)
    _give_channel_layer(settings)
    _load(settings, LoopRunner(LOOPS[settings.loop]))


def run(settings: WorkerSettings, supervision: Supervision = ALONE) -> int:
    """Run one worker until SIGTERM, SIGINT or recycling. Returns the exit code; raises StartupError if it cannot start.

    Every module of this package must be imported before (application/import_isolation.py).
    """
    _set_up_log(settings)
    garbage_collection.collect_less_often()
    home = _give_channel_layer(settings)
    with (
        _admin(settings) as admin,
        _tracing(settings) as spans,
        contextlib.closing(LoopRunner(LOOPS[settings.loop])) as loop,
    ):
        application = _load(settings, loop)
        supervision.has_loaded()
        process_log.keep_ours()
        return loop.run(_main(settings, application, home, supervision, (admin, spans), loop))


def _admin(settings: WorkerSettings) -> contextlib.AbstractContextManager[Admin | None]:
    """Open the admin port, if there is one: before the application is loaded, which may take long."""
    if not settings.redis.admin_port:
        return contextlib.nullcontext()
    from channel_layer.admin.listener import CannotListen  # here, since most workers have none
    from channel_layer.admin.opening import open_admin

    try:
        return contextlib.closing(open_admin(settings.redis))
    except CannotListen as error:
        raise StartupError(str(error)) from error


def _tracing(settings: WorkerSettings) -> contextlib.AbstractContextManager[RequestSpans | None]:
    """Open the traces of this worker, if there are to be any."""
    if not settings.redis.traces:
        return contextlib.nullcontext()
    from channel_layer.tracing.opening import CannotTrace, open_tracing  # here, since most workers trace nothing

    try:
        tracing = open_tracing()
    except CannotTrace as error:
        raise StartupError(str(error)) from error
    from channel_layer.tracing.request_spans import RequestSpans

    return contextlib.closing(RequestSpans(tracing))


def _give_channel_layer(settings: WorkerSettings) -> WorkerHome:
    """Let `get_channel_layer()` find the layer of this worker from now on, also while the application is loaded."""
    home = WorkerHome(settings.redis)
    set_channel_layer(ChannelLayer(home, settings.layer))
    return home


def _load(settings: WorkerSettings, loop: LoopRunner) -> LoadedApplication:
    try:
        return load_application(settings, loop.call)
    except AppBroken as error:
        end_child(error)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s", error, exc_info=error.__cause__)
            error.detail = ""
        raise


def _set_up_log(settings: WorkerSettings) -> None:
    try:
        process_log.set_up(settings.log_level, settings.log_config, settings.log_format, "worker")
    except process_log.NoLogConfig as error:
        raise StartupError(str(error)) from error


async def _main(
    settings: WorkerSettings,
    application: LoadedApplication,
    home: WorkerHome,
    supervision: Supervision,
    observers: tuple[Admin | None, RequestSpans | None],
    runner: LoopRunner,
) -> int:
    try:
        worker = Worker(settings, application, home, supervision)
        admin, spans = observers
        if admin is not None:
            worker.observe(admin)
        if spans is not None:
            worker.trace(spans)
        loop = asyncio.get_running_loop()
        signals = stop_signals.to_handle()
        for number in signals:
            loop.add_signal_handler(number, worker.stop, number)
        runner.guard.took(signals)
        runner.on_restart(worker.watch_signals_again)
        await worker.run()
    except (LayerUnavailable, ValueError) as error:
        raise StartupError(f"the worker cannot start: {error}") from error
    return 0
