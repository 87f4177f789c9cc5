"""Makes trouble: strikes one process, undoes what can be undone, and puts another in its place."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from random import Random

from tests.chaos.blockable import BLOCKED_S
from tests.chaos.fleet import Fleet
from tests.chaos.harm import Action, Blow, Victim
from tests.chaos.process import Process
from tests.chaos.redis_blows import FROZEN_S, strike_primary, strike_server
from tests.support.facts import until
from tests.support.redis_sentinels import RedisSentinels

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
        self.missed: list[str] = []  #: blows for which nobody was left
        self.unread: dict[int, frozenset[str]] = {}  #: what each of the stopped workers, by pid, had in its inbox
        self._aims: list[Process] = []
        self._frozen: set[int] = set()
        self._fleet = fleet
        self._random = random
        self._first = {process.pid for process in (*fleet.interfaces, *fleet.workers)}
        self._at_redis = asyncio.Lock()  # there is one, and it is hit when it stands again

    async def strike(self, victim: Victim, action: Action) -> None:
        """Hit one of them, preferably one who was not hit before."""
        if victim in (Victim.REDIS, Victim.PRIMARY):
            async with self._at_redis:
                await self._strike_redis(victim, action)
        elif (process := self.choose(victim, action)) is not None:
            await self._strike_process(victim, process, action)
        else:
            self.missed.append(f"nobody was left for {victim.name} {action.name}")

    def aim(self, processes: Sequence[Process]) -> None:
        """These have a part in the moment: whoever is to be hit is one of them."""
        self._aims = list(processes)

    def is_frozen(self, process: Process) -> bool:
        """By a blow that is not over yet."""
        return process.pid in self._frozen

    def choose(self, victim: Victim, action: Action) -> Process | None:
        """Whom to hit: who has a part in the moment, and was not hit yet.

        Who has only just been started comes last; he may not even know yet what SIGTERM means.
        """
        there = self._fleet.interfaces if victim is Victim.INTERFACE else self._fleet.workers
        hurt = {blow.pid for blow in self.blows}
        first = [process for process in there if process.pid in self._first and process.pid not in hurt]
        others = [] if action in (Action.TERM, Action.BLOCK) else there
        aimed = [process for process in first or others if process in self._aims]
        return self._random.choice(aimed or first or others) if first or others else None

    def hit(self, victim: Victim, process: Process, action: Action) -> None:
        """The blow alone."""
        interface = self._fleet.interfaces.index(process) if victim is Victim.INTERFACE else None
        self.blows.append(Blow(victim, action, process.pid, interface))
        if action is Action.FREEZE:
            self._frozen.add(process.pid)
        process.signal(SIGNALS[action])

    async def _strike_process(self, victim: Victim, process: Process, action: Action) -> None:
        self.hit(victim, process, action)
        if action is Action.FREEZE:
            await asyncio.sleep(FROZEN_S)
            self._frozen.discard(process.pid)
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

    async def _strike_redis(self, victim: Victim, action: Action) -> None:
        redis = self._fleet.redis
        self.blows.append(Blow(victim, action, await asyncio.to_thread(lambda: redis.pid)))
        if isinstance(redis, RedisSentinels):
            await strike_primary(redis, action, self._random)
        else:
            await strike_server(redis, action, self._random)
