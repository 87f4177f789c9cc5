"""The composition root of a worker: what it is made of, and how it comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import random
import sys
from collections import Counter

import uvloop

from channel_layer import set_channel_layer
from channel_layer.errors import LayerUnavailable
from channel_layer.process import log_setup as process_log
from channel_layer.process import stop_signals
from channel_layer.process.stop_requests import Meaning, StopRequests
from worker.application.fork_guard import end_child
from worker.application.loader import LoadedApplication, load_application
from worker.asgi.host import AsgiHost
from worker.connections.dispatcher import Dispatcher
from worker.errors import AppBroken, StartupError
from worker.lifecycle.drain import drain
from worker.lifecycle.event_loop import LoopRunner
from worker.lifecycle.recycling import Recycling
from worker.lifecycle.recycling_watch import RecyclingWatch
from worker.lifecycle.shutdown_watchdog import ShutdownWatchdog
from worker.lifecycle.supervision import Supervision, Unsupervised
from worker.settings import WorkerSettings

log = logging.getLogger("towpath.worker")

ALONE = Unsupervised()

#: By what `--loop` says.
LOOPS = {"auto": uvloop.new_event_loop, "uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class Worker:
    """One worker: a room for one application, and a pump."""

    def __init__(
        self, settings: WorkerSettings, application: LoadedApplication, supervision: Supervision = ALONE
    ) -> None:
        self._settings = settings
        self._supervision = supervision
        self._host = AsgiHost(application, settings, lambda: self._dispatcher.read_more())
        self._dispatcher = Dispatcher(_that_serves(settings, application), self._host, Counter())
        recycling = Recycling.drawn(settings, random.random())
        self._recycling = RecyclingWatch(recycling, lambda: self._dispatcher.consumer.adopted, self._recycle)
        again = supervision.says_it_again
        self._watchdog = ShutdownWatchdog(settings.graceful_timeout_s, _stuck_s_max(settings), again)
        self._requests = StopRequests(again)
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        set_channel_layer(self._dispatcher.layer)

    async def run(self) -> None:
        """Work until `stop` is called; raises StartupError or LayerUnavailable if it cannot begin.

        Needs the main thread, and handlers that call `stop` for the signals that ask a process to leave.
        """
        self._watchdog.start()
        if not await self._started():
            log.info("this worker leaves before its application has started")
            return
        self._watchdog.serving()  # before the pump, whose first connection may be the one that blocks the loop
        try:
            await self._supervision.follow(self._dispatcher.pause)
            await self._dispatcher.start()
            log.info("%s takes connections", self._dispatcher.node.name)
            self._recycling.start()
            await self._stop.wait()
            await self._until_dismissed()
            await drain(self._dispatcher, self._host, self._settings.graceful_timeout_s, self._now)
        finally:
            self._recycling.stop()
            await self._host.shutdown()
            await self._dispatcher.close()

    async def _until_dismissed(self) -> None:
        """Go on until the supervisor needs us no more, or at once is meant. The time for leaving begins then."""
        ways = [asyncio.ensure_future(way) for way in (self._supervision.dismissal(), self._now.wait())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._watchdog.begin()

    async def _started(self) -> bool:
        """Run the application's startup. False: `stop` was called meanwhile, and it was cut."""
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
        """SIGTERM or SIGINT: drain; once more: now. A worker that has not started yet has nothing to finish, and leaves at once."""
        if self._starting is not None:
            self._starting.cancel()
        if self._requests.hear(number, asyncio.get_running_loop().time()) is Meaning.AT_ONCE:
            self._now.set()
        self._stop.set()

    def watch_signals_again(self) -> None:
        """The loop has begun again."""
        self._watchdog.watch_again()

    def _recycle(self, why: str) -> None:
        """Go on until the successor is there and SIGTERM comes. Alone: leave; whoever keeps workers alive starts another."""
        if self._supervision.ask_for_successor(why):
            log.info("this worker asks for its successor: %s", why)
        elif not self._stop.is_set():
            log.info("this worker leaves: %s", why)
            self._watchdog.request_stop()


def _that_serves(settings: WorkerSettings, application: LoadedApplication) -> WorkerSettings:
    """The same settings with the application's full name, however APP was written: for the lease."""
    return dataclasses.replace(settings, redis=dataclasses.replace(settings.redis, app=application.name))


def _stuck_s_max(settings: WorkerSettings) -> float:
    """At a terminal a debugger may hold the loop for as long as it takes."""
    return 0.0 if os.isatty(sys.stdin.fileno()) else settings.stuck_s_max


def check(settings: WorkerSettings) -> None:
    """Set the log up and load the application, and nothing else; raises StartupError.

    The loop is left as it is, and with it what the application has begun there: the process is to leave at once.
    """
    _set_up_log(settings)
    _load(settings, LoopRunner(LOOPS[settings.loop]))


def run(settings: WorkerSettings, supervision: Supervision = ALONE) -> int:
    """Run one worker until SIGTERM or SIGINT, or until it has lived long enough; the exit code. StartupError if it cannot begin.

    Call it with nothing of ours left to import (application/import_isolation.py).
    """
    _set_up_log(settings)
    with contextlib.closing(LoopRunner(LOOPS[settings.loop])) as loop:
        application = _load(settings, loop)
        supervision.has_loaded()
        process_log.keep_ours()
        return loop.run(_main(settings, application, supervision, loop))


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
        process_log.set_up(settings.log_level, settings.log_config)
    except process_log.NoLogConfig as error:
        raise StartupError(str(error)) from error


async def _main(
    settings: WorkerSettings,
    application: LoadedApplication,
    supervision: Supervision,
    runner: LoopRunner,
) -> int:
    try:
        worker = Worker(settings, application, supervision)
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
