"""Loads APP in a process of its own, so that its parent can report how that went.

An application may end the process that imports it: by `os._exit`, or a crash in C. Only the parent can report it then.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from towpath.errors import StartFailure
from towpath.system import processes

DONE = b"."


def in_child(app: str, check: Callable[[], int]) -> int:
    """The exit code that `check` returns, called in a child. StartFailure if the child ended before it had returned."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # a process that the application started may hold the other end
    pid = os.fork()
    if pid == 0:
        _load(check, writer)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    try:
        returned = os.read(reader, len(DONE)) == DONE
    except BlockingIOError:
        returned = False
    os.close(reader)
    if not returned:
        raise StartFailure(f"the process that loaded {app!r} {_outcome(code)} before the application was there")
    return code


def _load(check: Callable[[], int], writer: int) -> NoReturn:
    """Run `check` and exit without waiting for threads and without exit hooks: those are for an application that runs."""
    code = 1
    try:
        processes.end_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent decides what Ctrl-C means
        code = check()
        os.write(writer, DONE)
    except BaseException:  # noqa: BLE001 - there is no caller that could show it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _outcome(code: int) -> str:
    if code >= 0:
        return f"left with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no names
        return f"was ended by signal {-code}"
