"""Where a process speaks, if anybody listens.

A terminal goes away or is stopped, the program behind a pipe ends or does not read, a disk is full, our parent closed the
lot: none of that is a reason for what we serve to end, or to wait. Standard library and channel_layer/process/log_output.py alone: it
runs before
anything else is imported.
"""

from __future__ import annotations

import os
import sys

from channel_layer.process.log_output import LogOutput

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)

_outputs: dict[int, LogOutput] = {}


def open_closed() -> None:
    """What came closed leads nowhere from now on: else the next socket gets its number, and hears what is said."""
    for number in (STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(STANDARD_INPUT, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(STANDARD_OUTPUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", closefd=False)


def write_line(text: str) -> None:
    """A line on standard output, for whoever is there to read it."""
    write(STANDARD_OUTPUT, f"{text}\n".encode(errors="replace"))


def write_lines(lines: bytes) -> None:
    """The same of lines that are whole."""
    write(STANDARD_OUTPUT, lines)


def write(descriptor: int, lines: bytes) -> None:
    """On standard output or standard error, without waiting for a reader."""
    if descriptor not in _outputs:
        _outputs[descriptor] = LogOutput(descriptor, _lost)
    _outputs[descriptor].write(lines)


def flush() -> None:
    """At the end of the process: what still waits for a reader has a moment more."""
    for output in _outputs.values():
        output.flush()


def _lost(lines: int, unread_s: float) -> bytes:
    return f"{'serve':<11} | {lines} lines were lost: nobody read them for {unread_s:.1f} s\n".encode()
