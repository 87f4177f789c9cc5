"""Is Redis there, and fit? Asked once, before anything is started, so that the answer is one sentence and not a loop."""

from __future__ import annotations

import time

from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError

from channel_layer.keys import Keys
from channel_layer.redis_address import RedisAddress
from channel_layer.redis_blocking import blocking_client
from channel_layer.redis_connection import REPLICA_ROLES
from towpath import redis_rights
from towpath.errors import StartFailure

OLDEST = (6, 2)
ANSWER_TIMEOUT_S = 2.0
PAUSE_S = 0.05


def check(url: str, patience_s: float = 0.0) -> str:
    """`Redis 7.0.15` or the like; waits at most `patience_s` for one that is just starting.

    StartFailure when it is unreachable, a replica, refuses us, is one of a cluster, is older than 6.2, or evicts keys.
    """
    address = RedisAddress.parse(url)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _facts(address)
        except (AuthenticationError, ResponseError) as error:
            if "loading" not in str(error).lower() or time.monotonic() > deadline:
                raise StartFailure(f"Redis at {address.shown} refuses us: {error}") from error
        except (RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise StartFailure(f"Redis at {address.shown} is unreachable: {error}") from error
        time.sleep(PAUSE_S)


def check_rights(url: str, prefix: str) -> None:
    """StartFailure unless Redis allows us all that a process will ask it for. Nothing is left behind."""
    address = RedisAddress.parse(url)
    try:
        with blocking_client(address, ANSWER_TIMEOUT_S) as client:
            lacks = redis_rights.missing(client, Keys(prefix, address.db), ANSWER_TIMEOUT_S)
    except (RedisError, OSError) as error:
        raise StartFailure(f"Redis at {address.shown} is unreachable: {error}") from error
    if lacks:
        raise StartFailure(f"Redis at {address.shown} does not allow us what we need: {' '.join(lacks)} is missing")


def _facts(address: RedisAddress) -> str:
    with blocking_client(address, ANSWER_TIMEOUT_S) as client:
        server = client.info("server")
        memory = client.info("memory")
        if client.info("replication").get("role") in REPLICA_ROLES:  # for now: it may be about to become the primary
            raise ConnectionError("it is a replica at present")
    if "cluster" in (server.get("redis_mode"), server.get("server_mode")):
        raise StartFailure(
            f"Redis at {address.shown} is part of a Redis Cluster; a single server or Sentinel is needed"
        )
    kind, version = (
        ("Valkey", server["valkey_version"]) if "valkey_version" in server else ("Redis", server["redis_version"])
    )
    judge(address.shown, kind, str(version), str(memory.get("maxmemory_policy", "noeviction")))
    return f"{kind} {version}"


def judge(where: str, kind: str, version: str, policy: str) -> None:
    """StartFailure unless this server can be used. Managed servers may hide CONFIG; INFO they all answer."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if kind == "Redis" and numbers < OLDEST:
        raise StartFailure(f"Redis at {where} is {version}; 6.2 or newer is needed")
    if policy != "noeviction":
        raise StartFailure(
            f"Redis at {where} has maxmemory-policy {policy}: it would drop messages; noeviction is needed"
        )
