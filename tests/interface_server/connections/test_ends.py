"""What a client is told when the interface server has no more time."""

from __future__ import annotations

import pytest

from channel_layer.protocol.scope import Scope
from interface_server.connections.connection import Connection
from interface_server.connections.ends import may_be_sent_again


def connection(method: str) -> Connection:
    return Connection(1, (Scope({"type": "http", "method": method}), b"", False, False), 1000)


@pytest.mark.parametrize(("method", "harmless"), [("GET", True), ("PUT", True), ("POST", False), ("PATCH", False)])
def test_a_client_may_try_again_while_no_worker_has_begun_and_two_starts_harm_nobody(
    method: str, harmless: bool
) -> None:
    """P3. The request is queued, or was sent to a worker that has not acknowledged it."""
    held = connection(method)
    assert may_be_sent_again(held, is_unbegun=False) is harmless
    held.adopt("worker.a", 0)
    assert may_be_sent_again(held, is_unbegun=True) is harmless
    assert not may_be_sent_again(held, is_unbegun=False), "its worker has it"


def test_a_request_of_which_something_was_taken_has_begun() -> None:
    """A worker without others beside it acknowledges behind the first steps of the application."""
    held = connection("GET")
    held.adopt("worker.a", 0)
    held.takes()
    assert not may_be_sent_again(held, is_unbegun=True)
