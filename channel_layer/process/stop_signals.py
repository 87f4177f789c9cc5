"""The signals that ask a process to stop."""

from __future__ import annotations

import signal

#: SIGHUP: the terminal has gone, or an operator wants a process with a new configuration, which its supervisor starts.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def to_handle() -> list[signal.Signals]:
    """The stop signals to handle: not SIGHUP if the process was started to ignore it, as `nohup` does.

    A shell's `&` makes a process ignore SIGINT, for the sake of its terminal alone, so SIGINT is handled nevertheless.
    """
    return [each for each in STOP_SIGNALS if each != signal.SIGHUP or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN]
