"""What somebody else has written under our prefix: it is dropped and counted, and neither shown as it came nor looked at twice."""

from __future__ import annotations

import pytest

from channel_layer.errors import InvalidName
from channel_layer.protocol import packets
from channel_layer.protocol.codec import join_batch, pack
from channel_layer.protocol.keys import HTTP_CHANNEL, Keys
from channel_layer.protocol.names import check_group
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, scope_of, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from towpath.overview.report import as_json, as_table
from towpath.status.redis_status import RedisStatus

DEEP = b"\x91" * 1000 + b"\xc0"  #: an array in an array in an array …
LIAR = "worker.0\n2026-01-01 ERROR towpath.node: all is lost"


def batch(version: bytes = b"\x01", sender: bytes = pack("worker.0"), packet: bytes = b"\x93\x06\x01\x01") -> bytes:
    return b"\x93" + version + sender + b"\x91" + packet


NONSENSE = {
    "a version that is nested deeply": batch(version=DEEP),
    "a sender that is nested deeply": batch(sender=DEEP),
    "a kind that is nested deeply": batch(packet=b"\x93" + DEEP + b"\x01\x01"),
    "a sender that would be another line of a log": batch(sender=pack(LIAR)),
}


async def test_nonsense_is_dropped_once_and_shows_nothing_of_itself(
    redis_settings: RedisSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P12. It was formatted, which raised, so that every worker claimed it again for ever."""
    keys, host = Keys(redis_settings.prefix), RecordedHost()
    stream = keys.channel(HTTP_CHANNEL)
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        with redis_server.client() as redis:
            for content in NONSENSE.values():
                for key in (stream, keys.inbox(server.node.name), keys.inbox(dispatcher.node.name)):
                    redis.xadd(key, {"b": content})
            await until(lambda: dispatcher.node.counters["packets.malformed_batch"] == 2 * len(NONSENSE))
            await until(lambda: server.node.counters["packets.malformed_batch"] == len(NONSENSE))
            await until(lambda: redis.xlen(stream) == 0)
            assert redis.xpending(stream, "workers")["pending"] == 0
        client = knock(server)
        respond(await adopted(host))
        await until(lambda: client.body == b"hello")
    dropped = [message for message in caplog.messages if message.startswith("dropped an entry")]
    assert len(dropped) == 3 * len(NONSENSE)
    assert not any("\n" in message or len(message) > 200 for message in dropped)
    assert all(record.exc_info is None for record in caplog.records)


async def test_entries_of_strangers_make_no_debt_of_the_bytes_that_wait(
    redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    """P4. Who adds an entry without counting it must not let others wait beyond the capacity when it is taken or discarded."""
    keys, host = Keys(redis_settings.prefix), RecordedHost()
    stream, size = keys.channel(HTTP_CHANNEL), keys.channel_size(HTTP_CHANNEL)
    async with interface(redis_settings) as server:
        head = b"\x93\x01" + pack(server.node.name)
        opening = packets.open_(7, 1, [pack(scope_of())], b"", False, 1 << 18, 30_000, False, "")
        with redis_server.client() as redis:
            redis.xadd(stream, {"b": join_batch(head, [pack(opening)])})
            redis.xadd(stream, {"b": b"no batch"})
            client = knock(server)
            async with worker(redis_settings, host):
                respond(await adopted(host))
                await until(lambda: client.body == b"hello" and redis.xlen(stream) == 0)
                assert int(redis.get(size) or 0) == 0


async def test_status_shows_a_lease_of_a_stranger_on_one_line(
    redis_settings: RedisSettings, redis_server: RedisServer
) -> None:
    """P12. Whatever it says: it steers no terminal, and is no reason to show nothing of the others."""
    keys = Keys(redis_settings.prefix)
    said = b"\x83" + pack("role") + pack("\x1b[2Jworker") + pack("deep") + DEEP + pack("node") + pack("other")
    with redis_server.client() as redis:
        for name, lease in (("worker.a", said), ("worker.b", pack({"role": "worker"}))):
            redis.zadd(keys.nodes, {name: 1})
            redis.set(keys.lease(name), lease)
    redis_status = RedisStatus(redis_settings.url, redis_settings.prefix)
    status = redis_status.read()
    redis_status.close()
    table = as_table(status)
    assert "\x1b" not in table and "worker.a" in table and "worker.b" in table
    assert "\x1b" not in as_json(status)


def test_a_name_that_is_none_is_told_without_being_formatted() -> None:
    """P12. A `join` names its group; nested deeply enough that raised what nobody caught."""
    nested: object = None
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(InvalidName, match="group name of type list is not"):
        check_group(nested)
    with pytest.raises(InvalidName, match=r"group name 'a\\nb' is not"):
        check_group("a\nb")
