"""States of an exchange. That it makes no other moves, tests/interface_server/http1/test_connection.py sees to."""

from __future__ import annotations

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from interface_server.http.exchange import (
    ALL_HERE,
    ANSWERED,
    AWAITED,
    BEGUN,
    BODY,
    COMPLETE,
    CONTINUE_EXPECTED,
    HEAD,
    NONE,
    REQUEST_MOVES,
    STARTED,
    WRITE_MOVES,
    RequestState,
    WriteState,
    request_step,
    write_step,
)


@pytest.mark.parametrize("before", RequestState)
@pytest.mark.parametrize("after", RequestState)
def test_a_request_makes_the_moves_of_its_table_and_no_others(before: RequestState, after: RequestState) -> None:
    if after in REQUEST_MOVES[before]:
        assert request_step(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            request_step(before, after)


@pytest.mark.parametrize("before", WriteState)
@pytest.mark.parametrize("after", WriteState)
def test_a_response_makes_the_moves_of_its_table_and_no_others(before: WriteState, after: WriteState) -> None:
    if after in WRITE_MOVES[before]:
        assert write_step(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            write_step(before, after)


def test_no_request_begins_before_the_last_byte_of_the_one_before_it() -> None:
    """P1. And a request of which no byte is here yet is never one that is here."""
    assert {state for state, following in REQUEST_MOVES.items() if HEAD in following} == {NONE, COMPLETE}
    assert all(BODY in following for following in REQUEST_MOVES.values()), "any may be refused"
    assert COMPLETE not in REQUEST_MOVES[NONE]
    assert all(NONE not in following for following in REQUEST_MOVES.values())


def test_a_response_that_has_started_only_ends() -> None:
    """No `100 Continue` comes behind its head, and no second head."""
    assert WRITE_MOVES[STARTED] == (AWAITED,)
    assert CONTINUE_EXPECTED not in WRITE_MOVES[CONTINUE_EXPECTED]


def test_what_an_ordinary_request_does_stands_in_the_tables() -> None:
    """Its moves are looked up once."""
    assert BEGUN is HEAD and BEGUN in REQUEST_MOVES[NONE] and BEGUN in REQUEST_MOVES[COMPLETE]
    assert ALL_HERE is COMPLETE and ALL_HERE in REQUEST_MOVES[HEAD]
    assert ANSWERED is AWAITED and ANSWERED in WRITE_MOVES[AWAITED]
