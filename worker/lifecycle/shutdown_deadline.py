"""Decides when a worker that was asked to stop has to exit by force, whatever its application does.

* The graceful timeout is for the event loop to drain (drain.py). If the loop is blocked when that time is over, the application holds
  it, and no connection can be ended properly any more.
* A loop that runs has a few seconds beyond it, for the application's shutdown and the final packets. The process manager kills the
  worker a moment later.
* A second request means: wait for nothing.
* A worker that was not asked to stop exits when its loop has been blocked for `--worker-timeout`: all that it serves waits, and will
  not be served. Its start (imports, the application's startup) may take any time.

A blocked loop is recognised by probes that it leaves unanswered, not by a clock: a process that was stopped for a while, with its loop
and its watchdog, has missed none but the last. No thread and no clock here: shutdown_watchdog.py passes `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_layer.process.stop_requests import Meaning, StopRequests

SHUTDOWN_S = 4.0  #: beyond the graceful timeout; supervisord kills after 5
SECOND_REQUEST_S = 1.0  #: from the second request
PROBE_INTERVAL_S = 0.2
BLOCKED_PROBES = 5  #: with more unanswered ones in a row, the loop is blocked
STUCK_PROBE_INTERVAL_S = 1.0  #: while the worker has not been asked to stop
STUCK_PROBES_MIN = 4  #: on an overloaded machine a loop that runs may leave one or two unanswered


@dataclass(slots=True, kw_only=True)
class ShutdownDeadline:
    """The moment at which one worker exits by force, as far as signals and probes have decided it."""

    graceful_s: float
    stuck_s_max: float = 0.0  #: 0: no limit
    serving: bool = False  #: its application has started
    requests: StopRequests = field(default_factory=StopRequests)
    asked_at: float | None = field(default=None, init=False)
    asked_again_at: float | None = field(default=None, init=False)
    unanswered: int = field(default=0, init=False)
    unanswered_s: float = field(default=0.0, init=False)

    def request_stop(self, number: int, now: float) -> None:
        """Start the graceful timeout at the first signal, or the short one at an impatient second."""
        meaning = self.requests.receive(number, now)
        if meaning is Meaning.STOP:
            self.asked_at = now
        elif meaning is Meaning.AT_ONCE and self.asked_again_at is None:
            self.asked_again_at = now

    def begin_serving(self) -> None:
        """Apply `--worker-timeout` from now on: the application has started."""
        self.serving = True

    def begin(self, now: float) -> None:
        """Start the graceful timeout now: the worker begins to drain, since its supervisor needs it no longer."""
        self.asked_at = now

    @property
    def probe_interval_s(self) -> float | None:
        """Seconds until the next probe. None: none is needed."""
        if self.asked_at is not None:
            return PROBE_INTERVAL_S
        return (
            min(STUCK_PROBE_INTERVAL_S, self.stuck_s_max / STUCK_PROBES_MIN)
            if self.serving and self.stuck_s_max
            else None
        )

    def probe_sent(self) -> None:
        """Count a probe that was sent to the loop, `probe_interval_s` after the last one."""
        self.unanswered += 1
        self.unanswered_s += self.probe_interval_s or 0.0

    def probe_answered(self) -> None:
        """Count no probe as unanswered any more: the loop has answered one."""
        self.unanswered, self.unanswered_s = 0, 0.0

    def overdue(self, now: float) -> str:
        """The reason for a forced exit, as a text; empty while there is none."""
        if self.asked_at is None:
            stuck = self.stuck_s_max and self.unanswered_s > self.stuck_s_max
            return f"its event loop has been blocked for {self.stuck_s_max:g} s (--worker-timeout)" if stuck else ""
        blocked = self.unanswered > BLOCKED_PROBES
        if self.asked_again_at is not None and (blocked or now >= self.asked_again_at + SECOND_REQUEST_S):
            return f"it was asked twice{' and its event loop is blocked' * blocked}"
        if blocked and now >= self.asked_at + self.graceful_s:
            return f"{self.graceful_s:g} s are over and its event loop is blocked"
        if now >= self.asked_at + self.graceful_s + SHUTDOWN_S:
            return f"{self.graceful_s:g} s and {SHUTDOWN_S:g} more are over, and its application has not ended"
        return ""
