"""What the outbox keeps and what it gives up when Redis refuses a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from channel_layer.messaging.outbox import Outbox
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack, unpack_batch
from channel_layer.protocol.packets import Cancel
from channel_layer.protocol.scope import Scope
from channel_layer.redis.connection import connect
from tests.support.facts import until
from tests.support.node_parts import context
from tests.support.scripted_redis import Caller, PlayedRedis, bulk, played_redis

FULL = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
DONE = bulk(b"1-1")


def open_of(number: int) -> bytes:
    """A packed `open`."""
    pieces = Scope({"type": "http"}).pieces
    return pack(packets.open_(number, 1, pieces, b"", False, 1, 1, False, "era", None, True))


def cancel_of(number: int) -> bytes:
    """A packed `cancel`."""
    return pack(packets.cancel(number, 1, Cancel.LEFT))


@dataclass
class Played:
    """An outbox on a Redis that the test plays; `unsent` is what it told of."""

    redis: PlayedRedis
    unsent: list[tuple[str, list[tuple[int, int]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outbox = Outbox(
            context(self.redis.address.url, "interface.me"), lambda _: None, lambda *told: self.unsent.append(told)
        )

    async def connect(self) -> Caller:
        self.outbox.connected(await connect(self.redis.address))
        return self.redis.callers[-1]


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Played]:
    async with played_redis(tmp_path) as redis:
        yield Played(redis)


def batches(caller: Caller) -> list[list[tuple[int, int]]]:
    """Of each batch that came: kinds and numbers of its packets."""
    contents = [command[-1] for command in caller.commands if command[0] == b"XADD"]
    return [[(packet[0], packet[1]) for packet in unpack_batch(content)[1]] for content in contents]


async def test_an_open_that_redis_refuses_is_withdrawn_with_what_stands_behind_it(played: Played) -> None:
    """P3. It was never sent without an answer. What belongs to other connections is sent again, in order (P1)."""
    caller = await played.connect()
    played.outbox.post("worker.a", cancel_of(1))
    played.outbox.post("worker.a", open_of(2))
    await until(lambda: len(batches(caller)) == 1)
    for packed in (cancel_of(2), open_of(3), cancel_of(4)):
        played.outbox.post("worker.a", packed)
    played.outbox.post_long("worker.a", packets.data(5, 1, 1, [{"type": "x", "body": bytes(20_000)}]))
    played.outbox.post("worker.a", cancel_of(3))
    caller.say(FULL)
    await until(lambda: len(batches(caller)) == 2, "what is left is sent again")
    assert played.unsent == [("worker.a", [(2, 1), (3, 1)])]
    assert batches(caller)[1] == [(packets.CANCEL, 1), (packets.CANCEL, 4), (packets.DATA, 5)]
    caller.say(DONE)
    await until(lambda: played.outbox.empty)


async def test_an_open_with_an_unknown_outcome_is_kept_when_it_is_refused_later(played: Played) -> None:
    """P3. Redis may have it, and a worker may have begun. What was posted since and never sent is withdrawn."""
    caller = await played.connect()
    played.outbox.post("worker.a", open_of(1))
    await until(lambda: len(batches(caller)) == 1)
    played.outbox.post("worker.a", open_of(2))
    caller.hang_up()
    caller = await played.connect()
    await until(lambda: batches(caller) == [[(packets.OPEN, 1), (packets.OPEN, 2)]])
    caller.say(FULL)
    await until(lambda: len(batches(caller)) == 2)
    assert played.unsent == [("worker.a", [(2, 1)])]
    assert batches(caller)[1] == [(packets.OPEN, 1)]
    played.outbox.post("worker.a", open_of(3))
    caller.say(DONE)
    await until(lambda: len(batches(caller)) == 3, "what follows is certain again")
    caller.say(FULL)
    await until(lambda: played.outbox.empty)
    assert played.unsent[1:] == [("worker.a", [(3, 1)])]


@pytest.mark.parametrize("answer", [b"$-1\r\n", b"-ERR something else\r\n"], ids=["no inbox", "another error"])
async def test_after_any_other_answer_all_is_sent_again(played: Played, answer: bytes) -> None:
    """P1. A worker makes an inbox that is missing again, or is found to be dead."""
    caller = await played.connect()
    played.outbox.post("worker.a", open_of(1))
    await until(lambda: len(batches(caller)) == 1)
    caller.say(answer)
    await until(lambda: len(batches(caller)) == 2)
    assert not played.unsent and batches(caller)[1] == [(packets.OPEN, 1)]


async def test_after_a_second_the_next_batch_finds_out_whether_redis_takes_packets_again(played: Played) -> None:
    """P9. What was refused is withdrawn, so nothing else may be there that would find it out."""
    caller = await played.connect()
    played.outbox.post("worker.a", open_of(1))
    await until(lambda: len(batches(caller)) == 1)
    assert not played.outbox.refused_lately
    caller.say(FULL)
    await until(lambda: played.outbox.empty)
    assert played.outbox.refused_lately
    await until(lambda: not played.outbox.refused_lately)
    played.outbox.post("worker.a", open_of(2))
    await until(lambda: len(batches(caller)) == 2)
    caller.say(DONE)
    await until(lambda: played.outbox.empty and not played.outbox.rejections.count)
