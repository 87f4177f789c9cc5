"""Responses as an application sends them: which events are legal when, and how they are copied, cut and counted."""

from __future__ import annotations

import pytest

from worker.asgi.http_state import (
    COMPLETE,
    GONE,
    PART_SIZE_BYTES_MAX,
    SILENT,
    STARTED,
    HttpStage,
    body_parts,
    disconnect_step,
    http_step,
)
from worker.errors import ClientGone, InvalidEvent, WrongOrder

START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
MORE = {"type": "http.response.body", "body": b"part", "more_body": True}
LAST = {"type": "http.response.body", "body": b"end"}


def test_a_response_starts_streams_and_is_complete() -> None:
    stages = [SILENT]
    for event in (START, MORE, MORE, LAST):
        checked, size, stage = http_step(stages[-1], event)
        assert checked["type"] == event["type"]
        assert size == 64 + len(event.get("body", b""))
        stages.append(stage)
    assert stages == [SILENT, STARTED, STARTED, STARTED, COMPLETE]


@pytest.mark.parametrize(
    ("stage", "event", "expected"),
    [
        (SILENT, LAST, "'http.response.start'"),
        (STARTED, START, "'http.response.body'"),
        (COMPLETE, START, "nothing"),
        (COMPLETE, LAST, "nothing"),
    ],
)
def test_an_event_at_the_wrong_time_is_refused_with_what_would_be_right(
    stage: HttpStage, event: dict[str, object], expected: str
) -> None:
    with pytest.raises(WrongOrder, match=f"{stage.meaning}; expected {expected}$"):
        http_step(stage, event)


@pytest.mark.parametrize("stage", HttpStage)
def test_the_end_of_the_connection_ends_every_stage(stage: HttpStage) -> None:
    assert disconnect_step(stage) is GONE


@pytest.mark.parametrize("event", [START, LAST, {}, None, {"type": "nonsense"}])
def test_after_the_client_has_gone_every_event_is_client_gone(event: object) -> None:
    """Also an invalid one: an OSError is what frameworks expect then."""
    with pytest.raises(ClientGone):
        http_step(GONE, event)


@pytest.mark.parametrize(
    "event", [None, [], "http.response.start", {}, {"type": 7}, {"type": []}, {"type": "http.response.push"}]
)
def test_what_is_no_event_of_a_response_is_invalid(event: object) -> None:
    """P12. Not merely in the wrong order."""
    with pytest.raises(InvalidEvent):
        http_step(SILENT, event)


@pytest.mark.parametrize("status", [None, "200", 200.0, True, 0, 100, 101, 199, 1000, -200])
def test_a_status_is_a_whole_number_from_200_to_999(status: object) -> None:
    """An interim status is no answer."""
    with pytest.raises(InvalidEvent, match="status is"):
        http_step(SILENT, START | {"status": status})


@pytest.mark.parametrize("body", ["text", 7, [b"a"], {"a": 1}])
def test_a_body_is_bytes(body: object) -> None:
    with pytest.raises(InvalidEvent, match="body is of type"):
        http_step(STARTED, LAST | {"body": body})


@pytest.mark.parametrize("body", [bytearray(b"abc"), memoryview(b"abc")])
def test_a_body_is_copied_so_that_the_application_may_use_its_buffer_again(body: bytearray | memoryview) -> None:
    checked, size, _ = http_step(STARTED, LAST | {"body": body})
    assert type(checked["body"]) is bytes and (checked["body"], size) == (b"abc", 67)


def test_keys_that_are_missing_have_their_defaults_and_unknown_ones_are_left_out() -> None:
    """ASGI specification, "HTTP & WebSocket"."""
    start, _, _ = http_step(SILENT, {"type": "http.response.start", "status": 204, "trailers": True})
    assert start == {"type": "http.response.start", "status": 204, "headers": []}
    body, _, stage = http_step(STARTED, {"type": "http.response.body", "x": object()})
    assert (body, stage) == ({"type": "http.response.body", "body": b"", "more_body": False}, COMPLETE)


@pytest.mark.parametrize("more", [False, True])
def test_a_long_body_is_cut_into_parts_of_which_the_last_alone_may_be_the_end(more: bool) -> None:
    """PROTOCOL.md, "Events": at most 64 KiB each."""
    body = bytes(range(256)) * (2 * PART_SIZE_BYTES_MAX // 256) + b"rest"
    checked, _, _ = http_step(STARTED, {"type": "http.response.body", "body": body, "more_body": more})
    parts = list(body_parts(checked))
    assert b"".join(event["body"] for event, _ in parts) == body
    assert [event["more_body"] for event, _ in parts] == [True, True, more]
    assert all(size == len(event["body"]) + 64 <= PART_SIZE_BYTES_MAX + 64 for event, size in parts)
