"""How late the loop is, as `status` shows it."""

from __future__ import annotations

import asyncio
import math

from worker.connections.loop_lag import LoopLag


async def test_who_is_early_is_not_late() -> None:
    """A timer may fire a fraction of a millisecond before its time; `status` said `-0` then."""
    lag = LoopLag()
    lag.start()
    lag._due = asyncio.get_running_loop().time() + 0.0004
    lag._tick()
    lag.stop()
    assert math.copysign(1.0, lag.seconds) == 1.0
