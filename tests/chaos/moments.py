"""The moments at which blows fall: waited for, and held open as long as it takes to strike."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.chaos import traces
from tests.chaos.clients import Load
from tests.chaos.fleet import Fleet
from tests.chaos.harm import Action, Victim
from tests.chaos.outcomes import Start
from tests.chaos.process import Process
from tests.chaos.scenarios import Moment
from tests.chaos.trouble import Trouble
from tests.support.facts import until, until_async

DEPTH = 8  #: so many wait for a worker, and the queue is one
SENT_WITHIN_S = 0.5
READ_WITHIN_S = 2.0  #: less than a lease; in this time a worker whose read waits in Redis is given something
STOPPED_TIMES_MAX = 5
#: Sockets that come while no worker moves: kind, how many at each interface server that echo, and that are silent.
LATECOMERS = (("plain", 1, 0), ("crash", 1, 0))


@dataclass(frozen=True, slots=True)
class Scene:
    """All that has a part in a play."""

    fleet: Fleet
    trouble: Trouble
    load: Load
    random: Random


@contextlib.asynccontextmanager
async def _any_moment(scene: Scene) -> AsyncIterator[None]:
    yield


@contextlib.asynccontextmanager
async def _queued(scene: Scene) -> AsyncIterator[None]:
    """No worker moves, for less than a lease."""
    with _still(scene, scene.fleet.workers):
        await until_async(lambda: _deep(scene.fleet), "a queue")
        yield


async def _deep(fleet: Fleet) -> bool:
    return await fleet.depth() >= DEPTH


@contextlib.asynccontextmanager
async def _read(scene: Scene) -> AsyncIterator[None]:
    """Redis has given entries to the read of a worker, and the worker has not taken them: stopped, it cannot.

    Whoever has room for a WebSocket has a read that waits in Redis, so handshakes that come now are read. Where just then it has
    none, it is let go, and stopped again.
    """
    scene.load.begin_sockets(LATECOMERS)
    for _ in range(STOPPED_TIMES_MAX):
        with _still(scene, scene.fleet.workers):
            if readers := await _readers(scene.fleet):
                scene.trouble.aim(readers)
                yield
                return
    raise AssertionError("no worker could be stopped between its read and its take")


async def _readers(fleet: Fleet) -> list[Process]:
    """Workers that have read and not taken, and those whose entries these are. Seen twice: a take may have been on its way."""
    end = time.monotonic() + READ_WITHIN_S
    while time.monotonic() < end:
        pairs = await fleet.read_and_not_taken() & await fleet.read_and_not_taken()
        if pairs:
            return [process for pair in pairs for process in pair]
    return []


@contextlib.asynccontextmanager
async def _sent(scene: Scene) -> AsyncIterator[None]:
    """A worker that is stopped has been sent requests directly, of those that may start only once, too."""
    for _ in range(STOPPED_TIMES_MAX):
        # A worker that was stopped for a moment invites nobody for a while.
        await until_async(scene.fleet.all_invite, "all workers invite")
        worker = scene.random.choice(scene.fleet.workers)
        with _still(scene, [worker]):
            since_ms = int(time.time() * 1000) + 1
            end = time.monotonic() + SENT_WITHIN_S
            while time.monotonic() < end:
                if unread := await scene.fleet.unread_by(worker, since_ms):
                    scene.trouble.unread[worker.pid] = unread
                    scene.trouble.aim([worker, *scene.fleet.interfaces])
                    yield
                    return
    raise AssertionError("no stopped worker was sent a request directly")


@contextlib.asynccontextmanager
async def _taken(scene: Scene) -> AsyncIterator[None]:
    """Exchanges of each interface server have begun in a worker, and nothing of a response goes out."""
    async with _held(scene, "taken", lambda _name: True):
        yield


@contextlib.asynccontextmanager
async def _first_byte(scene: Scene) -> AsyncIterator[None]:
    """Clients of each interface server have the first byte of a response, and the rest does not come."""
    async with _held(scene, "first_byte", scene.load.answered.__contains__):
        yield


@contextlib.asynccontextmanager
async def _held(scene: Scene, moment: str, is_there: Callable[[str], bool]) -> AsyncIterator[None]:
    """The application goes no further with exchanges that have come so far."""
    fleet, interfaces, gate = scene.fleet, scene.load.interfaces, scene.fleet.traces / f"hold-{moment}"

    def held() -> list[Start]:
        return [
            start for start in traces.held(fleet.traces, moment) if start.name in interfaces and is_there(start.name)
        ]

    gate.touch()
    try:
        await until(
            lambda: {interfaces[start.name] for start in held()} == {*range(len(fleet.interfaces))}, f"held: {moment}"
        )
        pids = {start.pid for start in held()}
        scene.trouble.aim([*fleet.interfaces, *(worker for worker in fleet.workers if worker.pid in pids)])
        yield
    finally:
        gate.unlink()


@contextlib.asynccontextmanager
async def _handed(scene: Scene) -> AsyncIterator[None]:
    """One worker leaves, and the other cannot take what it lets go."""
    leaver, other = scene.random.sample(scene.fleet.workers, 2)
    with _still(scene, [other]):
        await _leave_and_release(scene, leaver)
        yield
    scene.fleet.replace(leaver)


@contextlib.asynccontextmanager
async def _adopted(scene: Scene) -> AsyncIterator[None]:
    """The same, and then the other takes them, and has not said anything."""
    fleet = scene.fleet
    leaver = scene.random.choice(_owners(fleet, "hesitant"))
    (other,) = (worker for worker in fleet.workers if worker is not leaver)
    with _still(scene, [other]):
        await _leave_and_release(scene, leaver)
        before = _adoptions(fleet, other)
    await until(lambda: _adoptions(fleet, other) > before, "a socket is adopted by the other")
    yield
    fleet.replace(leaver)


async def _leave_and_release(scene: Scene, leaver: Process) -> None:
    scene.trouble.hit(Victim.WORKER, leaver, Action.TERM)
    folder = scene.fleet.traces
    await until(
        lambda: any(end.pid == leaver.pid and end.code == 1012 for end in traces.ends(folder)), "hands off", 10.0
    )


def _owners(fleet: Fleet, kind: str) -> list[Process]:
    """Workers in whose hands some of these are."""
    over = {(end.pid, end.instance) for end in traces.ends(fleet.traces)}
    starts = (start for start in traces.starts(fleet.traces) if (start.pid, start.instance) not in over)
    pids = {start.pid for start in starts if start.name.startswith(kind)}
    return [worker for worker in fleet.workers if worker.pid in pids]


def _adoptions(fleet: Fleet, worker: Process) -> int:
    return sum(start.pid == worker.pid and start.name.startswith("hesitant") for start in traces.starts(fleet.traces))


@contextlib.contextmanager
def _still(scene: Scene, workers: list[Process]) -> Iterator[None]:
    """They do not move, as long as this lasts; it must be shorter than a lease. Whom a blow has frozen meanwhile stays so."""
    still = list(workers)
    for worker in still:
        worker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in still:
            if not scene.trouble.is_frozen(worker):
                worker.signal(signal.SIGCONT)


MOMENTS = {
    Moment.ANY: _any_moment,
    Moment.QUEUED: _queued,
    Moment.READ: _read,
    Moment.SENT: _sent,
    Moment.TAKEN: _taken,
    Moment.FIRST_BYTE: _first_byte,
    Moment.HANDED: _handed,
    Moment.ADOPTED: _adopted,
}
