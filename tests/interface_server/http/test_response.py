"""What of a response may pass, and when it is over: no socket, no HTTP version."""

from __future__ import annotations

import pytest

from interface_server.http.response import Response, ResponseState
from interface_server.http.response_head import InvalidResponse


def started(status: int = 200, *headers: tuple[bytes, bytes], head_only: bool = False) -> Response:
    response = Response(head_only)
    response.start({"type": "http.response.start", "status": status, "headers": list(headers)})
    return response


def pass_body(response: Response, body: bytes, more: bool = False) -> bytes:
    return response.body({"type": "http.response.body", "body": body, "more_body": more})


def test_a_response_is_over_with_the_part_that_says_so():
    response = started()
    assert pass_body(response, b"a", more=True) == b"a"
    assert response.state is ResponseState.STREAMING
    assert pass_body(response, b"b") == b"b"
    assert (response.state, response.fault) == (ResponseState.OVER, "")


@pytest.mark.parametrize("parts", [(b"abcde",), (b"ab", b"cde"), (b"abc", b"de"), (b"", b"abcdef")])
def test_what_exceeds_the_declared_length_never_passes(parts: tuple[bytes, ...]):
    response = started(200, (b"content-length", b"3"))
    assert b"".join(pass_body(response, part, more=True) for part in parts) == b"abc"
    assert response.state is ResponseState.OVER
    assert response.fault.startswith("longer")


def test_what_falls_short_of_the_declared_length_is_a_fault():
    response = started(200, (b"content-length", b"3"))
    pass_body(response, b"ab")
    assert response.fault.startswith("shorter")


@pytest.mark.parametrize(("status", "head_only"), [(204, False), (304, False), (200, True)])
def test_what_has_no_body_by_its_nature_gets_none_and_has_no_fault(status: int, head_only: bool):
    response = started(status, (b"content-length", b"3"), head_only=head_only)
    assert pass_body(response, b"abc") == b""
    assert response.fault == ""
    assert (response.length_bytes is None) is (status == 204)


def test_how_a_message_is_framed_is_not_the_applications_business():
    response = started(200, (b"Transfer-Encoding", b"chunked"), (b"x", b"y"), (b"Connection", b"close"))
    assert response.fields == [(b"x", b"y")]
    assert response.close


def test_what_comes_late_moves_nothing():
    """The application had not heard of the end yet: ordinary, and passed to nobody."""
    response = started()
    pass_body(response, b"")
    response.start({"type": "http.response.start", "status": 500, "headers": []})
    assert pass_body(response, b"late") == b""
    assert (response.state, response.status) == (ResponseState.OVER, 200)


def test_a_second_start_and_a_body_before_the_start_are_invalid():
    with pytest.raises(InvalidResponse):
        pass_body(Response(head_only=False), b"a")
    with pytest.raises(InvalidResponse):
        started().start({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000, "200", True, None])
def test_a_status_that_is_none_is_invalid(status: object):
    with pytest.raises(InvalidResponse):
        Response(head_only=False).start({"type": "http.response.start", "status": status})


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", "text", b"\xff", None])
def test_a_name_that_is_none_is_invalid(name: object):
    with pytest.raises(InvalidResponse):
        started(200, (name, b"x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [(b"x",), (b"-1",), (b"",), (b"1", b"2"), (b"1" * 20,)])
def test_a_length_that_is_none_is_invalid(values: tuple[bytes, ...]):
    with pytest.raises(InvalidResponse):
        started(200, *((b"content-length", value) for value in values))


def test_many_different_names_are_no_leak_and_no_mistake():
    for number in range(3000):
        response = started(200, (b"connection", b"close"), (b"x-%d" % number, b"y"), (b"content-length", b"1"))
        assert response.length_bytes == 1 and response.close


def test_others_may_write_into_an_event_stream_from_its_start_to_its_end():
    """P10. Into one without a body they may not."""
    events = (b"content-type", b"text/event-stream")
    response = started(200, events)
    assert response.takes_events
    pass_body(response, b"data: x\n\n", more=True)
    assert response.takes_events
    pass_body(response, b"")
    assert not response.takes_events
    assert not Response(False).takes_events
    assert not started(200, events, head_only=True).takes_events
    assert not started(204, events).takes_events
    assert not started(200).takes_events
