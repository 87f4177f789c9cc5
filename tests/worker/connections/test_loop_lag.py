"""How late the loop is, as `status` shows it, and when the application has blocked it."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from tests.support.facts import until
from worker.connections import loop_lag
from worker.connections.loop_lag import LoopLag


async def test_who_is_early_is_not_late() -> None:
    """A timer may fire a fraction of a millisecond before its time; `status` said `-0` then."""
    lag = LoopLag()
    lag.start(lambda: None)
    lag._due = asyncio.get_running_loop().time() + 0.0004
    lag._tick()
    lag.stop()
    assert math.copysign(1.0, lag.seconds) == 1.0


async def test_before_it_is_started_the_loop_is_not_blocked() -> None:
    assert LoopLag().blocked_s < 0


async def test_a_loop_that_an_application_keeps_is_reported() -> None:
    blocks: list[None] = []
    lag = LoopLag()
    lag.start(lambda: blocks.append(None))
    time.sleep(0.15)
    assert lag.late and lag.blocked_s > loop_lag.BLOCKED_S
    await until(lambda: blocks)
    lag.stop()


async def test_a_turn_that_was_too_long_is_reported_and_a_short_one_is_not() -> None:
    blocks: list[None] = []
    lag = LoopLag()
    lag.start(lambda: blocks.append(None))
    began_s = time.monotonic()
    lag.check_turn(began_s)
    assert not blocks
    time.sleep(0.1)
    lag.check_turn(began_s)
    assert len(blocks) == 1
    lag.stop()


async def test_time_without_a_cpu_is_no_fault_of_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[None] = []
    lag = LoopLag()
    lag.start(lambda: blocks.append(None))
    began_s = time.monotonic()
    time.sleep(0.1)
    before_s = lag._cpu_wait.total_s()
    monkeypatch.setattr(lag._cpu_wait, "total_s", lambda: before_s + 1.0)
    lag.check_turn(began_s)
    assert not blocks and lag.blocked_s < 0
    lag.stop()
