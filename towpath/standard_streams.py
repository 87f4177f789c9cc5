"""Where a process speaks, if anybody listens.

A terminal goes away, the program behind a pipe ends, a disk is full, whoever started us closed the lot: none of that is a reason
for what we serve to end. Standard library alone: it runs before anything else is imported.
"""

from __future__ import annotations

import contextlib
import os
import sys

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)


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


def say(text: str) -> None:
    """A line on standard output, for whoever is there to read it."""
    write(STANDARD_OUTPUT, f"{text}\n".encode(errors="replace"))


def write(descriptor: int, text: bytes) -> None:
    """All of it, or what can be written."""
    with contextlib.suppress(OSError):
        while text:
            text = text[os.write(descriptor, text) :]
