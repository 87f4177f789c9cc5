"""States of a parser. That it makes no other moves, test_parser.py sees to."""

from __future__ import annotations

from interface_server.http1.parsing_state import BEHIND, BODY, HEAD, MOVES, UPGRADE, ParsingState


def test_each_state_has_its_moves_and_none_is_a_dead_end() -> None:
    assert set(MOVES) == set(ParsingState)
    assert {after for following in MOVES.values() for after in following} == set(ParsingState)
    assert all(MOVES.values())


def test_no_request_begins_inside_another() -> None:
    """P1. A request's end lies between its head and the next one."""
    assert {state for state, following in MOVES.items() if BEHIND in following} == {BODY, UPGRADE}
    assert {state for state, following in MOVES.items() if UPGRADE in following} == {HEAD, BEHIND}
    assert HEAD not in MOVES[BODY] and HEAD not in MOVES[UPGRADE]
