"""A blocking layer whose keys are not those of the deployment: told at its first call, and nothing is sent."""

from __future__ import annotations

import re

import pytest
from redis import Redis

import channel_layer
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.encryption.encryption import Encryption
from channel_layer.encryption.keyring import Keyring
from channel_layer.errors import NothingSent
from channel_layer.protocol.keys import Keys
from tests.support.facts import wait_until
from tests.support.redis_server import RedisServer

ONE = "one: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
TWO = "two: 9f86d081884c7d659a2feaa0c55ad0159"
NODE = "interface.0123456789ab"
HELLO = {"type": "websocket.send", "text": "hello"}


def write_lease(server: RedisServer, keys: Keys, *key_texts: str, node: str = NODE) -> None:
    """The lease of a process with these keys."""
    encryption = Encryption(Keyring(key_texts) if key_texts else None)
    lease = encryption.lease(
        keys.lease(node), {"role": "interface", "version": 1, "encryption": list(encryption.key_ids)}
    )
    with Redis(unix_socket_path=str(server.socket)) as redis:
        redis.set(keys.lease(node), lease, px=60_000)
        redis.zadd(keys.nodes, {node: 1.0})


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        ([ONE], [], f"{NODE!r} encrypts what crosses Redis, and this process has no encryption key"),
        ([], [ONE], f"{NODE!r} encrypts nothing, and this process has encryption keys"),
        ([ONE], [TWO], "which this process does not have"),
        ([ONE], [TWO, ONE], "this process encrypts with the key"),
    ],
)
def test_with_other_keys_nothing_is_sent_and_one_sentence_says_what_to_do(
    redis_server: RedisServer, prefix: str, theirs: list[str], ours: list[str], why: str
) -> None:
    """By each call, and not in clear: the same sentence that stops a process at its start."""
    keys = Keys(prefix)
    write_lease(redis_server, keys, *theirs)
    layer = channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=ours)
    for call in (
        lambda: layer.send("thumbnails", HELLO),
        lambda: layer.group_send("room", HELLO),
        lambda: layer.receive("thumbnails", 0),
    ):
        with pytest.raises(NothingSent, match=re.escape(why)) as refused:
            call()
        assert "give all processes of a deployment the same keys, by --encryption-key-file" in str(refused.value)
        assert repr(prefix) in str(refused.value)
    with Redis(unix_socket_path=str(redis_server.socket)) as redis:
        assert not redis.exists(keys.channel("thumbnails"), keys.group_sequence("room"))


@pytest.mark.parametrize(("theirs", "ours"), [([ONE], [ONE]), ([TWO, ONE], [ONE, TWO]), ([], [])])
def test_with_the_same_keys_in_another_order_all_is_sent(
    redis_server: RedisServer, prefix: str, theirs: list[str], ours: list[str]
) -> None:
    """As in the middle of a rotation. A name in the index without a lease is that of a dead process."""
    keys = Keys(prefix)
    write_lease(redis_server, keys, *theirs)
    with Redis(unix_socket_path=str(redis_server.socket)) as redis:
        redis.zadd(keys.nodes, {"worker.00000000dead": 1.0, b"\xff": 1.0})
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=ours) as layer:
        layer.send("thumbnails", HELLO)
        assert layer.receive("thumbnails", 5) == HELLO


def test_each_new_connection_is_checked(own_redis: RedisServer) -> None:
    """After a restart of Redis the deployment may have other keys; when they are the same again, calls succeed."""
    layer = channel_layer.connect_blocking(own_redis.url)
    layer.send("thumbnails", HELLO)
    write_lease(own_redis, Keys("towpath:"), ONE)
    layer.send("thumbnails", HELLO)  # on the connection that stands
    layer._commands.pool.drop_idle()
    with pytest.raises(NothingSent, match="has no encryption key"):
        layer.send("thumbnails", HELLO)
    assert layer._commands.pool.size == 0
    with own_redis.client() as redis:
        redis.delete(Keys("towpath:").lease(NODE))
    wait_until(lambda: is_sent(layer), "calls succeed again")


def is_sent(layer: BlockingChannelLayer) -> bool:
    try:
        layer.send("thumbnails", HELLO)
    except NothingSent:
        return False
    return True
