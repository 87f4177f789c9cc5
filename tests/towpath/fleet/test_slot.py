"""Slots of a fleet: which moves are legal, and what is said of a process that does not start."""

from __future__ import annotations

from itertools import product

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from towpath.fleet.slot import MOVES, Slot, SlotState
from towpath.supervisord.process import Process


def starting(until: float = 150.0) -> Slot:
    return Slot(name="worker-1", state=SlotState.STARTING, rank=0, until=until)


@pytest.mark.parametrize(("before", "after"), list(product(SlotState, SlotState)), ids=lambda state: state.name)
def test_a_slot_makes_the_moves_of_the_table_and_no_other(before: SlotState, after: SlotState) -> None:
    slot = Slot(name="worker-1", state=before, rank=0)
    if after in MOVES[before]:
        slot.move(after, rank=3, until=7.0)
        assert (slot.state, slot.rank, slot.until) == (after, 3, 7.0)
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            slot.move(after)
        assert slot.state is before


def test_every_slot_comes_back_to_where_another_process_may_start() -> None:
    """Without an idle slot there is no next reload."""
    reached = {SlotState.IDLE}
    while more := {state for state in SlotState if set(MOVES[state]) & reached} - reached:
        reached |= more
    assert reached == set(SlotState)


def test_a_process_that_starts_in_time_has_no_failure() -> None:
    slot = starting()
    assert slot.failure_sentence(Process(name="worker-1", state="STARTING", pid=7), 1.0) == ""
    assert slot.failure_sentence(Process(name="worker-1", state="RUNNING", pid=7), 150.0) == ""


def test_a_process_that_takes_too_long_is_named_with_the_limit() -> None:
    assert (
        starting().failure_sentence(Process(name="worker-1", state="RUNNING", pid=7), 150.1)
        == "worker-1 was not ready within 150 s"
    )


def test_a_process_that_supervisord_has_started_again_meanwhile_had_ended() -> None:
    """Its pid has changed between two looks, whatever its state is now."""
    slot = starting()
    assert slot.failure_sentence(Process(name="worker-1", state="RUNNING", pid=7), 1.0) == ""
    assert (
        slot.failure_sentence(Process(name="worker-1", state="RUNNING", pid=8), 2.0)
        == "worker-1 ended while it started"
    )


def test_a_process_without_a_pid_yet_is_no_other_process() -> None:
    slot = starting()
    for pid in (0, 7, 0, 7):
        assert slot.failure_sentence(Process(name="worker-1", state="STARTING", pid=pid), 1.0) == ""


def test_a_process_that_has_left_is_described_by_how_it_left() -> None:
    process = Process(name="worker-1", state="BACKOFF", end="was killed by SIGKILL")
    assert starting().failure_sentence(process, 1.0) == "worker-1 was killed by SIGKILL while it started"
