"""What a worker takes, how many at a time, and what never again: decisions without a server."""

from __future__ import annotations

import pytest

from channel_layer.messaging.entry import Entry
from worker.connections.adoption import READ_MAX, Adoption, read_count

KEY = ("interface.a", 1, 1)
ENTRY, OTHER = Entry(b"1-0", 100, KEY, []), Entry(b"2-0", 100, ("interface.a", 2, 1), [])


@pytest.mark.parametrize(
    ("free", "length", "workers", "lagging", "expected"),
    [
        (0, 100, 1, False, 0),  # no slot: not even looked at
        (100, 0, 1, False, READ_MAX),  # alone: nobody loses by it
        (5, 0, 1, False, 5),
        (100, 0, 4, False, 1),  # a short queue is everybody's
        (100, 17, 4, False, 5),
        (100, 1000, 4, False, READ_MAX),
        (3, 1000, 4, False, 3),
        (100, 1000, 4, True, 1),  # nobody shall wait behind a loop that is late
    ],
)
def test_a_worker_reads_its_share(free: int, length: int, workers: int, lagging: bool, expected: int) -> None:
    """A free worker takes the next request; nothing waits behind a busy one."""
    assert read_count(free, length, workers, lagging) == expected


def test_never_two_takes_of_one_connection_at_once() -> None:
    """P3. Read, and then claimed by itself before the first take was answered: the second is left alone."""
    adoption = Adoption(abandon_s=60)
    assert adoption.choose([ENTRY, OTHER], now=0) == [ENTRY, OTHER]
    assert adoption.choose([ENTRY, OTHER], now=1) == []
    adoption.answered(KEY)
    assert adoption.choose([ENTRY, OTHER], now=2) == [ENTRY]


def test_what_was_taken_without_an_answer_is_never_taken_again() -> None:
    """P3. Somebody else may: this worker has said that it will not."""
    adoption = Adoption(abandon_s=60)
    adoption.choose([ENTRY], now=0)
    adoption.unanswered(KEY, now=1)
    assert adoption.choose([ENTRY], now=60) == []
    assert adoption.choose([ENTRY], now=61) == [ENTRY], (
        "by then the entry is past its wait, and the memory is not kept for ever"
    )


def test_packets_that_come_before_the_answer_wait_for_it() -> None:
    """P1. In order; without a take under way nobody holds anything."""
    adoption = Adoption(abandon_s=60)
    assert not adoption.buffer(KEY, [4])
    adoption.choose([ENTRY], now=0)
    assert adoption.buffer(KEY, [4]) and adoption.buffer(KEY, [5])
    assert adoption.answered(KEY) == [[4], [5]]
    assert adoption.answered(KEY) == []
