"""The moments at which blows fall: waited for, and held open as long as it takes to strike."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from random import Random

from tests.chaos import traces
from tests.chaos.fleet import Fleet
from tests.chaos.harm import Action, Victim
from tests.chaos.process import Process
from tests.chaos.scenarios import Moment
from tests.chaos.trouble import Trouble
from tests.facts import until, until_async

DEPTH = 8  #: so many wait for a worker, and the queue is one


@contextlib.asynccontextmanager
async def _any_moment(fleet: Fleet, trouble: Trouble, random: Random) -> AsyncIterator[None]:
    yield


@contextlib.asynccontextmanager
async def _queued(fleet: Fleet, trouble: Trouble, random: Random) -> AsyncIterator[None]:
    """No worker moves, for less than a lease."""
    with _still(fleet.workers):
        await until_async(lambda: _deep(fleet), "a queue")
        yield


async def _deep(fleet: Fleet) -> bool:
    return await fleet.depth() >= DEPTH


@contextlib.asynccontextmanager
async def _handed(fleet: Fleet, trouble: Trouble, random: Random) -> AsyncIterator[None]:
    """One worker leaves, and the other cannot take what it lets go."""
    leaver, other = random.sample(fleet.workers, 2)
    with _still([other]):
        replacing = await _let_go(fleet, trouble, leaver)
        yield
    fleet.replace(replacing)


@contextlib.asynccontextmanager
async def _adopted(fleet: Fleet, trouble: Trouble, random: Random) -> AsyncIterator[None]:
    """The same, and then the other takes them, and has not said anything."""
    leaver, other = random.sample(fleet.workers, 2)
    with _still([other]):
        replacing = await _let_go(fleet, trouble, leaver)
        before = _adoptions(fleet, other)
    await until(lambda: _adoptions(fleet, other) > before, "a socket is adopted by the other")
    yield
    fleet.replace(replacing)


async def _let_go(fleet: Fleet, trouble: Trouble, leaver: Process) -> Process:
    trouble.hit(Victim.WORKER, leaver, Action.TERM)
    await until(
        lambda: any(end.pid == leaver.pid and end.code == 1012 for end in traces.ends(fleet.traces)), "hands off", 10.0
    )
    return leaver


def _adoptions(fleet: Fleet, worker: Process) -> int:
    return sum(start.pid == worker.pid and start.name.startswith("hesitant") for start in traces.starts(fleet.traces))


@contextlib.contextmanager
def _still(workers: list[Process]) -> Iterator[None]:
    """They do not move, as long as this lasts; it must be shorter than a lease."""
    still = list(workers)
    for worker in still:
        worker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in still:
            worker.signal(signal.SIGCONT)


MOMENTS = {
    Moment.ANY: _any_moment,
    Moment.QUEUED: _queued,
    Moment.HANDED: _handed,
    Moment.ADOPTED: _adopted,
}
