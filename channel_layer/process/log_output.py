"""Writes log lines to a descriptor without ever waiting for its reader.

A terminal is stopped by Ctrl-S, `less` is not paged on, a journal is stuck: the reader of a log may not read for as long as it
likes. Lines that it does not take are kept, up to a bound, until it reads again. Those beyond that are lost and counted, and the count
is logged then.

* Non-blocking is a property of what was opened, which other processes share: the shell's terminal must not become so. So a pipe
  and a terminal are opened once more, for this process alone; a socket is asked not to block at each write. Where neither is
  possible, a poll before each small write asks whether there is space: as good, unless another process writes to it at the same
  moment.
* Other processes write to it too. A pipe takes up to PIPE_BUF bytes whole or not at all, and so, on Linux, does a socket. So a write is
  cut at ends of lines into pieces of at most that, and no line of another process stands inside one of ours. A line that is longer, or
  that a terminal takes in part, may be cut in two.
* If a write fails for good (no reader is left, a full disk), that line is lost, since there is no place to report it.

Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

WAITING_BYTES_MAX = 1024 * 1024
FLUSH_STEP_S = 1.0  #: the wait at the end of a process for a reader that takes nothing,
FLUSH_S = 3.0  #: and for one that takes little
PIECE_BYTES_MAX = select.PIPE_BUF  #: what a pipe that is ready has space for, and takes whole
TERMINAL_PIECE_BYTES_MAX = 512  #: what a terminal that is ready has space for

Write = Callable[[bytes], int]
#: Makes the line that is written when lines were lost, from their number and the seconds without a reader.
Notice = Callable[[int, float], bytes]


class LogOutput:
    """The output to one descriptor, from any thread. Only `flush` waits."""

    def __init__(self, descriptor: int, notice: Notice) -> None:
        self._descriptor = descriptor
        self._notice = notice
        self._write = _never_waiting(descriptor)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._stuck_at = 0.0
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # reentrant, since a signal handler may log in the middle of a line
        OUTPUTS.add(self)

    def write(self, lines: bytes) -> None:
        """Write whole lines, now or later, or count them as lost."""
        with self._lock:
            rest = self._try(lines) if self._thread is None else lines
            if rest:
                self._keep(rest)

    def flush(self) -> None:
        """Let the reader take what waits, as long as it takes something; for a few seconds at most."""
        until, before = time.monotonic() + FLUSH_S, -1
        while (thread := self._thread) is not None and self._waiting_bytes != before and time.monotonic() < until:
            before = self._waiting_bytes
            thread.join(FLUSH_STEP_S)

    def begin_anew(self) -> None:
        """Drop what waits, in a forked child: its parent writes that."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._waiting_bytes = self._lost = 0
        self._thread = None

    def _keep(self, lines: bytes) -> None:
        if self._thread is None:
            self._stuck_at = time.monotonic()
            self._thread = threading.Thread(target=self._run, name="towpath-log", daemon=True)
            self._thread.start()
        if self._lost or self._waiting_bytes + len(lines) > WAITING_BYTES_MAX:
            self._lost += lines.count(b"\n")
            return
        self._waiting.append(lines)
        self._waiting_bytes += len(lines)

    def _try(self, lines: bytes) -> bytes:
        """Write what there is space for, and return the rest."""
        try:
            while lines:
                lines = lines[self._write(lines) :]
        except BlockingIOError:
            return lines
        except OSError:
            return b""
        return b""

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while True:
            poll.poll()
            with self._lock:
                if self._drained():
                    self._thread = None
                    return

    def _drained(self) -> bool:
        while self._waiting:
            lines = self._waiting.popleft()
            rest = self._try(lines)
            self._waiting_bytes -= len(lines) - len(rest)
            if rest:
                self._waiting.appendleft(rest)
                return False
            if not self._waiting and self._lost:
                self._waiting.append(self._notice(self._lost, time.monotonic() - self._stuck_at))
                self._waiting_bytes += len(self._waiting[0])
                self._lost = 0
        return True


OUTPUTS: weakref.WeakSet[LogOutput] = weakref.WeakSet()


def _begin_anew() -> None:
    for output in OUTPUTS:
        output.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)


def _never_waiting(descriptor: int) -> Write:
    """A function that writes what there is space for, or raises BlockingIOError."""
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:  # it is closed: each write will raise
        kind = stat.S_IFREG
    if stat.S_ISSOCK(kind):
        shared = socket.socket(fileno=os.dup(descriptor))
        return lambda data: shared.send(_piece(data, PIECE_BYTES_MAX), socket.MSG_DONTWAIT)
    if not (stat.S_ISFIFO(kind) or os.isatty(descriptor)):
        return lambda data: os.write(descriptor, data)  # writes to files do not block
    with contextlib.suppress(OSError):  # not Linux, a terminal of another user, or a pipe without a reader at present
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        return lambda data: os.write(own, _piece(data, PIECE_BYTES_MAX))
    bytes_max = PIECE_BYTES_MAX if stat.S_ISFIFO(kind) else TERMINAL_PIECE_BYTES_MAX
    return lambda data: _when_ready(descriptor, _piece(data, bytes_max))


def _piece(lines: bytes, bytes_max: int) -> bytes:
    """The whole lines from the start that fit into `bytes_max`, or that much of the first one."""
    if len(lines) <= bytes_max:
        return lines
    return lines[: lines.rfind(b"\n", 0, bytes_max) + 1 or bytes_max]


def _when_ready(descriptor: int, piece: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError
    return os.write(descriptor, piece)
