"""Tells errors of a socket from those that a signal handler has raised meanwhile: a limit of time is often a TimeoutError, too.

The former are errors of the layer. The latter are the caller's own, and pass as they are: what was sent by then is unknown.
"""

from __future__ import annotations

import signal
import threading
from traceback import walk_tb


def is_of_handler(error: BaseException) -> bool:
    """True if a signal handler, a function that is still set, has raised the error."""
    if threading.current_thread() is not threading.main_thread():  # others run no handlers
        return False
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = {code for handler in handlers if (code := getattr(handler, "__code__", None)) is not None}
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))
