"""The phases of a `serve`, and how one leads to another."""

from __future__ import annotations

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from towpath.serve.phase import MOVES, ServePhase, next_phase


@pytest.mark.parametrize("after", ServePhase)
@pytest.mark.parametrize("before", ServePhase)
def test_a_serve_moves_by_its_table_alone(before: ServePhase, after: ServePhase) -> None:
    """Any other move would be a bug of ours, and is an error at once."""
    if after in MOVES[before]:
        assert next_phase(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            next_phase(before, after)


def test_a_serve_can_be_stopped_in_every_phase_and_begins_none_again() -> None:
    """A person may press Ctrl-C at any moment, and nothing starts processes once all of them are to leave."""
    assert {phase for phase, following in MOVES.items() if ServePhase.STOPPING not in following} == {
        ServePhase.STOPPING
    }
    order = list(ServePhase)
    assert all(order.index(after) > order.index(before) for before, following in MOVES.items() for after in following)
    assert MOVES[ServePhase.STOPPING] == ()
