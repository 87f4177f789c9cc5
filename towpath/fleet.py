"""How many processes of one kind there are, and how each gives way to its successor while the others work.

Think of relay runners on a track that is never empty: the next one runs before the last one stops. A slot (a name that
supervisord knows) is idle, starting, current or leaving, and every look moves some of them on.

* Successors come one at a time: started, seen with a lease, and only then is the old process asked to leave. The next step
  waits until the old one has gone, but not for long: a worker may finish old connections for half a minute.
* A successor that ends while it starts ends the whole undertaking, and whoever is not replaced yet stays. It is not tried again:
  others serve meanwhile, and whoever asked wants to know.
* What is asked of supervisord is asked again at the next look, until it is so.

No process is touched here: facts and `now` in, commands out. PROTOCOL.md, P7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from towpath.keeper import Process

LEAVE_PATIENCE_S = 5.0  #: so long the next successor waits for the process before it to have gone
START_PATIENCE_S = 150.0  #: whoever has no lease by then never will; a lifespan alone may take 60 s
REFUSED_S = 30.0  #: after a successor could not start, wishes to be replaced are heard again after so long

GONE = frozenset({"STOPPED", "FATAL"})  #: EXITED is not: supervisord starts it again
CAN_BE_STOPPED = frozenset({"STARTING", "RUNNING", "BACKOFF"})


@dataclass(frozen=True, slots=True)
class Commands:
    """What to do now, and what to tell people."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    say: tuple[str, ...] = ()


@dataclass(slots=True)
class Job:
    """Something that was asked for: over when all of `to_leave` have gone and there are `count` processes, or it failed."""

    to_leave: set[str] = field(default_factory=set)
    count: int | None = None
    failure: str = ""
    over: bool = False

    def fail(self, why: str) -> None:
        """It will not happen."""
        self.failure, self.over = why, True


@dataclass(slots=True)
class Start:
    """A slot on its way. instead_of: whom it replaces; None: one more."""

    instead_of: str | None
    until: float
    asked: bool = False
    pid: int = 0  #: the last that was seen: supervisord may have tried again between two looks

    def failure(self, process: Process) -> str:
        """How it has left, whatever has become of it since; empty if it has not."""
        before, self.pid = self.pid, process.pid or self.pid
        if process.has_ended:
            return process.why_not
        return replace(process, end="ended").why_not if before not in (0, self.pid) else ""


class Fleet:
    """The slots of one program."""

    def __init__(self, slots: Sequence[str], count: int) -> None:
        self._slots = tuple(slots)
        self.current = list(slots[:count])  #: who ought to be alive and to stay
        self._count = count
        self._old: list[str] = []  # to be replaced, in this order
        self._starting: dict[str, Start] = {}
        self._leaving: set[str] = set()
        self._jobs: list[Job] = []
        #: Who was asked to leave last, and how long that is waited for.
        self._last_asked: tuple[str, float] | None = None
        self._refused_until = 0.0

    @property
    def busy(self) -> bool:
        """Something happens here that ought to be looked at often."""
        return bool(self._starting or self._old or self._jobs)

    @property
    def awaits_leases(self) -> bool:
        """Does the next look have to know who is ready?"""
        return bool(self._starting)

    @property
    def count(self) -> int:
        """How many there ought to be."""
        return self._count

    def still_here(self, job: Job) -> bool:
        """Has somebody of `job` not given way yet? Whoever has may take his time to leave."""
        return not job.over and any(name in self.current or name in self._starting for name in job.to_leave)

    # -- what is asked for

    def replace_all(self) -> Job:
        """Everybody who is here now gives way to a successor, those included that are just starting."""
        here = [*self.current, *self._starting]
        self._old += [name for name in here if name not in self._old]
        return self._take(Job(to_leave=set(here)))

    def wish(self, name: str, now: float) -> bool:
        """A process asks for its successor. False: it stands in the queue already, or is not heard now."""
        if name not in self.current or name in self._old or now < self._refused_until:
            return False
        self._old.append(name)
        return True

    def scale(self, count: int) -> Job:
        """So many from now on. A request before this one that is not fulfilled yet is overtaken."""
        for job in self._jobs:
            if job.count is not None:
                job.fail("another number was asked for meanwhile")
        self._count = count
        return self._take(Job(to_leave=self._drop_surplus(), count=count))

    def _take(self, job: Job) -> Job:
        self._jobs.append(job)
        return job

    @property
    def _additional(self) -> list[str]:
        """Who is on its way and replaces nobody."""
        return [name for name, start in self._starting.items() if start.instead_of is None]

    def _drop_surplus(self) -> set[str]:
        """Who is too many leaves: first who is not there yet, then who would be replaced anyway, then the youngest."""
        additional = self._additional
        by_age = [*additional[::-1], *self._old[::-1], *(name for name in self.current[::-1] if name not in self._old)]
        # Once each: who is not there yet may stand in the queue of those to be replaced as well.
        candidates = [name for name in dict.fromkeys(by_age) if name in self.current or name in additional]
        surplus = candidates[: max(0, len(self.current) + len(additional) - self._count)]
        for name in surplus:
            self._starting.pop(name, None)
            self._leave(name)
        return set(surplus)

    # -- the look

    def advance(self, processes: Mapping[str, Process], ready: frozenset[int], now: float) -> Commands:
        """The next step. ready: numbers of the processes of this machine that hold a lease."""
        said = self._look_at_starting(processes, ready, now)
        self._look_at_leaving(processes)
        self._begin_next(now)
        self._end_jobs()
        return Commands(
            start=tuple(self._to_start(processes)),
            stop=tuple(name for name in sorted(self._leaving) if _state(processes, name) in CAN_BE_STOPPED),
            say=tuple(said),
        )

    def _look_at_starting(self, processes: Mapping[str, Process], ready: frozenset[int], now: float) -> Iterable[str]:
        said = []
        for name, start in list(self._starting.items()):
            process = processes.get(name)
            if process is None or not start.asked:
                continue
            if failure := start.failure(process):
                said.append(self._give_up(name, start, failure, now))
            elif now > start.until:
                said.append(self._give_up(name, start, f"{name} was not ready within {START_PATIENCE_S:.0f} s", now))
            elif process.pid in ready:
                said.append(self._serves(name, start, now))
        return said

    def _serves(self, name: str, start: Start, now: float) -> str:
        del self._starting[name]
        old = start.instead_of
        if old is None:
            self.current.append(name)
            return f"{name} serves"
        if old not in self.current:  # it was dropped meanwhile, and its successor with it
            self._leave(name)
            return f"{name} is not needed any more"
        self.current[self.current.index(old)] = name
        self._leave(old)
        self._last_asked = (old, now + LEAVE_PATIENCE_S)
        return f"{name} serves, {old} leaves"

    def _give_up(self, name: str, start: Start, why: str, now: float) -> str:
        del self._starting[name]
        self._leave(name)
        if start.instead_of is None:
            self._count = len(self.current) + len(self._additional)  # who started beside it may stay
            self._fail([job for job in self._jobs if job.count is not None], why)
            return why
        self._fail([job for job in self._jobs if job.count is None and self.still_here(job)], why)
        self._old.clear()
        self._refused_until = now + REFUSED_S
        return f"{why}; the old ones stay"

    def _fail(self, jobs: Iterable[Job], why: str) -> None:
        for job in jobs:
            job.fail(why)

    def _leave(self, name: str) -> None:
        if name in self.current:
            self.current.remove(name)
        if name in self._old:
            self._old.remove(name)
        self._leaving.add(name)

    def _look_at_leaving(self, processes: Mapping[str, Process]) -> None:
        for name in [name for name in self._leaving if _state(processes, name) in GONE]:
            self._leaving.discard(name)
            for job in self._jobs:
                job.to_leave.discard(name)

    def _begin_next(self, now: float) -> None:
        for _ in range(self._count - len(self.current) - len(self._additional)):
            self._begin(None, now)
        if any(start.instead_of is not None for start in self._starting.values()) or self._still_leaving(now):
            return
        for name in self._old:
            if name in self.current:
                self._begin(name, now)
                return

    def _still_leaving(self, now: float) -> bool:
        return self._last_asked is not None and self._last_asked[0] in self._leaving and now < self._last_asked[1]

    def _begin(self, instead_of: str | None, now: float) -> None:
        """In the first idle slot; without one nothing, and once more at the next look."""
        taken = {*self.current, *self._starting, *self._leaving}
        for name in self._slots:
            if name not in taken:
                self._starting[name] = Start(instead_of, now + START_PATIENCE_S)
                return

    def _to_start(self, processes: Mapping[str, Process]) -> Iterable[str]:
        for name, start in self._starting.items():
            if not start.asked or _state(processes, name) == "STOPPED":
                start.asked = True
                yield name

    def _end_jobs(self) -> None:
        for job in self._jobs:
            if not job.to_leave and (job.count is None or len(self.current) >= job.count):
                job.over = True
        self._jobs = [job for job in self._jobs if not job.over]


def _state(processes: Mapping[str, Process], name: str) -> str:
    return processes[name].state if name in processes else ""
