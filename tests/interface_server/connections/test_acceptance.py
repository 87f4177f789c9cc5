"""How far a WebSocket has been accepted, and when its next instance may go on: every pair of state and step."""

from __future__ import annotations

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from interface_server.connections.acceptance import (
    ACCEPTANCE_MOVES,
    RESUME_MOVES,
    Acceptance,
    ResumePolicy,
    Step,
    after,
    step_of_accept,
)

ACCEPTS = (Step.ACCEPT, Step.ACCEPT_RESUMABLE, Step.ACCEPT_RESUMABLE_AFTER_CRASH)
#: An instance accepts once, and a message cannot be cut before the accept. A WebSocket is no event stream, and one that has begun has
#: no other instance.
ILLEGAL = {
    (Acceptance.PENDING, Step.MESSAGE_CUT),
    *((Acceptance.ACCEPTED, accept) for accept in ACCEPTS),
    (Acceptance.ACCEPTED, Step.STREAM_BEGAN),
    (Acceptance.ACCEPTED_EARLIER, Step.STREAM_BEGAN),
    *((Acceptance.EVENT_STREAM, step) for step in Step),
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", Acceptance)
def test_each_step_is_legal_or_raises(state: Acceptance, step: Step) -> None:
    """A pair that is missing in the table is an error in this program."""
    if (state, step) in ILLEGAL:
        with pytest.raises(IllegalMove, match=f"{step.name} while {state.name}"):
            after(ACCEPTANCE_MOVES, state, step)
    else:
        assert after(ACCEPTANCE_MOVES, state, step) in Acceptance


def test_an_accept_counts_for_its_epoch_only() -> None:
    """The next instance has to accept too, and its client is not asked to wait for that."""
    assert {after(ACCEPTANCE_MOVES, Acceptance.PENDING, accept) for accept in ACCEPTS} == {Acceptance.ACCEPTED}
    assert after(ACCEPTANCE_MOVES, Acceptance.ACCEPTED, Step.NEXT_EPOCH) is Acceptance.ACCEPTED_EARLIER
    assert after(ACCEPTANCE_MOVES, Acceptance.PENDING, Step.NEXT_EPOCH) is Acceptance.PENDING


def test_an_event_stream_that_has_begun_is_never_started_again() -> None:
    """P3. It takes what groups send from then on, and its next instance would have to go on in the middle."""
    assert after(ACCEPTANCE_MOVES, Acceptance.PENDING, Step.STREAM_BEGAN) is Acceptance.EVENT_STREAM
    assert after(RESUME_MOVES, ResumePolicy.NEVER, Step.STREAM_BEGAN) is ResumePolicy.NEVER


@pytest.mark.parametrize("state", ResumePolicy)
def test_the_last_accept_decides_about_the_next_instance(state: ResumePolicy) -> None:
    """P7. And after a message that no other owner can finish there is none."""
    assert set(RESUME_MOVES[state]) | {Step.STREAM_BEGAN} == set(Step)
    assert [after(RESUME_MOVES, state, step_of_accept(resumable)) for resumable in (False, None, True, "crash")] == [
        ResumePolicy.NEVER,
        ResumePolicy.NEVER,
        ResumePolicy.AFTER_DRAIN,
        ResumePolicy.AFTER_CRASH,
    ]
    assert after(RESUME_MOVES, state, Step.NEXT_EPOCH) is state
    assert after(RESUME_MOVES, state, Step.MESSAGE_CUT) is ResumePolicy.NEVER
