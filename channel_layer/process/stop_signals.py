"""The signals that ask a process to leave."""

from __future__ import annotations

import signal

#: SIGHUP: the terminal has gone, or an operator wants a process with a new configuration, which its supervisor starts.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def to_handle() -> list[signal.Signals]:
    """Those that this process was not started deaf to, as `nohup` does it with SIGHUP. A shell's `&` does the same with SIGINT, for
    the sake of its terminal alone, so that counts nevertheless."""
    return [each for each in STOP_SIGNALS if each != signal.SIGHUP or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN]
