"""The answers that the server gives by itself."""

from __future__ import annotations

import pytest

from interface_server.connections.interfaces import EndReason
from interface_server.http.answers import (
    RETRY_AFTER,
    Answer,
    RequestError,
    answer_at_stop,
    answer_to_end,
    answer_to_error,
)


def test_an_answer_is_a_complete_response_of_one_line():
    answer = Answer(503, "too many\n", (b"retry-after", b"1"))
    start, body = answer.events
    assert start["status"] == 503 and dict(start["headers"])[b"content-type"] == b"text/plain; charset=utf-8"
    assert body["body"] == b"too many\n" and not body.get("more_body")
    assert answer.why == "too many"


@pytest.mark.parametrize("reason", EndReason)
def test_an_answer_with_503_tells_when_to_come_again(reason: EndReason):
    """So that clients and proxies try again."""
    answer = answer_to_end(reason)
    assert (answer.status, answer.why) == (reason.status, reason.why)
    assert (b"retry-after" in dict(answer.headers)) is (reason.status == 503)


def test_who_is_cut_off_is_told_to_come_again_if_nothing_was_started():
    told = [answer_at_stop(may_be_sent_again) for may_be_sent_again in (True, False)]
    assert [(answer.status, RETRY_AFTER in answer.headers) for answer in told] == [(503, True), (502, False)]


def test_a_wrong_method_is_told_the_right_one():
    """RFC 9110, 15.5.6."""
    assert dict(answer_to_error(RequestError(405, "a WebSocket begins with GET", "x")).headers)[b"allow"] == b"GET"
    assert b"allow" not in dict(answer_to_error(RequestError(400, "malformed", "x")).headers)
