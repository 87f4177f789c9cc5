"""Checks that Redis can be reached and used, before anything is started. A failure is one sentence and not a loop."""

from __future__ import annotations

import time
from collections.abc import Callable

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.protocol.keys import Keys
from channel_layer.redis.address_file import AddressSource, address_source
from channel_layer.redis.blocking.client import BlockingClient, is_final
from channel_layer.redis.blocking.connection import facts_in
from towpath.errors import StartFailure
from towpath.status import redis_rights

OLDEST = (6, 2)
ANSWER_TIMEOUT_S = 2.0
PAUSE_S, PAUSE_S_MAX = 0.05, 0.5
FIRST_REPORT_S, REPORT_INTERVAL_S = 3.0, 5.0


def no_report(_sentence: str) -> None:
    """Drop the sentence."""


def source_of(url: str) -> AddressSource:
    """Where the address of Redis comes from. StartFailure for a URL that is none, or a file without one."""
    try:
        return address_source(url)
    except ValueError as error:
        raise StartFailure(str(error)) from error


def check(url: str, wait_s: float = 0.0, report: Callable[[str], None] = no_report) -> str:
    """`Redis 7.0.15` or the like; waits at most `wait_s` for one that is just starting, and calls `report` every few seconds.

    StartFailure when it is unreachable, a replica, refuses us, is one of a cluster, is older than 6.2, or evicts keys.
    """
    source = source_of(url)
    began = time.monotonic()
    deadline, report_at, pause_s = began + wait_s, began + FIRST_REPORT_S, PAUSE_S
    while True:
        try:
            return _facts(source)
        except LayerUnavailable as error:
            if is_final(error) or time.monotonic() > deadline:
                raise StartFailure(str(error)) from error
            why = error
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
        with BlockingClient(source, ANSWER_TIMEOUT_S) as client:
            lacks = redis_rights.missing(client, Keys(prefix, address.db))
    except LayerUnavailable as error:
        raise StartFailure(str(error)) from error
    if lacks:
        raise StartFailure(f"Redis at {address.shown} does not allow us what we need: {' '.join(lacks)} is missing")


def _facts(source: AddressSource) -> str:
    shown = source.current().shown
    with BlockingClient(source, ANSWER_TIMEOUT_S) as client:
        facts = facts_in(client.call("INFO"))
    if facts.get("loading", "0") != "0":
        raise NothingSent(f"Redis at {shown} still loads its data")
    if "cluster" in (facts.get("redis_mode"), facts.get("server_mode")):
        raise StartFailure(f"Redis at {shown} is part of a Redis Cluster; a single server or Sentinel is needed")
    kind, version = (
        ("Valkey", facts["valkey_version"]) if "valkey_version" in facts else ("Redis", facts["redis_version"])
    )
    check_server(shown, kind, version, facts.get("maxmemory_policy", "noeviction"))
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
