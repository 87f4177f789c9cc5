"""Moves by a table of states."""

from __future__ import annotations

from enum import Enum, auto

import pytest

from channel_layer.protocol.illegal_move import IllegalMove, legal_move
from channel_layer.protocol.packets import MALFORMED


class Lamp(Enum):
    ON = auto()
    OFF = auto()
    BROKEN = auto()


MOVES = {Lamp.ON: (Lamp.OFF,), Lamp.OFF: (Lamp.ON, Lamp.BROKEN), Lamp.BROKEN: ()}


@pytest.mark.parametrize("before", Lamp)
@pytest.mark.parametrize("after", Lamp)
def test_a_move_is_made_if_the_table_has_it(before: Lamp, after: Lamp) -> None:
    if after in MOVES[before]:
        assert legal_move(MOVES, before, after, "a lamp") is after
    else:
        with pytest.raises(IllegalMove, match=f"a lamp cannot go from {before.name} to {after.name}"):
            legal_move(MOVES, before, after, "a lamp")


def test_the_sender_of_a_packet_is_not_to_blame() -> None:
    """P12. It is an error in this program, and not counted as a malformed packet."""
    assert not issubclass(IllegalMove, MALFORMED)
