"""How long a worker that was asked to leave may still be here, whatever its application does.

Think of the last bus. Whoever is ready in time walks out by the door; the bus leaves all the same, also without a word from those who
sit fast inside.

* The graceful time is the loop's to use (drain.py), as long as it turns. If it does not turn when that time is over, the application
  holds it, and nothing of what is under way can be ended any more.
* A loop that turns has a few seconds beyond it, for the application's shutdown and the last words. Whoever manages the process kills
  it a moment later.
* Whoever asks twice does not want to wait for anything.
* A worker that nobody has asked leaves when its loop has not turned for `--worker-timeout`: all that it serves waits, and will not be
  served. What it starts with (imports, the application's startup) may take its time.

That a loop does not turn is said by looks that it left unanswered, not by a clock: a process that was stopped for a while, loop and
watch alike, has missed none but the last. No thread and no clock here: shutdown_watchdog.py brings `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_layer.process.stop_requests import Meaning, StopRequests

SHUTDOWN_S = 4.0  #: beyond the graceful time; supervisord kills after 5
SECOND_REQUEST_S = 1.0  #: from the second request
PROBE_INTERVAL_S = 0.2
BLOCKED_PROBES = 5  #: so many in a row without an answer, and the loop does not turn
STUCK_PROBE_INTERVAL_S = 1.0  #: while nobody has asked it to leave
STUCK_PROBES_MIN = 4  #: a loop that turns leaves one or two unanswered on a machine that is overloaded


@dataclass(slots=True)
class ShutdownDeadline:
    """One worker's way out."""

    graceful_s: float
    stuck_s_max: float = 0.0  #: 0: any time
    serving: bool = False  #: its application has started
    requests: StopRequests = field(default_factory=StopRequests)
    asked_at: float | None = None
    asked_again_at: float | None = None
    unanswered: int = 0
    unanswered_s: float = 0.0

    def request_stop(self, number: int, now: float) -> None:
        """It ought to leave, says a signal."""
        meaning = self.requests.hear(number, now)
        if meaning is Meaning.STOP:
            self.asked_at = now
        elif meaning is Meaning.AT_ONCE and self.asked_again_at is None:
            self.asked_again_at = now

    def begin_serving(self) -> None:
        """Its application has started: from now on its loop has to turn."""
        self.serving = True

    def begin(self, now: float) -> None:
        """It leaves from now on, says its loop: until then others needed it."""
        self.asked_at = now

    @property
    def probe_interval_s(self) -> float | None:
        """How long until the next probe; None: none is sent."""
        if self.asked_at is not None:
            return PROBE_INTERVAL_S
        return (
            min(STUCK_PROBE_INTERVAL_S, self.stuck_s_max / STUCK_PROBES_MIN)
            if self.serving and self.stuck_s_max
            else None
        )

    def probe_sent(self) -> None:
        """The loop is asked for a sign of life, `probe_interval_s` after the last time."""
        self.unanswered += 1
        self.unanswered_s += self.probe_interval_s or 0.0

    def probe_answered(self) -> None:
        """It gave one."""
        self.unanswered, self.unanswered_s = 0, 0.0

    def overdue(self, now: float) -> str:
        """Why it may not be here any more, in words; empty while it may."""
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
