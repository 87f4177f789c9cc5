"""Which answer belongs to which command: whatever goes wrong in between, nobody gets what was meant for another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hiredis
import pytest

from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.outbox import Outbox
from channel_layer.messaging.pubsub import PubSub
from channel_layer.protocol.codec import pack, unpack_batch
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import Answer, NotSent, RedisConnection, connect
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.sentinel import Sentinel
from tests.support.facts import until, wait_until
from tests.support.node_parts import Commands, RecordedObserver, context
from tests.support.redis_server import RedisServer
from tests.support.scripted_redis import Caller, played_redis

TOO_MANY = "ERR max number of clients reached"
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def connection(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    connection = await connect(RedisAddress.parse(redis_server.url))
    yield connection
    connection.close()


@contextlib.contextmanager
def memory_left(size_bytes: int) -> Iterator[None]:
    """This process gets no more memory than that."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("argument", [{}, None, "\udcff"])
async def test_a_command_that_cannot_be_packed_leaves_every_answer_to_its_own_caller(
    connection: RedisConnection, argument: object
) -> None:
    """P2. It raises, is not waited for, and nobody behind it is answered with what was meant for somebody else."""
    strayed: list[Answer] = []
    with pytest.raises((TypeError, ValueError)):
        connection.call(strayed.append, "ECHO", argument)
    assert [await connection.execute("ECHO", word) for word in ("a", "b")] == [b"a", b"b"]
    assert strayed == []


async def test_a_command_for_which_there_is_no_memory_is_answered_like_one_that_redis_refuses(
    connection: RedisConnection,
) -> None:
    """P12. Callers know what to do about a refusal: nothing was done, and it may be tried again."""
    answers: list[Answer] = []
    large = bytes(64 * MEBIBYTE)
    with memory_left(16 * MEBIBYTE):
        connection.call(answers.append, "ECHO", large)
    assert [type(answer) for answer in answers] == [NotSent]
    assert isinstance(answers[0], hiredis.ReplyError)
    assert await connection.execute("ECHO", "a") == b"a"


async def test_an_argument_in_pieces_arrives_as_one_and_in_its_turn(connection: RedisConnection) -> None:
    """P1. Pieces of any size, between other commands; an argument of no bytes too."""
    long = bytes(range(256)) * 2_000
    lasts = [[], [b""], [b"a", long, b"", long[:70_000], b"z"], [long] * 5]
    answers: list[Answer] = []
    for last in lasts:
        connection.call_in_pieces(answers.append, ("ECHO",), last)
        connection.call(answers.append, "ECHO", "next")
    await until(lambda: len(answers) == 2 * len(lasts))
    assert answers[::2] == [b"".join(last) for last in lasts]
    assert answers[1::2] == [b"next"] * len(lasts)


async def test_an_argument_in_pieces_for_a_lost_connection_is_answered(connection: RedisConnection) -> None:
    """P9. As every other command."""
    connection.close()
    await until(lambda: not connection.alive)
    answers: list[Answer] = []
    connection.call_in_pieces(answers.append, ("ECHO",), [b"a"])
    assert [type(answer) for answer in answers] == [LayerUnavailable]


@pytest.mark.parametrize("rebuff", [TOO_MANY, "DENIED Redis is running in protected mode because", "NOAUTH"])
async def test_what_redis_says_before_it_is_asked_is_told_as_it_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rebuff: str
) -> None:
    """P9. A server that is full hangs up with a reason: whoever starts is told that, and the log is, without a traceback."""
    mistakes: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: mistakes.append(context))
    async with played_redis(tmp_path) as redis:
        link = ManagedConnection(redis.address, "commands", lambda _connection: None)
        await link.start()
        redis.rebuff = f"-{rebuff}\r\n".encode()
        with pytest.raises(LayerUnavailable, match=rebuff):
            await connect(redis.address)
        redis.callers[0].hang_up()
        await until(lambda: rebuff in link._connection_log._why)
        redis.rebuff = b""
        await until(lambda: link.connection is not None)
        await link.close()
    assert mistakes == [] and all(record.exc_info is None for record in caplog.records)


@pytest.mark.parametrize("subscribes", [False, True])
async def test_a_full_redis_is_told_by_its_error_also_if_it_hung_up_before_the_first_command(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, subscribes: bool
) -> None:
    """P9. The write fails then, and the error is still to be read. A connection that subscribes does not take it for a publish."""
    pushed: list[Answer] = []
    address = RedisAddress.parse(own_redis.url)
    with own_redis.client() as client:
        client.config_set("maxclients", 1)
        for number in range(1, 21):
            connection = RedisConnection(on_push=pushed.append if subscribes else None)
            await asyncio.get_running_loop().create_unix_connection(
                lambda connection=connection: connection, address.path
            )
            # Without a turn of the loop, in which the connection would learn of it.
            wait_until(lambda number=number: client.info("stats")["rejected_connections"] >= number, "it has hung up")
            with pytest.raises((LayerUnavailable, hiredis.ReplyError), match="max number of clients reached"):
                await connection.greet(address)
    assert pushed == []


async def test_an_answer_too_many_ends_the_connection_before_anybody_gets_it(tmp_path: Path) -> None:
    """P2. If one slips in, it must not become the answer to the next command, and so on with all that follow."""
    async with played_redis(tmp_path) as redis:
        losses: list[str] = []
        connection = await connect(redis.address, lambda lost: losses.append(lost.loss_reason))
        redis.callers[0].say(b"+ONE\r\n+TWO\r\n")
        await until(lambda: losses)
        assert losses == ["an answer too many: b'ONE'"]
        with pytest.raises(LayerUnavailable):
            await connection.execute("ECHO", "a")


async def test_a_peer_that_does_not_speak_the_protocol_is_told_in_one_sentence(tmp_path: Path) -> None:
    """P12. A wrong port, most likely. No traceback, and no callback that waits for ever."""
    async with played_redis(tmp_path) as redis:
        redis.answers[b"INFO"] = b"HTTP/1.1 400 Bad Request\r\n"
        with pytest.raises(LayerUnavailable, match="cannot be read: Protocol error"):
            await connect(redis.address)


async def test_a_sentinel_that_hangs_up_is_told_by_what_it_said_before(tmp_path: Path) -> None:
    """P9. It closes the connection behind its error, and the second of two questions has no answer."""
    async with played_redis(tmp_path) as redis:
        redis.rebuff = f"-{TOO_MANY}\r\n".encode()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Caller(redis), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        sentinel = Sentinel(host, port, RedisAddress.parse(f"redis+sentinel://{host}:{port}/main"))
        with pytest.raises(hiredis.ReplyError, match=TOO_MANY):
            await sentinel.ask()
        server.close()


async def test_a_destination_that_cannot_be_reached_leaves_the_others_of_a_flush_served(
    redis_server: RedisServer, connection: RedisConnection, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P1. Each has packets of its own; a fault of one is logged, and its packets are dropped."""
    node_context = context(redis_server.url, "worker.me", prefix)
    keys = node_context.keys
    nodes = ("worker.a", "worker.\udcff", "worker.b")
    outbox = Outbox(node_context, lambda _: None, lambda *_: None)
    outbox.connected(connection)
    for node in (nodes[0], nodes[2]):
        await connection.execute("XADD", keys.inbox(node), "*", "b", "")
    for node in nodes:
        outbox.post(node, pack([5, 1, 1, 1, 1]))
    await until(lambda: outbox.empty)
    assert [await connection.execute("XLEN", keys.inbox(node)) for node in (nodes[0], nodes[2])] == [2, 2]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await connection.execute("DEL", keys.inbox(nodes[0]), keys.inbox(nodes[2]))


@pytest.fixture
async def outbox_to_a(
    redis_server: RedisServer, connection: RedisConnection, prefix: str
) -> AsyncIterator[tuple[Outbox, str]]:
    """An outbox with a connection, and the inbox of `worker.a`, in which one entry stands already."""
    node_context = context(redis_server.url, "worker.me", prefix)
    inbox = node_context.keys.inbox("worker.a")
    outbox = Outbox(node_context, lambda _: None, lambda *_: None)
    outbox.connected(connection)
    await connection.execute("XADD", inbox, "*", "b", "")
    yield outbox, inbox
    await connection.execute("DEL", inbox)


async def test_what_is_gathered_during_a_turn_leaves_at_its_end_in_one_batch(
    outbox_to_a: tuple[Outbox, str], connection: RedisConnection
) -> None:
    """P1. Each call of `before_flush` is answered once; what is gathered while others post leaves with them."""
    outbox, inbox = outbox_to_a
    called: list[int] = []

    def post_gathered() -> None:
        called.append(len(called))
        outbox.post("worker.a", pack([5, 1, 1, 1, 1]))
        if len(called) == 1:
            outbox.before_flush(post_gathered)

    outbox.before_flush(post_gathered)
    assert not called
    await until(lambda: called and outbox.empty)
    (_, batch) = await connection.execute("XRANGE", inbox, "-", "+")
    _, packets = unpack_batch(batch[1][1])
    assert (called, len(packets)) == ([0, 1], 2)


async def test_a_flush_sends_in_this_turn_what_was_gathered_and_the_next_turn_sends_nothing_again(
    outbox_to_a: tuple[Outbox, str], connection: RedisConnection
) -> None:
    """P1. What is posted behind it, while its batch is under way, comes in a batch of its own."""
    outbox, inbox = outbox_to_a
    outbox.before_flush(lambda: outbox.post("worker.a", pack([5, 1, 1, 1, 1])))
    outbox.flush()
    assert not outbox.waiting_bytes("worker.a") and not outbox.empty
    outbox.post("worker.a", pack([5, 2, 1, 1, 1]))
    await until(lambda: outbox.empty)
    _, *batches = await connection.execute("XRANGE", inbox, "-", "+")
    assert [[packet[1] for packet in unpack_batch(fields[1])[1]] for _, fields in batches] == [[1], [2]]


async def test_several_destinations_get_their_batches_in_alternate_turns(
    outbox_to_a: tuple[Outbox, str], connection: RedisConnection
) -> None:
    """P1. The second one's leaves a turn later, with all that is posted until then."""
    outbox, inbox = outbox_to_a
    other = inbox.replace("worker.a", "worker.b")
    await connection.execute("XADD", other, "*", "b", "")
    for number in (1, 2):
        for node in ("worker.a", "worker.b"):
            outbox.post(node, pack([5, number, 1, 1, 1]))
        await asyncio.sleep(0)
    await until(lambda: outbox.empty)
    batches = {key: await connection.execute("XRANGE", key, "-", "+") for key in (inbox, other)}
    await connection.execute("DEL", other)
    assert [
        [[packet[1] for packet in unpack_batch(fields[1])[1]] for _, fields in batches[key][1:]]
        for key in (inbox, other)
    ] == [[[1], [2]], [[1, 2]]]


async def test_an_interruption_of_a_subscription_is_counted_and_logged_with_its_length(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P10. What is published while nobody is subscribed is lost without a word of Redis; where nobody is a member, nobody cares."""
    groups = PubSub(context(own_redis.url), RecordedObserver(), Commands())
    await groups.start()
    with own_redis.client() as redis:

        async def subscriptions_are_killed() -> None:
            before = groups.managed.connection
            assert redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
            await until(lambda: groups.managed.connection not in (None, before))

        await subscriptions_are_killed()
        await groups.subscribe("a")
        assert (groups.interruptions, told(caplog)) == (0, [])
        await groups.subscribe("b")
        for count in (1, 2):
            await subscriptions_are_killed()
            await until(lambda count=count: groups.interruptions == count)
        for group in "ab":
            groups.unsubscribe(group)
        await subscriptions_are_killed()
        await groups.subscribe("c")
        assert groups.interruptions == 2
    await groups.close()
    assert [re.sub(r"\d+\.\d+", "…", line) for line in told(caplog)] == 2 * [
        "what was sent to 2 group(s) within … s may be lost: their subscriptions were away, and stand again"
    ]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "may be lost" in message]


async def test_a_subscription_that_redis_refuses_is_asked_for_again_with_all_others(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """P10. Confirmations are counted, so a refusal in between would make the next one another's; and people are told why."""
    observer = RecordedObserver()
    groups = PubSub(context(own_redis.url), observer, Commands())
    allowed = ("resetchannels", "&p:news:0", "&p:probe:*", "&p:group:0:a")
    with own_redis.client() as redis:
        redis.execute_command("ACL", "SETUSER", "default", *allowed)
        await groups.start()
        await groups.subscribe("a")
        refused = groups.subscribe("b")
        await until(lambda: any("Redis refused to subscribe: NOPERM" in message for message in caplog.messages))
        assert not refused.done()
        redis.execute_command("ACL", "SETUSER", "default", "&p:group:0:b")
        await refused
        await groups.subscribe("a")
        for group in "ab":
            redis.publish(f"p:group:0:{group}", pack({"type": "note"}))
        await until(lambda: len(observer.messages) == 2)
    await groups.close()
