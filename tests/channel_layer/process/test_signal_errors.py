"""Errors of signal handlers are told from others, whichever class they are of."""

from __future__ import annotations

import signal
import socket
import threading

from channel_layer.process.signal_errors import is_of_handler


def error_of(wait: float) -> TimeoutError:
    """The error of a read from a socket on which nothing comes."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(wait)
        try:
            here.recv(1)
        except TimeoutError as error:
            return error
    raise AssertionError("nothing was sent")


def test_a_timeout_of_a_socket_is_none_of_a_handler() -> None:
    """Whether there are handlers or not."""
    assert not is_of_handler(error_of(0.001))


def test_a_timeout_of_a_handler_is_known_by_its_function() -> None:
    """Also one that it has not raised itself, but a function that it has called."""

    class Limit:
        def exceeded(self) -> None:
            raise TimeoutError("soft limit")

        def on_signal(self, *_: object) -> None:
            self.exceeded()

    limit = Limit()
    before = signal.signal(signal.SIGALRM, limit.on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        error = error_of(30)
        assert str(error) == "soft limit" and is_of_handler(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_another_thread_has_none() -> None:
    """Python runs handlers in the main thread."""
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(is_of_handler(error_of(0.001))))
    thread.start()
    thread.join(30)
    assert found == [False]
