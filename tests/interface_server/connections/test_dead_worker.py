"""What is said of a worker that died with requests in hand."""

from __future__ import annotations

import pytest

from interface_server.connections.dead_worker import TARGET_CHARS_MAX, in_hand


@pytest.mark.parametrize(
    ("requests", "websockets", "line"),
    [
        (["POST /x", "GET /y?z=1"], 0, "worker.a died while it had POST /x, GET /y?z=1"),
        (["POST /x"], 1, "worker.a died while it had POST /x and 1 WebSocket"),
        ([], 20, "worker.a died while it had 20 WebSockets"),
        (
            [f"GET /{number}" for number in range(12)],
            0,
            "worker.a died while it had GET /0, GET /1, GET /2, GET /3, GET /4, GET /5, GET /6, GET /7, GET /8, GET /9 "
            "and 2 more",
        ),
    ],
)
def test_requests_are_named_and_websockets_are_counted(requests: list[str], websockets: int, line: str) -> None:
    assert in_hand("worker.a", requests, websockets) == line


def test_a_long_target_does_not_fill_the_log() -> None:
    assert len(in_hand("worker.a", ["GET /" + "x" * 8000], 0)) < TARGET_CHARS_MAX + 50
