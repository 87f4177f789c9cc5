"""Tries each command that a process will send to Redis, so that a missing permission is reported at the start.

Redis checks permissions before keys and arguments. So every command is tried on keys that do not exist, or with an argument that
it refuses: nothing is written, and any answer other than a lack of permission means that the command is allowed.
"""

from __future__ import annotations

import os
from typing import Any

import hiredis

from channel_layer.protocol.keys import GROUP, Keys
from channel_layer.redis.blocking.client import BlockingClient
from channel_layer.redis.blocking.connection import pack

Command = tuple[str | int, ...]
NO_NUMBER = "x"
NO_SCRIPT = "0" * 40


def missing(client: BlockingClient, keys: Keys) -> list[str]:
    """The permissions that are missing, in the form of `ACL SETUSER`: `+pexpire`, `~towpath:*`, `&towpath:*`.

    Raises LayerUnavailable.
    """
    name = f"check.{os.urandom(6).hex()}"  # `secrets` would load OpenSSL into each `serve`
    commands = [*_on_keys(keys, name), *_on_channels(keys, name)]
    answers = client.exchange(b"".join(pack(*command) for command in commands), len(commands))
    found = [_right(str(command[0]), answer, keys) for command, answer in zip(commands, answers, strict=True)]
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


def _on_channels(keys: Keys, name: str) -> list[Command]:
    """One command for each channel, since each has one answer, and that of the news inside: news may come between the answers."""
    channels = (keys.probe(name), keys.group(name), keys.news)
    return [
        *(("SUBSCRIBE", channel) for channel in channels),
        *(("UNSUBSCRIBE", channel) for channel in channels[::-1]),
    ]


def _right(command: str, answer: Any, keys: Keys) -> str:
    """The permission that is missing; empty if none is."""
    why = str(answer)
    if not isinstance(answer, hiredis.ReplyError) or not why.startswith("NOPERM"):
        return ""
    if "to run" in why:
        return f"+{command.lower()}"
    return f"&{keys.prefix}*" if "channel" in why else f"~{keys.prefix}*"
