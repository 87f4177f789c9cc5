"""Blocking connections to Redis as others give it out: TLS, certificates of both sides, a user with few rights, Sentinels."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import channel_layer
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.connection import connect
from channel_layer.redis.blocking.primary_finder import PrimaryFinder
from tests.support.facts import wait_until
from tests.support.guarded_redis import PASSWORD, Guard, needs_redis
from tests.support.redis_sentinels import RedisSentinels
from tests.support.redis_server import RedisServer

#: The Sentinel and the replica may connect anew meanwhile.
REPLICATION = 2
HELLO = {"type": "websocket.send", "text": "hello"}


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    return Guard(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(guard: Guard) -> Iterator[RedisSentinels]:
    sentinels = RedisSentinels(guard=guard)
    try:
        yield sentinels.start()
    finally:
        sentinels.remove()


@pytest.fixture(scope="module")
def plain() -> Iterator[RedisSentinels]:
    sentinels = RedisSentinels()
    try:
        yield sentinels.start()
    finally:
        sentinels.remove()


def all_calls(layer: BlockingChannelLayer) -> None:
    """Each call that asks Redis, but for `flush`: that needs a right that no process has any other use for."""
    layer.send("thumbnails", {"type": "make"})
    layer.statistics("thumbnails")
    assert layer.receive("thumbnails", timeout=10) == {"type": "make"}
    with pytest.raises(TimeoutError):
        layer.receive("nothing", timeout=0.01)
    with pytest.raises(channel_layer.ChannelGone):
        layer.send("interface.0123456789ab!1", HELLO)
    layer.group_send("room", HELLO)
    layer.group_add("room", "interface.0123456789ab!1")


@needs_redis
def test_all_calls_behind_tls_with_a_user_who_may_do_no_more_than_is_written_down(
    guarded: RedisSentinels, guard: Guard
) -> None:
    """P9. Straight to the server, on a database of its own, and by way of the Sentinels."""
    port = guarded.primary_port
    for url in (f"rediss://{guard.user}127.0.0.1:{port}/3?{guard.parameters}", guarded.url):
        with channel_layer.connect_blocking(url) as layer:
            all_calls(layer)
            with guarded.primary.client() as redis:
                before = redis.info("stats")["total_connections_received"]
                all_calls(layer)  # on the same connection
                assert redis.info("stats")["total_connections_received"] - before <= REPLICATION
    with guarded.primary.client() as redis:
        assert [entry["object"] for entry in redis.acl_log()] == []


@needs_redis
def test_a_forked_child_says_no_goodbye_by_tls(guarded: RedisSentinels) -> None:
    """It would be one in the name of its parent, whose connection goes on."""
    with channel_layer.connect_blocking(guarded.url) as layer:
        all_calls(layer)
        with guarded.primary.client() as redis:
            before = redis.info("stats")["total_connections_received"]
        child = os.fork()
        if child == 0:
            try:
                all_calls(layer)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        all_calls(layer)
        with guarded.primary.client() as redis:
            made = redis.info("stats")["total_connections_received"] - before
        assert made <= 2 + REPLICATION  # the child's, and that of this look


@needs_redis
def test_certificates_and_passwords_are_checked(guarded: RedisSentinels, guard: Guard) -> None:
    """P12. One sentence that has no password in it."""
    place = ("127.0.0.1", guarded.primary_port)
    ours = f"ssl_certfile={guard.certificate}&ssl_keyfile={guard.key}"
    for user, parameters, why in (
        (guard.user, ours, "self-signed certificate in certificate chain"),
        (guard.user, f"ssl_ca_certs={guard.authority}", "unreachable"),
        (guard.user, f"{ours}&ssl_ca_certs=/nowhere", "No such file"),
        ("bargee:wrong@", guard.parameters, "WRONGPASS"),
        ("", guard.parameters, "NOAUTH"),
    ):
        address = RedisAddress.parse(f"rediss://{user}127.0.0.1:{place[1]}/3?{parameters}")
        with pytest.raises(NothingSent, match=why) as failure:
            connect(address, place, 5.0)
        assert PASSWORD not in str(failure.value) and "wrong@" not in str(failure.value)


def test_a_layer_follows_the_primary(plain: RedisSentinels) -> None:
    """P9. Idle connections to the server that was the primary are ended, or refuse: then the Sentinels are asked again."""
    plain.until_whole()
    with channel_layer.connect_blocking(plain.url) as layer:
        layer.send("thumbnails", {"type": "make"})
        before = plain.primary_port
        plain.fail_over()
        plain.wait_for_promotion(before)
        layer._commands.pool._ask_due = 0.0  # as five seconds later: the last primary does not know better yet
        wait_until(lambda: is_sent(layer), "calls succeed again")
        with plain.primary.client() as redis:
            assert redis.xlen("towpath:channel:after") >= 1
    plain.until_whole()


def test_connections_stay_while_no_sentinel_answers(plain: RedisSentinels) -> None:
    """P9. Redis itself does."""
    plain.until_whole()
    with channel_layer.connect_blocking(plain.url) as layer:
        assert is_sent(layer)
        plain.sentinel.stop()
        try:
            layer._commands.pool._ask_due = 0.0
            assert is_sent(layer)
        finally:
            plain.sentinel.start()


def is_sent(layer: BlockingChannelLayer) -> bool:
    try:
        layer.send("after", {"type": "make"})
    except LayerUnavailable:
        return False
    return True


def test_a_replica_is_left(plain: RedisSentinels) -> None:
    """A command that a replica has refused is sent to the primary; it has done nothing before."""
    plain.until_whole()
    replica = next(server for server in plain.servers if server.port != plain.primary_port)
    address = RedisAddress.parse(f"redis://127.0.0.1:{replica.port}")
    with pytest.raises(NothingSent, match="replica"):
        connect(address, ("127.0.0.1", replica.port), 5.0)


def test_sentinels_that_do_not_answer_are_asked_last(plain: RedisSentinels) -> None:
    """The first of the list is not there."""
    plain.until_whole()
    finder = PrimaryFinder(RedisAddress.parse(plain.url))
    assert finder.find() == finder.find() == ("127.0.0.1", plain.primary_port)
    nowhere = PrimaryFinder(RedisAddress.parse("redis+sentinel://127.0.0.1:1/horses"))
    with pytest.raises(NothingSent, match="no Sentinel knows horses"):
        nowhere.find()


def test_an_address_is_where_its_url_says(own_redis: RedisServer) -> None:
    """A path, or a host and a port; a server that is not there is one sentence."""
    assert PrimaryFinder(RedisAddress.parse(own_redis.url)).find() == str(own_redis.socket)
    assert PrimaryFinder(RedisAddress.parse("redis://a.example:7000/2")).find() == ("a.example", 7000)
    connect(RedisAddress.parse(own_redis.url), str(own_redis.socket), 5.0).close()
    with pytest.raises(NothingSent, match="is unreachable"):
        connect(RedisAddress.parse("redis://127.0.0.1:1"), ("127.0.0.1", 1), 5.0)
