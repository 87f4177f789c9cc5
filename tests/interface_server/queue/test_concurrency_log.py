"""The line about an interface server without free places."""

from __future__ import annotations

import logging

import pytest

from interface_server.queue.concurrency_log import ConcurrencyLog


def test_a_server_without_a_free_place_says_so_after_a_second_each_minute_and_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the option that bounds it, and how long it has lasted."""
    caplog.set_level(logging.WARNING, "towpath.interface")
    log = ConcurrencyLog(9)
    for second in range(100):
        log.check(second < 70, float(second))
    places = "9 places of this interface server (--limit-concurrency)"
    assert caplog.messages == [
        f"all {places} are taken: others get 503 until one is free",
        f"all {places} have been taken for 61 s",
        f"not all {places} are taken any more; they were for 72 s",
    ]
