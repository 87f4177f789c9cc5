"""Sees to it that a worker that was asked to leave does, or is stuck (shutdown_deadline.py), from a thread.

The application may hold the loop.

Signals come by the wakeup descriptor: Python writes each into it at once, whatever the main thread is doing, while a handler waits
until that thread executes Python again. The loop has a descriptor of its own for that; ours takes its place, and the thread hands
each signal on. A call in C that holds the interpreter lock stops this thread too: then only SIGKILL helps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import sys
import threading
import time

from channel_layer.process import forked_child
from channel_layer.process.log_setup import stack_of
from channel_layer.process.stop_requests import StopRequests
from channel_layer.process.stop_signals import STOP_SIGNALS
from worker.lifecycle.shutdown_deadline import ShutdownDeadline

log = logging.getLogger("towpath.worker")

BY_FORCE = 1  #: the exit code
TELL_S = 1.0  #: for a last line in the log, whose pipe may be full


class DepartureWatch:
    """Make it on the main thread, inside of the running loop; the loop has to have handlers for the signals."""

    def __init__(self, graceful_s: float, stuck_s_max: float = 0.0, supervised: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._departure = ShutdownDeadline(graceful_s, stuck_s_max, requests=StopRequests(supervised))
        self._main_thread = threading.get_ident()
        self._said, self._says = os.pipe()
        os.set_blocking(self._says, False)
        self._hands_on = -1
        forked_child.give_up_in_children(self)

    def start(self) -> None:
        """Hear signals from now on, as long as the process lives."""
        # A copy: what we hand on late must not reach whoever has the loop's descriptor after it.
        self._hands_on = os.dup(signal.set_wakeup_fd(self._says, warn_on_full_buffer=False))
        threading.Thread(target=self._run, name="towpath-departure", daemon=True).start()

    def hear_again(self) -> None:
        """The loop has begun again (event_loop.py), with perhaps another descriptor: as `start`, in the same thread."""
        loops_own = signal.set_wakeup_fd(self._says, warn_on_full_buffer=False)
        if loops_own != self._says:  # only uvloop makes another one
            os.dup2(loops_own, self._hands_on, inheritable=False)
        os.write(self._says, b"\0")  # no signal: only lets the loop look whether one came in between

    def serving(self) -> None:
        """The application has started: from now on its loop has to turn (`--worker-timeout`)."""
        self._departure.begin_serving()
        os.write(self._says, b"\0")

    def ask(self) -> None:
        """As if SIGTERM had come."""
        os.write(self._says, bytes([signal.SIGTERM]))

    def begin(self) -> None:
        """From now on it leaves: there was something to do first."""
        self._departure.begin(time.monotonic())

    def forked(self) -> None:
        """See `Inherited`. The thread does not exist in a child."""
        forked_child.close(self._said, self._says, self._hands_on)

    def _run(self) -> None:
        while not (why := self._departure.overdue(time.monotonic())):
            if select.select([self._said], [], [], self._departure.look_s)[0]:
                self._hear(os.read(self._said, 64))
            else:
                self._look()
        leave_by_force(why, self._main_thread)

    def _hear(self, signals: bytes) -> None:
        with contextlib.suppress(OSError):  # the loop is closed, or so full of signals that it will come
            os.write(self._hands_on, signals)
        for number in signals:
            if number in STOP_SIGNALS:
                self._departure.ask(number, time.monotonic())

    def _look(self) -> None:
        self._departure.look()
        try:
            self._loop.call_soon_threadsafe(self._departure.turned)
        except RuntimeError:  # it is closed, so nothing blocks it
            self._departure.turned()


def leave_by_force(why: str, main_thread: int) -> None:
    """End this process at once. Peers find it dead, and end what it had in hand (PROTOCOL.md, "Deaths")."""
    # In a thread of its own: the log may be what everything waits for.
    teller = threading.Thread(target=tell, args=(why, stack_of(main_thread)), daemon=True)
    teller.start()
    teller.join(TELL_S)
    os._exit(BY_FORCE)


def tell(why: str, where: str) -> None:
    """Why, and what the main thread is doing; and whatever else was said and has not left yet."""
    log.error("this worker leaves by force: %s\n%s", why, where)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
