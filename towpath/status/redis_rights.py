"""Tries each command that a process will send to Redis, so that a missing permission is reported at the start.

Redis checks permissions before keys and arguments. So every command is tried on keys that do not exist, or with an argument that
it refuses: nothing is written, and any answer other than a lack of permission means that the command is allowed.
"""

from __future__ import annotations

import secrets
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError

from channel_layer.protocol.keys import GROUP, Keys

Command = tuple[str | int, ...]
NO_NUMBER = "x"
NO_SCRIPT = "0" * 40


def missing(client: Redis, keys: Keys, answer_timeout_s: float) -> list[str]:
    """The permissions that are missing, in the form of `ACL SETUSER`: `+pexpire`, `~towpath:*`, `&towpath:*`. Raises RedisError."""
    name = f"check.{secrets.token_hex(6)}"
    commands = _on_keys(keys, name)
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    answers = pipeline.execute(raise_on_error=False)
    found = [_right(str(command[0]), answer, keys) for command, answer in zip(commands, answers, strict=True)]
    found += _pubsub(client, keys, name, answer_timeout_s)
    return list(dict.fromkeys(filter(None, found)))


def _on_keys(keys: Keys, name: str) -> list[Command]:
    inbox, lease, nodes = keys.inbox(name), keys.lease(name), keys.nodes
    stream, size = keys.channel(name), keys.channel_size(name)
    return [
        ("PEXPIRE", inbox, 1),
        ("PTTL", inbox),
        ("EXISTS", inbox),
        ("DEL", inbox),
        ("XADD", inbox, "NOMKSTREAM", "*", "b", ""),
        ("XTRIM", inbox, "MAXLEN", 0),
        ("XREAD", "COUNT", 1, "STREAMS", inbox, "0"),
        ("XINFO", "STREAM", inbox),
        ("XLEN", stream),
        ("XRANGE", stream, "-", "+", "COUNT", 1),
        ("XREVRANGE", stream, "+", "-", "COUNT", 1),
        ("XGROUP", "CREATE", stream, GROUP, "0"),
        ("XGROUP", "DELCONSUMER", stream, GROUP, name),
        ("XREADGROUP", "GROUP", GROUP, name, "COUNT", 1, "STREAMS", stream, ">"),
        ("XAUTOCLAIM", stream, GROUP, name, 1, "0-0"),
        ("XCLAIM", stream, GROUP, name, 1, "0-1"),
        ("XPENDING", stream, GROUP),
        ("XACK", stream, GROUP, "0-1"),
        ("XDEL", stream, "0-1"),
        ("INCRBY", size, NO_NUMBER),
        ("DECRBY", size, NO_NUMBER),
        ("GET", lease),
        ("MGET", lease),
        ("SET", lease, "", "PX", 1, "XX"),
        ("ZADD", nodes, "XX", 0, name),
        ("ZREM", nodes, name),
        ("ZREMRANGEBYSCORE", nodes, 1, 0),
        ("ZSCORE", nodes, name),
        ("ZRANGE", nodes, 0, 0),
        ("ZRANGEBYSCORE", nodes, "-inf", "+inf", "LIMIT", 0, 1),
        ("TIME",),
        ("PUBLISH", keys.group(name), ""),
        ("PUBLISH", keys.probe(name), ""),
        ("EVAL", "return 0", 1, inbox),
        ("EVALSHA", NO_SCRIPT, 1, inbox),
    ]


def _right(command: str, answer: Any, keys: Keys) -> str:
    """The permission that is missing; empty if none is."""
    if not isinstance(answer, NoPermissionError):
        return ""
    why = str(answer)
    if "to run" in why:
        return f"+{command.lower()}"
    return f"&{keys.prefix}*" if "channel" in why else f"~{keys.prefix}*"


def _pubsub(client: Redis, keys: Keys, name: str, answer_timeout_s: float) -> list[str]:
    channels = (keys.news, keys.probe(name), keys.group(name))
    found = []
    with client.pubsub() as pubsub:
        for command in ("SUBSCRIBE", "UNSUBSCRIBE"):
            try:
                pubsub.execute_command(command, *channels)
                for _ in channels:  # each is confirmed by itself; a refusal is one for all
                    pubsub.parse_response(timeout=answer_timeout_s)
            except NoPermissionError as error:
                found.append(_right(command, error, keys))
    return found
