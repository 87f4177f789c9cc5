"""Waiting for facts, with a deadline: the only way in which a test waits."""

from __future__ import annotations

import asyncio
import os
import select
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


def read_until(
    descriptor: int, is_all: Callable[[bytes], object], deadline_s: float = DEADLINE_S, size_bytes: int = 65_536
) -> bytes:
    """All that a descriptor gives, in reads of `size_bytes`, until `is_all` is true of it; AssertionError if it does not in time."""
    read, end = b"", time.monotonic() + deadline_s
    while not is_all(read):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"no more than {len(read)} bytes in {deadline_s:.0f} s, at last {read[-80:]!r}"
        piece = os.read(descriptor, size_bytes)
        assert piece, f"the end after {len(read)} bytes, at last {read[-80:]!r}"
        read += piece
    return read
