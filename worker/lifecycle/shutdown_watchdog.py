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

FORCED_EXIT_STATUS = 1  #: the exit code
LOG_TIMEOUT_S = 1.0  #: for a last line in the log, whose pipe may be full


class ShutdownWatchdog:
    """Make it on the main thread, inside of the running loop; the loop has to have handlers for the signals."""

    def __init__(self, graceful_s: float, stuck_s_max: float = 0.0, supervised: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = ShutdownDeadline(graceful_s, stuck_s_max, requests=StopRequests(supervised))
        self._main_thread = threading.get_ident()
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._write_fd, False)
        self._forward_fd = -1
        forked_child.give_up_in_children(self)

    def start(self) -> None:
        """Hear signals from now on, as long as the process lives."""
        # A copy: what we hand on late must not reach whoever has the loop's descriptor after it.
        self._forward_fd = os.dup(signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False))
        threading.Thread(target=self._run, name="towpath-departure", daemon=True).start()

    def watch_again(self) -> None:
        """The loop has begun again (event_loop.py), with perhaps another descriptor: as `start`, in the same thread."""
        loops_own = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        if loops_own != self._write_fd:  # only uvloop makes another one
            os.dup2(loops_own, self._forward_fd, inheritable=False)
        os.write(self._write_fd, b"\0")  # no signal: only lets the loop look whether one came in between

    def serving(self) -> None:
        """The application has started: from now on its loop has to turn (`--worker-timeout`)."""
        self._deadline.begin_serving()
        os.write(self._write_fd, b"\0")

    def request_stop(self) -> None:
        """As if SIGTERM had come."""
        os.write(self._write_fd, bytes([signal.SIGTERM]))

    def begin(self) -> None:
        """From now on it leaves: there was something to do first."""
        self._deadline.begin(time.monotonic())

    def forked(self) -> None:
        """See `Inherited`. The thread does not exist in a child."""
        forked_child.close(self._read_fd, self._write_fd, self._forward_fd)

    def _run(self) -> None:
        while not (why := self._deadline.overdue(time.monotonic())):
            if select.select([self._read_fd], [], [], self._deadline.probe_interval_s)[0]:
                self._forward(os.read(self._read_fd, 64))
            else:
                self._probe()
        force_exit(why, self._main_thread)

    def _forward(self, signals: bytes) -> None:
        with contextlib.suppress(OSError):  # the loop is closed, or so full of signals that it will come
            os.write(self._forward_fd, signals)
        for number in signals:
            if number in STOP_SIGNALS:
                self._deadline.request_stop(number, time.monotonic())

    def _probe(self) -> None:
        self._deadline.probe_sent()
        try:
            self._loop.call_soon_threadsafe(self._deadline.probe_answered)
        except RuntimeError:  # it is closed, so nothing blocks it
            self._deadline.probe_answered()


def force_exit(why: str, main_thread: int) -> None:
    """End this process at once. Peers find it dead, and end what it had in hand (PROTOCOL.md, "Deaths")."""
    # In a thread of its own: the log may be what everything waits for.
    logger_thread = threading.Thread(target=log_forced_exit, args=(why, stack_of(main_thread)), daemon=True)
    logger_thread.start()
    logger_thread.join(LOG_TIMEOUT_S)
    os._exit(FORCED_EXIT_STATUS)


def log_forced_exit(why: str, where: str) -> None:
    """Why, and what the main thread is doing; and whatever else was said and has not left yet."""
    log.error("this worker leaves by force: %s\n%s", why, where)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
