"""The calls of the blocking layer, against a real server: names, errors, capacity, expiry, and one command per call."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

import channel_layer
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.encryption.encryption import Encryption
from channel_layer.encryption.keyring import Keyring
from channel_layer.errors import ChannelFull, ChannelGone, InvalidMessage, InvalidName, MessageTooLarge, NothingSent
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack, split_publish, unpack, unpack_batch
from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import MAKE_INBOX
from tests.support.facts import wait_until
from tests.support.redis_server import RedisServer

HELLO = {"type": "websocket.send", "text": "hello"}
#: Any two.
KEYS = tuple(base64.b64encode(bytes(range(number, number + 32))).decode() for number in (1, 2))
NODE = "interface.0123456789ab"
#: Between two of these a connection can be made and used, on a busy machine too.
KILL_INTERVAL_S = 0.005


@pytest.fixture
def layer(redis_server: RedisServer, prefix: str) -> Iterator[BlockingChannelLayer]:
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix) as layer:
        yield layer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis(unix_socket_path=str(redis_server.socket)) as redis:
        yield redis


@pytest.fixture
def keys(prefix: str) -> Keys:
    return Keys(prefix)


def make_inbox(redis: Redis, keys: Keys, node: str = NODE) -> None:
    """Let a process live that has no code: its inbox and its lease."""
    redis.eval(MAKE_INBOX.text, 1, keys.inbox(node), 60_000)
    redis.set(keys.lease(node), b"", px=60_000)


def packets_in_inbox(redis: Redis, keys: Keys) -> list[list[Any]]:
    entries: Any = redis.xrange(keys.inbox(NODE))
    return [packet for _, fields in entries for packet in unpack_batch(fields[b"b"])[1]]


def calls_of(redis: Redis) -> dict[str, int]:
    """How often each command was called by clients and scripts."""
    return {name: int(facts["calls"]) for name, facts in redis.info("commandstats").items()}


# -- send


def test_a_message_to_a_client_is_one_packet_in_the_inbox_of_its_interface_server(
    layer: BlockingChannelLayer, redis: Redis, keys: Keys
) -> None:
    """With what a socket carries out of it, and no more."""
    make_inbox(redis, keys)
    layer.send(f"{NODE}!17", {**HELLO, "other": 1})
    layer.send(f"{NODE}!17", {"type": "websocket.close"})
    assert packets_in_inbox(redis, keys) == [
        [packets.SEND, 17, 0, HELLO, 0],
        [packets.SEND, 17, 0, {"type": "websocket.close", "code": 1000, "reason": ""}, 0],
    ]


def test_a_message_to_an_application_channel_may_be_of_any_type(
    layer: BlockingChannelLayer, redis: Redis, keys: Keys
) -> None:
    """It has its expiry with it: the queue is in the memory of its owner."""
    make_inbox(redis, keys)
    layer.send(f"{NODE}!specific.00aa", {"type": "chat.message", "n": 1})
    assert packets_in_inbox(redis, keys) == [
        [packets.MESSAGE, "specific.00aa", 0, {"type": "chat.message", "n": 1}, 60_000]
    ]


@pytest.mark.parametrize("channel", [f"{NODE}!17", f"{NODE}!specific.00aa"])
def test_a_send_to_an_ended_process_is_told_so(layer: BlockingChannelLayer, channel: str) -> None:
    """No retry can help: the name of a process is never used again."""
    with pytest.raises(ChannelGone, match=re.escape(channel)) as failure:
        layer.send(channel, HELLO)
    assert failure.value.known and not failure.value.retry


def test_a_process_that_lives_and_has_no_inbox_at_the_moment_is_not_gone(
    layer: BlockingChannelLayer, redis: Redis, keys: Keys
) -> None:
    """Redis has lost its data, and the owner makes it again."""
    redis.set(keys.lease(NODE), b"", px=5_000)
    with pytest.raises(NothingSent) as failure:
        layer.send(f"{NODE}!17", HELLO)
    assert failure.value.known and failure.value.retry


@pytest.mark.parametrize(
    ("channel", "message", "error", "text"),
    [
        ("no blanks", HELLO, InvalidName, "no blanks"),
        ("http.request", HELLO, InvalidName, "channel of connections"),
        ("websocket.connect", HELLO, InvalidName, "channel of connections"),
        ("a" * 100, HELLO, InvalidName, "1 to 99"),
        (f"{NODE}!17", {"type": "chat.message"}, InvalidMessage, "chat.message"),
        (f"{NODE}!17", {"type": "websocket.send", "text": b"bytes"}, InvalidMessage, "text"),
        ("thumbnails", {"no": "type"}, InvalidMessage, "type"),
        ("thumbnails", {"type": "make", "at": {1}}, InvalidMessage, re.escape("message['at']")),
        ("thumbnails", {"type": "make", "text": "\ud800"}, InvalidMessage, re.escape("message['text']")),
        ("thumbnails", {"type": "make", "bytes": bytes(2**24)}, MessageTooLarge, "bytes"),
        (f"{NODE}!17", {"type": "websocket.send", "bytes": bytes(2**24)}, MessageTooLarge, "bytes"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_redis_is_asked(
    layer: BlockingChannelLayer, redis: Redis, channel: str, message: Any, error: type[Exception], text: str
) -> None:
    """A caller's bug is told where it was made, also without a Redis."""
    with pytest.raises(error, match=text):
        layer.send(channel, message)


# -- shared channels


def test_a_shared_channel_gives_each_message_once_and_in_order(layer: BlockingChannelLayer) -> None:
    """P1, P3."""
    for number in range(3):
        layer.send("thumbnails", {"type": "make", "n": number})
    assert [layer.receive("thumbnails", timeout=5)["n"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TimeoutError):
        layer.receive("thumbnails", timeout=0)


def test_a_full_channel_refuses_the_newest_and_keeps_the_oldest(redis_server: RedisServer, prefix: str) -> None:
    """P4. Capacity by patterns: the first that matches counts."""
    layer = channel_layer.connect_blocking(
        redis_server.url, prefix=prefix, capacity=5, channel_capacity={"thumb*": 2, re.compile("t"): 4}
    )
    for channel, capacity in (("thumbnails", 2), ("texts", 4), ("mails", 5)):
        for number in range(capacity):
            layer.send(channel, {"type": "make", "n": number})
        with pytest.raises(ChannelFull, match=str(capacity)) as failure:
            layer.send(channel, {"type": "make"})
        assert failure.value.retry and failure.value.known
        assert [layer.receive(channel, 5)["n"] for _ in range(capacity)] == list(range(capacity))


def test_a_message_that_waits_for_too_long_is_dropped_and_counted(redis_server: RedisServer, prefix: str) -> None:
    """P4. By the clock of Redis, at its receiver."""
    layer = channel_layer.connect_blocking(redis_server.url, prefix=prefix, expiry=0.001)
    layer.send("thumbnails", {"type": "make"})
    wait_until(lambda: layer.statistics("thumbnails")["messages_max_age"] > 0.01, "the message has expired")
    with pytest.raises(TimeoutError):
        layer.receive("thumbnails", timeout=0.01)
    assert layer.counters == {"dropped.expired": 1}
    assert layer.statistics("thumbnails")["messages_pending"] == 0


def test_a_receiver_that_waits_gets_what_is_sent_meanwhile(layer: BlockingChannelLayer) -> None:
    """Also on a channel that nobody has used before."""
    received: list[Any] = []
    receiver = threading.Thread(target=lambda: received.append(layer.receive("thumbnails", timeout=30)))
    receiver.start()
    layer.send("thumbnails", {"type": "make", "n": 1})
    receiver.join(30)
    assert received == [{"type": "make", "n": 1}]


def test_sixteen_receivers_share_a_channel(layer: BlockingChannelLayer) -> None:
    """P3. Each message goes to one of them."""
    received: list[int] = []

    def receive() -> None:
        while (message := layer.receive("thumbnails", timeout=30))["n"] >= 0:
            received.append(message["n"])

    receivers = [threading.Thread(target=receive) for _ in range(16)]
    for receiver in receivers:
        receiver.start()
    for number in [*range(80), *[-1] * 16]:
        layer.send("thumbnails", {"type": "make", "n": number})
    for receiver in receivers:
        receiver.join(30)
    assert sorted(received) == list(range(80))


def test_what_a_dead_reader_had_read_is_claimed(layer: BlockingChannelLayer, redis: Redis, keys: Keys) -> None:
    """P3. It had read the entry and had not asked for it: after two seconds another reader does."""
    layer.send("thumbnails", {"type": "make", "n": 1})
    redis.xgroup_create(keys.channel("thumbnails"), "workers", "0")
    assert redis.xreadgroup("workers", "dead", {keys.channel("thumbnails"): ">"})
    assert layer.receive("thumbnails", timeout=30)["n"] == 1


def test_an_interrupted_receiver_loses_nothing(layer: BlockingChannelLayer) -> None:
    """An exception of a signal handler, as Ctrl-C, while it waits."""

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interrupted):
            layer.receive("thumbnails")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    layer.send("thumbnails", {"type": "make", "n": 1})
    assert layer.receive("thumbnails", timeout=30)["n"] == 1


@pytest.mark.parametrize(
    "batch",
    [
        b"no msgpack",
        join_batch(batch_head("x"), [pack(packets.message("", {"no": "type"}, 1_000))]),
        join_batch(batch_head("x"), [pack(packets.sync(1, 1, 1, False))]),
    ],
)
def test_an_entry_that_is_no_message_is_dropped_and_counted(
    layer: BlockingChannelLayer, redis: Redis, keys: Keys, batch: bytes
) -> None:
    """P12. It holds up nothing behind it."""
    redis.xadd(keys.channel("thumbnails"), {"b": batch})
    layer.send("thumbnails", {"type": "make", "n": 1})
    assert layer.receive("thumbnails", timeout=5)["n"] == 1
    assert layer.counters == {"packets.malformed_batch": 1}


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect", f"{NODE}!17", f"{NODE}!specific.00aa"])
def test_what_belongs_to_others_cannot_be_received(layer: BlockingChannelLayer, channel: str) -> None:
    """Connections, and channels of other processes."""
    with pytest.raises(InvalidName):
        layer.receive(channel, timeout=0)


def test_an_answer_comes_by_a_new_channel(layer: BlockingChannelLayer, redis_server: RedisServer, prefix: str) -> None:
    """Question and answer between two programs."""
    mine = layer.new_channel()
    assert re.fullmatch(r"specific\.[0-9a-f]{16}", mine) and mine != layer.new_channel()
    layer.send("thumbnails", {"type": "make", "reply_to": mine})
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix) as other:
        question = other.receive("thumbnails", timeout=5)
        other.send(question["reply_to"], {"type": "made"})
    assert layer.receive(mine, timeout=5) == {"type": "made"}
    with pytest.raises(InvalidName):
        layer.new_channel("no!such")


def test_every_key_has_a_time_to_live(layer: BlockingChannelLayer, redis: Redis, prefix: str) -> None:
    """P11. Whatever is sent and read."""
    layer.group_add("room", "thumbnails")
    layer.group_send("room", {"type": "make"})
    layer.receive("thumbnails", timeout=5)
    with pytest.raises(TimeoutError):
        layer.receive("nothing", timeout=0.01)
    found: Any = redis.keys(f"{prefix}*")
    assert {f"{prefix}group-channels:room", f"{prefix}group-sequence:room"} <= {key.decode() for key in found}
    assert all(0 < redis.pttl(key) <= 86_400_000 for key in found)


def test_statistics_and_flush(layer: BlockingChannelLayer, redis: Redis, keys: Keys) -> None:
    """Messages of applications are dropped, and connections stay."""
    redis.xadd(keys.channel("http.request"), {"b": b""})
    for channel in ("thumbnails", "thumbnails", "mails"):
        layer.send(channel, {"type": "make"})
    found = layer.statistics("thumbnails")
    assert found["messages_pending"] == 2 and 0 <= found["messages_max_age"] < 60
    layer.flush()
    assert layer.statistics("thumbnails") == {"messages_pending": 0, "messages_max_age": 0.0}
    assert redis.xlen(keys.channel("http.request")) == 1


# -- groups


def test_a_group_send_is_one_publish(layer: BlockingChannelLayer, redis: Redis, keys: Keys) -> None:
    """P10. With the channels that do not get it."""
    with redis.pubsub() as subscriber:
        subscriber.subscribe(keys.group("room"))
        assert subscriber.get_message(timeout=10)
        layer.group_send("room", HELLO, exclude=["a!1"])
        received: Any = subscriber.get_message(timeout=10)
    number, packed = split_publish(received["data"])
    assert number is not None and unpack(packed) == {**HELLO, "towpath.exclude": ["a!1"]}


@pytest.mark.parametrize(
    ("group", "message", "exclude", "error"),
    [
        ("no!group", HELLO, (), InvalidName),
        ("room", {"type": "websocket.send"}, (), InvalidMessage),
        ("room", HELLO, ("no blanks",), InvalidName),
        ("room", {"type": "chat.message", "bytes": bytes(2**24)}, (), MessageTooLarge),
    ],
)
def test_what_a_group_cannot_be_sent_is_refused(
    layer: BlockingChannelLayer, group: str, message: Any, exclude: tuple[str, ...], error: type[Exception]
) -> None:
    """As for a single channel."""
    with pytest.raises(error):
        layer.group_send(group, message, exclude)


def test_each_send_is_one_command(layer: BlockingChannelLayer, redis: Redis, keys: Keys) -> None:
    """One round trip each, by whichever kind of channel."""
    make_inbox(redis, keys)
    layer.send("thumbnails", HELLO)
    layer.group_send("room", HELLO)
    redis.config_resetstat()
    for _ in range(10):
        layer.send(f"{NODE}!17", HELLO)
        layer.send("thumbnails", HELLO)
        layer.group_send("room", HELLO)
    calls = calls_of(redis)
    assert calls["cmdstat_evalsha"] == 20 and calls["cmdstat_publish"] == 10
    assert (
        calls["cmdstat_exists"] == 20
    )  # for the lease of the owner; for shared channels among the members of the group
    assert "cmdstat_eval" not in calls


def test_the_membership_of_an_ended_process_is_no_error(layer: BlockingChannelLayer) -> None:
    """No message would reach it."""
    layer.group_add("room", f"{NODE}!17")
    layer.group_discard("room", f"{NODE}!17")


def test_an_owner_that_does_not_answer_leaves_the_outcome_open(
    redis_server: RedisServer, redis: Redis, keys: Keys, prefix: str
) -> None:
    """It lives, and its inbox takes the request."""
    make_inbox(redis, keys)
    redis.set(keys.lease(NODE), b"", px=60_000)
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix, timeout=0.2) as layer:
        with pytest.raises(channel_layer.LayerUnavailable, match="did not answer") as failure:
            layer.group_add("room", f"{NODE}!17")
    assert not failure.value.known
    assert packets_in_inbox(redis, keys)[0][:4] == [packets.JOIN, 17, 0, "room"]


def test_a_request_that_was_sent_without_an_inbox_for_its_answer_leaves_the_outcome_open(
    own_redis: RedisServer,
) -> None:
    """P12. Redis refuses the script that makes the inbox, and not the request behind it."""
    keys = Keys("towpath:")
    with Redis(unix_socket_path=str(own_redis.socket)) as redis, channel_layer.connect_blocking(own_redis.url) as layer:
        make_inbox(redis, keys)
        redis.execute_command("ACL", "SETUSER", "default", "-eval")
        with pytest.raises(channel_layer.LayerUnavailable, match="Redis refused a request") as failure:
            layer.group_add("room", f"{NODE}!17")
        assert not failure.value.known
        assert packets_in_inbox(redis, keys)[0][:4] == [packets.JOIN, 17, 0, "room"]


def test_a_request_that_was_answered_succeeds_though_its_inbox_cannot_be_deleted(own_redis: RedisServer) -> None:
    """P12. The outcome is known. Redis executes no write from the moment of the answer on."""
    keys = Keys("towpath:")
    with (
        Redis(unix_socket_path=str(own_redis.socket)) as redis,
        channel_layer.connect_blocking(own_redis.url, timeout=1) as layer,
        ThreadPoolExecutor(1) as pool,
    ):
        make_inbox(redis, keys)
        adding = pool.submit(layer.group_add, "room", f"{NODE}!17")
        wait_until(lambda: packets_in_inbox(redis, keys))
        [(_, fields)] = cast(Any, redis.xrange(keys.inbox(NODE)))
        sender, [join] = unpack_batch(fields[b"b"])
        with redis.pipeline() as transaction:
            answer = join_batch(batch_head(NODE), [pack(packets.joined(17, 0, join[4], True))])
            transaction.xadd(keys.inbox(sender), {"b": answer})
            transaction.client_pause(60_000, all=False)
            transaction.execute()
        adding.result(timeout=30)
        redis.client_unpause()
        assert redis.exists(keys.inbox(sender))


# -- the layer


def test_with_keys_nothing_of_a_message_can_be_read_in_redis(
    redis_server: RedisServer, redis: Redis, keys: Keys, prefix: str
) -> None:
    """In a shared channel, in an inbox, and in what is published; a layer with the keys reads it, also with one more in front."""
    make_inbox(redis, keys)
    layers = [
        channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=each)
        for each in (KEYS[:1], KEYS[::-1])
    ]
    with redis.pubsub() as subscriber:
        subscriber.subscribe(keys.group("room"))
        assert subscriber.get_message(timeout=10)
        layers[0].group_send("room", HELLO)
        published: Any = subscriber.get_message(timeout=10)
    layers[0].send(f"{NODE}!17", HELLO)
    layers[0].send("thumbnails", HELLO)
    entries: Any = [redis.xrange(key) for key in (keys.inbox(NODE), keys.channel("thumbnails"))]
    assert b"hello" not in published["data"] and all(len(each) == 1 for each in entries)
    assert b"hello" not in b"".join(fields[b"b"] for each in entries for _, fields in each)
    assert layers[1].receive("thumbnails", timeout=5) == HELLO


def test_an_entry_without_its_key_is_left_to_others(redis_server: RedisServer, prefix: str) -> None:
    """A process that has the key claims it; that it could not be decrypted is counted."""
    sender, stranger = (
        channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=(key,)) for key in KEYS
    )
    sender.send("thumbnails", HELLO)
    with pytest.raises(TimeoutError):
        stranger.receive("thumbnails", timeout=0.01)
    assert stranger.counters == {"packets.undecryptable": 1}
    assert sender.receive("thumbnails", timeout=30) == HELLO


def test_a_new_key_in_the_key_file_is_taken_up(redis_server: RedisServer, prefix: str, tmp_path: Path) -> None:
    """By the first call a second after it was written, however long the layer was idle; nothing has to be started again."""
    file = tmp_path / "keys"
    file.write_text(KEYS[0])
    rotated = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_key_file=str(file))
    new = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=(KEYS[1],))
    rotated.send("before", HELLO)
    rotate(rotated, file, KEYS[::-1])
    rotated.send("after", HELLO)
    assert new.receive("after", timeout=5) == rotated.receive("before", timeout=5) == HELLO


def rotate(layer: BlockingChannelLayer, file: Path, keys: tuple[str, ...]) -> None:
    """Write the key file, as more than a second ago; the layer's last look at it is older."""
    file.write_text("\n".join(keys))
    written = file.stat().st_mtime - 2
    os.utime(file, (written, written))
    layer._encryption._refresh_due = 0.0


def test_each_call_takes_up_a_new_key(
    redis_server: RedisServer, redis: Redis, keys: Keys, prefix: str, tmp_path: Path
) -> None:
    """A message to a client, to a group, and the request of a membership are encrypted with it."""
    make_inbox(redis, keys)
    redis.set(
        keys.lease(NODE), Encryption(Keyring(KEYS[::-1])).lease(keys.lease(NODE), {"role": "interface"}), px=60_000
    )
    reader = Encryption(Keyring(KEYS[1:]))
    with redis.pubsub() as subscriber:
        subscriber.subscribe(keys.group("room"))
        assert subscriber.get_message(timeout=10)
        for number, call in enumerate(
            (
                lambda layer: layer.send(f"{NODE}!17", HELLO),
                lambda layer: layer.group_send("room", HELLO),
                lambda layer: layer.group_add("room", f"{NODE}!17"),
            )
        ):
            (file := tmp_path / f"keys{number}").write_text(KEYS[0])
            with channel_layer.connect_blocking(
                redis_server.url, prefix=prefix, encryption_key_file=str(file), timeout=0.2
            ) as layer:
                rotate(layer, file, KEYS[::-1])
                with contextlib.suppress(channel_layer.LayerUnavailable):  # nobody answers
                    call(layer)
        published: Any = subscriber.get_message(timeout=10)
    entries: Any = redis.xrange(keys.inbox(NODE))
    assert [reader.batch_reader(keys.inbox(NODE))(fields[b"b"])[1][0][0] for _, fields in entries] == [
        packets.SEND,
        packets.JOIN,
    ]
    _, packed = split_publish(published["data"])
    assert reader.value(keys.group("room"), unpack(packed)) == HELLO


def test_a_receiver_that_waits_takes_up_a_new_key(redis_server: RedisServer, prefix: str, tmp_path: Path) -> None:
    """It may wait for days: the change comes meanwhile, and then a message with the new key."""
    (file := tmp_path / "keys").write_text(KEYS[0])
    layer = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_key_file=str(file))
    new = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=(KEYS[1],))
    with ThreadPoolExecutor(1) as threads:
        received = threads.submit(layer.receive, "thumbnails", 30)
        wait_until(lambda: layer._encryption._refresh_due > 0, "the receiver has looked at the file")
        rotate(layer, file, KEYS)
        wait_until(lambda: len(layer._encryption.key_ids) == 2, "it has looked again")
        new.send("thumbnails", HELLO)
        assert received.result(30) == HELLO
    assert not layer.counters


def test_an_answer_that_cannot_be_decrypted_is_counted(
    redis_server: RedisServer, redis: Redis, keys: Keys, prefix: str
) -> None:
    """And one that is no answer at all; the outcome of the request stays open."""
    make_inbox(redis, keys)
    redis.set(keys.lease(NODE), Encryption(Keyring(KEYS[:1])).lease(keys.lease(NODE), {"role": "interface"}), px=60_000)
    layer = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=KEYS[:1], timeout=1)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(layer.group_add, "room", f"{NODE}!17")
        wait_until(lambda: redis.keys(f"{prefix}inbox:blocking.*"), "the inbox for the answer is there")
        inboxes: Any = redis.keys(f"{prefix}inbox:blocking.*")
        redis.xadd(inboxes[0], {"b": Encryption(Keyring(KEYS[1:])).entry(inboxes[0].decode(), b"")})
        redis.xadd(inboxes[0], {"b": b"no msgpack"})
        with pytest.raises(channel_layer.LayerUnavailable, match="did not answer"):
            asked.result(30)
    assert layer.counters == {"packets.undecryptable": 1, "packets.malformed_batch": 1}


def test_two_databases_and_two_prefixes_are_apart(redis_server: RedisServer, prefix: str) -> None:
    """What is sent in one is not received in the other."""
    layers = [
        channel_layer.connect_blocking(url, prefix=each)
        for url in (f"{redis_server.url}?db=0", f"{redis_server.url}?db=1")
        for each in (prefix, f"other-{prefix}")
    ]
    layers[0].send("thumbnails", {"type": "make"})
    for layer in layers[1:]:
        with pytest.raises(TimeoutError):
            layer.receive("thumbnails", timeout=0)
    assert layers[0].receive("thumbnails", timeout=5) == {"type": "make"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": "http://x"}, "http://x"),
        ({"prefix": 5}, "prefix is a text, not 5"),
        ({"capacity": 0}, "capacity is a number of messages above 0, not 0"),
        ({"capacity": [100]}, "capacity is a number of messages above 0, not of type list"),
        ({"expiry": -1}, "expiry is a number of seconds"),
        ({"expiry": float("inf")}, "expiry is a number of seconds"),
        ({"connections_max": 0}, "connections_max is a number of connections above 0, not 0"),
        ({"connections_max": "3"}, "connections_max is a number of connections above 0, not '3'"),
        ({"connections_max": True}, "connections_max is a number of connections"),
        ({"timeout": 0}, "timeout is a number of seconds above 0 and at most 86,400, not 0"),
        ({"timeout": None}, "timeout is a number of seconds above 0 and at most 86,400, not None"),
        ({"timeout": float("nan")}, "timeout is a number of seconds"),
        ({"timeout": 1e9}, "timeout is a number of seconds"),
    ],
    ids=str,
)
def test_values_that_are_none_are_refused_at_once(
    redis_server: RedisServer, wrong: dict[str, Any], sentence: str
) -> None:
    """And not at the first call, in the middle of the night: by one sentence that names the option."""
    with pytest.raises(ValueError, match=sentence) as refused:
        channel_layer.connect_blocking(**{"url": redis_server.url, **wrong})
    assert "\n" not in str(refused.value)


def test_a_script_that_redis_has_forgotten_is_sent_again(layer: BlockingChannelLayer, redis: Redis) -> None:
    """A restart, or SCRIPT FLUSH: nothing was done by the first call."""
    layer.send("thumbnails", {"type": "make", "n": 1})
    redis.script_flush()
    layer.send("thumbnails", {"type": "make", "n": 2})
    assert [layer.receive("thumbnails", 5)["n"] for _ in range(2)] == [1, 2]


def test_a_full_redis_refuses_and_nothing_is_sent(own_redis: RedisServer) -> None:
    """One sentence with the reason, and the call may be made again."""
    layer = channel_layer.connect_blocking(own_redis.url)
    with own_redis.client() as redis:
        layer.send("thumbnails", {"type": "make"})
        redis.config_set("maxmemory", 1)
        with pytest.raises(NothingSent, match="OOM"):
            layer.send("thumbnails", {"type": "make"})
        redis.config_set("maxmemory", 0)
    assert layer.statistics("thumbnails")["messages_pending"] == 1


def test_a_publish_without_the_right_to_it_has_sent_nothing(own_redis: RedisServer) -> None:
    """P12. The script had counted already; what it does for others it does at its end."""
    with own_redis.client() as redis, channel_layer.connect_blocking(own_redis.url) as layer:
        redis.execute_command("ACL", "SETUSER", "default", "resetchannels", "&elsewhere")
        with pytest.raises(NothingSent, match="publish") as failure:
            layer.group_send("room", HELLO)
        assert failure.value.known


def test_while_connections_are_killed_no_message_is_sent_twice_and_each_error_is_true(own_redis: RedisServer) -> None:
    """P3. Sixteen threads send, and all their connections are ended again and again: what was sent is there once, what was not is
    not, and what is unknown is there at most once.
    """
    layer = channel_layer.connect_blocking(own_redis.url, capacity=100_000)
    outcomes: dict[str, str] = {}
    done = threading.Event()

    def send(thread: int) -> None:
        for number in range(150):
            name = f"{thread}.{number}"
            try:
                layer.send("thumbnails", {"type": "make", "name": name})
                outcomes[name] = "sent"
            except channel_layer.LayerUnavailable as error:
                outcomes[name] = "not sent" if error.known else "unknown"

    def kill() -> None:
        with own_redis.client() as redis:
            while not done.wait(KILL_INTERVAL_S):
                redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(send, range(16)))
    done.set()
    killer.join()
    found: Counter[str] = Counter()
    wait_until(lambda: can_be_asked(layer), "calls succeed again")
    while layer.statistics("thumbnails")["messages_pending"]:
        found[layer.receive("thumbnails", timeout=30)["name"]] += 1
    assert len(outcomes) == 16 * 150 and max(found.values()) == 1
    assert {name for name, outcome in outcomes.items() if outcome == "sent"} <= set(found)
    assert not {name for name, outcome in outcomes.items() if outcome == "not sent"} & set(found)
    assert "sent" in outcomes.values() and len(set(outcomes.values())) > 1


def can_be_asked(layer: BlockingChannelLayer) -> bool:
    try:
        layer.statistics("thumbnails")
    except channel_layer.LayerUnavailable:
        return False
    return True
