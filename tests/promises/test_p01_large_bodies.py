"""P1, P5, P9: a body of many MiB arrives byte for byte, whatever happens on its way, and little of it is anywhere at a time."""

from __future__ import annotations

from pathlib import Path

import httpx
from redis import Redis

from tests.promises.test_p09_redis_trouble import fleet_on
from tests.support.plain_http import PLAIN
from tests.support.redis_server import RedisServer
from tests.support.serving import wait_until

MEBIBYTE = 1024 * 1024
SIZE_MEBIBYTES = 48
PART_SIZE_BYTES = 65_536
#: What an inbox may hold: what was read and is not trimmed yet, the largest window with the event that takes it below zero, and Redis' own.
INBOX_SIZE_BYTES_MAX = 1_048_576 + 1_048_576 + 2 * PART_SIZE_BYTES + 131_072


def inbox_bytes(client: Redis) -> int:
    """The memory that the largest inbox has in Redis."""
    return max(int(client.memory_usage(key) or 0) for key in client.scan_iter(match="*inbox:interface*"))


def cut_all(client: Redis) -> None:
    own = client.client_id()
    for each in client.client_list():
        if int(each["id"]) != own:
            client.client_kill_filter(_id=each["id"])


def test_a_large_body_arrives_whole_through_pauses_and_lost_connections(own_redis: RedisServer, tmp_path: Path) -> None:
    """P1, P5, P9. Its reader stops now and then; every connection to Redis is lost three times on the way."""
    with own_redis.client() as client, fleet_on(own_redis, own_redis.url, tmp_path) as fleet:
        url = f"{fleet.interface.url}/big/{SIZE_MEBIBYTES}"
        body, sizes = bytearray(), []
        with httpx.stream("GET", url, timeout=30, **PLAIN) as response:
            marks = [number * SIZE_MEBIBYTES * MEBIBYTE // 8 for number in range(1, 8)]
            for part in response.iter_raw():
                body += part
                if marks and len(body) >= marks[0]:
                    marks.pop(0)
                    wait_until(lambda: stands_still(client, sizes), "what waits for a reader that pauses is all there")
                    if len(marks) % 2:
                        cut_all(client)
        assert len(body) == SIZE_MEBIBYTES * MEBIBYTE
        for number in range(SIZE_MEBIBYTES * 16):
            at = number * PART_SIZE_BYTES
            assert body[at : at + PART_SIZE_BYTES] == b"%08d" % number + b"x" * (PART_SIZE_BYTES - 8), number
        assert max(sizes) < INBOX_SIZE_BYTES_MAX


def stands_still(client: Redis, sizes: list[int]) -> bool:
    """True if the inbox is no larger than when this was asked before. sizes: gets its size."""
    sizes.append(inbox_bytes(client))
    return len(sizes) > 1 and sizes[-1] <= sizes[-2]
