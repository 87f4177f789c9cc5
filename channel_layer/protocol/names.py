"""Names of nodes, channels and groups, and their rules.

A node name is new at every start of a process and never used again (`worker.9f86d081c3a2`), so no process gets packets for a dead
one of the same name. A process-local channel is `<node>!<local part>`: its name tells which inbox carries it. It is a reply
channel if the local part is a connection's number, else an application channel. Every other channel is a shared one. Source:
Channels specification, "Channel names"; PROTOCOL.md, "Names".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from channel_layer.errors import InvalidName
from channel_layer.process.log_values import shown

NAME_LENGTH_MAX: Final = 99
#: The role in the name of a program that is no node.
BLOCKING_ROLE: Final = "blocking"
#: The sender of what such a program sends without waiting for an answer.
BLOCKING_SENDER: Final = f"{BLOCKING_ROLE}.sender"
#: Around the prefix of a new channel stand its node (`worker.<12 hex>`), a `!`, a dot and up to 16 random digits.
PREFIX_LENGTH_MAX: Final = 60
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]+(![a-zA-Z0-9_.-]*)?\Z")
_NODE: Final = re.compile(r"[a-zA-Z0-9_.-]{1,99}\Z")
_GROUP: Final = re.compile(r"[a-zA-Z0-9_.-]+\Z")


def node_name(role: str, random_hex: str) -> str:
    """The name of one run of one process; `random_hex` comes from the shell and is never used twice."""
    return f"{role}.{random_hex}"


def has_inbox(node: str) -> bool:
    """True unless it is the sender of all that blocking clients send without waiting. A request has a sender of its own."""
    return node != BLOCKING_SENDER


def reply_channel(node: str, number: int) -> str:
    """The reply channel of one connection: any process that knows its name may send to the client."""
    return f"{node}!{number}"


def application_channel(node: str, prefix: str, random_hex: str) -> str:
    """The name of a new application channel of a process; `random_hex` comes from the shell and is never used twice."""
    return f"{node}!{prefix}.{random_hex}"


@lru_cache(maxsize=1024)
def is_node_name(name: str) -> bool:
    """True if `name` may be the name of a node, which stands in keys and log lines.

    Cached, since it is called for each batch: a match costs 0.5 µs.
    """
    return _NODE.match(name) is not None


def check_channel(name: object) -> str:
    """Return `name`, or raise InvalidName: fewer than 100 of [a-zA-Z0-9_.-], with at most one `!` in it."""
    if isinstance(name, str) and len(name) <= NAME_LENGTH_MAX and _NAME.match(name):
        return name
    raise InvalidName(
        f"channel name {shown(name)} is not 1 to {NAME_LENGTH_MAX} of [a-zA-Z0-9_.-] with at most one '!'"
    )


def check_group(name: object) -> str:
    """Return `name`, or raise InvalidName: fewer than 100 of [a-zA-Z0-9_.-]."""
    if isinstance(name, str) and len(name) <= NAME_LENGTH_MAX and _GROUP.match(name):
        return name
    raise InvalidName(f"group name {shown(name)} is not 1 to {NAME_LENGTH_MAX} of [a-zA-Z0-9_.-]")


def check_channel_prefix(name: object) -> str:
    """Return `name`, the prefix of a new channel, or raise InvalidName: it leaves room for what stands around it."""
    if isinstance(name, str) and len(name) <= PREFIX_LENGTH_MAX and _GROUP.match(name):
        return name
    raise InvalidName(f"channel prefix {shown(name)} is not 1 to {PREFIX_LENGTH_MAX} of [a-zA-Z0-9_.-]")


def check_exclude(channels: object) -> list[str]:
    """Return `channels`, the names to which a group message does not go, as a list, or raise InvalidName."""
    if isinstance(channels, str | bytes) or not isinstance(channels, Iterable):
        raise InvalidName(f"exclude is {shown(channels)}; it is a list of channel names, also with a single one")
    return [check_channel(channel) for channel in channels]
