"""Deliveries of groups: in order, in pieces, and not stopped by one socket."""

from __future__ import annotations

import asyncio

from interface_server.groups.fan_out import SOCKETS_PER_TURN, FanOut
from interface_server.groups.interfaces import PushedMessage
from tests.support.facts import until

MEMBERS = tuple(range(3 * SOCKETS_PER_TURN))


async def test_a_small_message_behind_a_large_delivery_does_not_overtake_it() -> None:
    """P10. Messages of one publisher arrive in order, at every member."""
    heard: list[tuple[int, PushedMessage]] = []
    fan_out = FanOut(lambda number, pushed: heard.append((number, pushed)))
    large, small = PushedMessage({"type": "large"}), PushedMessage({"type": "small"})
    assert fan_out.send(large, MEMBERS)
    assert fan_out.send(small, (0, 1))
    await until(lambda: len(heard) == len(MEMBERS) + 2)
    assert heard == [*((number, large) for number in MEMBERS), (0, small), (1, small)]


async def test_an_error_at_one_socket_costs_the_others_nothing() -> None:
    """P12. Else no group would ever be delivered again in this process."""
    heard: list[int] = []

    def push(number: int, _pushed: PushedMessage) -> None:
        if number == 7:
            raise RuntimeError("a bug")
        heard.append(number)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    fan_out = FanOut(push)
    assert fan_out.send(PushedMessage({"type": "note"}), MEMBERS)
    await until(lambda: len(heard) == len(MEMBERS) - 1, deadline_s=5)
