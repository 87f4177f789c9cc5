"""A server of the Redis protocol that a test plays by hand: it answers what it was told to, and says the rest when the test likes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import hiredis

from channel_layer.redis.address import RedisAddress

INFO = b"run_id:0123456789abcdef\r\nredis_version:7.0.0\r\n"


def bulk(content: bytes) -> bytes:
    """`content` as Redis says it."""
    return b"$%d\r\n%b\r\n" % (len(content), content)


class Caller(asyncio.Protocol):
    """One connection to it: what came, and a way to answer."""

    def __init__(self, server: PlayedRedis) -> None:
        self._server = server
        self._reader = hiredis.Reader()
        self.commands: list[list[bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports inherit from nothing
        self._server.callers.append(self)
        if self._server.rebuff:
            self.say(self._server.rebuff)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self.commands.append(command)
            answer = self._server.answers.get(command[0])
            if answer is not None:
                self.say(answer)

    def say(self, answer: bytes) -> None:
        self._transport.write(answer)

    def hang_up(self) -> None:
        self._transport.abort()

    def names(self) -> list[bytes]:
        """The commands that came, by their names."""
        return [command[0] for command in self.commands]


class PlayedRedis:
    """`answers`: by a command's name, what is said at once; a command without one waits for the test.

    rebuff: what a caller is told instead, before it has asked anything, and then hung up on.
    """

    def __init__(self, path: Path) -> None:
        self.address = RedisAddress.parse(f"unix://{path}")
        self.answers = {b"INFO": bulk(INFO)}
        self.rebuff = b""
        self.callers: list[Caller] = []


@contextlib.asynccontextmanager
async def played_redis(folder: Path) -> AsyncIterator[PlayedRedis]:
    """One that listens in `folder`."""
    played = PlayedRedis(folder / "redis.sock")
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: Caller(played), played.address.path)
    try:
        yield played
    finally:
        server.close()
        for caller in played.callers:
            caller.hang_up()
