"""The socket of a blocking connection, against a peer of the test's own: everything ends in its time, whatever signals come."""

from __future__ import annotations

import math
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from channel_layer.redis.blocking.timed_socket import PlainSocket, TimedSocket, with_timeouts

#: Longer than the first wait of a plain socket.
TIMEOUT_S = 0.3
LARGE = bytes(range(256)) * 65_536
IN_TIME_S = 30.0


class OtherSocket(socket.socket):
    """As a library's that has taken the place of Python's."""


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, peer = socket.socketpair() if request.param == "unix" else tcp_pair()
    with ours, peer:
        yield ours, peer


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


@pytest.fixture(params=[PlainSocket, TimedSocket])
def kind(request: pytest.FixtureRequest) -> type[TimedSocket]:
    chosen: type[TimedSocket] = request.param
    return chosen


@pytest.fixture
def ticking() -> Iterator[list[int]]:
    """Signals in short intervals, with a handler that raises nothing, as some profilers have them. Counts them."""
    ticks = [0]

    def tick(*_: object) -> None:
        ticks[0] += 1

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        yield ticks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def soon() -> float:
    return time.monotonic() + TIMEOUT_S


def test_what_comes_is_received_at_once_and_later(
    pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket]
) -> None:
    """Before the call, within the first wait, behind it; and the end of the connection, as no bytes."""
    ours, peer = kind(pair[0]), pair[1]
    assert ours.is_silent
    for delay_s in (0.0, 0.002, 0.1):
        timer = threading.Timer(delay_s, peer.sendall, [b"answer"])
        timer.start()
        assert ours.receive(time.monotonic() + IN_TIME_S) == b"answer"
        timer.join()
    peer.close()
    assert not ours.is_silent
    assert ours.receive(time.monotonic() + IN_TIME_S) == b""


def test_silence_ends_with_the_time(pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket]) -> None:
    """Not before, and also where that is past already."""
    ours, end = kind(pair[0]), soon()
    with pytest.raises(TimeoutError):
        ours.receive(end)
    assert time.monotonic() >= end - 0.01
    with pytest.raises((TimeoutError, BlockingIOError)):
        ours.receive(-math.inf)


def test_silence_ends_whatever_signals_come(
    pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket], ticking: list[int]
) -> None:
    """Each of them begins a wait of the kernel anew: one of the whole time would never end."""
    ours = kind(pair[0])
    with pytest.raises(TimeoutError):
        ours.receive(soon())
    assert ticking[0] > 2


def test_all_is_sent_to_a_peer_that_reads_late(
    pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket], ticking: list[int]
) -> None:
    """Far more than the kernel takes at once, in order, also while signals come."""
    ours, peer = kind(pair[0]), pair[1]
    received = bytearray()

    def read() -> None:
        while len(received) < len(LARGE):
            received.extend(peer.recv(1 << 20))

    reader = threading.Timer(0.05, read)
    reader.start()
    ours.send(LARGE, IN_TIME_S)
    reader.join(IN_TIME_S)
    assert bytes(received) == LARGE


def test_a_peer_that_does_not_read_costs_the_time(
    pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket], ticking: list[int]
) -> None:
    """Whether it takes nothing any more, or never took all."""
    ours = kind(pair[0])
    for _ in range(2):
        with pytest.raises(TimeoutError):
            ours.send(LARGE, TIMEOUT_S)


def test_an_exception_of_a_signal_handler_passes(
    pair: tuple[socket.socket, socket.socket], kind: type[TimedSocket]
) -> None:
    """Also one that looks like an error of the socket, in the first wait and behind it."""
    ours = kind(pair[0])

    def raise_it(*_: object) -> None:
        raise BlockingIOError("of the handler")

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        for after_s in (0.0005, 0.1):
            signal.setitimer(signal.ITIMER_REAL, after_s)
            with pytest.raises(BlockingIOError, match="of the handler"):
                ours.receive(time.monotonic() + IN_TIME_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_closed_peer_is_an_error_and_no_signal() -> None:
    """A program may have given SIGPIPE its default, which ends the process; the write to a unix socket fails at once."""
    ours, peer = socket.socketpair()
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with ours:
            plain = PlainSocket(ours)
            peer.close()
            for data in (b"short", LARGE):
                with pytest.raises(BrokenPipeError):
                    plain.send(data, IN_TIME_S)
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_only_a_socket_of_pythons_own_does_without_its_timeouts() -> None:
    """That of another library waits in its own way, and TLS takes no flags."""
    plain, _peer = socket.socketpair()
    other = OtherSocket(socket.AF_UNIX)
    with plain, _peer, other:
        assert type(with_timeouts(plain)) is PlainSocket
        assert type(with_timeouts(other)) is TimedSocket
