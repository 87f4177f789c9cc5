"""The parent of a `serve` once its supervisor was started: waits for a trigger, polls the processes, and acts.

A trigger is a signal, a request, a changed file, or the time of the next poll. The cores of towpath/fleet/ decide.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from channel_layer.process.stop_requests import Meaning, StopRequests
from towpath.errors import INTERRUPTED, STARTUP_FAILURE
from towpath.fleet.fleet import Fleet
from towpath.rollout.operations import Operations
from towpath.rollout.pausing import FOLLOW, Followers
from towpath.rollout.reload import NewCode, NewOptions, Reload
from towpath.rollout.rollout import Rollout
from towpath.runtime import process_markers
from towpath.runtime.control_socket import ControlSocket, Request
from towpath.runtime.process_table import ProcessTable
from towpath.runtime.worker_environment import WorkerEnvironment
from towpath.serve import process_environment
from towpath.serve.phase import ServePhase, ServeTrigger, next_phase
from towpath.serve.process_health import ProcessHealth
from towpath.serve.serve_log import log, log_error, shortened
from towpath.serve.serve_settings import ServeContext
from towpath.serve.start_sequence import FailedStart, StartSequence
from towpath.serve.startup_output import StartupOutput
from towpath.status.lease_reader import LeaseReader
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import INTERFACE, WORKER, Plan
from towpath.supervisord.process import Process
from towpath.system import processes, service_manager, standard_streams

if TYPE_CHECKING:  # watchfiles is imported under --reload only
    from towpath.rollout.code_reload import ReloadWatch

#: While a change is under way; supervisord itself checks its processes only when it gets a request, or each second.
POLL_BUSY_S = 0.1
POLL_SUPERVISOR_S = 0.01  #: until supervisord answers: everything else waits for that
POLL_QUIET_S = 1.0
KILL_TIMEOUT_S = 5.0
REFRESH_INTERVAL_S = 3600.0  #: of the run folder: cleaners of temporary files count in days
FOLDER_LOST = 1  #: the exit code
ENDED = "`towpath serve` has ended"


def _fleets(plan: Plan) -> dict[str, Fleet]:
    return {
        INTERFACE: Fleet(supervisord_conf.interface_slots(plan), plan.interfaces, 1, plan.interfaces_max),
        WORKER: Fleet(supervisord_conf.worker_slots(plan), plan.workers, 0, plan.workers_max),
    }


class Parent:
    """The parent process of one `serve`."""

    def __init__(
        self,
        context: ServeContext,
        supervisord: subprocess.Popen[bytes],
        environment: Mapping[str, str],
        output: StartupOutput,
    ) -> None:
        """environment: the variables with which the processes were started."""
        self._context = context
        self._folder = context.folder
        self._supervisord = supervisord
        self._manager = service_manager.of_this_process()
        self._output = output
        self._processes = ProcessTable(context.folder)
        self._lease_reader = LeaseReader(context.redis, context.prefix, context.settings.redis_settings)
        self._fleets = _fleets(context.plan)
        self._start = StartSequence(output)
        worker_timeout_s = context.settings.process_options["worker_timeout"]
        self._health = ProcessHealth(self._processes, self._lease_reader, context.redis, worker_timeout_s)
        self._followers = Followers()
        self._rollout = self._make_rollout(environment)
        self._triggers: queue.SimpleQueue[ServeTrigger | Request] = queue.SimpleQueue()
        self._held: list[ServeTrigger | Request] = []  # triggers and requests that came too early
        self._control = ControlSocket(context.folder.path, self._triggers.put)
        self._watch = self._make_watch()
        self._stop_requests = StopRequests(process_markers.is_supervised())
        self._phase = ServePhase.SUPERVISOR
        self._refresh_at = time.monotonic() + REFRESH_INTERVAL_S
        self._counts: dict[str, int] = {}
        self._code = 0
        self.failure: FailedStart | None = None  #: why APP cannot be served, with the process that found it out

    def _make_rollout(self, environment: Mapping[str, str]) -> Rollout:
        on_old_code_kept = None if self._context.settings.reload is None else self._followers.on_old_code_kept
        check = (*self._context.plan.command, "worker", self._context.settings.app, "--check")
        operations = Operations(log, log_error)
        reload = Reload(
            self._fleets[WORKER],
            NewCode(self._read_options, check, on_old_code_kept),
            WorkerEnvironment(self._folder.folder, environment),
            operations,
        )
        return Rollout(self._processes, self._lease_reader, self._fleets, reload, operations)

    def _make_watch(self) -> ReloadWatch | None:
        watched = self._context.settings.reload
        if watched is None:
            return None
        from towpath.rollout.code_reload import ReloadWatch

        return ReloadWatch(watched, self._on_change)

    def _read_options(self) -> NewOptions:
        """The options as of now, for new workers. The worker timeout, which `serve` itself applies, is set at once."""
        new = process_environment.read_again(self._context)
        self._health.set_worker_timeout(new.worker_timeout_s)
        return new

    def run(self) -> int:
        """Run until every process has ended; the exit code."""
        self._listen_to_signals()
        self._control.start()
        if self._watch is not None:
            self._watch.start()
        try:
            while self._supervisord.poll() is None:
                try:
                    self._handle(self._triggers.get(timeout=self._pause_s))
                except queue.Empty:
                    self._poll()
            return self._ended()
        finally:
            self._close()

    def _close(self) -> None:
        self._control.close()
        self._followers.close()
        self._answer_pending()
        if self._watch is not None:
            self._watch.close()
        self._lease_reader.close()

    def poll_soon(self, logged: bytes) -> None:
        """Poll at once: supervisord has logged something, most likely that a process has died. From any thread.

        It would start that process again up to a second later, unless it gets a request.
        """
        self._start.note_log(logged)
        self._triggers.put(ServeTrigger.POLL)

    @property
    def _pause_s(self) -> float:
        if self._phase is ServePhase.SUPERVISOR:
            return POLL_SUPERVISOR_S
        quiet = self._phase is ServePhase.SERVING and not self._rollout.busy
        return POLL_QUIET_S if quiet else POLL_BUSY_S

    def _enter(self, phase: ServePhase) -> None:
        """Change the phase. Raises IllegalMove if the table has no such move."""
        self._phase = next_phase(self._phase, phase)

    # -- triggers

    def _listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._on_stop_signal(number))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # A terminal that goes away means the end; from any other sender it means new workers, as in other servers.
            meaning = ServeTrigger.STOP if os.isatty(standard_streams.STANDARD_INPUT) else ServeTrigger.RELOAD
            signal.signal(signal.SIGHUP, lambda *_: self._triggers.put(meaning))

    def _on_stop_signal(self, number: int) -> None:
        if number == signal.SIGINT and not self._output.loaded:
            self._code = INTERRUPTED
        meaning = self._stop_requests.receive(number, time.monotonic())
        self._triggers.put(ServeTrigger.STOP_AT_ONCE if meaning is Meaning.AT_ONCE else ServeTrigger.STOP)

    def _on_change(self, paths: Sequence[str]) -> None:
        log(f"changed: {shortened(paths)}")
        self._triggers.put(ServeTrigger.CHANGED)

    def _handle(self, what: ServeTrigger | Request) -> None:
        if what is ServeTrigger.STOP:
            self._stop()
        elif what is ServeTrigger.STOP_AT_ONCE:
            self._stop_now()
        elif what is ServeTrigger.POLL:
            self._poll()
        elif isinstance(what, Request) and what.asked.get("do") == FOLLOW:
            self._followers.add(what)
        elif what is ServeTrigger.CHANGED:
            self._followers.code_changed()
            self._handle(ServeTrigger.RELOAD)
        elif self._phase is not ServePhase.SERVING:
            self._held.append(what)
        elif isinstance(what, Request):
            self._rollout.apply(what)
        else:
            self._manager.report_reloading()
            self._rollout.reload()
            self._poll()

    def _answer_pending(self) -> None:
        """Answer every request that still waits."""
        self._rollout.close(ENDED)
        while not self._triggers.empty():
            self._held.append(self._triggers.get())
        for what in self._held:
            if isinstance(what, Request):
                what.answer(1, ENDED)

    # -- the end

    def _stop(self) -> None:
        if self._phase is not ServePhase.STOPPING:
            log("stopping; once more to stop at once")
            self._end_supervisor()
        elif self._code == STARTUP_FAILURE:  # it has given up, and serves no client
            self._stop_now()

    def _stop_now(self) -> None:
        log("stopping now")
        self._kill()

    def _end_supervisor(self) -> None:
        """Stop supervisord: it asks all processes to leave, and leaves after the last."""
        self._enter(ServePhase.STOPPING)
        self._manager.report_stopping()
        with contextlib.suppress(OSError):  # the folder may have gone, or the disk be full
            self._folder.mark_stopping(self._context.plan.owns_socket)
        self._supervisord.terminate()

    def _kill(self) -> None:
        """Kill all processes. The supervisor ends by itself when they have; it is killed last, and only if it does not."""
        for process in {*self._folder.children(), *processes.children_of(self._supervisord.pid)}:
            if process.pid != self._supervisord.pid:
                process.send(signal.SIGKILL)
        try:
            self._supervisord.wait(KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._supervisord.kill()
            self._supervisord.wait()

    def _ended(self) -> int:
        left = self._folder.children()
        if self._phase is not ServePhase.STOPPING:
            log_error(f"the supervisor has died ({self._supervisord.returncode}); ending everything")
            self._code = 1
        processes.end_all(left, KILL_TIMEOUT_S)
        return self._code

    def _fail(self, failure: FailedStart) -> None:
        self._code = STARTUP_FAILURE
        if not failure.name:
            log_error(f"{failure.sentence}: giving up")
            self._end_supervisor()
            return
        self.failure = failure
        self._enter(ServePhase.STOPPING)  # no client is being served: nothing has to end properly
        self._supervisord.kill()  # first, or it would start the others again
        for process in self._folder.children():
            process.send(signal.SIGKILL)

    # -- polling

    def _poll(self) -> None:
        if self._phase is not ServePhase.STOPPING:
            self._check_folder()
        seen = self._processes.processes()
        if seen is None:
            return
        if self._phase is ServePhase.SUPERVISOR:
            self._enter(ServePhase.STARTING)
        if self._phase is ServePhase.STARTING:
            self._poll_start(seen)
        elif self._phase is ServePhase.SERVING:
            self._health.restart_lost(seen, self._rollout.wanted)
            self._health.kill_frozen(seen, self._fleets)
            self._rollout.poll(seen)
            self._report_reload()
            self._publish_counts()

    def _check_folder(self) -> None:
        """Stop if the run folder has lost files: neither supervisord nor the embedded server can make its socket again."""
        lost = self._folder.lost()
        if lost:
            log_error(
                f"the run folder {self._folder.path} has lost {shortened(lost)}: stopping, as what dies could not be started again"
            )
            self._code = FOLDER_LOST
            self._end_supervisor()
        elif time.monotonic() > self._refresh_at:
            self._folder.refresh()
            self._refresh_at = time.monotonic() + REFRESH_INTERVAL_S

    def _report_reload(self) -> None:
        """Tell the service manager whether a reload is under way."""
        if self._rollout.is_reloading:
            self._manager.report_reloading()
        else:
            self._manager.report_ready()

    def _publish_counts(self) -> None:
        """Publish the wanted counts for `status`, which sees only living processes. A failed write is tried again later."""
        counts = self._rollout.counts
        if counts != self._counts:
            with contextlib.suppress(OSError):
                self._folder.publish_facts(wanted=counts)
                self._counts = counts

    def _poll_start(self, seen: Mapping[str, Process]) -> None:
        ready = self._lease_reader.ready_pids()
        outcome = self._start.poll_processes(seen, self._rollout.wanted, self._fleets[WORKER].current, ready)
        if isinstance(outcome, FailedStart):
            self._fail(outcome)
        elif outcome:
            self._enter(ServePhase.SERVING)
            log(f"ready after {self._start.passed_s:.1f} s")
            self._manager.report_ready()
            for what in self._held:
                self._triggers.put(what)
            self._held.clear()
