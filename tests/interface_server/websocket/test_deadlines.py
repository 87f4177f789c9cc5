"""Deadlines of many connections: in order, and only when due."""

from __future__ import annotations

from interface_server.websocket.deadlines import Deadlines


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
