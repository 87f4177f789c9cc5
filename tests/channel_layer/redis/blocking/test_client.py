"""One thread's connection to Redis: made when it is needed, made again when it is lost, and each failure one sentence."""

from __future__ import annotations

import pytest

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.client import BlockingClient, is_final
from channel_layer.redis.blocking.connection import pack
from channel_layer.redis.scripts import MAKE_GROUP
from tests.support.redis_server import RedisServer


def client_of(server: RedisServer, url: str = "") -> BlockingClient:
    return BlockingClient(RedisAddress.parse(url or server.url), timeout_s=5)


def test_a_redis_that_starts_anew_is_met_at_the_next_call(own_redis: RedisServer) -> None:
    """P9. The connection that it has ended is not used again, and a script that it has forgotten is sent whole."""
    with client_of(own_redis) as client:
        client.run_script(MAKE_GROUP, ["stream"], "group", 60_000)
        assert client.call("EXISTS", "stream") == 1
        own_redis.stop()
        with pytest.raises(NothingSent, match=r"^Redis at unix:.* is unreachable: ") as unreachable:
            client.call("PING")
        assert not is_final(unreachable.value)
        own_redis.start()
        assert client.call("EXISTS", "stream") == 0
        client.run_script(MAKE_GROUP, ["stream"], "group", 60_000)
        assert client.call("EXISTS", "stream") == 1


def test_an_outcome_that_is_unknown_is_no_nothing_sent(own_redis: RedisServer) -> None:
    """P9. The server ends the connection in the middle of a call."""
    with client_of(own_redis) as client:
        number = client.call("CLIENT", "ID")
        with pytest.raises(
            LayerUnavailable, match=r"^Redis at .* is unreachable: the connection to Redis was lost"
        ) as lost:
            client.exchange(pack("CLIENT", "KILL", "ID", number, "SKIPME", "no") + pack("SET", "a", "b"), 2)
        assert not isinstance(lost.value, NothingSent) and not is_final(lost.value)
        assert client.call("PING") == b"PONG"


def test_a_refusal_is_final_unless_it_passes(own_redis: RedisServer) -> None:
    """P12. Whoever waits for a Redis that is starting does not wait for one that never will take him."""
    with client_of(own_redis) as client, own_redis.client() as other:
        with pytest.raises(NothingSent, match=r"^Redis at .* refuses us: .*wrong number of arguments") as refused:
            client.call("GET")
        assert is_final(refused.value)
        other.execute_command("REPLICAOF", "127.0.0.1", "1")
        client.close()
        with pytest.raises(NothingSent, match="it is a replica at present") as refused:
            client.call("GET", "a")
        assert not is_final(refused.value)
        other.execute_command("REPLICAOF", "NO", "ONE")
        other.config_set("requirepass", "right")
        with pytest.raises(NothingSent, match=r"refuses us: it requires a password") as refused:
            client.call("GET", "a")
        assert is_final(refused.value)
    with client_of(own_redis, f"{own_redis.url}?password=right") as client:
        assert client.call("GET", "a") is None


def test_a_server_with_too_many_clients_gives_its_reason(own_redis: RedisServer) -> None:
    """P12. It says so unasked, and hangs up."""
    with own_redis.client() as other, client_of(own_redis) as client:
        other.config_set("maxclients", 1)
        for _ in range(5):
            with pytest.raises(LayerUnavailable, match="as many clients as its maxclients allows") as refused:
                client.call("PING")
            assert not is_final(refused.value)
