"""Checks that Redis can be reached and used, before anything is started. A failure is one sentence and not a loop."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError

from channel_layer.protocol.keys import Keys
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.address_file import AddressSource, address_source
from channel_layer.redis.blocking_client import blocking_client, unprompted_error
from channel_layer.redis.connection import REPLICA_ROLES
from channel_layer.redis.rejection_reasons import explained, is_cut_off, is_rejection
from towpath.errors import StartFailure
from towpath.status import redis_rights

OLDEST = (6, 2)
ANSWER_TIMEOUT_S = 2.0
UNPROMPTED_ERROR_S = 0.3
PAUSE_S, PAUSE_S_MAX = 0.05, 0.5
FIRST_REPORT_S, REPORT_INTERVAL_S = (
    6.0,
    60.0,
)  #: longer than the default wait, so that the failure is the only sentence then


def no_report(_sentence: str) -> None:
    """Drop the sentence."""


def source_of(url: str) -> AddressSource:
    """Where the address of Redis comes from. StartFailure for a URL that is none, or a file without one."""
    try:
        return address_source(url)
    except ValueError as error:
        raise StartFailure(str(error)) from error


def failure(address: RedisAddress, error: Exception) -> StartFailure:
    """The failure that tells, in one sentence, what this error of redis-py means."""
    if is_cut_off(error) and (unread := unprompted_error(address, UNPROMPTED_ERROR_S)):
        error = ConnectionError(unread)
    what = "refuses us" if isinstance(error, ResponseError) or is_rejection(error) else "is unreachable"
    return StartFailure(f"Redis at {address.shown} {what}: {explained(error)}")


def check(url: str, wait_s: float = 0.0, report: Callable[[str], None] = no_report) -> str:
    """`Redis 7.0.15` or the like; waits at most `wait_s` for one that is just starting, and calls `report` each minute.

    StartFailure when it is unreachable, a replica, refuses us, is one of a cluster, is older than 6.2, or evicts keys.
    """
    source = source_of(url)
    began = time.monotonic()
    deadline, report_at, pause_s = began + wait_s, began + FIRST_REPORT_S, PAUSE_S
    while True:
        try:
            return _facts(source)
        except (RedisError, OSError) as error:
            why = failure(source.current(), error)
            is_final = isinstance(error, AuthenticationError | ResponseError) and "loading" not in str(error).lower()
            if is_final or time.monotonic() > deadline:
                raise why from error
        if time.monotonic() > report_at:
            report_at += REPORT_INTERVAL_S
            report(f"waiting for Redis, {max(0.0, deadline - time.monotonic()):.0f} s more: {why}")
        time.sleep(pause_s)
        pause_s = min(PAUSE_S_MAX, pause_s * 1.5)


def check_rights(url: str, prefix: str) -> None:
    """Raise StartFailure unless Redis allows every command that a process will send. Nothing is left behind."""
    source = source_of(url)
    address = source.current()
    try:
        with blocking_client(source, ANSWER_TIMEOUT_S) as client:
            lacks = redis_rights.missing(client, Keys(prefix, address.db), ANSWER_TIMEOUT_S)
    except (RedisError, OSError) as error:
        raise failure(address, error) from error
    if lacks:
        raise StartFailure(f"Redis at {address.shown} does not allow us what we need: {' '.join(lacks)} is missing")


def _facts(source: AddressSource) -> str:
    address = source.current()
    with blocking_client(source, ANSWER_TIMEOUT_S) as client:
        server = client.info("server")
        memory = client.info("memory")
        if client.info("replication").get("role") in REPLICA_ROLES:  # for now: it may become the primary soon
            raise ConnectionError("it is a replica at present")
    if "cluster" in (server.get("redis_mode"), server.get("server_mode")):
        raise StartFailure(
            f"Redis at {address.shown} is part of a Redis Cluster; a single server or Sentinel is needed"
        )
    kind, version = (
        ("Valkey", server["valkey_version"]) if "valkey_version" in server else ("Redis", server["redis_version"])
    )
    check_server(address.shown, kind, str(version), str(memory.get("maxmemory_policy", "noeviction")))
    return f"{kind} {version}"


def check_server(where: str, kind: str, version: str, policy: str) -> None:
    """Raise StartFailure unless this server can be used. Managed servers may hide CONFIG, but all answer INFO."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if kind == "Redis" and numbers < OLDEST:
        raise StartFailure(f"Redis at {where} is {version}; 6.2 or newer is needed")
    if policy != "noeviction":
        raise StartFailure(
            f"Redis at {where} has maxmemory-policy {policy}: it would drop messages; noeviction is needed"
        )
