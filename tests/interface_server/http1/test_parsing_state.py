"""States of a parser."""

from __future__ import annotations

from interface_server.http1.parsing_state import (
    BEHIND,
    BODY,
    HEAD,
    MOVES,
    ON_END,
    ON_HEAD,
    ON_OTHER_PARSER,
    ON_READ_OVER,
    ON_UPGRADE,
    UPGRADE,
    ParsingState,
)


def test_each_state_has_its_moves_and_none_is_a_dead_end() -> None:
    assert {before for moves in MOVES for before in moves} == set(ParsingState)
    assert {after for moves in MOVES for after in moves.values()} == set(ParsingState)


def test_no_request_begins_inside_another() -> None:
    """P1. A request's end lies between its head and the next one."""
    assert set(ON_HEAD) == set(ON_UPGRADE) == {HEAD, BEHIND}
    assert set(ON_END) == {BODY, UPGRADE} and set(ON_END.values()) == {BEHIND}
    assert ON_READ_OVER == {BEHIND: HEAD}, "a read may end anywhere else, and changes nothing there"


def test_a_body_behind_an_upgrade_is_read_once() -> None:
    """By the parser that takes over: its end is that of any body."""
    assert ON_OTHER_PARSER == {UPGRADE: BODY}
