"""The terminal of a `serve`, which its worker may read from.

`breakpoint()` and `input()` read standard input. supervisord gives each process a pipe there that never has data
and never ends: a read from it would wait for ever.

* A single worker gets the terminal of its `serve` as standard input, and as standard output if `serve` has it there. Its log goes to
  standard error and through `serve`, as always. It joins the process group of `serve`: a terminal stops readers of another group.
* Every other process gets an end of file from standard input.
"""

from __future__ import annotations

import contextlib
import importlib
import os

from towpath.runtime.worker_environment import SLOT
from towpath.system.standard_streams import STANDARD_INPUT, STANDARD_OUTPUT

VARIABLE = "TOWPATH_TERMINAL"  #: the process group of `serve`, and the descriptors that are its terminal
TERMINAL = "/dev/tty"  #: the one of this session, whichever user owns its device


def offered(workers: int) -> dict[str, str]:
    """The variable for workers, if `serve` has a terminal and one worker; else nothing."""
    if workers != 1 or not os.isatty(STANDARD_INPUT):
        return {}
    streams = [str(number) for number in (STANDARD_INPUT, STANDARD_OUTPUT) if os.isatty(number)]
    return {VARIABLE: " ".join([str(os.getpgrp()), *streams])}


def take() -> None:
    """Use the terminal that is offered to this worker. Under a supervisor that offers none, standard input is an end of file."""
    group, *streams = os.environ.pop(VARIABLE, "").split() or [""]
    if SLOT in os.environ and not (group and _join(int(group), map(int, streams))):
        _replace(os.devnull, STANDARD_INPUT)


def _join(group: int, streams: map[int]) -> bool:
    try:
        os.setpgid(0, group)
        for number in streams:
            _replace(TERMINAL, number)
    except OSError:  # `serve` has gone, or its terminal has
        return False
    with contextlib.suppress(ImportError):
        # Without it `input()` writes its prompt to standard error, where only whole lines are shown.
        importlib.import_module("readline")
    return True


def _replace(path: str, number: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.dup2(descriptor, number)
    os.close(descriptor)
