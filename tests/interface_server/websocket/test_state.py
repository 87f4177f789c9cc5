"""What each event means in each state of a WebSocket, and which close codes are legal."""

from __future__ import annotations

import pytest

from interface_server.websocket.state import Action, BadFrame, State, heard_close, meaning, push_meaning, sendable_code


def test_each_event_has_a_meaning_in_each_state() -> None:
    """What is illegal is the application's fault; what is late is ordinary, and moves nothing."""
    assert meaning(State.CONNECTING, "websocket.send") is Action.BREAK
    assert meaning(State.OPEN, "websocket.accept") is Action.SWALLOW
    assert meaning(State.OPEN, "http.response.body") is Action.BREAK
    assert meaning(State.DENYING, "websocket.accept") is Action.BREAK
    for state in (State.CLOSING, State.DRAINING, State.CLOSED):
        assert meaning(state, "websocket.send") is Action.LATE
    for state in State:
        expected = Action.SEND if state is State.OPEN else Action.LATE
        assert push_meaning(state, "websocket.send") is expected
        assert push_meaning(state, None) is Action.LATE


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_legal_close_code_is_answered_by_itself_and_reaches_the_application(code: int) -> None:
    assert heard_close(code.to_bytes(2, "big") + "früh".encode()) == (code, code, "früh")
    assert sendable_code(code) == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_an_illegal_close_code_is_a_protocol_error(code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        heard_close(code.to_bytes(2, "big"))
    assert bad.value.code == 1002
    assert sendable_code(code) == (1000 if code == 1005 else 1011)


def test_a_close_without_a_code_is_1005_to_the_application() -> None:
    assert heard_close(b"") == (None, 1005, "")
    with pytest.raises(BadFrame) as bad:
        heard_close(b"\x03\xe8\xff")
    assert bad.value.code == 1007
