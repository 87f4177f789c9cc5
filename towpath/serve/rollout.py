"""What changes in a running `serve`: new code and configuration, other numbers, workers that have lived long enough.

    reload     read the options again ─▶ load the application once, apart ─▶ replace all workers, one at a time
               (under --reload nobody serves meanwhile, so the first successor finds out whether it can be loaded)
    scale      more or fewer slots
    a wish     one worker asks for its successor

fleet.py decides the order; here supervisord is told, and whoever asked. The application is loaded in a process of its own that is
looked at now and then, so that `serve` can be stopped meanwhile.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from towpath.errors import StartFailure
from towpath.fleet.fleet import Fleet, Job
from towpath.fleet.slot import START_PATIENCE_S
from towpath.runtime.control_socket import Request
from towpath.runtime.worker_environment import WorkerEnvironment
from towpath.serve.process_table import ProcessTable
from towpath.serve.startup_output import SILENT_S
from towpath.status.redis_status import RedisStatus
from towpath.supervisord.process import Process
from towpath.system import processes, standard_streams

CHECK_PATIENCE_S = 120.0
SAID_BY_US = "towpath: "

Variables = Mapping[str, str]


class Late:
    """One word for those who wait, once loading the application takes long."""

    def __init__(self, patience_s: float) -> None:
        """patience_s: after how long it is given up."""
        self._word_at = time.monotonic() + SILENT_S
        self._patience_s = patience_s

    def word(self) -> str:
        """The word when it is due; mostly nothing."""
        if time.monotonic() < self._word_at:
            return ""
        self._word_at = math.inf
        return f"still loading the application; given up after {self._patience_s:.0f} s …"


def _scratch() -> IO[str]:
    """A file that has no name. In memory where the system has that: there may be no folder for temporary files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("towpath-check"), "w+", errors="replace")
    return tempfile.TemporaryFile("w+", errors="replace")


class Check:
    """`towpath worker APP --check`, under way."""

    def __init__(self, command: Sequence[str], variables: Variables) -> None:
        self.variables = variables
        self.late = Late(CHECK_PATIENCE_S)
        self._said = _scratch()
        self._until = time.monotonic() + CHECK_PATIENCE_S
        self._process = subprocess.Popen(
            command,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            preexec_fn=processes.end_with_parent,
        )

    def outcome(self) -> str | None:
        """None: not yet. Empty: all is well. Else why not, in one sentence; the rest of what was said is shown."""
        if self._process.poll() is None:
            if time.monotonic() < self._until:
                return None
            self.end()
            return f"the application was not loaded within {CHECK_PATIENCE_S:.0f} s"
        if self._process.returncode == 0:
            return ""
        self._said.seek(0)
        lines = self._said.read().rstrip().splitlines()
        if not lines or not lines[-1].startswith(SAID_BY_US):
            lines.append(f"{SAID_BY_US}loading the application ended with {self._process.returncode}")
        for line in lines[:-1]:
            standard_streams.say(line)
        return lines[-1].removeprefix(SAID_BY_US)

    def end(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class Undertaking:
    """What was asked for, and what has to happen before it is answered. requests: of those who wait for an answer."""

    requests: list[Request]
    jobs: list[Job]
    done: str
    began_at: float = field(default_factory=time.monotonic)


class Rollout:
    """Everything that `serve` knows of its interface servers and workers as they come and go."""

    def __init__(
        self,
        process_table: ProcessTable,
        status: RedisStatus,
        fleets: dict[str, Fleet],
        maxima: Mapping[str, int],
        environment: WorkerEnvironment,
        say: Callable[[str], None],
    ) -> None:
        """fleets, maxima: by kind, `interface` and `worker`."""
        self._processes = process_table
        self._status = status
        self._fleets = fleets
        self._maxima = maxima
        self._environment = environment
        self._say_here = say
        self._check: Check | None = None
        self._waiting: list[Request] = []  # for the check that is under way
        self._next: list[Request] = []  # for the one after it
        self._once_more = False  # when what is under way is done: something has changed since
        self._undertakings: list[Undertaking] = []
        self._replacing: Job | None = None  # with a new environment, which is taken back if nobody can start with it
        #: Reads the options again: the variables that new workers get. StartFailure if that cannot be done.
        self.variables: Callable[[], Variables] = dict
        self.check_command: Sequence[str] = ()
        self._old_code_stays: Callable[[], None] | None = None
        self._late = Late(START_PATIENCE_S)

    def let_successors_judge(self, old_code_stays: Callable[[], None]) -> None:
        """Load nothing beforehand from now on. old_code_stays: called when a successor has failed, unless more has changed since."""
        self._old_code_stays = old_code_stays

    @property
    def busy(self) -> bool:
        """Something is under way that ought to be looked at often."""
        return self._check is not None or any(fleet.busy for fleet in self._fleets.values())

    @property
    def wanted(self) -> list[str]:
        """The slots that ought to be alive."""
        return [name for fleet in self._fleets.values() for name in fleet.current]

    @property
    def counts(self) -> dict[str, int]:
        """How many there ought to be, by kind."""
        return {kind: fleet.count for kind, fleet in self._fleets.items()}

    # -- what is asked for

    def obey(self, request: Request) -> None:
        """Begin what was asked for; the answer comes when it is done."""
        asked = request.asked
        if asked.get("do") == "reload":
            self.reload(request)
        elif asked.get("do") == "scale":
            self._scale(request, {kind: asked[kind] for kind in self._fleets if kind in asked})
        else:
            request.end(1, "this `towpath serve` does not know that")

    def reload(self, request: Request | None = None) -> None:
        """Replace all workers, once the application is known to load; while that is under way, once more at its end.

        The check that runs, or a successor that starts, may have read what was there before.
        """
        self._once_more = True
        if request is not None:
            self._next.append(request)
            if self._check is not None or self._replacing is not None:
                request.tell("a reload is under way; this one begins at its end")
        self._begin_check()

    def _begin_check(self) -> None:
        if not self._once_more or self._check is not None or self._replacing is not None:
            return
        self._once_more = False
        self._waiting, self._next = self._next, []
        try:
            self._load(self.variables())
        except StartFailure as failure:
            self._refuse(str(failure))
        except OSError as error:  # no room, no memory, or nothing to run: a deployment may be replacing it just now
            self._refuse(f"the application cannot be loaded: {error}")

    def _load(self, variables: Variables) -> None:
        if self._old_code_stays is None:
            self._check = Check(self.check_command, variables)
        else:
            self._replace_all(variables)

    def _look_at_check(self) -> None:
        if self._check is None:
            return
        outcome = self._check.outcome()
        if outcome is None:
            self.tell_waiting(self._check.late.word())
            return
        variables, self._check = self._check.variables, None
        if outcome:
            self._refuse(outcome)
        else:
            self._replace_all(variables)

    def tell_waiting(self, word: str) -> None:
        """Those who wait for the check, and the log. Nothing, if there is nothing to say."""
        if word:
            self._say_here(word)
            for request in [*self._waiting, *self._next]:
                request.tell(word)

    def _refuse(self, why: str) -> None:
        self._say(f"{why}; the old workers stay")
        for request in self._waiting:
            request.end(1, why)
        self._failed()

    def _failed(self) -> None:
        """The new code cannot serve. If there is newer code already, that decides."""
        if self._old_code_stays is not None and not self._once_more:
            self._old_code_stays()

    def _replace_all(self, variables: Variables) -> None:
        try:
            self._environment.renew(variables)
        except OSError as error:
            self._refuse(f"the new environment cannot be written: {error}")
            return
        workers = self._fleets["worker"]
        self._replacing = workers.replace_all()
        self._late = Late(START_PATIENCE_S)
        done = f"{workers.count} worker{'s' * (workers.count != 1)} replaced"
        self._undertakings.append(Undertaking(self._waiting, [self._replacing], done))

    def _look_at_replacing(self) -> None:
        """Whoever has given way may take half a minute to leave: what has changed since need not wait for that."""
        job, workers = self._replacing, self._fleets["worker"]
        if job is not None and not workers.still_here(job):
            self._replacing = None
            try:
                (self._environment.take_back if job.failure else self._environment.keep)()
            except OSError as error:
                self._say(f"the old environment cannot be written: {error}; whoever starts now has the new one")
            if job.failure:
                self._failed()
        elif job is not None and self._old_code_stays is not None and workers.waits_for_the_first(job):
            self.tell_waiting(self._late.word())

    def _scale(self, request: Request, counts: Mapping[str, Any]) -> None:
        for kind, count in counts.items():
            least = 1 if kind == "interface" else 0
            if type(count) is not int or not least <= count <= self._maxima[kind]:
                request.end(
                    1, f"{kind}={count}: from {least} to {self._maxima[kind]} (`serve --{kind}s-max` says more)"
                )
                return
        jobs = [self._fleets[kind].scale(count) for kind, count in counts.items()]
        done = ", ".join(f"{kind}={count}" for kind, count in counts.items())
        self._undertakings.append(Undertaking([request], jobs, done))

    # -- the look at the processes

    def look(self, seen: Mapping[str, Process]) -> None:
        """Take the next steps."""
        self._look_at_check()
        now = time.monotonic()
        for name in list(self._fleets["worker"].current):
            if name in seen and seen[name].wish and self._fleets["worker"].wish(name, now):
                self._say(f"{name} asks for its successor: {seen[name].wish}")
        awaits = any(fleet.awaits_leases for fleet in self._fleets.values())
        ready = self._status.ready_pids() if awaits else frozenset()
        for fleet in self._fleets.values():
            self._step(fleet, seen, ready, now)
        self._look_at_replacing()
        self._answer()
        self._begin_check()

    def _step(self, fleet: Fleet, seen: Mapping[str, Process], ready: frozenset[int], now: float) -> None:
        commands = fleet.advance(seen, ready, now)
        for name in commands.start:
            self._processes.start(name)
        for name in commands.stop:
            self._processes.stop(name)
        for text in commands.say:
            self._say(text)

    def _answer(self) -> None:
        for undertaking in [each for each in self._undertakings if all(job.over for job in each.jobs)]:
            self._undertakings.remove(undertaking)
            failures = [job.failure for job in undertaking.jobs if job.failure]
            passed_s = time.monotonic() - undertaking.began_at
            text = failures[0] if failures else f"{undertaking.done} in {passed_s:.1f} s"
            if not failures:
                self._say_here(text)
            for request in undertaking.requests:
                request.end(1 if failures else 0, text)

    def _say(self, text: str) -> None:
        """Here, and to everybody who waits."""
        self._say_here(text)
        for undertaking in self._undertakings:
            for request in undertaking.requests:
                request.tell(text)

    def close(self, why: str) -> None:
        """Nothing of what is under way will be done."""
        if self._check is not None:
            self._check.end()
        waiting = self._waiting if self._check is not None else []
        begun = [request for undertaking in self._undertakings for request in undertaking.requests]
        for request in [*waiting, *self._next, *begun]:
            request.end(1, why)
