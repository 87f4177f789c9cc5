"""One simulated process: its loop, its connections, the thread of its lease, and what can be done to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from channel_layer.errors import LayerUnavailable
from channel_layer.liveness.lease import RENEWAL_INTERVAL_S
from channel_layer.liveness.lease_renewal import LeaseRenewal
from channel_layer.redis import scripts as redis_scripts
from tests.simulation.lua_scripts import CommandError
from tests.simulation.network import Network, Pipe, loop_of
from tests.simulation.simulated_redis import Session


class Process:
    """One run of one process. `dispatcher` is set when it has started."""

    def __init__(self, network: Network, role: str) -> None:
        self.network = network
        self.role = role
        self.number = len(network.processes)
        network.processes.append(self)
        self.machine = network.random.choice(("one", "one", "another"))
        self.death_watchers: list[Callable[[], None]] = []  # who sees its death
        self.pipes: list[Pipe] = []
        self.alive = True
        self.cut_off_until = 0.0
        self.loop = loop_of(network, self)
        self.loop.process = self  # type: ignore[attr-defined]
        self._stopped_until = 0.0
        self.in_trouble_until = 0.0
        self.dispatcher: Any = None
        self.host: Any = None
        self.started = False
        self.leaving = False

    def kill(self) -> None:
        """As by `kill -9`: what it had sent may be executed, and nothing else of it ever happens."""
        self.alive = False
        self.loop.kill()
        for pipe in list(self.pipes):
            pipe.cut()
        for tell in self.death_watchers:
            tell()

    def stop(self, seconds: float) -> None:
        """As by SIGSTOP: neither loop nor thread runs for a while."""
        self._stopped_until = self.network.clock.now + seconds
        self.block(seconds)

    def block(self, seconds: float) -> None:
        """An application keeps the loop; the thread goes on."""
        self.loop.freeze(seconds)
        self._trouble_for(seconds)

    def cut_off(self, seconds: float, noticed_after_s: float) -> None:
        """The network between this process and Redis is away."""
        self.cut_off_until = max(self.cut_off_until, self.network.clock.now + seconds)
        for pipe in list(self.pipes):
            pipe.cut(noticed_after_s)
        self._trouble_for(seconds)

    def lose(self, index: int, noticed_after_s: float) -> None:
        """One connection."""
        self.pipes[index].cut(noticed_after_s)
        self._trouble_for(noticed_after_s)

    def _trouble_for(self, seconds: float) -> None:
        self.in_trouble_until = max(self.in_trouble_until, self.network.clock.now + seconds)

    def in_thread(self, delay_s: float, callback: Callable[[], object]) -> None:
        """Run something beside the loop, unless the process is stopped or dead then."""
        clock = self.network.clock

        def due() -> None:
            if not self.alive:
                return
            if clock.now < self._stopped_until:
                clock.at(self._stopped_until, due)
            else:
                callback()

        clock.at(clock.now + delay_s, due)


class _Asked(LayerUnavailable):
    """The command has left; its answer comes later."""


class SimulatedLease(LeaseRenewal):
    """The real lease on virtual time: no thread and no socket, but the same commands at the same times."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        loop: Any = asyncio.get_running_loop()
        self._process: Process = loop.process
        self._asked: list[Any] = []

    def start(self) -> asyncio.Future[None]:  # type: ignore[override]
        """The first renewal, then one each second."""
        future = self._process.loop.create_future()

        def answered(worked: bool) -> None:
            if worked:
                self._process.loop.call_soon_threadsafe(future.set_result, None)
                self._process.in_thread(RENEWAL_INTERVAL_S, self._tick)
            else:
                self._process.loop.call_soon_threadsafe(future.set_exception, LayerUnavailable("no answer"))

        self._ask(answered)
        return future

    def stop(self) -> asyncio.Future[None]:  # type: ignore[override]
        """Give the lease back."""
        future = self._process.loop.create_future()
        super().stop()  # its last words are in `_asked`
        self._send(lambda _answer: self._process.loop.call_soon_threadsafe(future.set_result, None))
        return future

    def _tick(self) -> None:
        if not self._stop.is_set():
            self._ask(lambda _worked: self._process.in_thread(RENEWAL_INTERVAL_S, self._tick))

    def _ask(self, done: Callable[[bool], object]) -> None:
        asked_at = self._process.network.clock.now
        with contextlib.suppress(_Asked):
            self._renew()

        def answered(found: Any) -> None:
            if not self._stop.is_set():
                if found is None:
                    self._observer.on_renewal_failed()
                else:
                    self._observer.on_renewed(asked_at, bool(found))
            done(found is not None)

        self._send(answered)

    def _eval(self, script: redis_scripts.Script, keys: list[str], *arguments: Any) -> Any:
        command = ["EVAL", script.text, len(keys), *keys, *arguments]
        self._asked = [part if isinstance(part, bytes) else str(part).encode() for part in command]
        raise _Asked

    def _send(self, answered: Callable[[Any], object]) -> None:
        """Run what was asked; None after half a TTL when there is no answer."""
        process, network, command = self._process, self._process.network, self._asked
        answers: list[Any] = []

        def arrived() -> None:
            if network.reaches(process):
                network.redis.execute(Session(answers.append), command)
            back_s = network.delay_s() if answers and network.reaches(process) else self._ttl_ms / 2000
            process.in_thread(back_s, came_back)

        def came_back() -> None:
            known = bool(answers) and network.reaches(process) and not isinstance(answers[0], CommandError)
            answered(answers[0] if known else None)

        network.clock.at(network.clock.now + network.delay_s(), arrived)
