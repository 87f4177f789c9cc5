"""What each event means in each state of a WebSocket, and which state comes next."""

from __future__ import annotations

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from interface_server.websocket.state import (
    MOVES,
    Action,
    WebSocketState,
    WebSocketTrigger,
    application_move,
    push_move,
    transition,
)

CONNECTING, DENYING, OPEN, CLOSING, DRAINING, CLOSED = WebSocketState
OVER = (CLOSING, DRAINING, CLOSED)

#: The arrows of the picture in state.py.
PICTURE = {
    (CONNECTING, OPEN),
    (CONNECTING, DENYING),
    (CONNECTING, DRAINING),
    (DENYING, DRAINING),
    (OPEN, CLOSING),
    (OPEN, CLOSED),
    (OPEN, DRAINING),
    (CLOSING, DRAINING),
    (CLOSING, CLOSED),
    (DRAINING, CLOSED),
}
#: Moves of these are aborts, or the loss of the stream, which the picture mentions and does not draw.
NOT_DRAWN = {(CONNECTING, CLOSED), (DENYING, CLOSED)}

#: What cannot occur, and so has no move.
IMPOSSIBLE = {
    CONNECTING: {
        WebSocketTrigger.DENIAL_BROKEN,
        WebSocketTrigger.DENIED,
        WebSocketTrigger.CLOSE_RECEIVED,
        WebSocketTrigger.BAD_FRAME,
        WebSocketTrigger.PONG_OVERDUE,
        WebSocketTrigger.SLOW,
        WebSocketTrigger.CLOSE_OVERDUE,
        WebSocketTrigger.SLOW_CLOSE_OVERDUE,
    },
    DENYING: {
        WebSocketTrigger.REFUSED,
        WebSocketTrigger.CLOSE_RECEIVED,
        WebSocketTrigger.BAD_FRAME,
        WebSocketTrigger.PONG_OVERDUE,
        WebSocketTrigger.SLOW,
        WebSocketTrigger.CLOSE_OVERDUE,
        WebSocketTrigger.SLOW_CLOSE_OVERDUE,
    },
    OPEN: {
        WebSocketTrigger.REFUSED,
        WebSocketTrigger.DENIAL_BROKEN,
        WebSocketTrigger.DENIED,
        WebSocketTrigger.CLOSE_OVERDUE,
        WebSocketTrigger.SLOW_CLOSE_OVERDUE,
    },
    CLOSING: {
        WebSocketTrigger.REFUSED,
        WebSocketTrigger.APPLICATION_FAILED,
        WebSocketTrigger.DENIAL_BROKEN,
        WebSocketTrigger.DENIED,
        WebSocketTrigger.HUNG_UP,
    },
    DRAINING: {
        WebSocketTrigger.REFUSED,
        WebSocketTrigger.APPLICATION_FAILED,
        WebSocketTrigger.DENIAL_BROKEN,
        WebSocketTrigger.DENIED,
        WebSocketTrigger.HUNG_UP,
        WebSocketTrigger.CLOSE_RECEIVED,
        WebSocketTrigger.BAD_FRAME,
    },
    CLOSED: {
        WebSocketTrigger.REFUSED,
        WebSocketTrigger.APPLICATION_FAILED,
        WebSocketTrigger.DENIAL_BROKEN,
        WebSocketTrigger.DENIED,
        WebSocketTrigger.HUNG_UP,
    },
}


def test_each_event_of_an_application_has_a_meaning_in_each_state() -> None:
    """An illegal event is the application's fault; a late one is ordinary, and moves nothing."""
    assert application_move(CONNECTING, "websocket.send") == (CONNECTING, Action.PROTOCOL_ERROR)
    assert application_move(OPEN, "websocket.accept") == (OPEN, Action.IGNORE)
    assert application_move(OPEN, "http.response.body") == (OPEN, Action.PROTOCOL_ERROR)
    assert application_move(DENYING, "websocket.accept") == (DENYING, Action.PROTOCOL_ERROR)
    for state in OVER:
        assert application_move(state, "websocket.send") == (state, Action.TOO_LATE)
        assert application_move(state, "no such event") == (state, Action.TOO_LATE)
    for state in WebSocketState:
        expected = Action.SEND if state is OPEN else Action.TOO_LATE
        assert push_move(state, "websocket.send") == (state, expected)
        assert push_move(state, None) == (state, Action.TOO_LATE)


@pytest.mark.parametrize("state", WebSocketState)
def test_each_trigger_has_a_move_where_it_can_occur(state: WebSocketState) -> None:
    for trigger in WebSocketTrigger:
        if trigger in IMPOSSIBLE[state]:
            with pytest.raises(IllegalMove, match=f"{trigger.name} while {state.name}"):
                transition(state, trigger)
        else:
            transition(state, trigger)


def test_the_picture_shows_every_move_between_two_states_and_no_other() -> None:
    moves = {(state, move[0]) for state, row in MOVES.items() for move in row.values() if move[0] is not state}
    assert moves == PICTURE | NOT_DRAWN
    for state, following in NOT_DRAWN:
        triggers = {trigger for trigger, move in MOVES[state].items() if move[0] is following}
        assert all(MOVES[state][each][1] is Action.ABORT or each is WebSocketTrigger.LOST for each in triggers)


@pytest.mark.parametrize("state", WebSocketState)
def test_a_stream_that_is_lost_closes_every_state(state: WebSocketState) -> None:
    assert transition(state, WebSocketTrigger.LOST) == (CLOSED, Action.IGNORE)


@pytest.mark.parametrize("state", OVER)
def test_nothing_that_comes_late_opens_a_socket_again_or_writes_to_it(state: WebSocketState) -> None:
    """P12. Our last byte is written."""
    last = {Action.IGNORE, Action.TOO_LATE, Action.DRAIN, Action.HANG_UP, Action.ABORT}
    for following, action in MOVES[state].values():
        assert following in OVER and action in last
