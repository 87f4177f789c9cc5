"""The four timeouts of WebSockets: which socket is told what, and when a timeout no longer counts."""

from __future__ import annotations

import pytest

from interface_server.settings import InterfaceSettings
from interface_server.websocket.timeouts import Deadlines, Timeouts

SETTINGS = InterfaceSettings(
    ws_accept_timeout_s=10.0, ws_close_timeout_s=5.0, ws_ping_interval_s=20.0, ws_ping_timeout_s=30.0
)


class Socket:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def accept_overdue(self) -> None:
        self.calls.append("accept overdue")

    def close_overdue(self) -> None:
        self.calls.append("close overdue")

    def ping_due(self) -> None:
        self.calls.append("ping due")

    def pong_overdue(self) -> None:
        self.calls.append("pong overdue")


def test_deadlines_come_in_order_and_only_when_due() -> None:
    deadlines: Deadlines[str] = Deadlines(10.0)
    deadlines.arm("a", 0.0)
    deadlines.arm("b", 1.0)
    deadlines.arm("c", 2.0)
    deadlines.arm("a", 3.0)  # heard of again: its old deadline is forgotten
    deadlines.disarm("b")
    assert deadlines.take_due(11.9) == []
    assert deadlines.take_due(12.0) == ["c"]
    assert deadlines.take_due(99.0) == ["a"] and len(deadlines) == 0


def calls_after(timeouts: Timeouts, socket: Socket, now: float) -> list[str]:
    timeouts.check(now)
    return socket.calls


@pytest.mark.parametrize(
    ("queue", "due_s", "call"),
    [
        ("accepting", 10.0, "accept overdue"),
        ("closing", 5.0, "close overdue"),
        ("pinging", 20.0, "ping due"),
        ("ponging", 30.0, "pong overdue"),
    ],
)
def test_each_timeout_calls_its_socket_once_when_its_own_time_is_over(queue: str, due_s: float, call: str) -> None:
    timeouts, socket = Timeouts(SETTINGS), Socket()
    getattr(timeouts, queue).arm(socket, 100.0)
    assert calls_after(timeouts, socket, 100.0 + due_s - 0.1) == []
    assert calls_after(timeouts, socket, 100.0 + due_s) == [call]
    assert calls_after(timeouts, socket, 1000.0) == [call]


def test_an_accepted_socket_is_pinged_and_waits_for_no_accept() -> None:
    timeouts, socket = Timeouts(SETTINGS), Socket()
    timeouts.accepting.arm(socket, 0.0)
    timeouts.accepting.disarm(socket)
    timeouts.start_pings(socket, 1.0)
    assert calls_after(timeouts, socket, 20.9) == []
    assert calls_after(timeouts, socket, 21.0) == ["ping due"]


def test_without_an_interval_no_socket_is_pinged() -> None:
    timeouts, socket = Timeouts(InterfaceSettings(ws_ping_interval_s=0.0)), Socket()
    timeouts.start_pings(socket, 0.0)
    assert calls_after(timeouts, socket, 1e6) == []


def test_a_socket_that_closes_waits_for_its_close_alone() -> None:
    """Neither pings nor pongs matter any more."""
    timeouts, socket = Timeouts(SETTINGS), Socket()
    timeouts.start_pings(socket, 0.0)
    timeouts.ponging.arm(socket, 0.0)
    timeouts.stop_pings(socket)
    timeouts.closing_down(socket, 1.0)
    assert calls_after(timeouts, socket, 1000.0) == ["close overdue"]


def test_a_socket_that_is_gone_is_called_no_more() -> None:
    timeouts, socket = Timeouts(SETTINGS), Socket()
    for queue in (timeouts.accepting, timeouts.closing, timeouts.pinging, timeouts.ponging):
        queue.arm(socket, 0.0)
    timeouts.stop_pings(socket)
    timeouts.remove(socket)
    assert calls_after(timeouts, socket, 1000.0) == []


def test_a_socket_may_arm_its_next_timeout_while_it_is_called() -> None:
    """As one does that sends a ping, and then waits for the pong."""
    timeouts = Timeouts(SETTINGS)

    class Pinging(Socket):
        def ping_due(self) -> None:
            super().ping_due()
            timeouts.ponging.arm(self, 20.0)

    socket = Pinging()
    timeouts.start_pings(socket, 0.0)
    assert calls_after(timeouts, socket, 20.0) == ["ping due"]
    assert calls_after(timeouts, socket, 50.0) == ["ping due", "pong overdue"]
