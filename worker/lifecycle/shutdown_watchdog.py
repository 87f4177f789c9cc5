"""Ends the process by force when its shutdown deadline is over (shutdown_deadline.py), from a thread.

It has a thread because the application may block the event loop.

Signals arrive through the wakeup descriptor: Python writes each into it at once, whatever the main thread is doing, while a handler
waits until that thread executes Python again. The loop has a descriptor of its own for that; the watchdog's replaces it, and the
thread forwards each signal. A call in C that holds the interpreter lock stops this thread too: then only SIGKILL helps.
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

FORCED_EXIT_STATUS = 1
LOG_TIMEOUT_S = 1.0  #: for the last log line: its pipe may be full


class ShutdownWatchdog:
    """The thread that ends one worker by force, and forwards its signals to the event loop.

    Construct it on the main thread, inside of the running loop, which must have handlers for the signals.
    """

    def __init__(self, graceful_s: float, stuck_s_max: float = 0.0, supervised: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = ShutdownDeadline(
            graceful_s=graceful_s, stuck_s_max=stuck_s_max, requests=StopRequests(supervised)
        )
        self._main_thread = threading.get_ident()
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._write_fd, False)
        self._forward_fd = -1
        forked_child.give_up_in_children(self)

    def start(self) -> None:
        """Receive signals from now on, for the life of the process."""
        # A copy: a signal that is forwarded late must not reach another file that got the number of the loop's descriptor.
        self._forward_fd = os.dup(signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False))
        threading.Thread(target=self._run, name="towpath-watchdog", daemon=True).start()

    def watch_again(self) -> None:
        """Watch the signals of a loop that was restarted (event_loop.py), perhaps with another descriptor, in the same thread."""
        loops_own = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        if loops_own != self._write_fd:  # only uvloop makes another one
            os.dup2(loops_own, self._forward_fd, inheritable=False)
        os.write(self._write_fd, b"\0")  # no signal: only lets the loop check for one that came in between

    def serving(self) -> None:
        """Apply `--worker-timeout` from now on: the application has started."""
        self._deadline.begin_serving()
        os.write(self._write_fd, b"\0")

    def request_stop(self) -> None:
        """Act as at SIGTERM."""
        os.write(self._write_fd, bytes([signal.SIGTERM]))

    def begin(self) -> None:
        """Start the graceful timeout now: the worker had something to do before it drains."""
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
        with contextlib.suppress(OSError):  # the loop is closed, or has so many signals that it wakes up anyway
            os.write(self._forward_fd, signals)
        for number in signals:
            if number in STOP_SIGNALS:
                self._deadline.request_stop(number, time.monotonic())

    def _probe(self) -> None:
        self._deadline.probe_sent()
        try:
            self._loop.call_soon_threadsafe(self._deadline.probe_answered)
        except RuntimeError:  # the loop is closed, so nothing blocks it
            self._deadline.probe_answered()


def force_exit(why: str, main_thread: int) -> None:
    """End this process at once. Peers detect its death, and end its connections (PROTOCOL.md, "Deaths")."""
    # In a thread of its own: it may be the log that blocks the process.
    logger_thread = threading.Thread(target=log_forced_exit, args=(why, stack_of(main_thread)), daemon=True)
    logger_thread.start()
    logger_thread.join(LOG_TIMEOUT_S)
    os._exit(FORCED_EXIT_STATUS)


def log_forced_exit(why: str, where: str) -> None:
    """Log the reason and what the main thread is doing, and flush everything that was logged before."""
    log.error("this worker exits by force: %s\n%s", why, where)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
