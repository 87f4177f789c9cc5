"""A reload: new options and new code for all workers.

    IDLE ──▶ CHECKING ──▶ REPLACING ──▶ IDLE    read the options, load the application once, apart, then replace the workers
    IDLE ─────────────▶ REPLACING ──▶ IDLE      under --reload: old workers are paused, and the first successor loads it

A request meanwhile leads to one more reload at the end: the check that runs, or a successor that starts, may have read the files of
before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move
from towpath.errors import StartFailure
from towpath.fleet.fleet import Fleet, Job
from towpath.fleet.slot import START_TIMEOUT_S
from towpath.rollout.application_check import ApplicationCheck, SlowLoadNotice
from towpath.rollout.operations import Operations
from towpath.runtime.control_socket import Request
from towpath.runtime.worker_environment import WorkerEnvironment


class ReloadState(Enum):
    """The step of a reload."""

    IDLE = auto()  # nothing
    CHECKING = auto()  # the application is being loaded in a process of its own
    REPLACING = auto()  # successors start with the new environment, which is taken back if none can start with it


#: Every legal move.
MOVES = {
    ReloadState.IDLE: (ReloadState.CHECKING, ReloadState.REPLACING),
    ReloadState.CHECKING: (ReloadState.IDLE, ReloadState.REPLACING),
    ReloadState.REPLACING: (ReloadState.IDLE,),
}


@dataclass(frozen=True, slots=True)
class NewOptions:
    """The options of a `serve` as they are now.

    ignored: the changed ones that count only after `serve` is started again.
    """

    variables: Mapping[str, str]
    worker_timeout_s: float
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCode:
    """How a reload gets new options, and how it finds out whether the application can be loaded.

    read: the options as they are now; StartFailure if they cannot be read.
    on_old_code_kept: if given, nothing is loaded beforehand; called when a successor has failed, unless more has changed since.
    """

    read: Callable[[], NewOptions]
    check_command: Sequence[str]
    on_old_code_kept: Callable[[], None] | None = None


class Reload:
    """The reloads of one `serve`, one after the other."""

    def __init__(
        self, workers: Fleet, new_code: NewCode, environment: WorkerEnvironment, operations: Operations
    ) -> None:
        self._workers = workers
        self._new_code = new_code
        self._environment = environment
        self._operations = operations
        self._state = ReloadState.IDLE
        self._check: ApplicationCheck | None = None  # while CHECKING
        self._job: Job | None = None  # while REPLACING
        self._slow = SlowLoadNotice(START_TIMEOUT_S)
        self._requests: list[Request] = []  # of the reload that is under way
        self._next: list[Request] = []  # of the one after it
        self._is_due = False  # another reload has been asked for

    @property
    def is_checking(self) -> bool:
        """True while the application is loaded apart, which ought to be polled often."""
        return self._state is ReloadState.CHECKING

    @property
    def is_under_way(self) -> bool:
        """True from the beginning of a reload to its end."""
        return self._state is not ReloadState.IDLE

    def ask(self, request: Request | None = None) -> None:
        """Reload, or reload once more when the reload that is under way has ended."""
        self._is_due = True
        if request is not None:
            self._next.append(request)
            if self._state is not ReloadState.IDLE:
                request.report("a reload is under way; this one begins at its end")
        self.begin_if_due()

    def begin_if_due(self) -> None:
        """Begin the reload that was asked for, unless one is under way."""
        if not self._is_due or self._state is not ReloadState.IDLE:
            return
        self._is_due = False
        self._requests, self._next = self._next, []
        try:
            self._begin(self._new_code.read())
        except StartFailure as failure:
            self._refuse(str(failure))
        except OSError as error:  # no space, no memory, or nothing to run: a deployment may be replacing it just now
            self._refuse(f"the application cannot be loaded: {error}")

    def poll_check(self) -> None:
        """Go on if the application has been loaded, or could not be."""
        if self._state is not ReloadState.CHECKING or self._check is None:
            return
        outcome = self._check.outcome()
        if outcome is None:
            self._report_waiting(self._check.slow.take())
            return
        variables, self._check = self._check.variables, None
        if outcome:
            self._refuse(outcome)
            self._move(ReloadState.IDLE)
        else:
            self._replace_workers(variables)

    def poll_successors(self) -> None:
        """End the reload when every old worker has a successor. It may take half a minute to leave, which is not waited for."""
        if self._state is not ReloadState.REPLACING or self._job is None:
            return
        if not self._workers.still_here(self._job):
            self._end(self._job)
        elif self._new_code.on_old_code_kept is not None and self._workers.waits_for_first_successor(self._job):
            self._report_waiting(self._slow.take())

    def close(self, why: str) -> None:
        """End the check, and answer every request that nothing else will answer."""
        checked = self._requests if self._state is ReloadState.CHECKING else []
        if self._check is not None:
            self._check.end()
        for request in [*checked, *self._next]:
            request.answer(1, why)

    def _move(self, state: ReloadState) -> None:
        """Change the state. Raises IllegalMove if the table has no such move."""
        self._state = legal_move(MOVES, self._state, state, "a reload")

    def _begin(self, new: NewOptions) -> None:
        if new.ignored:
            self._report_waiting(f"ignored until `serve` is restarted: {', '.join(new.ignored)}")
        if self._new_code.on_old_code_kept is None:
            self._check = ApplicationCheck(self._new_code.check_command, new.variables)
            self._move(ReloadState.CHECKING)
        else:
            self._replace_workers(new.variables)

    def _replace_workers(self, variables: Mapping[str, str]) -> None:
        try:
            self._environment.renew(variables)
        except OSError as error:
            self._refuse(f"the new environment cannot be written: {error}")
            if self._state is not ReloadState.IDLE:
                self._move(ReloadState.IDLE)
            return
        self._move(ReloadState.REPLACING)
        self._job = self._workers.replace_all()
        self._slow = SlowLoadNotice(START_TIMEOUT_S)
        count = self._workers.count
        self._operations.add(self._requests, [self._job], f"{count} worker{'s' * (count != 1)} replaced")

    def _end(self, job: Job) -> None:
        self._move(ReloadState.IDLE)
        self._job = None
        try:
            (self._environment.take_back if job.failure else self._environment.keep)()
        except OSError as error:
            self._operations.report_error(
                f"the old environment cannot be written: {error}; workers that start now have the new one"
            )
        if job.failure:
            self._report_old_code_kept()

    def _refuse(self, why: str) -> None:
        self._operations.report_error(f"{why}; the old workers stay")
        for request in self._requests:
            request.answer(1, why)
        self._report_old_code_kept()

    def _report_old_code_kept(self) -> None:
        """Report that the old code stays, unless another reload is due: newer code decides then."""
        if self._new_code.on_old_code_kept is not None and not self._is_due:
            self._new_code.on_old_code_kept()

    def _report_waiting(self, text: str) -> None:
        """Log a text, and report it to every request for a reload. An empty text is dropped."""
        if text:
            self._operations.log(text)
            for request in [*self._requests, *self._next]:
                request.report(text)
