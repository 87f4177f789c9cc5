"""What a client is given at an end that the server decided."""

from __future__ import annotations

import pytest

from interface_server.connections.interfaces import EndReason
from interface_server.websocket.termination import asked_for, ended_by_dispatcher, sendable_code


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_legal_close_code_of_an_application_is_sent_as_it_is(code: int) -> None:
    assert sendable_code(code) == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535, "1000"])
def test_a_code_that_may_not_travel_becomes_an_internal_error_unless_it_means_that_there_is_none(code: object) -> None:
    assert sendable_code(code) == (1000 if code == 1005 else 1011)


def test_a_close_without_a_code_is_a_normal_one() -> None:
    how = asked_for({"type": "websocket.close"})
    assert (how.code, how.reason, how.status) == (1000, "", 403)


@pytest.mark.parametrize("end_reason", EndReason)
def test_an_end_by_the_dispatcher_has_an_answer_for_a_waiting_and_for_an_open_client(end_reason: EndReason) -> None:
    how = ended_by_dispatcher(end_reason)
    assert (how.status, how.code) == (end_reason.status, end_reason.close_code)
    assert (b"retry-after" in how.field_line) == (how.status == 503)
    assert how.why and (how.reason == "") == (end_reason is EndReason.FINISHED)
