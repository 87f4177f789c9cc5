"""The composition root of a worker: what it is made of, and how it comes and goes."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter

import uvloop

from channel_layer import process_log, set_channel_layer
from channel_layer.errors import LayerUnavailable
from worker.application import LoadedApplication, load_application
from worker.asgi_room import AsgiRoom
from worker.drain import drain
from worker.errors import StartupError
from worker.pump import Pump
from worker.settings import WorkerSettings

log = logging.getLogger("towpath.worker")

STARTUP_FAILURE = 3


class Worker:
    """One worker: a room for one application, and a pump."""

    def __init__(self, settings: WorkerSettings, application: LoadedApplication) -> None:
        self._settings = settings
        self._room = AsgiRoom(application, settings)
        self._pump = Pump(settings, self._room, Counter())
        self._room.freed = self._pump.room_again
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        set_channel_layer(self._pump.layer)

    async def run(self) -> None:
        """Work until `stop` is called; raises StartupError or LayerUnavailable if it cannot begin."""
        await self._room.startup()
        try:
            await self._pump.start()
            log.info("%s takes connections", self._pump.node.name)
            await self._stop.wait()
            await drain(self._pump, self._room, self._settings.graceful_timeout_s, self._now)
        finally:
            await self._room.shutdown()
            await self._pump.close()

    def stop(self) -> None:
        """SIGTERM or SIGINT: drain; a second one: now."""
        if self._stop.is_set():
            self._now.set()
        self._stop.set()


def check(settings: WorkerSettings) -> None:
    """Load the application and nothing else; raises StartupError."""
    load_application(settings)


def run(settings: WorkerSettings) -> int:
    """Run one worker until SIGTERM or SIGINT; the exit code. Call it with nothing of ours left to import (isolation.py)."""
    try:
        process_log.set_up(settings.log_level, settings.log_config)
    except ValueError as error:
        log.error("%s", error)
        return STARTUP_FAILURE
    application = load_application(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(settings, application))


async def _main(settings: WorkerSettings, application: LoadedApplication) -> int:
    try:
        worker = Worker(settings, application)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()
    except (StartupError, LayerUnavailable, ValueError) as error:
        log.error("the worker cannot start: %s", error)
        return STARTUP_FAILURE
    return 0
