"""One simulated process: its loop, its connections, the thread of its lease, and what can be done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from channel_layer import redis_scripts
from channel_layer.codec import pack_apart
from channel_layer.keys import GROUP, Keys
from channel_layer.lease import RENEWAL_INTERVAL_S
from tests.simulation.lua_scripts import CommandError
from tests.simulation.network import Network, Pipe, loop_of
from tests.simulation.simulated_redis import Session


class Process:
    """One run of one process. `pump` is set when it has started."""

    def __init__(self, network: Network, role: str) -> None:
        self.network = network
        self.role = role
        self.pipes: list[Pipe] = []
        self.alive = True
        self.cut_off_until = 0.0
        self.loop = loop_of(network, self)
        self.loop.process = self  # type: ignore[attr-defined]
        self._stopped_until = 0.0
        self.in_trouble_until = 0.0
        self.pump: Any = None
        self.room: Any = None
        self.started = False
        self.leaving = False

    def kill(self) -> None:
        """As by `kill -9`: what it had sent may be executed, and nothing else of it ever happens."""
        self.alive = False
        self.loop.kill()
        for pipe in list(self.pipes):
            pipe.cut()

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

    def in_thread(self, delay_s: float, callback: Callable[[], None]) -> None:
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


class SimulatedLease:
    """Stands in for RedisLease: the same script at the same times, over a connection that is made for each call."""

    def __init__(
        self, _address: Any, keys: Keys, name: str, facts: dict[str, Any], channels: tuple[str, ...],
        ttl_s: float, rest_ttl_ms: int, on_renewed: Callable[[float, bool], None],
    ) -> None:  # fmt: skip
        loop: Any = asyncio.get_running_loop()
        self._process: Process = loop.process
        self._name = name
        self._facts = facts
        self._keys = [keys.lease(name), keys.nodes, keys.inbox(name), *map(keys.channel, channels)]
        self._ttl_s = ttl_s
        self._rest_ttl_ms = rest_ttl_ms
        self._on_renewed = on_renewed
        self._stopping = False
        self.figures: dict[str, Any] = {}

    def start(self) -> asyncio.Future[None]:
        """The first renewal, then one each second."""
        future = self._process.loop.create_future()

        def answered(worked: bool) -> None:
            if worked:
                self._process.loop.call_soon_threadsafe(future.set_result, None)
                self._process.in_thread(RENEWAL_INTERVAL_S, self._tick)
            else:
                self._process.loop.call_soon_threadsafe(future.set_exception, RedisError("no answer"))

        self._renew(answered)
        return future

    def stop(self) -> asyncio.Future[None]:
        """Give the lease back."""
        self._stopping = True
        future = self._process.loop.create_future()

        def answered(_answer: Any) -> None:
            self._process.loop.call_soon_threadsafe(future.set_result, None)

        self._eval(redis_scripts.LEAVE, [self._name, GROUP], answered)
        return future

    def _tick(self) -> None:
        if not self._stopping:
            self._renew(lambda _worked: self._process.in_thread(RENEWAL_INTERVAL_S, self._tick))

    def _renew(self, done: Callable[[bool], None]) -> None:
        asked_at = self._process.network.clock.now
        said = pack_apart({**self._facts, **self.figures})

        def answered(found: Any) -> None:
            if found is not None and not self._stopping:
                self._on_renewed(asked_at, bool(found))
            done(found is not None)

        self._eval(redis_scripts.RENEW, [said, int(self._ttl_s * 1000), self._rest_ttl_ms, self._name], answered)

    def _eval(self, script: redis_scripts.Script, arguments: list[Any], answered: Callable[[Any], None]) -> None:
        """Run a script; None after half a TTL when there is no answer."""
        process, network = self._process, self._process.network
        answers: list[Any] = []
        command = ["EVAL", script.text, len(self._keys), *self._keys, *arguments]

        def arrived() -> None:
            if network.reaches(process):
                encoded = [part if isinstance(part, bytes) else str(part).encode() for part in command]
                network.redis.execute(Session(answers.append), encoded)
            back_s = network.delay_s() if answers and network.reaches(process) else self._ttl_s / 2
            process.in_thread(back_s, came_back)

        def came_back() -> None:
            known = bool(answers) and network.reaches(process) and not isinstance(answers[0], CommandError)
            answered(answers[0] if known else None)

        network.clock.at(network.clock.now + network.delay_s(), arrived)
