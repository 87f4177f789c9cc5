"""A client that keeps its connection tells what may be asked again from what may not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.chaos.kept_connection import NOTHING, KeptConnection
from tests.chaos.outcomes import Ending
from tests.support.facts import until

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LAST_ANSWER = ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
HI = (Ending.WHOLE, 200, b"hi")


@contextlib.asynccontextmanager
async def answering(*scripts: list[bytes]) -> AsyncIterator[tuple[KeptConnection, list[int]]]:
    """Each connection has its script: what each request gets; then it ends, when it has been asked once more, or at once for `b""`."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(asked)
        asked.append(0)
        for answer in scripts[number]:
            if not answer:
                break
            await reader.readuntil(b"\r\n\r\n")
            asked[number] += 1
            writer.write(answer)
        else:
            if await reader.read(1):
                asked[number] += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = KeptConnection(server.sockets[0].getsockname()[1])
    try:
        yield connection, asked
    finally:
        connection.close()
        server.close()


async def test_a_connection_is_kept_until_the_server_says_close() -> None:
    """And the next request takes another one."""
    async with answering([ANSWER, LAST_ANSWER], [ANSWER]) as (connection, asked):
        assert [(await connection.ask(REQUEST, True), connection.reused) for _ in range(3)] == [
            (HI, False),
            (HI, True),
            (HI, False),
        ]
        assert asked == [2, 1]


async def test_a_connection_that_has_ended_between_two_requests_is_no_failure() -> None:
    """The server may."""
    async with answering([ANSWER, b""], [ANSWER]) as (connection, asked):
        assert await connection.ask(REQUEST, False) == HI
        streams = connection._streams
        assert streams is not None
        await until(streams[0].at_eof)
        assert await connection.ask(REQUEST, False) == HI
        assert (connection.reused, asked) == (False, [1, 1])


@pytest.mark.parametrize("idempotent", [True, False])
async def test_what_got_nothing_on_a_kept_connection_is_asked_again_if_it_may_be(idempotent: bool) -> None:
    """Nobody can say whether it was read."""
    async with answering([ANSWER], [ANSWER]) as (connection, asked):
        await connection.ask(REQUEST, True)
        assert await connection.ask(REQUEST, idempotent) == (HI if idempotent else NOTHING)
        assert (connection.reused, asked) == (not idempotent, [2, 1] if idempotent else [2])


async def test_what_got_nothing_on_a_new_connection_is_not_asked_again() -> None:
    """That is a failure, whoever asks."""
    async with answering([]) as (connection, asked):
        assert await connection.ask(REQUEST, True) == NOTHING
        assert (connection.reused, asked) == (False, [1])
