"""Moves between states by a table, and the error of a move that the table does not have."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import Enum
from typing import TypeVar

State = TypeVar("State", bound=Enum)


class IllegalMove(Exception):
    """A move that the table does not have: an error in this program, whatever packet brought it to light.

    It writes no state. No base class that MALFORMED (packets.py) names: the sender of a packet is not to blame.
    """


def legal_move(moves: Mapping[State, Container[State]], before: State, after: State, subject: str) -> State:
    """Return `after` if the table has this move of `subject`. Raises IllegalMove. moves: the states that may follow each one."""
    if after not in moves[before]:
        raise IllegalMove(f"{subject} cannot go from {before.name} to {after.name}")
    return after
