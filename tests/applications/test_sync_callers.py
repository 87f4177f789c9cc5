"""Sync code reaches the channel layer from every thread of a worker: the call returns when it is done, and not at its timeout.

A call whose answer came on another loop than the caller's used to wait for its whole timeout, and then raised LayerUnavailable
although the message had been delivered: the view would answer 500.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

import channel_layer
from tests.applications.served import served
from tests.support.plain_http import PLAIN
from tests.support.serving import Server
from towpath.runtime.embedded_redis import SOCKET_NAME

DEADLINE_S = 20.0
CALLS = 10
#: The fastest call, on a machine that does much else: many times what it takes, and far below any timeout.
FASTEST_MS = 50.0
WAYS = ("async", "def", "to_thread", "sync_to_async", "thread", "run")


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("serve", "sync_callers:app", tmp_path_factory.mktemp("sync-callers")) as server:
        yield server


@pytest.fixture(scope="module")
def wsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("serve", "sync_callers:flask_app", tmp_path_factory.mktemp("sync-callers-wsgi")) as server:
        yield server


async def delivered(server: Server, path: str) -> None:
    """Ask for `path`, whose view sends to a group in which a channel of this process is, and answers how long that took."""
    layer = await channel_layer.connect(f"unix://{server.run_dir / 'run' / SOCKET_NAME}")
    try:
        mine = await layer.new_channel()
        await layer.group_add("callers", mine)
        async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_S, **PLAIN) as client:
            took_ms = []
            for _ in range(CALLS):
                answer = await client.get(path)
                assert answer.status_code == 200, answer.text
                took_ms.append(float(answer.text.strip('"')))
                async with asyncio.timeout(DEADLINE_S):
                    assert await layer.receive(mine) == {"type": "test.sent"}
            assert min(took_ms) < FASTEST_MS
    finally:
        await layer.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_send_to_a_group_takes_milliseconds_and_is_delivered(asgi: Server, way: str) -> None:
    await delivered(asgi, f"/{way}")


async def test_a_wsgi_view_sends_too(wsgi: Server) -> None:
    await delivered(wsgi, "/wsgi")
