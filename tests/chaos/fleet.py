"""A Redis, two interface servers and two workers, each a process of its own, and each put in its place again when it falls."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
from pathlib import Path

from tests.chaos import census
from tests.chaos.census import Count
from tests.chaos.process import Process
from tests.support.facts import until, until_async
from tests.support.redis_look import keys_without_a_ttl, read_and_pending, sent_directly
from tests.support.redis_sentinels import RedisSentinels
from tests.support.redis_server import RedisServer
from towpath.errors import StartFailure
from towpath.overview.report import Status
from towpath.status.redis_status import RedisStatus

HERE = Path(__file__).parent
INTERFACES = WORKERS = 2
READY_DEADLINE_S = 40.0
STOP_DEADLINE_S = 30.0
LEAK_DEADLINE_S = 5.0
NOT_STARTED = 3  #: the exit code of whoever finds no Redis that he could begin with
#: So few exchanges per worker that some of the load's clients always wait in the queue.
FEW_PLACES = ("--worker-concurrency", "9")
WORKER_OPTIONS = ("--timeout-graceful-shutdown", "6", "--queue-wait", "20")
INTERFACE_OPTIONS = ("--timeout-graceful-shutdown", "6", "--queue-wait", "20", "--no-access-log")
#: What a line of a log may not have, whatever was done to others.
COMPLAINT = re.compile(r"Traceback|Unhandled|never retrieved|malformed|AssertionError|was never awaited")


class Fleet:
    """Everything that one performance needs. Sockets that listen are ours, so that they stay when an interface server falls."""

    def __init__(self, folder: Path, watched: bool = False, direct: bool = False) -> None:
        """direct: workers have places for all clients."""
        self.folder = folder
        self._worker_options = WORKER_OPTIONS if direct else (*WORKER_OPTIONS, *FEW_PLACES)
        self.traces = folder / "traces"
        self.traces.mkdir()
        self.redis = RedisSentinels() if watched else RedisServer()
        self._status = RedisStatus(self.redis.url, "towpath:")
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(INTERFACES)]
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        self.interfaces: list[Process] = []
        self.workers: list[Process] = []
        self.fallen: list[Process] = []
        self._before: dict[str, Count] = {}  # at the beginning

    async def start(self) -> None:
        await asyncio.to_thread(self.redis.start)
        self.interfaces = [self._interface(number) for number in range(INTERFACES)]
        self.workers = [self._worker(number) for number in range(WORKERS)]
        await self.until_ready()
        await until_async(self._have_begun, "all do what they do at rest")

    async def _have_begun(self) -> bool:
        """A lease is written before the last of it has begun."""
        self._before = await self._count()
        return all(census.AT_REST[name.partition("-")[0]] in count.tasks for name, count in self._before.items())

    async def _count(self) -> dict[str, Count]:
        return await census.take((*self.interfaces, *self.workers), self.traces)

    async def until_ready(self) -> None:
        """All hold a lease. Who could not start since Redis was unfit is started again: so does everybody's supervisor."""

        async def stand() -> bool:
            for process in (*self.interfaces, *self.workers):
                if process.popen.poll() == NOT_STARTED:
                    self.replace(process)
            return await self._are_leased({process.pid for process in (*self.interfaces, *self.workers)})

        await until_async(stand, "all hold a lease", READY_DEADLINE_S)

    def close(self) -> None:
        """Whatever happened: nobody outlives this."""
        for process in (*self.interfaces, *self.workers, *self.fallen):
            process.end_by_force()
        for listener in self.listeners:
            listener.close()
        self._status.close()
        self.redis.remove()

    # Those who fall

    def replace(self, process: Process) -> Process:
        """The next one in the same place."""
        self.fallen.append(process)
        process.ended_by_us = True
        for places, begin in ((self.interfaces, self._interface), (self.workers, self._worker)):
            if process in places:
                number = places.index(process)
                places[number] = begin(number)
                return places[number]
        raise AssertionError(f"{process.name} has no place here")

    def _interface(self, number: int) -> Process:
        descriptor = self.listeners[number].fileno()
        words = ["interface", "--fd", str(descriptor), "--redis", self.redis.url, *INTERFACE_OPTIONS]
        return self._start(f"interface-{number}", words, (descriptor,))

    def _worker(self, number: int) -> Process:
        words = ["worker", "stage", "--app-dir", str(HERE / "project"), "--redis", self.redis.url]
        words += self._worker_options
        return self._start(f"worker-{number}", words)

    def _start(self, name: str, words: list[str], descriptors: tuple[int, ...] = ()) -> Process:
        command = [sys.executable, "-P", HERE / "blockable.py", *words]
        return Process.start(name, command, self.folder / f"{name}.log", {"TRACES": str(self.traces)}, descriptors)

    # What can be seen

    async def look(self) -> Status | None:
        """What `towpath status` would show; None while Redis does not answer."""
        try:
            return await asyncio.to_thread(self._status.read)
        except StartFailure:
            return None

    async def depth(self) -> int:
        """How many wait for a worker."""
        status = await self.look()
        return sum(queue.depth for queue in status.queues) if status else 0

    async def read_and_not_taken(self) -> set[tuple[Process, Process]]:
        """Which worker has read entries of which interface server, and nobody has taken them."""
        status = await self.look()
        leases = [lease for lease in status.processes if "pid" in lease] if status else []
        places = {process.pid: process for process in (*self.interfaces, *self.workers)}
        nodes = {lease["node"]: places[lease["pid"]] for lease in leases if lease["pid"] in places}
        found = await asyncio.to_thread(read_and_pending, self.redis.server_url)
        return {
            (nodes[worker], nodes[interface]) for worker, interface in found if worker in nodes and interface in nodes
        }

    async def unread_by(self, worker: Process, since_ms: int) -> frozenset[str]:
        """The names of the requests that may start only once and have come into the inbox of a worker since."""
        status = await self.look()
        nodes = [lease["node"] for lease in status.processes if lease.get("pid") == worker.pid] if status else []
        paths = [
            path
            for node in nodes
            for path in await asyncio.to_thread(sent_directly, self.redis.server_url, node, since_ms)
        ]
        return frozenset(path.rpartition("/")[2] for path in paths)

    async def all_invite(self) -> bool:
        """Each worker invites each interface server, as their leases say."""
        status = await self.look()
        processes = status.processes if status else []
        counts = [lease.get("inviting_workers") for lease in processes if lease.get("role") == "interface"]
        return len(counts) == INTERFACES and set(counts) == {WORKERS}

    async def _are_leased(self, pids: set[int]) -> bool:
        status = await self.look()
        return status is not None and pids <= {lease["pid"] for lease in status.processes if "pid" in lease}

    async def is_at_rest(self) -> bool:
        """Nobody holds a connection, and nothing waits."""
        status = await self.look()
        if status is None or any(queue.depth for queue in status.queues):
            return False
        return not any(lease.get("connections") or lease.get("queued") for lease in status.processes)

    def descriptors(self) -> dict[int, int]:
        """How many files each living process has open."""
        return {process.pid: process.descriptors for process in (*self.interfaces, *self.workers)}

    async def leaks(self) -> list[str]:
        """Who has tasks or threads that nobody in his place had at the beginning, and keeps them: some may just be about to end."""
        found: list[str] = []

        async def are_gone() -> bool:
            counts = await self._count()
            found[:] = [
                f"{name} {fault}" for name, count in counts.items() for fault in count.more_than(self._before[name])
            ]
            return not found

        with contextlib.suppress(AssertionError):
            await until_async(are_gone, "no more tasks and threads than before", LEAK_DEADLINE_S)
        return found

    def keys_that_stay(self) -> list[str]:
        return keys_without_a_ttl(self.redis.server_url)

    def complaints(self) -> list[str]:
        return complaints(self.folder)

    def missing(self) -> list[str]:
        """Who has ended though nobody meant him to."""
        return [
            f"{process.name} ({process.pid}) has ended: {process.popen.returncode}"
            for process in (*self.interfaces, *self.workers)
            if not process.alive
        ]

    async def stop(self) -> list[str]:
        """SIGTERM to all; who does not leave in time, or not with 0."""
        processes = [*self.interfaces, *self.workers, *self.fallen]
        for process in processes:
            process.signal(signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            await until(lambda: not any(process.alive for process in processes), "all have left", STOP_DEADLINE_S)
        stay = [f"{process.name} ({process.pid}) does not leave" for process in processes if process.alive]
        codes = [(process, process.popen.returncode) for process in processes if not process.alive]
        killed = (-signal.SIGKILL, NOT_STARTED)
        return stay + [
            f"{process.name} ({process.pid}) left with {code}"
            for process, code in codes
            if code != 0 and not (process.ended_by_us and code in killed)
        ]


def complaints(folder: Path) -> list[str]:
    """Lines in logs that say that something of ours is broken."""
    return [
        f"{path.name}:{number}: {line}"
        for path in sorted(folder.glob("*.log"))
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if COMPLAINT.search(line)
    ]
