"""Waiting for facts, with a deadline: the only way in which a test waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 40.0
LOOK_S = 0.01


async def until(fact: Callable[[], object], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """Return when `fact()` is true; AssertionError if it does not become true in time."""
    end = time.monotonic() + deadline_s
    while not fact():
        assert time.monotonic() < end, f"did not become true in {deadline_s:.0f} s: {what or fact}"
        await asyncio.sleep(LOOK_S)


async def until_async(fact: Callable[[], Awaitable[object]], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """The same for a fact that has to be asked for."""
    end = time.monotonic() + deadline_s
    while not await fact():
        assert time.monotonic() < end, f"did not become true in {deadline_s:.0f} s: {what or fact}"
        await asyncio.sleep(LOOK_S)


def wait_until(fact: Callable[[], object], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """The same for sync code."""
    end = time.monotonic() + deadline_s
    while not fact():
        assert time.monotonic() < end, f"did not become true in {deadline_s:.0f} s: {what or fact}"
        time.sleep(LOOK_S)
