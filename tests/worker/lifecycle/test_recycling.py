"""How long a worker may live."""

from __future__ import annotations

import pytest

from tests.support.facts import until
from worker.lifecycle.recycling import Recycling
from worker.lifecycle.recycling_watch import RecyclingWatch, resident_bytes
from worker.settings import WorkerSettings

CHANCES = [0.0, 0.5, 0.999_999]


def test_without_a_limit_there_is_nothing_to_look_at() -> None:
    """A jitter alone is no limit."""
    assert not Recycling.drawn(WorkerSettings(requests_jitter=9), 0.5).limited


def test_workers_that_were_started_together_do_not_leave_together() -> None:
    """Connections: from the limit up to the jitter above it. Age: the last tenth before the limit. Memory as it is."""
    settings = WorkerSettings(requests_max=100, requests_jitter=10, age_s_max=50, rss_bytes_max=7)
    drawn = [Recycling.drawn(settings, chance) for chance in CHANCES]
    assert [life.connections for life in drawn] == [100, 105, 110]
    assert [round(life.age_s, 3) for life in drawn] == [50, 47.5, 45]
    assert {life.rss_bytes for life in drawn} == {7}


@pytest.mark.parametrize(
    ("connections", "age_s", "rss_bytes", "why"),
    [
        (9, 9.9, 9, ""),
        (10, 0, 0, "10 connections were served (--limit-max-requests)"),
        (0, 10, 0, "10 s old (--max-worker-age)"),
        (0, 0, 2**20, "1 MiB of memory (--max-worker-rss)"),
    ],
)
def test_the_reason_is_said_in_words(connections: int, age_s: float, rss_bytes: int, why: str) -> None:
    """With the option that an operator would turn."""
    assert Recycling(connections=10, age_s=10, rss_bytes=2**20).over(connections, age_s, rss_bytes) == why


async def test_the_end_is_told_once() -> None:
    """And nothing is looked at any more."""
    told: list[str] = []
    adopted = [0]
    watch = RecyclingWatch(Recycling(connections=3), lambda: adopted[0], told.append)
    watch.start()
    adopted[0] = 4
    await until(lambda: told)
    assert told == ["4 connections were served (--limit-max-requests)"]


async def test_memory_is_that_of_this_process() -> None:
    """Resident, in bytes."""
    assert 10 * 2**20 < resident_bytes() < 4 * 2**30
    told: list[str] = []
    watch = RecyclingWatch(Recycling(rss_bytes=2**20), int, told.append)
    watch.start()
    await until(lambda: told)
    watch.stop()
    assert "of memory (--max-worker-rss)" in told[0]
