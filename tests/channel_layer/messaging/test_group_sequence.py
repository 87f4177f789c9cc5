"""What a process knows of messages that it has not got, by their numbers alone."""

from __future__ import annotations

import pytest

from channel_layer.messaging.group_sequence import NUMBERS_PER_BEGINNING, STEP_MAX, GroupSequences, count_missed

#: Counters that began one after the other.
FIRST, SECOND = (quarter * NUMBERS_PER_BEGINNING for quarter in (7_000_000_000, 7_000_000_004))


@pytest.mark.parametrize(
    ("last", "counter", "missed"),
    [
        (FIRST + 5, FIRST + 5, 0),
        (FIRST + 5, FIRST + 8, 3),
        (FIRST + 5, FIRST + 3, 0),  # a replica that was behind
        (FIRST + 5, SECOND + 3, 3),  # another counter: all that it has counted
        (SECOND + 5, FIRST + 3, 3),  # the clock of its server is behind
        (FIRST + 5, SECOND, 0),  # it has counted nothing but the message that has come
        (0, FIRST + 4, 4),  # there was none
        (FIRST + 5, FIRST + 4 + STEP_MAX, STEP_MAX - 1),
        (FIRST + NUMBERS_PER_BEGINNING + 5, FIRST + NUMBERS_PER_BEGINNING + 7, 2),  # one that has counted far
        (FIRST + 5, 0, 0),  # it has ended, and nothing was published since
    ],
)
def test_what_was_missed_is_the_step_or_what_another_counter_has_counted(last: int, counter: int, missed: int) -> None:
    """P10. No number of a counter that ended is mistaken for one of its successor."""
    assert count_missed(last, counter) == missed


def test_consecutive_messages_miss_nothing_and_a_step_counts_once() -> None:
    """P10. What is known is the last number, and the first one proves nothing."""
    sequences = GroupSequences()
    sequences.follow("chat")
    assert [sequences.on_message("chat", FIRST + number) for number in (7, 8, 9, 12, 13)] == [0, 0, 0, 2, 0]
    assert sequences.on_message("chat", SECOND + 1) == 0
    assert sequences.on_message("chat", SECOND + 4) == 2
    assert sequences.on_message("chat", SECOND + 2) == 0  # after a fail-over some numbers come again
    assert sequences.on_message("chat", SECOND + 3) == 0


def test_a_counter_that_is_ahead_proves_nothing_before_all_that_was_under_way_has_come() -> None:
    """P10. Only what is still missing then was missed, and it is told once."""
    sequences = GroupSequences()
    sequences.follow("chat")
    assert sequences.on_counter("chat", FIRST + 7) == 0  # the first one is where counting begins
    assert sequences.on_counter("chat", FIRST + 10) == 3
    assert sequences.on_message("chat", FIRST + 9) == 1
    assert sequences.settle("chat", FIRST + 10) == 1
    assert sequences.settle("chat", FIRST + 10) == 0
    assert sequences.on_message("chat", FIRST + 11) == 0
    assert sequences.settle("chat", FIRST + 10) == 0
    assert sequences.on_message("chat", FIRST + 12) == 0


def test_a_counter_where_there_was_none_is_noticed() -> None:
    """P10. Also of a group to which nothing had been sent when its first member came, or nothing for an hour."""
    sequences = GroupSequences()
    sequences.follow("chat")
    assert sequences.on_counter("chat", 0) == 0
    assert sequences.on_counter("chat", FIRST + 2) == 2
    assert sequences.settle("chat", FIRST + 2) == 2
    assert (sequences.on_counter("chat", 0), sequences.settle("chat", 0)) == (0, 0)
    assert (sequences.on_counter("chat", SECOND + 2), sequences.settle("chat", SECOND + 2)) == (2, 2)


def test_a_group_without_members_is_forgotten() -> None:
    """P5. Nor does what was under way for it begin anew."""
    sequences = GroupSequences()
    sequences.follow("chat")
    sequences.on_message("chat", FIRST + 1)
    sequences.follow("chat")
    assert sequences.on_message("chat", FIRST + 3) == 1
    sequences.forget("chat")
    assert sequences.on_message("chat", FIRST + 9) == 0
    assert (sequences.on_counter("chat", FIRST + 99), sequences.settle("chat", FIRST + 99)) == (0, 0)
    assert not sequences._last
    sequences.follow("chat")
    assert sequences.on_message("chat", FIRST + 50) == 0
