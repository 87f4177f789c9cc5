"""Standard input, output and error, which never end or block the process.

A terminal goes away or is stopped, the program behind a pipe ends or does not read, a disk is full, our parent has closed all of
them: none of that may end what we serve, or make it wait. Imports the standard library and channel_layer/process/log_output.py only:
it runs before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from channel_layer.process.log_output import LogOutput

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)

INFO = "INFO"

Frame = Callable[[str, str], str]  #: of a text and its level

_outputs: dict[int, LogOutput] = {}
_frames: list[Frame] = []  # one, where lines have a form of their own


def open_closed() -> None:
    """Open each stream that was closed on /dev/null: otherwise the next socket gets its number, and with it our output."""
    for number in (STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(STANDARD_INPUT, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(STANDARD_OUTPUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", closefd=False)


def frame_lines(frame: Frame) -> None:
    """Write each line of ours in this form from now on."""
    _frames[:] = [frame]


def write_line(text: str, name: str = "", level: str = INFO) -> None:
    """Write a line to standard output. name: of the process, for its front, unless lines have a form of their own."""
    write(STANDARD_OUTPUT, _line(text, name, level))


def write_lines(lines: bytes) -> None:
    """Write whole lines to standard output."""
    write(STANDARD_OUTPUT, lines)


def write(descriptor: int, lines: bytes) -> None:
    """Write lines to standard output or standard error, without waiting for a reader."""
    if descriptor not in _outputs:
        _outputs[descriptor] = LogOutput(descriptor, _lost)
    _outputs[descriptor].write(lines)


def flush() -> None:
    """Give lines that still wait for a reader a moment more, at the end of the process."""
    for output in _outputs.values():
        output.flush()


def _line(text: str, name: str, level: str) -> bytes:
    if _frames:
        text = _frames[0](text, level)
        return f"{text}\n".encode(errors="replace")
    if level != INFO:
        text = f"{level}: {text}"
    if name:
        text = f"{name:<11} | {text}"
    return f"{text}\n".encode(errors="replace")


def _lost(lines: int, unread_s: float) -> bytes:
    return _line(f"{lines} lines were lost: the output was not read for {unread_s:.1f} s", "serve", "WARNING")
