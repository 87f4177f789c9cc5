"""The commands for shared channels of applications, and what their answers mean: the same for the layer of a loop and the blocking one.

No I/O: a layer runs a command by its own connections, and passes the answer on. For memberships in groups see docs/protocol/groups.md, P10.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from channel_layer.errors import InvalidName
from channel_layer.protocol.keys import CHANNEL_OF_KIND, GROUP, Keys

Command = tuple[str | int, ...]

#: The capacity for messages that were in a channel before: then its bytes are not limited either.
NEVER_FULL = 2**31
#: How much longer the keys of a channel live than a message in it may wait.
TTL_MARGIN_MS = 60_000
#: Channels that one command drops: Redis does nothing else meanwhile.
FLUSH_COUNT = 500
#: Shared channels that one group may have: each costs its senders one command more.
GROUP_CHANNELS_MAX = 1_000
#: The channels of connections.
RESERVED = frozenset(CHANNEL_OF_KIND.values())


def check_shared(channel: str) -> str:
    """Return `channel`, a shared one, or raise InvalidName if applications cannot use it."""
    if channel in RESERVED:
        raise InvalidName(f"{channel!r} is the channel of connections, which applications neither send to nor read")
    return channel


class SendTerms(NamedTuple):
    """What the script `send` is called with for one channel, but for the messages."""

    keys: tuple[str, str, str]
    limits: Command
    full: str  #: the text of the error of a channel that takes no further message


def send_terms(keys: Keys, channel: str, capacity: int, size_bytes_max: int, expiry_ms: int) -> SendTerms:
    """The terms on which messages with this expiry are sent to `channel`."""
    if capacity >= NEVER_FULL:
        size_bytes_max = 2**53  # which a script counts exactly
    return SendTerms(
        (keys.channel(channel), keys.channel_size(channel), keys.shared_channels),
        (capacity, size_bytes_max, expiry_ms + TTL_MARGIN_MS, GROUP, expiry_ms, channel),
        f"{channel} holds {capacity} messages, or {size_bytes_max} bytes: the capacity of the channel",
    )


def join_terms(keys: Keys, group: str, channel: str, group_expiry_ms: int) -> tuple[tuple[str, str], Command]:
    """Keys and arguments of the script `join_shared`, which makes `channel` a member. Raises InvalidName."""
    return (
        (keys.group_channels(group), keys.groups_with_channels),
        (check_shared(channel), group_expiry_ms, GROUP_CHANNELS_MAX, group),
    )


def too_many(group: str) -> str:
    """The text of the error of a group that takes no further shared channel."""
    return f"group {group} has {GROUP_CHANNELS_MAX} shared channels, and takes no more"


def channels_to_send_to(published: Any, excluded: Collection[str]) -> list[str]:
    """The shared channels to which a published message is to be sent.

    published: the result of the publish script, a number, or a list of the number and the names: those of the channels whose membership
    has not ended.
    """
    if type(published) is not list:
        return []
    names = (name.decode(errors="replace") for name in published[1:])
    return [name for name in names if name not in excluded]


def channels_command(keys: Keys) -> Command:
    """Asks for the names of the channels in which anything may wait."""
    return ("ZRANGE", keys.shared_channels, 0, -1)


def drop_channels(keys: Keys, found: Sequence[bytes]) -> Iterator[Command]:
    """The commands that drop all messages. found: the answer to `channels_command`."""
    for names in _parts(found):
        yield ("DEL", *keys.of_shared_channels(names))


def groups_command(keys: Keys) -> Command:
    """Asks for the names of the groups that have had shared channels."""
    return ("ZRANGE", keys.groups_with_channels, 0, -1)


def drop_memberships(keys: Keys, found: Sequence[bytes]) -> Iterator[Command]:
    """The commands that end all memberships of shared channels. found: the answer to `groups_command`."""
    for groups in _parts(found):
        yield ("DEL", *map(keys.group_channels, groups))
        yield ("ZREM", keys.groups_with_channels, *groups)


def statistics_commands(keys: Keys, channel: str) -> tuple[Command, Command, Command]:
    """Ask for what `statistics` needs."""
    stream = keys.channel(channel)
    return ("XRANGE", stream, "-", "+", "COUNT", 1), ("XLEN", stream), ("TIME",)


def statistics(answers: Sequence[Any]) -> dict[str, int | float]:
    """How many messages wait, and for how long the oldest has, in seconds. answers: to `statistics_commands`."""
    oldest, pending, (seconds, microseconds) = answers
    if not oldest:
        return {"messages_pending": pending, "messages_max_age": 0.0}
    arrived_s = int(oldest[0][0].partition(b"-")[0]) / 1000
    age_s = int(seconds) + int(microseconds) / 1e6 - arrived_s
    return {"messages_pending": pending, "messages_max_age": max(0.0, age_s)}


def _parts(found: Sequence[bytes]) -> Iterator[list[str]]:
    for start in range(0, len(found), FLUSH_COUNT):
        yield [name.decode() for name in found[start : start + FLUSH_COUNT]]
