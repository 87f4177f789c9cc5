"""Makes trouble: strikes one process, undoes what can be undone, and puts another in its place."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from random import Random

from redis.exceptions import RedisError

from tests.chaos.blockable import BLOCKED_S
from tests.chaos.fleet import Fleet
from tests.chaos.harm import Action, Blow, Victim
from tests.chaos.process import Process
from tests.facts import until

#: Longer than a lease, the look that finds it over, and what a busy machine adds.
FROZEN_S = 8.0
REDIS_AWAY_S = (0.0, 1.0, 5.0)
REPLACED_AFTER_S = 0.5
LEAVES_WITHIN_S = 25.0

SIGNALS = {
    Action.KILL: signal.SIGKILL,
    Action.FREEZE: signal.SIGSTOP,
    Action.TERM: signal.SIGTERM,
    Action.BLOCK: signal.SIGUSR2,
}


class Trouble:
    """All blows against one fleet. Each is over when whatever fell has been put in its place."""

    def __init__(self, fleet: Fleet, random: Random) -> None:
        self.blows: list[Blow] = []
        self._fleet = fleet
        self._random = random
        self._first = {process.pid for process in (*fleet.doors, *fleet.workers)}
        self._at_redis = asyncio.Lock()  # there is one, and it is hit when it stands again

    async def strike(self, victim: Victim, action: Action) -> None:
        """Hit one of them, preferably one who was not hit before."""
        if victim is Victim.REDIS:
            async with self._at_redis:
                await self._strike_redis(action)
        elif (process := self.choose(victim, action)) is not None:
            await self._strike_process(victim, process, action)

    def choose(self, victim: Victim, action: Action) -> Process | None:
        """Whom to hit. Who has only just been started comes last; he may not even know yet what SIGTERM means."""
        there = self._fleet.doors if victim is Victim.INTERFACE else self._fleet.workers
        hurt = {blow.pid for blow in self.blows}
        first = [process for process in there if process.pid in self._first and process.pid not in hurt]
        others = [] if action in (Action.TERM, Action.BLOCK) else there
        return self._random.choice(first or others) if first or others else None

    def hit(self, victim: Victim, process: Process, action: Action) -> None:
        """The blow alone."""
        door = self._fleet.doors.index(process) if victim is Victim.INTERFACE else None
        self.blows.append(Blow(victim, action, process.pid, door))
        process.signal(SIGNALS[action])

    async def _strike_process(self, victim: Victim, process: Process, action: Action) -> None:
        self.hit(victim, process, action)
        if action is Action.FREEZE:
            await asyncio.sleep(FROZEN_S)
            process.signal(signal.SIGCONT)
        elif action is Action.KILL:
            process.popen.wait()
            await asyncio.sleep(self._random.uniform(0, REPLACED_AFTER_S))
            self._fleet.replace(process)
        elif action is Action.TERM:
            self._fleet.replace(process)
            await until(lambda: not process.alive, f"{process.name} leaves", LEAVES_WITHIN_S)
        elif action is Action.BLOCK:
            await asyncio.sleep(BLOCKED_S)

    async def _strike_redis(self, action: Action) -> None:
        redis = self._fleet.redis
        assert redis.process is not None
        self.blows.append(Blow(Victim.REDIS, action, redis.process.pid))
        if action in (Action.KILL, Action.TERM):
            redis.signal(SIGNALS[action])
            await asyncio.to_thread(redis.process.wait)
            await asyncio.sleep(self._random.choice(REDIS_AWAY_S))
            await asyncio.to_thread(redis.start)
        elif action is Action.FREEZE:
            redis.signal(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_S)
            redis.signal(signal.SIGCONT)
        elif action is Action.BLOCK:
            await asyncio.to_thread(self._pause)
            await asyncio.sleep(FROZEN_S)
        elif action is Action.SEVER:
            await asyncio.to_thread(self._sever)

    def _pause(self) -> None:
        with self._fleet.redis.client() as client:
            client.client_pause(int(FROZEN_S * 1000))

    def _sever(self) -> None:
        with self._fleet.redis.client() as client, contextlib.suppress(RedisError):
            client.client_kill_filter(_type="pubsub")
            client.client_kill_filter(_type="normal", skipme=True)
