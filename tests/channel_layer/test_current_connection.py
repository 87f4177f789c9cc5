"""The connection that the running code belongs to: through tasks and threads, and for its own channel alone."""

from __future__ import annotations

import asyncio

import pytest

from channel_layer.current_connection import CURRENT_CONNECTION, epoch_of


@pytest.fixture(autouse=True)
def context() -> object:
    """Nothing that a test sets outlives it."""
    token = CURRENT_CONNECTION.set(None)
    yield
    CURRENT_CONNECTION.reset(token)


def test_outside_of_an_instance_there_is_no_epoch() -> None:
    assert epoch_of("interface.1", 7) == 0


def test_an_instance_has_its_epoch_for_its_own_channel_alone() -> None:
    """P2. What it says about another connection comes from outside, as far as that one is concerned."""
    CURRENT_CONNECTION.set(("interface.1", 7, 3))
    assert epoch_of("interface.1", 7) == 3
    assert epoch_of("interface.1", 8) == 0
    assert epoch_of("interface.2", 7) == 0


async def test_tasks_and_threads_of_an_instance_keep_its_epoch_when_another_instance_runs() -> None:
    """The predecessor's last lines name the epoch in which it was started."""
    CURRENT_CONNECTION.set(("interface.1", 7, 3))
    turn = asyncio.Event()

    async def later() -> tuple[int, int]:
        await turn.wait()
        return epoch_of("interface.1", 7), await asyncio.to_thread(epoch_of, "interface.1", 7)

    task = asyncio.ensure_future(later())
    CURRENT_CONNECTION.set(("interface.1", 7, 4))
    turn.set()
    assert await task == (3, 3)
    assert epoch_of("interface.1", 7) == 4
