"""One `towpath serve` with everything that it keeps alive; when it falls as a whole, the next one in the same run folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from random import Random

from tests.chaos.fleet import FEW_PLACES, HERE, STOP_DEADLINE_S, complaints
from tests.chaos.harm import Action, Blow, Victim
from tests.chaos.process import Process
from tests.chaos.redis_blows import FROZEN_S
from tests.chaos.trouble import SIGNALS
from tests.support.facts import until, until_async
from tests.support.redis_look import keys_without_a_ttl
from tests.support.serving import BIN, free_port, processes_of, recorded
from towpath.errors import StartFailure
from towpath.status.redis_status import RedisStatus

WORKERS = INTERFACES = 2
READY_DEADLINE_S = 60.0
RELOAD_DEADLINE_S = 60.0
OPTIONS = ("--timeout-graceful-shutdown", "6", "--queue-wait", "20", "--no-access-log")
#: The name of each victim's slots in the run folder.
SLOTS = {
    Victim.WORKER: "worker-*",
    Victim.INTERFACE: "interface-*",
    Victim.REDIS: "redis",
    Victim.SUPERVISOR: "supervisord",
}


def send(pid: int, number: signal.Signals) -> None:
    """A signal; to a process that has gone meanwhile it is nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class ServedFleet:
    """All processes of one `serve`. There is one way in: the listening socket that its interface servers share."""

    def __init__(self, folder: Path, direct: bool = False) -> None:
        """direct: workers have places for all clients."""
        self.folder = folder
        self._options = OPTIONS if direct else (*OPTIONS, *FEW_PLACES)
        self.traces = folder / "traces"
        self.traces.mkdir()
        self.run_dir = folder / "run"
        self.ports = [free_port()]
        self.serves: list[Process] = []

    async def start(self) -> None:
        self._next()
        await self.until_ready()

    async def until_ready(self) -> None:
        """As many as there should be hold a lease, and `serve` says so."""
        await until_async(self._stands, "`serve` stands with all its processes", READY_DEADLINE_S)

    def close(self) -> None:
        """Whatever happened: nobody of any of the sessions outlives this."""
        for serve in self.serves:
            for pid in processes_of(serve.pid):
                send(pid, signal.SIGKILL)
            serve.end_by_force()

    def _next(self) -> None:
        command = [BIN / "towpath", "serve", "stage", "--port", str(self.ports[0]), "--run-dir", self.run_dir]
        command += self._options
        command += ["--app-dir", HERE / "project", "--workers", str(WORKERS), "--interfaces", str(INTERFACES)]
        log_path = self.folder / f"serve-{len(self.serves)}.log"
        self.serves.append(Process.start("serve", command, log_path, {"TRACES": str(self.traces)}))

    async def _stands(self) -> bool:
        status = await asyncio.to_thread(self._look)
        if status is None:
            return False
        roles = [lease.get("role") for lease in status if Path(f"/proc/{lease.get('pid')}").exists()]
        ready = "ready after" in self.serves[-1].log_path.read_text()
        return ready and roles.count("worker") == WORKERS and roles.count("interface") == INTERFACES

    def _look(self) -> list[dict[str, object]] | None:
        redis_status = RedisStatus(self.redis_url, "towpath:")
        try:
            status = redis_status.read()
        except StartFailure:
            return None
        finally:
            redis_status.close()
        return [*status.processes, *({"connections": queue.depth} for queue in status.queues)]

    # What can be seen

    @property
    def redis_url(self) -> str:
        return f"unix://{self.run_dir / 'redis.sock'}"

    def pids(self, victim: Victim) -> list[int]:
        """Those that live, as they are written down in the run folder."""
        found = map(recorded, sorted((self.run_dir / "pids").glob(SLOTS[victim])))
        return [pid for pid in found if pid is not None]

    async def is_at_rest(self) -> bool:
        """Nobody holds a connection, and nothing waits."""
        status = await asyncio.to_thread(self._look)
        return status is not None and not any(lease.get("connections") or lease.get("queued") for lease in status)

    def descriptors(self) -> dict[int, int]:
        """How many files the supervisor and the parent have open: they alone are the same all the while."""
        return {self.serves[-1].pid: self.serves[-1].descriptors}

    async def leaks(self) -> list[str]:
        """Nobody here can be asked for his tasks: these are processes as `serve` starts them."""
        return []

    def keys_that_stay(self) -> list[str]:
        return keys_without_a_ttl(self.redis_url)

    def complaints(self) -> list[str]:
        return complaints(self.folder)

    def missing(self) -> list[str]:
        """Who has ended though nobody meant him to."""
        serve = self.serves[-1]
        return [] if serve.alive else [f"serve ({serve.pid}) has ended: {serve.popen.returncode}"]

    async def stop(self) -> list[str]:
        """SIGTERM; it ends in time, with 0, and nobody of it or of those before it is left."""
        serve = self.serves[-1]
        serve.signal(signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            await until(lambda: not serve.alive, "serve has left", STOP_DEADLINE_S)
        found = [] if serve.alive else [f"serve left with {code}" for code in [serve.popen.returncode] if code != 0]
        left = {pid for one in self.serves for pid in processes_of(one.pid)}
        return found + [f"process {pid} is left" for pid in sorted(left)]


class ServedTrouble:
    """All blows against one `serve`. Who falls is put in his place by it; if it falls itself, by the next one."""

    def __init__(self, fleet: ServedFleet, random: Random) -> None:
        self.blows: list[Blow] = []
        self.missed: list[str] = []
        self.unread: dict[int, frozenset[str]] = {}
        self._fleet = fleet
        self._random = random

    async def strike(self, victim: Victim, action: Action) -> None:
        """Hit one of them."""
        if action is Action.RELOAD:
            await self._reload()
        elif victim in (Victim.SERVE, Victim.SUPERVISOR) and action is Action.KILL:
            await self._fell(victim)
        else:
            pid = self._random.choice(self._fleet.pids(victim))
            self.blows.append(Blow(victim, action, pid, 0 if victim is Victim.INTERFACE else None))
            send(pid, SIGNALS[action])
            if action is Action.FREEZE:
                await asyncio.sleep(FROZEN_S)
                send(pid, signal.SIGCONT)

    async def _reload(self) -> None:
        """SIGHUP: each worker is replaced, and only then asked to leave."""
        serve, seen = self._fleet.serves[-1], set[int]()

        def over() -> bool:
            seen.update(self._fleet.pids(Victim.WORKER))
            return " replaced in " in serve.log_path.read_text()

        serve.signal(signal.SIGHUP)
        await until(over, "the workers are replaced", RELOAD_DEADLINE_S)
        left = seen.difference(self._fleet.pids(Victim.WORKER))  # also who came meanwhile for one that was killed
        self.blows += [Blow(Victim.WORKER, Action.TERM, pid) for pid in left]

    async def _fell(self, victim: Victim) -> None:
        """The next `serve` comes before anybody has tidied up, and ends whoever is left."""
        serve = self._fleet.serves[-1]
        pids = {Victim.SERVE: serve.pid, Victim.SUPERVISOR: self._fleet.pids(Victim.SUPERVISOR)[0]}
        self.blows.append(Blow(victim, Action.KILL, pids[victim]))
        os.kill(pids[victim], signal.SIGKILL)
        await until(lambda: not serve.alive, "serve has ended", STOP_DEADLINE_S)
        self._fleet._next()
        await self._fleet.until_ready()
        await until(lambda: not processes_of(serve.pid), "nobody of the last serve is left", STOP_DEADLINE_S)
