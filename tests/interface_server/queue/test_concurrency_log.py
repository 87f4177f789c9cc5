"""The line about an interface server without free places."""

from __future__ import annotations

import logging

import pytest

from channel_layer.protocol.events import Event
from interface_server.queue.concurrency_log import ConcurrencyLog
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.in_process_server import Receive, Send, served


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


async def test_a_server_at_its_limit_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """From real sockets to the line; without the option there is nothing to reach."""

    async def waiting(scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with served(waiting, InterfaceSettings(access_log=False, limit_concurrency=1)) as server:
        client = await server.connect()
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: any("--limit-concurrency) are taken" in line for line in caplog.messages))
        client.reset()
        await until(lambda: any(line.startswith("not all 1 places") for line in caplog.messages))
