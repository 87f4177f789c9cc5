"""Is Redis there, and fit?"""

from __future__ import annotations

import os
import threading

import pytest

from tests.support.redis_server import RedisServer
from tests.support.serving import free_port
from towpath.errors import StartFailure
from towpath.status import redis_check


def test_a_fit_server_says_what_it_is(redis_server: RedisServer) -> None:
    """The embedded one."""
    assert redis_check.check(redis_server.url).startswith(("Valkey ", "Redis "))


def test_a_server_that_evicts_is_refused(own_redis: RedisServer) -> None:
    """P4. What was accepted must not vanish because memory ran short."""
    own_redis.client().config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StartFailure, match="maxmemory-policy allkeys-lru"):
        redis_check.check(own_redis.url)


def test_a_server_of_a_cluster_is_refused_in_one_sentence() -> None:
    """P12. It would take some keys and refuse others."""
    node = (
        "--cluster-enabled",
        "yes",
        "--bind",
        "127.0.0.1",
        "--port",
        str(free_port()),
        "--cluster-port",
        str(free_port()),
    )
    server = RedisServer(arguments=node).start()
    try:
        with pytest.raises(StartFailure, match="Redis Cluster"):
            redis_check.check(server.url)
    finally:
        server.remove()


def test_a_replica_is_refused_unless_it_becomes_the_primary_soon(own_redis: RedisServer) -> None:
    """P9. A process that starts in the middle of a fail-over waits for its end, as for a server that is just starting."""
    own_redis.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StartFailure, match="is a replica"):
        redis_check.check(own_redis.url)
    promotion = threading.Timer(0.2, own_redis.client().execute_command, ("REPLICAOF", "NO", "ONE"))
    promotion.start()
    redis_check.check(own_redis.url, wait_s=10)
    promotion.join()


def test_who_waits_for_a_redis_that_is_not_there_yet_says_so_and_starts_when_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P9. `--redis-wait`: a Redis that starts last is no reason to leave, and the log names what is waited for."""
    monkeypatch.setattr(redis_check, "FIRST_REPORT_S", 0.0)
    server = RedisServer()
    said: list[str] = []

    def starts(sentence: str) -> None:
        said.append(sentence)
        server.start()

    try:
        with pytest.raises(StartFailure, match="is unreachable"):
            redis_check.check(server.url)
        assert redis_check.check(server.url, wait_s=30, report=starts).startswith(("Valkey ", "Redis "))
    finally:
        server.remove()
    (sentence,) = said
    assert sentence.startswith("waiting for Redis, ") and "is unreachable" in sentence


@pytest.mark.parametrize(
    ("kind", "version", "fit"),
    [("Redis", "6.0.16", False), ("Redis", "6.2.0", True), ("Redis", "7.4", True), ("Valkey", "8.0.1", True)],
)
def test_redis_before_6_2_is_refused(kind: str, version: str, fit: bool) -> None:
    """The scripts need what came with it."""
    if fit:
        redis_check.check_server("here", kind, version, "noeviction")
    else:
        with pytest.raises(StartFailure, match=version):
            redis_check.check_server("here", kind, version, "noeviction")


def test_a_password_is_asked_for_in_one_sentence_that_does_not_tell_it(own_redis: RedisServer) -> None:
    """A wrong one is not worth a second try."""
    own_redis.client().config_set("requirepass", "right")
    with pytest.raises(StartFailure, match="refuses us") as failure:
        redis_check.check(own_redis.url, wait_s=30)
    assert "right" not in str(failure.value)


def test_a_server_that_still_loads_its_data_is_waited_for() -> None:
    """P9. It answers INFO as any other, and refuses everything else."""
    server = RedisServer().start()
    try:
        with server.client() as client:
            for number in range(20):
                client.set(f"key-{number}", os.urandom(4096))
            client.save()
        server.stop()
        server._arguments = ("--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024")
        server.start()
        with pytest.raises(StartFailure, match="still loads its data"):
            redis_check.check(server.url)
        assert redis_check.check(server.url, wait_s=30)
    finally:
        server.remove()


def test_only_a_server_is_waited_for_that_is_just_starting() -> None:
    """Containers start together."""
    server = RedisServer().start()
    server.stop()
    with pytest.raises(StartFailure, match="unreachable"):
        redis_check.check(server.url)
    server.start()
    assert redis_check.check(server.url, wait_s=10)
    server.remove()
