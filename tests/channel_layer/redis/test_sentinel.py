"""Who is the primary, when Sentinels tell different things, or nothing; and what a link does when it is another one. P9."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import hiredis
import pytest

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.primary_finder import Primary, PrimaryFinder
from channel_layer.redis.connection import CONNECT_TIMEOUT_S, connect
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.sentinel import SentinelWatch, find_primary
from tests.support.facts import until
from tests.support.scripted_redis import INFO, Caller, PlayedRedis, bulk, played_redis

OLD, NEW = Primary("127.0.0.1", 1, 1), Primary("127.0.0.1", 2, 2)


class PlayedSentinel:
    """Names `primary`; if that is None it takes questions and says nothing. With a password it wants to hear that first."""

    def __init__(self, primary: Primary | None) -> None:
        self.primary = primary
        self.password = b""
        self.unnamed = {b"mules"}
        self.port = 0
        self.callers = 0
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    writer.write(self._answer(command))
        writer.close()

    def _answer(self, command: list[bytes]) -> bytes:
        self.heard += command
        if self.primary is None:
            return b""
        if self.password and self.password not in self.heard:
            return b"-WRONGPASS no\r\n" if command[0] == b"AUTH" else b"-NOAUTH Authentication required.\r\n"
        if command[0] in (b"PING", b"AUTH"):
            return b"+OK\r\n"
        if command[0] != b"SENTINEL":
            return b"-ERR unknown command\r\n"
        if command[1].startswith(b"GET") and command[2] in self.unnamed:
            return b"*-1\r\n"
        if command[2] != b"horses":
            return b"-ERR No such master with that name\r\n"
        host, port = self.primary.host.encode(), b"%d" % self.primary.port
        if command[1].startswith(b"GET"):
            return b"*2\r\n" + bulk(host) + bulk(port)
        return b"*4\r\n" + b"".join(map(bulk, (b"flags", b"master", b"config-epoch", b"%d" % self.primary.epoch)))


@contextlib.asynccontextmanager
async def played(*primaries: Primary | None) -> AsyncIterator[list[PlayedSentinel]]:
    sentinels = [PlayedSentinel(primary) for primary in primaries]
    servers = []
    for sentinel in sentinels:
        servers.append(await asyncio.start_server(sentinel.serve, "127.0.0.1", 0))
        sentinel.port = servers[-1].sockets[0].getsockname()[1]
    try:
        yield sentinels
    finally:
        for server in servers:
            server.close()


def addressed(*ports: int, service: str = "horses", user: str = "") -> RedisAddress:
    return RedisAddress.parse(f"redis+sentinel://{user}{','.join(f'127.0.0.1:{port}' for port in ports)}/{service}")


@pytest.mark.parametrize(
    "told", [[OLD, NEW, NEW], [NEW, OLD, NEW], [NEW], [None, NEW], [None, NEW, NEW]], ids=lambda told: len(told)
)
async def test_the_latest_decision_counts_whoever_is_cut_off(told: list[Primary | None]) -> None:
    """P9. One that was cut off tells of a primary that is none any more, or nothing."""
    async with played(*told) as sentinels:
        assert await find_primary(addressed(*(sentinel.port for sentinel in sentinels))) == NEW


async def test_sentinels_that_are_not_there_hold_nobody_up() -> None:
    """P9. There are always some that are not."""
    async with played(NEW) as sentinels:
        assert await asyncio.wait_for(find_primary(addressed(1, sentinels[0].port)), 0.9) == NEW


async def test_threads_go_by_the_latest_decision_too() -> None:
    """P6, P9. A lease that is renewed at the last primary while all others look at the next one would be a death."""
    async with played(OLD, NEW, OLD) as sentinels:
        ports = [1, *(sentinel.port for sentinel in sentinels)]
        asked = PrimaryFinder(addressed(*ports))
        assert await asyncio.to_thread(asked.find) == (NEW.host, NEW.port)
        asked = PrimaryFinder(addressed(*ports, service="mules"))
        with pytest.raises(NothingSent, match=r"refused.*No such master"):
            await asyncio.to_thread(asked.find)


async def test_who_asks_for_a_service_that_no_sentinel_knows_is_told_so() -> None:
    """P12. One sentence, with the reason of each."""
    async with played(OLD) as sentinels:
        with pytest.raises(LayerUnavailable, match=r"no Sentinel knows mules: .*failed.*No such master"):
            await find_primary(addressed(1, sentinels[0].port, service="mules"))


async def test_a_sentinel_that_names_nobody_knows_nothing() -> None:
    """P12. What it says otherwise does not count, and the others are heard."""
    async with played(OLD, NEW, NEW) as sentinels:
        sentinels[1].unnamed = {b"horses"}
        assert await find_primary(addressed(*(sentinel.port for sentinel in sentinels))) == NEW
        with pytest.raises(LayerUnavailable, match="names no primary of horses"):
            await find_primary(addressed(sentinels[1].port))


async def test_a_password_is_said_to_a_sentinel_that_asks_for_one_and_to_no_other() -> None:
    """P9, P12. Whoever has none that is right is told why in one sentence, which does not tell it."""
    async with played(NEW, NEW) as (open_, closed):
        closed.password = b"right"
        at_both = [addressed(each.port, user=":right@") for each in (open_, closed)]
        assert [await find_primary(address) for address in at_both] == [NEW, NEW]
        assert b"right" in closed.heard and b"right" not in open_.heard
        closed.password = b"other"
        with pytest.raises(LayerUnavailable, match=r"WRONGPASS no$"):
            await find_primary(at_both[1])
        with pytest.raises(LayerUnavailable, match=r"NOAUTH Authentication required\.$"):
            await find_primary(addressed(closed.port))


async def test_the_watch_asks_on_one_connection_and_never_goes_back_to_an_older_decision() -> None:
    """P9. Whichever Sentinel is asked last."""
    told: list[Primary] = []
    async with played(OLD, OLD) as sentinels:
        watch = SentinelWatch(addressed(*(sentinel.port for sentinel in sentinels)), told.append)
        watch.start()
        await until(lambda: len(told) >= 2)
        sentinels[1].primary = NEW
        await until(lambda: NEW in told)
        since = told.index(NEW)
        await until(lambda: len(told) >= since + 4)
        assert set(told[since:]) == {NEW}
        assert [sentinel.callers for sentinel in sentinels] == [1, 1]
        await watch.close()


async def test_one_server_under_two_names_is_not_left() -> None:
    """An epoch that grows without another address is no reason, nor is another address without one."""
    assert NEW.supersedes(OLD)
    assert not OLD.supersedes(NEW)
    assert not Primary(OLD.host, OLD.port, 2).supersedes(OLD)
    assert not Primary("localhost", OLD.port, 1).supersedes(OLD)


async def test_who_waits_for_a_frozen_primary_goes_to_the_next_one_at_once(tmp_path: Path) -> None:
    """P9. A server that is stopped takes connections, and says nothing on them."""
    server = PlayedRedis(tmp_path / "unused")
    mute = PlayedRedis(tmp_path / "unused")
    mute.answers = {}
    ports = []
    for one in (server, mute):
        listening = await asyncio.get_running_loop().create_server(lambda one=one: Caller(one), "127.0.0.1", 0)
        ports.append(listening.sockets[0].getsockname()[1])
    first, frozen = Primary("127.0.0.1", ports[0], 1), Primary("127.0.0.1", ports[1], 2)
    again = Primary("127.0.0.1", ports[0], 3)
    async with played(first) as (sentinel,):
        link = ManagedConnection(addressed(sentinel.port), "x", lambda _: None)
        await link.start()
        sentinel.primary = frozen
        link.follow(frozen)
        await until(lambda: mute.callers)
        sentinel.primary = again
        link.follow(again)
        link.follow(again)
        await until(lambda: link.connection is not None, "stands again", CONNECT_TIMEOUT_S / 2)
        assert link.connection is not None and link.connection.primary == again
        await link.close()


async def test_a_replica_is_no_redis_to_speak_to(tmp_path: Path) -> None:
    """P9. It would take reads and refuse all else; as long as it is one, Redis is away."""
    async with played_redis(tmp_path) as redis:
        redis.answers[b"INFO"] = bulk(INFO + b"role:slave\r\n")
        with pytest.raises(LayerUnavailable, match="is a replica"):
            await connect(redis.address)


@pytest.mark.parametrize(
    "said",
    [
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write.\r\n",
    ],
    ids=["of a command", "of a script, before Redis 7"],
)
async def test_who_hears_that_redis_is_a_replica_now_looks_for_the_primary_anew(tmp_path: Path, said: bytes) -> None:
    """P9. Nothing ends a connection to a primary that was demoted by hand; its caller hears first that nothing was written."""
    heard: list[object] = []
    async with played_redis(tmp_path) as redis:
        redis.answers |= {b"SET": said, b"GET": b"-WRONGTYPE\r\n"}
        link = ManagedConnection(redis.address, "x", lambda _: None)
        await link.start()
        assert link.connection is not None
        link.connection.call(heard.append, "GET", "a")
        await until(lambda: heard)
        assert len(redis.callers) == 1
        link.connection.call(heard.append, "SET", "a", "b")
        await until(lambda: len(redis.callers) == 2)
        assert isinstance(heard[1], hiredis.ReplyError)
        await link.close()
