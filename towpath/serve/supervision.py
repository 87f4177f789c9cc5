"""The life of a `serve` after its supervisor was started: wait for something to happen, look, act.

What happens is a signal, a request, a changed file, or the next look at the processes. startup.py, restart_backoff.py and fleet.py decide.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from channel_layer.process.stop_requests import Meaning, StopRequests
from towpath.errors import INTERRUPTED, STARTUP_FAILURE, StartFailure
from towpath.fleet import restart_backoff as retries
from towpath.fleet.fleet import Fleet
from towpath.fleet.lease_watch import LeaseWatch
from towpath.fleet.startup import StartupMonitor
from towpath.runtime import process_markers as marks
from towpath.runtime.control_socket import ControlSocket, Request
from towpath.runtime.run_dir import RunDir
from towpath.runtime.worker_environment import WorkerEnvironment
from towpath.serve.code_reload import ReloadWatch, Watched
from towpath.serve.pausing import FOLLOW, Followers
from towpath.serve.process_table import ProcessTable
from towpath.serve.rollout import Rollout
from towpath.serve.startup_output import Opening
from towpath.status import redis_check
from towpath.status.redis_status import RedisStatus
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import INTERFACE, WORKER, Plan
from towpath.supervisord.process import Process
from towpath.system import processes, standard_streams
from towpath.system.processes import Identity

#: While something is under way; supervisord itself looks up only when it is spoken to, or each second.
LOOK_OFTEN_S = 0.1
LOOK_SELDOM_S = 1.0
LEASES_LOOK_S = 2.0
LEASES_RETRY_S = 10.0  #: Redis did not answer, and takes two seconds for that
REDIS_START_S = 20.0
KILLED_PATIENCE_S = 5.0
REFRESH_INTERVAL_S = 3600.0  #: of the run folder: cleaners of temporary files count in days
FOLDER_LOST = 1  #: the exit code


class Phase(Enum):
    """How far the whole is."""

    REDIS = auto()  # the embedded server is starting; nothing else is
    STARTING = auto()  # everything is started, not everything holds a lease: whoever fails now ends the whole
    SERVING = auto()  # from now on whoever fails is started again
    STOPPING = auto()


class Sign(Enum):
    """What can happen, beside a request."""

    STOP = auto()
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    CHANGED = auto()  # files of the application, under --reload
    LOOK = auto()  # a process may have died


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is served at all: the sentence, and the process that found it out."""

    name: str
    sentence: str


class Parent:
    """Everything that `serve` holds while it runs."""

    def __init__(
        self,
        folder: RunDir,
        plan: Plan,
        supervisord: subprocess.Popen[bytes],
        redis: str,
        prefix: str,
        environment: WorkerEnvironment,
        leases: LeaseWatch,
        reload: Watched | None,
        opening: Opening,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._supervisord = supervisord
        self._processes = ProcessTable(folder)
        self._redis = redis
        self._status = RedisStatus(redis, prefix)
        fleets = {
            INTERFACE: Fleet(supervisord_conf.interface_slots(plan), plan.interfaces),
            WORKER: Fleet(supervisord_conf.worker_slots(plan), plan.workers),
        }
        self._fleets = fleets
        maxima = {INTERFACE: plan.interfaces_max, WORKER: plan.workers_max}
        self.rollout = Rollout(self._processes, self._status, fleets, maxima, environment, self._say)
        self._followers = Followers()
        if reload is not None:
            self.rollout.let_successors_judge(self._followers.old_code_stays)
        self._happened: queue.SimpleQueue[Sign | Request] = queue.SimpleQueue()
        self._held: list[Sign | Request] = []  # what came too early
        self._control = ControlSocket(folder.path, self._happened.put)
        self._watch = ReloadWatch(reload, self._changed) if reload is not None else None
        self._phase = Phase.REDIS
        self._began_at = time.monotonic()
        self._beginning = StartupMonitor()
        self._opening = opening
        self.refusal: Refusal | None = None
        self._retries = retries.RestartBackoff()
        self.leases = leases
        self._leases_due_at = 0.0
        self._stop_requests = StopRequests(marks.is_supervised())
        self._refresh_at = self._began_at + REFRESH_INTERVAL_S
        self._counts: dict[str, int] = {}
        self._code = 0

    def run(self) -> int:
        """Until everything has ended; the exit code."""
        self._listen_to_signals()
        self._control.start()
        if self._watch is not None:
            self._watch.start()
        try:
            while self._supervisord.poll() is None:
                try:
                    self._happen(self._happened.get(timeout=self._pause_s))
                except queue.Empty:
                    self._look()
            return self._ended()
        finally:
            self._control.close()
            self._followers.close()
            self._turn_away()
            if self._watch is not None:
                self._watch.close()
            self._status.close()

    def look_now(self, said: bytes) -> None:
        """supervisord said something, most likely that a process has died. From any thread.

        It would start that process again at its next look, up to a second later, unless it is spoken to.
        """
        self._beginning.hear(said)
        self._happened.put(Sign.LOOK)

    @property
    def _pause_s(self) -> float:
        quiet = self._phase is Phase.SERVING and not self.rollout.busy
        return LOOK_SELDOM_S if quiet else LOOK_OFTEN_S

    # -- what happens

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._asked_to_stop(number))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # A terminal that goes away means the end; from anybody else it means new workers, as elsewhere.
            meaning = Sign.STOP if os.isatty(standard_streams.STANDARD_INPUT) else Sign.RELOAD
            signal.signal(signal.SIGHUP, lambda *_: self._happened.put(meaning))

    def _asked_to_stop(self, number: int) -> None:
        if number == signal.SIGINT and not self._opening.loaded:
            self._code = INTERRUPTED
        meaning = self._stop_requests.hear(number, time.monotonic())
        self._happened.put(Sign.STOP_AT_ONCE if meaning is Meaning.AT_ONCE else Sign.STOP)

    def _changed(self, paths: Sequence[str]) -> None:
        self._say(f"changed: {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}")
        self._happened.put(Sign.CHANGED)

    def _happen(self, what: Sign | Request) -> None:
        if what is Sign.STOP:
            self._stop()
        elif what is Sign.STOP_AT_ONCE:
            self._stop_now()
        elif what is Sign.LOOK:
            self._look()
        elif isinstance(what, Request) and what.asked.get("do") == FOLLOW:
            self._followers.add(what)
        elif what is Sign.CHANGED:
            self._followers.code_changed()
            self._happen(Sign.RELOAD)
        elif self._phase is not Phase.SERVING:
            self._held.append(what)
        elif isinstance(what, Request):
            self.rollout.obey(what)
        else:
            self.rollout.reload()
            self._look()

    def _turn_away(self) -> None:
        """Whoever still waits for an answer gets one."""
        self.rollout.close("`towpath serve` has ended")
        while not self._happened.empty():
            self._held.append(self._happened.get())
        for what in self._held:
            if isinstance(what, Request):
                what.end(1, "`towpath serve` has ended")

    def _stop(self) -> None:
        if self._phase is not Phase.STOPPING:
            self._say("stopping; once more to stop at once")
            self._end_supervisor()
        elif self._code == STARTUP_FAILURE:  # it has given up: nobody is being served
            self._stop_now()

    def _stop_now(self) -> None:
        self._say("stopping now")
        self._kill()

    def _end_supervisor(self) -> None:
        """It asks all processes to leave, and leaves after the last."""
        self._phase = Phase.STOPPING
        with contextlib.suppress(OSError):  # the folder may have gone, or the disk be full
            self._folder.say_that_all_stops(self._plan.owns_socket)
        self._supervisord.terminate()

    def _kill(self) -> None:
        """The supervisor ends by itself when its processes have; it is killed last, and only if it does not."""
        for process in {*self._folder.children(), *processes.children_of(self._supervisord.pid)}:
            if process.pid != self._supervisord.pid:
                process.send(signal.SIGKILL)
        try:
            self._supervisord.wait(KILLED_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._supervisord.kill()
            self._supervisord.wait()

    def _ended(self) -> int:
        left = self._folder.children()
        if self._phase is not Phase.STOPPING:
            self._say(f"the supervisor has died ({self._supervisord.returncode}); ending everything")
            self._code = 1
        processes.end_all(left, KILLED_PATIENCE_S)
        return self._code

    # -- the look at the processes

    def _look(self) -> None:
        if self._phase is not Phase.STOPPING:
            self._look_for_folder()
        seen = self._processes.processes()
        if seen is None:
            return
        if self._phase is Phase.REDIS:
            self._look_for_redis(seen)
        elif self._phase is Phase.STARTING:
            self._look_for_start(seen)
        elif self._phase is Phase.SERVING:
            self._look_for_lost(seen)
            self._look_for_frozen(seen)
            self.rollout.look(seen)
            self._leave_counts()

    def _look_for_folder(self) -> None:
        """Neither supervisord nor the embedded server can make its socket again: a process that dies from now on stays dead."""
        lost = self._folder.lost()
        if lost:
            shown = f"{', '.join(lost[:3])}{' …' if len(lost) > 3 else ''}"
            self._say(
                f"the run folder {self._folder.path} has lost {shown}: stopping, as what dies could not be started again"
            )
            self._code = FOLDER_LOST
            self._end_supervisor()
        elif time.monotonic() > self._refresh_at:
            self._folder.refresh()
            self._refresh_at = time.monotonic() + REFRESH_INTERVAL_S

    def _leave_counts(self) -> None:
        """For `status`, which sees only who is there. What cannot be written now is tried again at the next look."""
        counts = self.rollout.counts
        if counts != self._counts:
            with contextlib.suppress(OSError):
                self._folder.say(wanted=counts)
                self._counts = counts

    def _look_for_redis(self, seen: Mapping[str, Process]) -> None:
        try:
            redis_check.check(self._redis)
        except StartFailure as failure:
            given_up = self._beginning.failure(seen, (supervisord_conf.REDIS,))
            if given_up or time.monotonic() - self._began_at > REDIS_START_S:
                self._fail(given_up.why_not if given_up else str(failure))
            return
        for name in self.rollout.wanted:
            self._processes.start(name)
        self._phase = Phase.STARTING

    def _look_for_start(self, seen: Mapping[str, Process]) -> None:
        wanted = self.rollout.wanted
        ready = self._status.ready_pids()
        failed = self._beginning.failure(seen, wanted, ready)
        if failed is not None:
            self._fail_at_start(failed)
            return
        self._opening.look(any(name in seen and seen[name].loaded for name in self._fleets[WORKER].current))
        if all(name in seen and seen[name].pid in ready for name in wanted):
            self._phase = Phase.SERVING
            self._say(f"ready after {time.monotonic() - self._began_at:.1f} s")
            for what in self._held:
                self._happened.put(what)
            self._held.clear()

    def _redis_stands(self) -> bool:
        """Can anybody start at all?"""
        try:
            redis_check.check(self._redis)
        except StartFailure:
            return False
        return True

    def _look_for_lost(self, seen: Mapping[str, Process]) -> None:
        lost, now = retries.lost(seen, self.rollout.wanted), time.monotonic()
        if lost and not self._redis_stands():
            self._retries.excuse(lost, now)
            return
        for name in self._retries.due(lost, now):
            self._say(
                f"{name} does not stay alive; starting it again (up to {retries.PAUSE_MAX_S:.0f} s after each failure)"
            )
            self._processes.start(name)

    def _look_for_frozen(self, seen: Mapping[str, Process]) -> None:
        now = time.monotonic()
        if now < self._leases_due_at:
            return
        ready = self._status.ready_pids()
        self._leases_due_at = time.monotonic() + (LEASES_LOOK_S if ready else LEASES_RETRY_S)
        verdict = self.leases.look(self._running(WORKER, seen), self._running(INTERFACE, seen), ready, now)
        for text in verdict.say:
            self._say(text)
        for process in filter(None, map(Identity.of, verdict.kill)):
            process.send(signal.SIGKILL)

    def _running(self, kind: str, seen: Mapping[str, Process]) -> dict[str, int]:
        current = [name for name in self._fleets[kind].current if name in seen]
        return {name: seen[name].pid for name in current if seen[name].state == "RUNNING"}

    def _fail_at_start(self, process: Process) -> None:
        """Until somebody has loaded APP, what is wrong is said as if that had been tried beforehand."""
        if self._opening.loaded:
            self._fail(process.why_not)
        elif process.cannot_start and process.sentence:
            self._refuse(Refusal(process.name, process.sentence))
        elif not process.loaded:
            self._refuse(Refusal(process.name, self._opening.sentence_of_a_death(process.end)))
        else:
            self._fail(process.why_not)

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._code = STARTUP_FAILURE
        self._phase = Phase.STOPPING  # nobody is being served: nothing has to end properly
        self._supervisord.kill()  # first, or it would start the others again
        for process in self._folder.children():
            process.send(signal.SIGKILL)

    def _fail(self, why: str) -> None:
        self._say(f"{why}: giving up")
        self._code = STARTUP_FAILURE
        self._end_supervisor()

    def _say(self, text: str) -> None:
        standard_streams.say(f"{'serve':<11} | {text}")
